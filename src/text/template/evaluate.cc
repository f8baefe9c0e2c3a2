// Expressions: names, attributes, items, operators, calls.
#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "text/template/interpreter.h"
#include "text/template/strings.h"

namespace lyceum::jinja {

namespace {

[[noreturn]] void fail_types(const std::string& op, const Value& a, const Value& b) {
  for (const Value* v : {&a, &b})
    if (v->is(Kind::kUndefined)) fail_render(v->as_text().bytes);
  fail_render(detail::join("the operator ", op, " does not take ", type_name(a), " and ", type_name(b)));
}

[[noreturn]] void fail_overflow() { fail_render("a whole number leaves the range of 64 bits"); }

Value integer_result(const std::string& op, int64_t a, int64_t b) {
  int64_t r = 0;
  if (op == "+"   ? __builtin_add_overflow(a, b, &r)
      : op == "-" ? __builtin_sub_overflow(a, b, &r)
                  : __builtin_mul_overflow(a, b, &r))
    fail_overflow();
  return Value(r);
}

Value power(const Value& a, const Value& b) {
  if (!a.is_integer() || !b.is_integer() || b.integer < 0)
    return Value(std::pow(a.as_number(), b.as_number()));
  int64_t result = 1, base = a.integer;
  for (int64_t n = b.integer; n > 0; n >>= 1) {
    if ((n & 1) && __builtin_mul_overflow(result, base, &result)) fail_overflow();
    if (n > 1 && __builtin_mul_overflow(base, base, &base)) fail_overflow();
  }
  return Value(result);
}

// Python's // and %, whose remainder has the sign of the divisor.
Value divide(const std::string& op, const Value& a, const Value& b) {
  if (b.as_number() == 0) fail_render("division by zero");
  if (op == "/") return Value(a.as_number() / b.as_number());
  if (a.is_integer() && b.is_integer()) {
    if (b.integer == -1) return op == "//" ? integer_result("-", 0, a.integer) : Value(int64_t{0});
    int64_t quotient = a.integer / b.integer, rest = a.integer % b.integer;
    if (rest != 0 && (rest < 0) != (b.integer < 0)) --quotient, rest += b.integer;
    return Value(op == "//" ? quotient : rest);
  }
  const double x = a.as_number(), y = b.as_number();
  double rest = std::fmod(x, y);
  if (rest != 0 && (rest < 0) != (y < 0)) rest += y;
  return Value(op == "//" ? std::floor((x - rest) / y + 0.5) : rest);
}

}  // namespace

int64_t want_integer(const Value& v, const char* what) {
  if (!v.is_integer()) fail_render(detail::join(what, ": wanted a whole number, found ", type_name(v)));
  return v.integer;
}
const Text& want_text(const Value& v, const char* what) {
  if (!v.is(Kind::kText)) {
    if (v.is(Kind::kUndefined)) fail_render(v.as_text().bytes);
    fail_render(detail::join(what, ": wanted a string, found ", type_name(v)));
  }
  return v.as_text();
}

Value Interpreter::eval(const Expr& e, const ScopePtr& scope) {
  step();
  place_ = e.place;
  const auto child = [&](size_t i) {
    Value v = eval(*e.children[i], scope);
    place_ = e.place;
    return v;
  };
  switch (e.kind) {
    case ExprKind::kConst:
      return e.value;
    case ExprKind::kName:
      return eval_name(e, scope);
    case ExprKind::kList:
    case ExprKind::kTuple: {
      std::vector<Value> items;
      for (size_t i = 0; i < e.children.size(); ++i) items.push_back(child(i));
      return make_list(std::move(items), e.kind == ExprKind::kList ? Kind::kList : Kind::kTuple);
    }
    case ExprKind::kDict: {
      Value dict = Value::dict({});
      charge(e.children.size() * sizeof(Value) + 32);
      for (size_t i = 0; i < e.children.size(); i += 2) {
        const Value key = child(i);
        dict.as_dict().set(key, child(i + 1));
      }
      return dict;
    }
    case ExprKind::kAttr:
      return attribute(child(0), e.name);
    case ExprKind::kItem:
      return eval_item(e, scope);
    case ExprKind::kSlice:
      fail_render("a slice stands outside of brackets");
    case ExprKind::kCall:
      return eval_call(e, scope);
    case ExprKind::kFilter:
    case ExprKind::kTest: {
      // in a filter block the value is the text of the block
      const Value value = e.children[0] ? child(0) : *scope->find("\1block");
      Arguments arguments = eval_arguments(e, 1, scope);
      place_ = e.place;
      if (e.kind == ExprKind::kFilter) return apply_filter(e.name, value, arguments);
      return Value(apply_test(e.name, value, arguments));
    }
    case ExprKind::kNot:
      return Value(!is_true(child(0)));
    case ExprKind::kNegative:
    case ExprKind::kPositive: {
      const Value v = child(0);
      if (!v.is_number()) fail_types(e.kind == ExprKind::kNegative ? "-" : "+", v, Value(int64_t{0}));
      if (e.kind == ExprKind::kPositive) return v.is(Kind::kBool) ? Value(v.integer) : v;
      return v.is(Kind::kFloat) ? Value(-v.number) : integer_result("-", 0, v.integer);
    }
    case ExprKind::kBinary: {
      const Value a = child(0), b = child(1);
      return eval_binary(e.name, a, b);
    }
    case ExprKind::kCompare:
      return eval_compare(e, scope);
    case ExprKind::kConcat: {
      Text text;
      for (size_t i = 0; i < e.children.size(); ++i) text.append(to_text(child(i)));
      return make_text(std::move(text));
    }
    case ExprKind::kAnd: {
      Value left = child(0);
      return is_true(left) ? child(1) : left;
    }
    case ExprKind::kOr: {
      Value left = child(0);
      return is_true(left) ? left : child(1);
    }
    case ExprKind::kIf:
      if (is_true(child(0))) return child(1);
      return e.children[2] ? child(2) : Value::undefined("the condition was false and there is no else");
  }
  return {};
}

Value Interpreter::eval_name(const Expr& e, const ScopePtr& scope) {
  if (const Value* v = scope->find(e.name)) return *v;
  return Value::undefined(quote(e.name).str() + " is undefined");
}

Value Interpreter::eval_item(const Expr& e, const ScopePtr& scope) {
  const Value of = eval(*e.children[0], scope);
  const Expr& index = *e.children[1];
  if (index.kind == ExprKind::kSlice) return slice(of, index, scope);
  const Value i = eval(index, scope);
  place_ = e.place;
  return item(of, i);
}

Value Interpreter::item(const Value& of, const Value& index) {
  if (of.is(Kind::kUndefined)) fail_render(of.as_text().bytes);
  if (of.is(Kind::kDict)) {
    step(of.as_dict().items.size() / 8);
    if (const Value* v = of.as_dict().find(index)) return *v;
  } else if (index.is_integer() && (of.is_sequence() || of.is(Kind::kText))) {
    if (of.is(Kind::kText)) step(of.as_text().bytes.size() / 64);
    const auto n =
        of.is(Kind::kText) ? count_chars(of.as_text().bytes) : static_cast<int64_t>(of.items().size());
    const int64_t i = index.integer < 0 ? index.integer + n : index.integer;
    if (i >= 0 && i < n && of.is_sequence()) return of.items()[static_cast<size_t>(i)];
    if (i >= 0 && i < n) {
      const Text& text = of.as_text();
      size_t at = 0;
      if (n == static_cast<int64_t>(text.bytes.size())) at = static_cast<size_t>(i);
      else
        for (int64_t k = 0; k < i; ++k) at += static_cast<size_t>(char_length(text.bytes[at]));
      return make_text(text.substr(at, static_cast<size_t>(char_length(text.bytes[at]))));
    }
  }
  if (index.is(Kind::kText) && !of.is(Kind::kDict)) return attribute(of, index.as_text().bytes);
  if (index.is(Kind::kText)) {
    Value found = method(of, index.as_text().bytes);
    if (!found.is(Kind::kUndefined)) return found;
  }
  return Value::undefined(detail::join("the ", type_name(of), " has no element ", to_repr(index).bytes));
}

Value Interpreter::attribute(const Value& of, const std::string& name) {
  if (of.is(Kind::kUndefined)) fail_render(of.as_text().bytes);
  if (of.is(Kind::kLoop)) {
    const auto& loop = static_cast<const Loop&>(*of.object);
    const auto i = static_cast<int64_t>(loop.index), n = static_cast<int64_t>(loop.items.size());
    if (name == "index") return Value(i + 1);
    if (name == "index0") return Value(i);
    if (name == "revindex") return Value(n - i);
    if (name == "revindex0") return Value(n - i - 1);
    if (name == "first") return Value(i == 0);
    if (name == "last") return Value(i + 1 == n);
    if (name == "length") return Value(n);
    if (name == "depth") return Value(loop.depth + 1);
    if (name == "depth0") return Value(loop.depth);
    if (name == "previtem")
      return i > 0 ? loop.items[loop.index - 1] : Value::undefined("there is no previous item");
    if (name == "nextitem")
      return i + 1 < n ? loop.items[loop.index + 1] : Value::undefined("there is no next item");
  }
  if (of.is(Kind::kNamespace)) {
    step(of.as_dict().items.size() / 8);
    if (const Value* v = of.as_dict().find(name)) return *v;
  } else {
    Value found = method(of, name);
    if (!found.is(Kind::kUndefined)) return found;
    if (of.is(Kind::kDict)) {
      step(of.as_dict().items.size() / 8);
      if (const Value* v = of.as_dict().find(name)) return *v;
    }
    if (found.object) return found;  // says why it must not be used
  }
  return Value::undefined(detail::join("the ", type_name(of), " has no attribute ", quote(name)));
}

Value Interpreter::slice(const Value& of, const Expr& e, const ScopePtr& scope) {
  std::optional<int64_t> part[3];
  for (size_t i = 0; i < 3; ++i) {
    if (!e.children[i]) continue;
    const Value v = eval(*e.children[i], scope);
    if (!v.is(Kind::kNone)) part[i] = want_integer(v, "slice");
  }
  place_ = e.place;
  if (of.is(Kind::kUndefined)) fail_render(of.as_text().bytes);
  if (!of.is_sequence() && !of.is(Kind::kText))
    fail_render(detail::join("wanted a string or list to slice, found ", type_name(of)));
  std::vector<Text> chars;
  if (of.is(Kind::kText)) {
    step(of.as_text().bytes.size() / 16);
    charge(of.as_text().bytes.size());
    if (!part[2] || *part[2] == 1) {  // the usual kind, without a list of characters
      const Text& text = of.as_text();
      const int64_t n = count_chars(text.bytes);
      const auto clip = [&](std::optional<int64_t> at, int64_t otherwise) {
        const int64_t i = at.value_or(otherwise);
        return std::clamp<int64_t>(i < 0 ? i + n : i, 0, n);
      };
      const int64_t begin = clip(part[0], 0), end = clip(part[1], n);
      size_t from = 0;
      for (int64_t k = 0; k < begin; ++k) from += static_cast<size_t>(char_length(text.bytes[from]));
      size_t to = from;
      for (int64_t k = begin; k < end; ++k) to += static_cast<size_t>(char_length(text.bytes[to]));
      return make_text(text.substr(from, to - from));
    }
    charge(of.as_text().bytes.size() * sizeof(Text));
    chars = characters(of.as_text());
  }
  const auto n = static_cast<int64_t>(of.is(Kind::kText) ? chars.size() : of.items().size());
  const int64_t step_by = part[2].value_or(1);
  if (step_by == 0) fail_render("slice: wanted a step other than 0");
  const int64_t low = step_by > 0 ? 0 : -1, high = step_by > 0 ? n : n - 1;
  const auto clip = [&](std::optional<int64_t> at, int64_t otherwise) {
    if (!at) return otherwise;
    return std::clamp(*at < 0 ? *at + n : *at, low, high);
  };
  const int64_t begin = clip(part[0], step_by > 0 ? 0 : n - 1), end = clip(part[1], step_by > 0 ? n : -1);
  std::vector<Value> items;
  Text text;
  for (int64_t i = begin; step_by > 0 ? i < end : i > end;) {
    if (of.is(Kind::kText)) text.append(chars[static_cast<size_t>(i)]);
    else items.push_back(of.items()[static_cast<size_t>(i)]);
    if (__builtin_add_overflow(i, step_by, &i)) break;
  }
  return of.is(Kind::kText) ? make_text(std::move(text)) : make_list(std::move(items), of.kind);
}

Arguments Interpreter::eval_arguments(const Expr& e, size_t first, const ScopePtr& scope) {
  Arguments arguments;
  for (size_t i = first; i < e.children.size(); ++i) arguments.values.push_back(eval(*e.children[i], scope));
  if (e.star)
    for (Value& v : iterate(eval(*e.star, scope))) arguments.values.push_back(std::move(v));
  for (const auto& [name, value] : e.named) arguments.named.emplace_back(name, eval(*value, scope));
  if (e.star_star) {
    const Value dict = eval(*e.star_star, scope);
    if (!dict.is(Kind::kDict)) fail_render(detail::join("wanted a dict behind **, found ", type_name(dict)));
    for (const auto& [key, value] : dict.as_dict().items)
      arguments.named.emplace_back(want_text(key, "**").bytes, value);
  }
  return arguments;
}

Value Interpreter::eval_call(const Expr& e, const ScopePtr& scope) {
  const Value callee = eval(*e.children[0], scope);
  Arguments arguments = eval_arguments(e, 1, scope);
  place_ = e.place;
  return call(callee, arguments);
}

Value Interpreter::call(const Value& callee, Arguments& arguments) {
  if (++depth_ > 400) {
    --depth_;
    fail_render("the template calls itself, or nests, too deep");
  }
  struct Leave {
    int& depth;
    ~Leave() { --depth; }
  } leave{depth_};
  if (callee.is(Kind::kFunction)) {
    const std::shared_ptr<Object> alive = callee.object;
    return callee.as_function().call(*this, arguments);
  }
  if (callee.is(Kind::kLoop)) {
    const auto& loop = static_cast<const Loop&>(*callee.object);
    if (!loop.again) fail_render("wanted a recursive loop to call, found one without the word recursive");
    const Value* items = arguments.get(0, "iterable");
    if (!items) fail_render("loop(): wanted what to loop over");
    return loop.again(*this, *items);
  }
  if (callee.is(Kind::kUndefined)) fail_render(callee.as_text().bytes);
  fail_render(detail::join("wanted a function to call, found ", type_name(callee)));
}

Value Interpreter::eval_compare(const Expr& e, const ScopePtr& scope) {
  Value left = eval(*e.children[0], scope);
  for (size_t i = 0; i < e.ops.size(); ++i) {
    const Value right = eval(*e.children[i + 1], scope);
    place_ = e.place;
    const std::string& op = e.ops[i];
    bool holds = false;
    if (op == "==") holds = equal(left, right);
    else if (op == "!=") holds = !equal(left, right);
    else if (op == "in") holds = contains(*this, right, left);
    else if (op == "not in") holds = !contains(*this, right, left);
    else {
      if (left.is(Kind::kUndefined) || right.is(Kind::kUndefined)) fail_types(op, left, right);
      const int order = compare(left, right);
      holds = op == "<" ? order < 0 : op == "<=" ? order <= 0 : op == ">" ? order > 0 : order >= 0;
    }
    if (!holds) return Value(false);
    left = right;
  }
  return Value(true);
}

bool contains(Interpreter& in, const Value& whole, const Value& part) {
  if (whole.is(Kind::kText))
    return find_counted(whole.as_text().bytes, want_text(part, "in").bytes) != std::string::npos;
  if (whole.is(Kind::kDict)) {
    in.step(whole.as_dict().items.size() / 8);
    return whole.as_dict().find(part) != nullptr;
  }
  for (const Value& v : in.iterate(whole))
    if (equal(v, part)) return true;
  return false;
}

Value Interpreter::eval_binary(const std::string& op, const Value& a, const Value& b) {
  if (a.is_number() && b.is_number()) {
    if (op == "**") return power(a, b);
    if (op == "/" || op == "//" || op == "%") return divide(op, a, b);
    if (a.is_integer() && b.is_integer()) return integer_result(op, a.integer, b.integer);
    const double x = a.as_number(), y = b.as_number();
    return Value(op == "+" ? x + y : op == "-" ? x - y : x * y);
  }
  if (op == "+" && a.is(Kind::kText) && b.is(Kind::kText)) {
    Text text = a.as_text();
    text.append(b.as_text());
    return make_text(std::move(text));
  }
  if (op == "+" && a.is_sequence() && a.kind == b.kind) {
    std::vector<Value> items = a.items();
    items.insert(items.end(), b.items().begin(), b.items().end());
    return make_list(std::move(items), a.kind);
  }
  if (op == "%" && a.is(Kind::kText)) return make_text(format_percent(*this, a.as_text(), b));
  const Value &many = a.is_integer() ? b : a, &times = a.is_integer() ? a : b;
  if (op == "*" && times.is_integer() && (many.is(Kind::kText) || many.is_sequence())) {
    const auto n = static_cast<uint64_t>(std::max<int64_t>(times.integer, 0));
    const uint64_t each =
        many.is(Kind::kText) ? many.as_text().bytes.size() : many.items().size() * sizeof(Value);
    charge(each > 0 && n > UINT64_MAX / each ? UINT64_MAX : n * each);
    Text text;
    std::vector<Value> items;
    for (uint64_t i = 0; each > 0 && i < n; ++i) {
      if (many.is(Kind::kText)) text.append(many.as_text());
      else items.insert(items.end(), many.items().begin(), many.items().end());
    }
    return many.is(Kind::kText) ? make_text(std::move(text)) : make_list(std::move(items), many.kind);
  }
  fail_types(op, a, b);
}

std::vector<Value> Interpreter::iterate(const Value& v) {
  std::vector<Value> items;
  switch (v.kind) {
    case Kind::kUndefined:
      break;
    case Kind::kList:
    case Kind::kTuple:
    case Kind::kView:
      items = v.items();
      break;
    case Kind::kIterator:
      items = std::exchange(v.items(), {});
      break;
    case Kind::kDict:
      for (const auto& [key, value] : v.as_dict().items) items.push_back(key);
      break;
    case Kind::kText:
      charge(v.as_text().bytes.size() * (sizeof(Value) + sizeof(TextObject)));
      for (Text& c : characters(v.as_text())) items.push_back(Value::text(std::move(c)));
      break;
    default:
      fail_render(detail::join("a value of the type ", type_name(v), " cannot be looped over"));
  }
  step(items.size() / 4);
  charge(items.size() * sizeof(Value));
  return items;
}

}  // namespace lyceum::jinja
