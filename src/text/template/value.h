// Values of chat templates: what Python's values are to Jinja2, with two things more. Every byte of a string
// knows whether it came from the user: slices, joins and JSON keep the marks, so that text of a user can
// never become a control token, whatever a template does with it. And whatever makes text or walks through
// values counts in a Budget, so that no template takes time or memory without bound.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace lyceum::jinja {

class Interpreter;

// What one rendering on this thread may still use; where there is none, nothing is counted.
class Budget {
 public:
  Budget(uint64_t steps, uint64_t bytes);  // the thread's until it is destroyed
  ~Budget();
  Budget(const Budget&) = delete;
  Budget& operator=(const Budget&) = delete;
  // Fail when the budget of this thread is used up.
  static void step(uint64_t n = 1);
  static void charge(uint64_t bytes);

 private:
  const uint64_t most_steps_, most_bytes_;
  uint64_t steps_ = 0, bytes_ = 0;
  Budget* before_;
};

// A string and, unless all of it is the template's, a mark for each byte: 1 from the user, 0 from the
// template.
struct Text {
  std::string bytes, marks;

  Text() = default;
  explicit Text(std::string text, bool from_user = false)
      : bytes(std::move(text)), marks(from_user ? std::string(bytes.size(), '\1') : std::string()) {}
  void append(const Text& other);
  void append(std::string_view text, bool from_user = false);
  Text substr(size_t begin, size_t n) const;
  // True if any byte is the user's: what is computed from the whole is marked so.
  bool from_user() const { return marks.find('\1') != std::string::npos; }
};

enum class Kind {
  kUndefined,
  kNone,
  kBool,
  kInt,
  kFloat,
  kText,
  kList,
  kTuple,
  kView,      // of a dict: its keys, values or items
  kIterator,  // what Python's generators are: true, without length, read once
  kDict,
  kNamespace,
  kLoop,
  kFunction,
};

struct Object {
  virtual ~Object() = default;
};
struct List;
struct Dict;
struct Function;

struct Value {
  Kind kind = Kind::kUndefined;
  union {
    int64_t integer = 0;  // and booleans
    double number;
  };
  std::shared_ptr<Object> object;

  Value() = default;
  Value(const Value&) = default;
  Value(Value&&) = default;
  Value& operator=(Value other) noexcept {
    std::swap(kind, other.kind);
    std::swap(integer, other.integer);  // the larger member: all of the union
    std::swap(object, other.object);
    return *this;
  }
  ~Value() {
    if (object) release(std::move(object));
  }
  Value(bool b) : kind(Kind::kBool), integer(b) {}
  Value(int64_t i) : kind(Kind::kInt), integer(i) {}
  Value(double d) : kind(Kind::kFloat), number(d) {}
  Value(const char*) = delete;  // would be a boolean
  static Value none() {
    Value v;
    v.kind = Kind::kNone;
    return v;
  }
  // `hint` says what is missing when the value is used.
  static Value undefined(std::string hint);
  static Value text(Text t);
  static Value text(std::string t) { return text(Text(std::move(t))); }
  static Value list(std::vector<Value> items, Kind kind = Kind::kList);
  static Value dict(std::vector<std::pair<Value, Value>> items);
  static Value function(std::shared_ptr<Function> f);

  bool is(Kind k) const { return kind == k; }
  bool is_number() const { return kind == Kind::kBool || kind == Kind::kInt || kind == Kind::kFloat; }
  bool is_integer() const { return kind == Kind::kBool || kind == Kind::kInt; }
  bool is_sequence() const { return kind == Kind::kList || kind == Kind::kTuple; }
  double as_number() const { return kind == Kind::kFloat ? number : static_cast<double>(integer); }
  const Text& as_text() const;
  std::vector<Value>& items() const;  // of list, tuple, view, iterator
  Dict& as_dict() const;              // of dict, namespace
  Function& as_function() const;

 private:
  // Lets go of an object without recursion, however deep values are nested.
  static void release(std::shared_ptr<Object> object);
};

struct TextObject : Object {
  Text text;
};
struct List : Object {
  std::vector<Value> items;
  const char* view = "";  // dict_items, dict_keys, dict_values
};
struct Dict : Object {
  std::vector<std::pair<Value, Value>> items;  // in the order in which keys came
  const Value* find(const Value& key) const;
  const Value* find(std::string_view key) const;
  void set(const Value& key, Value value);
};

// What stands between the brackets of a call.
struct Arguments {
  std::vector<Value> values;
  std::vector<std::pair<std::string, Value>> named;

  // Argument number `index`, or of this name; null if absent. Each is taken once.
  const Value* get(size_t index, std::string_view name);
  Value get_or(size_t index, std::string_view name, Value otherwise);
  // Fails if something was given that nobody took: more than `most` values or an unknown name.
  void done(const char* what, size_t most) const;

 private:
  std::vector<size_t> taken_;
};

struct Function : Object {
  std::string name;
  std::function<Value(Interpreter&, Arguments&)> call;
  bool is_macro = false;
};

bool is_true(const Value& v);
bool equal(const Value& a, const Value& b);
// Less than zero, zero, above; fails for values without order.
int compare(const Value& a, const Value& b);
// Python's name of the type: "str", "int", ...
const char* type_name(const Value& v);

// str() and repr() of Python; json.dumps. Depth is bounded.
Text to_text(const Value& v);
Text to_repr(const Value& v, int depth = 0);
struct JsonStyle {
  bool ascii = false, sorted = false;
  std::string indent, item_separator = ", ", key_separator = ": ";
  bool pretty = false;  // with line ends
};
void to_json(const Value& v, const JsonStyle& style, int depth, Text& out);
std::string float_text(double d);

// Value of a JSON text; its strings are marked as the user's or not. Throws kCorruptData naming `where`.
Value from_json(std::string_view json, bool from_user, const std::string& where);

// Throws Error{kInvalidArgument}; the interpreter puts the place in front.
[[noreturn]] void fail_render(const std::string& message);

}  // namespace lyceum::jinja
