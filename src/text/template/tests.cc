// The tests of Jinja2: what stands behind "is".
#include <map>

#include "base/error.h"
#include "text/template/interpreter.h"
#include "text/template/strings.h"

namespace lyceum::jinja {
namespace {

using Test = bool (*)(Interpreter&, const Value&, Arguments&);

const Value& other(Arguments& a) {
  const Value* v = a.get(0, "other");
  if (!v) fail_render("this test wants a value behind it");
  return *v;
}

bool is_iterable(const Value& v) {
  return !v.is_number() && !v.is(Kind::kNone) && !v.is(Kind::kFunction) && !v.is(Kind::kNamespace);
}

int64_t rest(const Value& v, int64_t by) {
  if (by == 0) fail_render("divisibleby: wanted a number other than 0");
  return by == -1 ? 0 : want_integer(v, "divisibleby") % by;
}

const std::map<std::string, Test>& tests() {
  static const Test kEqual = [](Interpreter&, const Value& v, Arguments& a) { return equal(v, other(a)); };
  static const Test kUnequal = [](Interpreter&, const Value& v, Arguments& a) { return !equal(v, other(a)); };
  static const Test kLess = [](Interpreter&, const Value& v, Arguments& a) {
    return compare(v, other(a)) < 0;
  };
  static const Test kAtMost = [](Interpreter&, const Value& v, Arguments& a) {
    return compare(v, other(a)) <= 0;
  };
  static const Test kGreater = [](Interpreter&, const Value& v, Arguments& a) {
    return compare(v, other(a)) > 0;
  };
  static const Test kAtLeast = [](Interpreter&, const Value& v, Arguments& a) {
    return compare(v, other(a)) >= 0;
  };
  static const std::map<std::string, Test> kTests = {
      {"defined", [](Interpreter&, const Value& v, Arguments&) { return !v.is(Kind::kUndefined); }},
      {"undefined", [](Interpreter&, const Value& v, Arguments&) { return v.is(Kind::kUndefined); }},
      {"none", [](Interpreter&, const Value& v, Arguments&) { return v.is(Kind::kNone); }},
      {"boolean", [](Interpreter&, const Value& v, Arguments&) { return v.is(Kind::kBool); }},
      {"true", [](Interpreter&, const Value& v, Arguments&) { return v.is(Kind::kBool) && v.integer != 0; }},
      {"false", [](Interpreter&, const Value& v, Arguments&) { return v.is(Kind::kBool) && v.integer == 0; }},
      {"integer", [](Interpreter&, const Value& v, Arguments&) { return v.is(Kind::kInt); }},
      {"float", [](Interpreter&, const Value& v, Arguments&) { return v.is(Kind::kFloat); }},
      {"number", [](Interpreter&, const Value& v, Arguments&) { return v.is_number(); }},
      {"string", [](Interpreter&, const Value& v, Arguments&) { return v.is(Kind::kText); }},
      {"mapping", [](Interpreter&, const Value& v, Arguments&) { return v.is(Kind::kDict); }},
      {"sequence",
       [](Interpreter&, const Value& v, Arguments&) {
         return v.is_sequence() || v.is(Kind::kText) || v.is(Kind::kDict) || v.is(Kind::kUndefined);
       }},
      {"iterable", [](Interpreter&, const Value& v, Arguments&) { return is_iterable(v); }},
      {"callable",
       [](Interpreter&, const Value& v, Arguments&) {
         return v.is(Kind::kFunction) || v.is(Kind::kLoop) || v.is(Kind::kUndefined);
       }},
      {"escaped", [](Interpreter&, const Value&, Arguments&) { return false; }},
      {"even", [](Interpreter&, const Value& v, Arguments&) { return rest(v, 2) == 0; }},
      {"odd", [](Interpreter&, const Value& v, Arguments&) { return rest(v, 2) != 0; }},
      {"divisibleby",
       [](Interpreter&, const Value& v, Arguments& a) {
         const Value* by = a.get(0, "num");
         return by && rest(v, want_integer(*by, "divisibleby")) == 0;
       }},
      {"in",
       [](Interpreter& in, const Value& v, Arguments& a) {
         const Value* whole = a.get(0, "seq");
         return whole && contains(in, *whole, v);
       }},
      {"sameas",
       [](Interpreter&, const Value& v, Arguments& a) {
         const Value& o = other(a);
         return v.kind == o.kind && (v.object ? v.object == o.object : equal(v, o));
       }},
      {"lower",
       [](Interpreter&, const Value& v, Arguments&) {
         const Text t = to_text(v);
         return change_case(t, "lower").bytes == t.bytes && change_case(t, "upper").bytes != t.bytes;
       }},
      {"upper",
       [](Interpreter&, const Value& v, Arguments&) {
         const Text t = to_text(v);
         return change_case(t, "upper").bytes == t.bytes && change_case(t, "lower").bytes != t.bytes;
       }},
      {"eq", kEqual},
      {"equalto", kEqual},
      {"==", kEqual},
      {"ne", kUnequal},
      {"!=", kUnequal},
      {"lt", kLess},
      {"lessthan", kLess},
      {"<", kLess},
      {"le", kAtMost},
      {"<=", kAtMost},
      {"gt", kGreater},
      {"greaterthan", kGreater},
      {">", kGreater},
      {"ge", kAtLeast},
      {">=", kAtLeast},
  };
  return kTests;
}

}  // namespace

bool Interpreter::apply_test(const std::string& name, const Value& value, Arguments& arguments) {
  const auto it = tests().find(name);
  if (it == tests().end()) fail_render(detail::join("there is no test named ", quote(name)));
  return it->second(*this, value, arguments);
}

}  // namespace lyceum::jinja
