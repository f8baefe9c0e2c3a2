#include "text/template/interpreter.h"

#include "base/error.h"

namespace lyceum::jinja {

namespace {
constexpr int kMostOpen = 400;  // evaluations and statements that are open
}

// One level of the walk; fails instead of using up the stack.
class Interpreter::Deeper {
 public:
  explicit Deeper(Interpreter& in) : in_(in) {
    if (++in_.depth_ > kMostOpen) {
      --in_.depth_;
      fail_render("the template calls itself, or nests, too deep");
    }
  }
  ~Deeper() { --in_.depth_; }

 private:
  Interpreter& in_;
};

Value* Scope::find(std::string_view name) {
  for (Scope* s = this; s; s = s->parent.get())
    for (auto& [key, value] : s->names)
      if (key == name) return &value;
  return nullptr;
}

void Scope::set(std::string_view name, Value value) {
  for (auto& [key, old] : names)
    if (key == name) {
      old = std::move(value);
      return;
    }
  names.emplace_back(name, std::move(value));
}

Interpreter::Interpreter(std::string where, const Limits& limits, std::time_t now)
    : where_(std::move(where)), budget_(limits.steps, limits.bytes), now_(now) {}

Interpreter::~Interpreter() {
  for (const ScopePtr& scope : captured_) scope->names.clear();
  for (const auto& object : namespaces_) static_cast<Dict&>(*object).items.clear();
}

Value Interpreter::make_text(Text t) {
  charge(t.bytes.size() + t.marks.size() + 32);
  return Value::text(std::move(t));
}
Value Interpreter::make_list(std::vector<Value> items, Kind kind) {
  charge(items.size() * sizeof(Value) + 32);
  return Value::list(std::move(items), kind);
}
Value Interpreter::make_namespace(std::vector<std::pair<Value, Value>> items) {
  charge(items.size() * 2 * sizeof(Value) + 32);
  Value v = Value::dict(std::move(items));
  v.kind = Kind::kNamespace;
  namespaces_.push_back(v.object);
  return v;
}

Text Interpreter::render(const Body& body, const std::vector<Value>& variables) {
  try {
    globals_ = std::make_shared<Scope>();
    add_globals(*globals_);
    auto scope = std::make_shared<Scope>();
    scope->parent = globals_;
    for (const Value& dict : variables)
      for (const auto& [key, value] : dict.as_dict().items) globals_->set(key.as_text().bytes, value);
    Text out;
    out_ = &out;
    run(body, scope);
    return out;
  } catch (const Error& e) {
    throw Error(e.kind(), detail::join(where_, ":", place_.line, ":", place_.column, ": ", e.what()));
  }
}

void Interpreter::write(const Text& text) {
  charge(text.bytes.size() + text.marks.size());
  out_->append(text);
}

Interpreter::Flow Interpreter::run(const Body& body, const ScopePtr& scope) {
  for (const auto& s : body)
    if (const Flow flow = run(*s, scope); flow != Flow::kNormal) return flow;
  return Flow::kNormal;
}

Text Interpreter::run_to_text(const Body& body, const ScopePtr& scope) {
  Text text;
  Text* before = std::exchange(out_, &text);
  try {
    run(body, scope);
  } catch (...) {
    out_ = before;
    throw;
  }
  out_ = before;
  return text;
}

Interpreter::Flow Interpreter::run(const Statement& s, const ScopePtr& scope) {
  const Deeper deeper(*this);
  step();
  place_ = s.place;
  switch (s.kind) {
    case StatementKind::kText:
      write(Text(s.text));
      return Flow::kNormal;
    case StatementKind::kPrint:
      for (const ExprPtr& e : s.exprs) write(to_text(eval(*e, scope)));
      return Flow::kNormal;
    case StatementKind::kFor:
      return run_for(s, scope);
    case StatementKind::kIf:
      for (size_t i = 0; i < s.exprs.size(); ++i)
        if (is_true(eval(*s.exprs[i], scope))) return run(s.bodies[i], scope);
      return s.bodies.size() > s.exprs.size() ? run(s.bodies.back(), scope) : Flow::kNormal;
    case StatementKind::kSet:
      assign(*s.target, eval(*s.exprs[0], scope), scope);
      return Flow::kNormal;
    case StatementKind::kSetBlock:
    case StatementKind::kFilter: {
      auto inner = std::make_shared<Scope>();
      inner->parent = scope;
      inner->set("\1block", make_text(run_to_text(s.bodies[0], inner)));  // where filters() finds its value
      const Value value = s.exprs.empty() ? *inner->find("\1block") : eval(*s.exprs[0], inner);
      if (s.kind == StatementKind::kFilter) write(to_text(value));
      else assign(*s.target, value, scope);
      return Flow::kNormal;
    }
    case StatementKind::kMacro:
      scope->set(s.text, make_macro(s, s.text, scope));
      return Flow::kNormal;
    case StatementKind::kCall: {
      const Expr& call = *s.exprs[0];
      const Value callee = eval(*call.children[0], scope);
      Arguments arguments = eval_arguments(call, 1, scope);
      arguments.named.emplace_back("caller", make_macro(s, "caller", scope));
      write(to_text(this->call(callee, arguments)));
      return Flow::kNormal;
    }
    case StatementKind::kWith:
      run_with(s, scope);
      return Flow::kNormal;
    case StatementKind::kScope: {
      auto inner = std::make_shared<Scope>();
      inner->parent = scope;
      write(run_to_text(s.bodies[0], inner));
      return Flow::kNormal;
    }
    case StatementKind::kBreak:
      return Flow::kBreak;
    case StatementKind::kContinue:
      return Flow::kContinue;
  }
  return Flow::kNormal;
}

void Interpreter::run_with(const Statement& s, const ScopePtr& scope) {
  auto inner = std::make_shared<Scope>();
  inner->parent = scope;
  for (size_t i = 0; i < s.exprs.size(); ++i)
    inner->set(s.target->children[i]->name, eval(*s.exprs[i], scope));
  run(s.bodies[0], inner);
}

void Interpreter::assign(const Expr& target, const Value& value, const ScopePtr& scope) {
  place_ = target.place;
  if (target.kind == ExprKind::kName) return scope->set(target.name, value);
  if (target.kind == ExprKind::kAttr) {
    Value* space = scope->find(target.children[0]->name);
    if (!space || !space->is(Kind::kNamespace))
      fail_render(detail::join("wanted a namespace to assign an attribute to, found ",
                               space ? type_name(*space) : "nothing", " under the name ",
                               quote(target.children[0]->name)));
    step(space->as_dict().items.size() / 8);
    charge(sizeof(Value));
    return space->as_dict().set(Value::text(target.name), value);
  }
  const std::vector<Value> values = iterate(value);
  if (values.size() != target.children.size())
    fail_render(detail::join("wanted ", target.children.size(), " values to unpack, found ", values.size()));
  for (size_t i = 0; i < values.size(); ++i) assign(*target.children[i], values[i], scope);
}

Interpreter::Flow Interpreter::run_for(const Statement& s, const ScopePtr& scope) {
  loop_over(s, eval(*s.exprs[0], scope), scope, 0);
  return Flow::kNormal;
}

void Interpreter::loop_over(const Statement& s, const Value& items, const ScopePtr& scope, int64_t depth) {
  const Deeper deeper(*this);
  auto loop = std::make_shared<Loop>();
  loop->depth = depth;
  for (const Value& item : iterate(items)) {
    if (s.exprs[1]) {
      auto inner = std::make_shared<Scope>();
      inner->parent = scope;
      assign(*s.target, item, inner);
      if (!is_true(eval(*s.exprs[1], inner))) continue;
    }
    loop->items.push_back(item);
  }
  charge(loop->items.size() * sizeof(Value));
  if (s.recursive)
    loop->again = [&s, scope, depth](Interpreter& in, const Value& more) {
      Text text;
      Text* before = std::exchange(in.out_, &text);
      try {
        in.loop_over(s, more, scope, depth + 1);
      } catch (...) {
        in.out_ = before;
        throw;
      }
      in.out_ = before;
      return in.make_text(std::move(text));
    };
  Value loop_value;
  loop_value.kind = Kind::kLoop;
  loop_value.object = loop;
  for (loop->index = 0; loop->index < loop->items.size(); ++loop->index) {
    step();
    auto inner = std::make_shared<Scope>();
    inner->parent = scope;
    inner->set("loop", loop_value);
    assign(*s.target, loop->items[loop->index], inner);
    if (run(s.bodies[0], inner) == Flow::kBreak) return;
  }
  if (loop->items.empty() && s.bodies.size() > 1) {
    auto inner = std::make_shared<Scope>();
    inner->parent = scope;
    run(s.bodies[1], inner);
  }
}

Value Interpreter::make_macro(const Statement& s, const std::string& name, const ScopePtr& scope) {
  captured_.push_back(scope);
  charge(64);
  Value macro = make_function(name, [&s, name, scope](Interpreter& in, Arguments& arguments) {
    return in.call_macro(s, name, scope, arguments);
  });
  macro.as_function().is_macro = true;
  return macro;
}

Value Interpreter::call_macro(const Statement& s, const std::string& name, const ScopePtr& scope,
                              Arguments& arguments) {
  auto inner = std::make_shared<Scope>();
  inner->parent = scope;
  for (size_t i = 0; i < s.parameters.size(); ++i) {
    const auto& [parameter, otherwise] = s.parameters[i];
    if (const Value* given = arguments.get(i, parameter)) inner->set(parameter, *given);
    else if (otherwise) inner->set(parameter, eval(*otherwise, inner));
    else inner->set(parameter, Value::undefined("parameter " + quote(parameter).str() + " was not provided"));
  }
  if (s.uses_caller) {
    const Value* caller = arguments.get(~size_t{0}, "caller");
    inner->set("caller", caller ? *caller : Value::undefined("No caller defined"));
  }
  if (s.uses_varargs) {
    std::vector<Value> rest;
    for (size_t i = s.parameters.size(); i < arguments.values.size(); ++i)
      rest.push_back(arguments.values[i]);
    inner->set("varargs", make_list(std::move(rest), Kind::kTuple));
  }
  if (s.uses_kwargs) {
    std::vector<std::pair<Value, Value>> rest;
    for (const auto& [key, value] : arguments.named) {
      bool known = key == "caller";
      for (const auto& [parameter, otherwise] : s.parameters) known = known || parameter == key;
      arguments.get(~size_t{0}, key);
      if (!known) rest.emplace_back(Value::text(key), value);
    }
    inner->set("kwargs", Value::dict(std::move(rest)));
  }
  arguments.done(("the macro " + name).c_str(), s.uses_varargs ? ~size_t{0} : s.parameters.size());
  return make_text(run_to_text(s.bodies[0], inner));
}

}  // namespace lyceum::jinja
