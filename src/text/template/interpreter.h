// Walks the tree of a template and writes text. Everything is bounded: steps and bytes by a Budget (value.h),
// depth of calls; nothing outside of the values can be read or changed.
//
// Scopes: a loop, a macro, a call and a with block have one of their own; an if block has none. A macro sees
// the scope in which it was defined, as it is when the macro is called.
#pragma once

#include <ctime>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "text/template/ast.h"

namespace lyceum::jinja {

struct Limits {
  uint64_t steps = 20'000'000;
  uint64_t bytes = uint64_t{256} << 20;
};

struct Scope {
  std::shared_ptr<Scope> parent;
  std::vector<std::pair<std::string, Value>> names;
  Value* find(std::string_view name);
  void set(std::string_view name, Value value);
};
using ScopePtr = std::shared_ptr<Scope>;

// The variable `loop`.
struct Loop : Object {
  std::vector<Value> items;
  size_t index = 0;
  int64_t depth = 0;
  std::string last_changed;
  bool changed_once = false;
  std::function<Value(Interpreter&, const Value&)> again;  // of recursive loops
};

class Interpreter {
 public:
  Interpreter(std::string where, const Limits& limits, std::time_t now);
  ~Interpreter();
  Interpreter(const Interpreter&) = delete;
  Interpreter& operator=(const Interpreter&) = delete;

  // `variables` are dicts; of equal names the last counts. Throws Error{kInvalidArgument} with the place.
  Text render(const Body& body, const std::vector<Value>& variables);

  // what operators, filters and functions need
  void charge(uint64_t bytes) { Budget::charge(bytes); }
  void step(uint64_t n = 1) { Budget::step(n); }
  Value call(const Value& callee, Arguments& arguments);
  Value attribute(const Value& of, const std::string& name);
  Value item(const Value& of, const Value& index);
  std::vector<Value> iterate(const Value& v);
  Value apply_filter(const std::string& name, const Value& value, Arguments& arguments);
  bool apply_test(const std::string& name, const Value& value, Arguments& arguments);
  Value make_text(Text t);
  Value make_list(std::vector<Value> items, Kind kind = Kind::kList);
  Value make_namespace(std::vector<std::pair<Value, Value>> items);
  std::time_t now() const { return now_; }

 private:
  enum class Flow { kNormal, kBreak, kContinue };
  class Deeper;

  // interpreter.cc: statements
  Flow run(const Body& body, const ScopePtr& scope);
  Flow run(const Statement& s, const ScopePtr& scope);
  Flow run_for(const Statement& s, const ScopePtr& scope);
  void loop_over(const Statement& s, const Value& items, const ScopePtr& scope, int64_t depth);
  void run_with(const Statement& s, const ScopePtr& scope);
  Text run_to_text(const Body& body, const ScopePtr& scope);
  void assign(const Expr& target, const Value& value, const ScopePtr& scope);
  Value make_macro(const Statement& s, const std::string& name, const ScopePtr& scope);
  Value call_macro(const Statement& s, const std::string& name, const ScopePtr& scope, Arguments& arguments);
  void write(const Text& text);

  // evaluate.cc: expressions
  Value eval(const Expr& e, const ScopePtr& scope);
  Value eval_name(const Expr& e, const ScopePtr& scope);
  Value eval_item(const Expr& e, const ScopePtr& scope);
  Value eval_call(const Expr& e, const ScopePtr& scope);
  Value eval_compare(const Expr& e, const ScopePtr& scope);
  Value eval_binary(const std::string& op, const Value& a, const Value& b);
  Arguments eval_arguments(const Expr& e, size_t first, const ScopePtr& scope);
  Value slice(const Value& of, const Expr& e, const ScopePtr& scope);

  std::string where_;
  Budget budget_;
  std::time_t now_;
  int depth_ = 0;
  Place place_;
  Text* out_ = nullptr;
  ScopePtr globals_;
  // what could hold itself, to be emptied in the end
  std::vector<ScopePtr> captured_;
  std::vector<std::shared_ptr<Object>> namespaces_;
};

// methods.cc: the method of a string, list or dict, or undefined.
Value method(const Value& of, const std::string& name);
// functions.cc: range, dict, namespace, raise_exception, strftime_now, cycler, joiner.
void add_globals(Scope& scope);
// True if `part` is in `whole`.
bool contains(Interpreter& in, const Value& whole, const Value& part);
Value make_function(std::string name, std::function<Value(Interpreter&, Arguments&)> call);
// Python's % of strings.
Text format_percent(Interpreter& in, const Text& form, const Value& values);
// str.format().
Text format_braces(Interpreter& in, const Text& form, Arguments& arguments);
// Whole numbers of arguments; fails for other values.
int64_t want_integer(const Value& v, const char* what);
const Text& want_text(const Value& v, const char* what);

}  // namespace lyceum::jinja
