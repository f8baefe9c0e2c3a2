// Methods of strings, lists and dicts, as Python has them, but for those that change their object: the
// sandbox of `transformers` has none of these either.
#include <algorithm>
#include <map>
#include <set>

#include <utf8proc.h>

#include "base/error.h"
#include "text/template/interpreter.h"
#include "text/template/strings.h"

namespace lyceum::jinja {

Value make_function(std::string name, std::function<Value(Interpreter&, Arguments&)> call) {
  auto f = std::make_shared<Function>();
  f->name = std::move(name);
  f->call = std::move(call);
  return Value::function(std::move(f));
}

namespace {

using Method = Value (*)(Interpreter&, const Value& self, Arguments&);

const Text& text_argument(Arguments& a, size_t i, const char* name, const char* what) {
  const Value* v = a.get(i, name);
  if (!v) fail_render(detail::join(what, ": wanted an argument ", name));
  return want_text(*v, what);
}
int64_t integer_argument(Arguments& a, size_t i, const char* name, int64_t otherwise, const char* what) {
  const Value* v = a.get(i, name);
  return v && !v->is(Kind::kNone) ? want_integer(*v, what) : otherwise;
}

// Without what stands in `chars` (white space if null) at the ends.
Text strip(const Text& text, const Value* chars, bool left, bool right) {
  std::string_view s = text.bytes;
  if (!chars || chars->is(Kind::kNone)) {
    if (left) s = strip_left(s);
    if (right) s = strip_right(s);
    return part_of(text, s);
  }
  std::set<std::string> set;
  for (const Text& c : characters(want_text(*chars, "strip"))) set.insert(c.bytes);
  while (left && !s.empty()) {
    const auto n = static_cast<size_t>(char_length(s[0]));
    if (!set.count(std::string(s.substr(0, n)))) break;
    s.remove_prefix(n);
  }
  while (right && !s.empty()) {
    size_t last = s.size() - 1;
    while (last > 0 && is_continuation(s[last])) --last;
    if (!set.count(std::string(s.substr(last)))) break;
    s = s.substr(0, last);
  }
  return part_of(text, s);
}

Value texts(Interpreter& in, std::vector<Text> parts, Kind kind = Kind::kList) {
  std::vector<Value> items;
  for (Text& t : parts) items.push_back(in.make_text(std::move(t)));
  return in.make_list(std::move(items), kind);
}

Value split(Interpreter& in, const Value& self, Arguments& a, bool from_right) {
  const Value* separator = a.get(0, "sep");
  const int64_t most = integer_argument(a, 1, "maxsplit", -1, "split");
  in.charge(self.as_text().bytes.size());
  if (!separator || separator->is(Kind::kNone))
    return texts(in, split_words(self.as_text(), most, from_right));
  return texts(in, split_at(self.as_text(), want_text(*separator, "split").bytes, most, from_right));
}

Value partition(Interpreter& in, const Value& self, Arguments& a, bool from_right) {
  const Text &text = self.as_text(), &separator = text_argument(a, 0, "sep", "partition");
  std::vector<Text> parts = split_at(text, separator.bytes, 1, from_right);
  if (parts.size() == 2) parts.insert(parts.begin() + 1, separator);
  else parts.insert(from_right ? parts.begin() : parts.end(), 2, Text());
  return texts(in, std::move(parts), Kind::kTuple);
}

// True if the string begins (ends) with the argument or one of a tuple.
Value at_end(const Value& self, Arguments& a, bool begin) {
  const Value* what = a.get(0, "prefix");
  if (!what) fail_render("startswith, endswith: wanted an argument");
  const std::string& s = self.as_text().bytes;
  const auto holds = [&](const Value& v) {
    const std::string& part = want_text(v, begin ? "startswith" : "endswith").bytes;
    return begin ? s.starts_with(part) : s.ends_with(part);
  };
  if (!what->is(Kind::kTuple)) return Value(holds(*what));
  return Value(std::any_of(what->items().begin(), what->items().end(), holds));
}

Value find(const Value& self, Arguments& a, bool from_right, bool must) {
  const std::string &s = self.as_text().bytes, &part = text_argument(a, 0, "sub", "find").bytes;
  size_t at = from_right ? find_counted(reversed(s), reversed(part)) : find_counted(s, part);
  if (from_right && at != std::string::npos) at = s.size() - at - part.size();
  if (at == std::string::npos && must) fail_render("index: substring not found");
  return Value(at == std::string::npos ? int64_t{-1} : count_chars(std::string_view(s).substr(0, at)));
}

// True if there are characters and `is` holds for all.
template <class Is>
Value all_chars(const Value& self, const Is& is) {
  const std::string& s = self.as_text().bytes;
  int n = 0;
  for (size_t i = 0; i < s.size(); i += static_cast<size_t>(n))
    if (!is(decode_char(&s[i], &n))) return Value(false);
  return Value(!s.empty());
}

Value pad(Interpreter& in, const Value& self, Arguments& a, int side) {  // -1 left, 0 both, 1 right
  const Text& text = self.as_text();
  const int64_t width = integer_argument(a, 0, "width", 0, "just"), n = count_chars(text.bytes);
  const Value* given = a.get(1, "fillchar");
  const Text fill = given ? want_text(*given, "just") : Text(" ");
  if (count_chars(fill.bytes) != 1) fail_render("ljust, rjust, center: wanted one character to fill with");
  const int64_t missing = std::max<int64_t>(width - n, 0);
  // Python's center puts the odd one to the left only if the width is odd
  const int64_t left = side < 0 ? missing : side > 0 ? 0 : missing / 2 + (missing & width & 1);
  in.charge(static_cast<uint64_t>(missing) * fill.bytes.size());
  Text out;
  for (int64_t i = 0; i < left; ++i) out.append(fill);
  out.append(text);
  for (int64_t i = left; i < missing; ++i) out.append(fill);
  return in.make_text(std::move(out));
}

Value cased(Interpreter& in, const Value& self, const char* how) {
  return in.make_text(change_case(self.as_text(), how));
}

Value join_method(Interpreter& in, const Value& self, Arguments& a) {
  const Value* what = a.get(0, "iterable");
  if (!what) fail_render("join: wanted what to join");
  Text out;
  bool first = true;
  for (const Value& v : in.iterate(*what)) {
    if (!first) out.append(self.as_text());
    first = false;
    out.append(want_text(v, "join"));
    in.charge(self.as_text().bytes.size() + v.as_text().bytes.size());
  }
  return in.make_text(std::move(out));
}

Value replace(Interpreter& in, const Value& self, Arguments& a) {
  const Text &from = text_argument(a, 0, "old", "replace"), &to = text_argument(a, 1, "new", "replace");
  const uint64_t most = self.as_text().bytes.size() / std::max<size_t>(from.bytes.size(), 1) + 1;
  // what it can grow to is charged before it grows
  const uint64_t n = from.bytes.empty() ? most : static_cast<uint64_t>([&] {
    int64_t count = 0;
    for (size_t i = 0; (i = find_counted(self.as_text().bytes, from.bytes, i)) != std::string::npos;
         i += from.bytes.size())
      ++count;
    return count;
  }());
  in.charge(n * to.bytes.size());
  return in.make_text(
      replace_all(self.as_text(), from.bytes, to, integer_argument(a, 2, "count", -1, "replace")));
}

bool is_category(uint32_t c, std::initializer_list<utf8proc_category_t> wanted) {
  const auto category = utf8proc_category(static_cast<utf8proc_int32_t>(c));
  return std::find(wanted.begin(), wanted.end(), category) != wanted.end();
}
bool is_alpha(uint32_t c) {
  return is_category(c, {UTF8PROC_CATEGORY_LU, UTF8PROC_CATEGORY_LL, UTF8PROC_CATEGORY_LT,
                         UTF8PROC_CATEGORY_LM, UTF8PROC_CATEGORY_LO});
}
bool is_decimal(uint32_t c) { return is_category(c, {UTF8PROC_CATEGORY_ND}); }

Value all_in_case(const Value& self, bool upper) {
  bool any = false;
  const std::string& s = self.as_text().bytes;
  int n = 0;
  for (size_t i = 0; i < s.size(); i += static_cast<size_t>(n)) {
    const uint32_t c = decode_char(&s[i], &n);
    const bool is_upper = is_category(c, {UTF8PROC_CATEGORY_LU, UTF8PROC_CATEGORY_LT});
    const bool is_lower = is_category(c, {UTF8PROC_CATEGORY_LL});
    if (upper ? is_lower : is_upper) return Value(false);
    any = any || is_upper || is_lower;
  }
  return Value(any);
}

const std::map<std::string, Method>& text_methods() {
  static const std::map<std::string, Method> kMethods = {
      {"strip", [](Interpreter& in, const Value& s,
                   Arguments& a) { return in.make_text(strip(s.as_text(), a.get(0, "chars"), true, true)); }},
      {"lstrip",
       [](Interpreter& in, const Value& s, Arguments& a) {
         return in.make_text(strip(s.as_text(), a.get(0, "chars"), true, false));
       }},
      {"rstrip",
       [](Interpreter& in, const Value& s, Arguments& a) {
         return in.make_text(strip(s.as_text(), a.get(0, "chars"), false, true));
       }},
      {"split", [](Interpreter& in, const Value& s, Arguments& a) { return split(in, s, a, false); }},
      {"rsplit", [](Interpreter& in, const Value& s, Arguments& a) { return split(in, s, a, true); }},
      {"splitlines",
       [](Interpreter& in, const Value& s, Arguments& a) {
         return texts(in, split_lines(s.as_text(), is_true(a.get_or(0, "keepends", Value(false)))));
       }},
      {"partition", [](Interpreter& in, const Value& s, Arguments& a) { return partition(in, s, a, false); }},
      {"rpartition", [](Interpreter& in, const Value& s, Arguments& a) { return partition(in, s, a, true); }},
      {"startswith", [](Interpreter&, const Value& s, Arguments& a) { return at_end(s, a, true); }},
      {"endswith", [](Interpreter&, const Value& s, Arguments& a) { return at_end(s, a, false); }},
      {"find", [](Interpreter&, const Value& s, Arguments& a) { return find(s, a, false, false); }},
      {"rfind", [](Interpreter&, const Value& s, Arguments& a) { return find(s, a, true, false); }},
      {"index", [](Interpreter&, const Value& s, Arguments& a) { return find(s, a, false, true); }},
      {"count",
       [](Interpreter&, const Value& s, Arguments& a) {
         const std::string& part = text_argument(a, 0, "sub", "count").bytes;
         if (part.empty()) return Value(count_chars(s.as_text().bytes) + 1);
         int64_t n = 0;
         for (size_t i = 0; (i = find_counted(s.as_text().bytes, part, i)) != std::string::npos;
              i += part.size())
           ++n;
         return Value(n);
       }},
      {"upper", [](Interpreter& in, const Value& s, Arguments&) { return cased(in, s, "upper"); }},
      {"lower", [](Interpreter& in, const Value& s, Arguments&) { return cased(in, s, "lower"); }},
      {"casefold", [](Interpreter& in, const Value& s, Arguments&) { return cased(in, s, "lower"); }},
      {"title", [](Interpreter& in, const Value& s, Arguments&) { return cased(in, s, "title"); }},
      {"capitalize", [](Interpreter& in, const Value& s, Arguments&) { return cased(in, s, "capitalize"); }},
      {"swapcase", [](Interpreter& in, const Value& s, Arguments&) { return cased(in, s, "swapcase"); }},
      {"replace", replace},
      {"join", join_method},
      {"removeprefix",
       [](Interpreter& in, const Value& s, Arguments& a) {
         const std::string& part = text_argument(a, 0, "prefix", "removeprefix").bytes;
         const bool has = s.as_text().bytes.starts_with(part);
         return has ? in.make_text(s.as_text().substr(part.size(), std::string::npos)) : s;
       }},
      {"removesuffix",
       [](Interpreter& in, const Value& s, Arguments& a) {
         const std::string& part = text_argument(a, 0, "suffix", "removesuffix").bytes;
         const std::string& whole = s.as_text().bytes;
         return whole.ends_with(part) ? in.make_text(s.as_text().substr(0, whole.size() - part.size())) : s;
       }},
      {"ljust", [](Interpreter& in, const Value& s, Arguments& a) { return pad(in, s, a, 1); }},
      {"rjust", [](Interpreter& in, const Value& s, Arguments& a) { return pad(in, s, a, -1); }},
      {"center", [](Interpreter& in, const Value& s, Arguments& a) { return pad(in, s, a, 0); }},
      {"zfill",
       [](Interpreter& in, const Value& s, Arguments& a) {
         const Text& text = s.as_text();
         const bool sign = text.bytes.starts_with('-') || text.bytes.starts_with('+');
         const int64_t missing = integer_argument(a, 0, "width", 0, "zfill") - count_chars(text.bytes);
         if (missing <= 0) return s;
         in.charge(static_cast<uint64_t>(missing));
         Text out = text.substr(0, sign ? 1 : 0);
         out.append(std::string(static_cast<size_t>(missing), '0'));
         out.append(text.substr(sign ? 1 : 0, std::string::npos));
         return in.make_text(std::move(out));
       }},
      {"isspace", [](Interpreter&, const Value& s, Arguments&) { return all_chars(s, is_python_space); }},
      {"isdigit", [](Interpreter&, const Value& s, Arguments&) { return all_chars(s, is_decimal); }},
      {"isdecimal", [](Interpreter&, const Value& s, Arguments&) { return all_chars(s, is_decimal); }},
      {"isnumeric",
       [](Interpreter&, const Value& s, Arguments&) {
         return all_chars(s, [](uint32_t c) { return (char_class(c) & kNumeric) != 0; });
       }},
      {"isalpha", [](Interpreter&, const Value& s, Arguments&) { return all_chars(s, is_alpha); }},
      {"isalnum",
       [](Interpreter&, const Value& s, Arguments&) {
         return all_chars(s, [](uint32_t c) { return is_alpha(c) || (char_class(c) & kNumeric) != 0; });
       }},
      {"isascii",
       [](Interpreter&, const Value& s, Arguments&) {
         const std::string& t = s.as_text().bytes;
         return Value(std::all_of(t.begin(), t.end(), [](char c) { return static_cast<uint8_t>(c) < 0x80; }));
       }},
      {"isupper", [](Interpreter&, const Value& s, Arguments&) { return all_in_case(s, true); }},
      {"islower", [](Interpreter&, const Value& s, Arguments&) { return all_in_case(s, false); }},
  };
  return kMethods;
}

Value dict_view(Interpreter& in, const Value& self, const char* name) {
  std::vector<Value> items;
  for (const auto& [key, value] : self.as_dict().items) {
    if (name[5] == 'k') items.push_back(key);
    else if (name[5] == 'v') items.push_back(value);
    else items.push_back(in.make_list({key, value}, Kind::kTuple));
  }
  Value view = in.make_list(std::move(items), Kind::kView);
  static_cast<List&>(*view.object).view = name;
  return view;
}

const std::map<std::string, Method>& dict_methods() {
  static const std::map<std::string, Method> kMethods = {
      {"items", [](Interpreter& in, const Value& s, Arguments&) { return dict_view(in, s, "dict_items"); }},
      {"keys", [](Interpreter& in, const Value& s, Arguments&) { return dict_view(in, s, "dict_keys"); }},
      {"values", [](Interpreter& in, const Value& s, Arguments&) { return dict_view(in, s, "dict_values"); }},
      {"copy",
       [](Interpreter& in, const Value& s, Arguments&) {
         in.charge(s.as_dict().items.size() * 2 * sizeof(Value));
         return Value::dict(s.as_dict().items);
       }},
      {"get",
       [](Interpreter& in, const Value& s, Arguments& a) {
         const Value* key = a.get(0, "key");
         if (!key) fail_render("get: wanted a key");
         in.step(s.as_dict().items.size() / 8);
         const Value* found = s.as_dict().find(*key);
         return found ? *found : a.get_or(1, "default", Value::none());
       }},
  };
  return kMethods;
}

const std::map<std::string, Method>& list_methods() {
  static const std::map<std::string, Method> kMethods = {
      {"count",
       [](Interpreter& in, const Value& s, Arguments& a) {
         const Value* v = a.get(0, "value");
         if (!v) fail_render("count: wanted a value");
         in.step(s.items().size() / 4);
         return Value(static_cast<int64_t>(std::count_if(s.items().begin(), s.items().end(),
                                                         [&](const Value& x) { return equal(x, *v); })));
       }},
      {"index",
       [](Interpreter& in, const Value& s, Arguments& a) {
         const Value* v = a.get(0, "value");
         if (!v) fail_render("index: wanted a value");
         in.step(s.items().size() / 4);
         for (size_t i = 0; i < s.items().size(); ++i)
           if (equal(s.items()[i], *v)) return Value(static_cast<int64_t>(i));
         fail_render("index: the value is not in the list");
       }},
      {"copy", [](Interpreter& in, const Value& s, Arguments&) { return in.make_list(s.items()); }},
  };
  return kMethods;
}

Value loop_method(const Value& of, const std::string& name) {
  if (name == "cycle")
    return make_function(name, [of](Interpreter&, Arguments& a) {
      if (a.values.empty()) fail_render("cycle: wanted values to go through");
      return a.values[static_cast<const Loop&>(*of.object).index % a.values.size()];
    });
  if (name == "changed")
    return make_function(name, [of](Interpreter&, Arguments& a) {
      auto& loop = static_cast<Loop&>(*of.object);
      std::string seen;  // not the values: they could hold the loop
      for (const Value& v : a.values) seen += to_repr(v).bytes + "\n";
      const bool same = loop.changed_once && loop.last_changed == seen;
      loop.changed_once = true;
      loop.last_changed = std::move(seen);
      return Value(!same);
    });
  return {};
}

}  // namespace

Value method(const Value& of, const std::string& name) {
  static const std::set<std::string> kChanging = {"append", "extend",     "insert", "remove",
                                                  "pop",    "clear",      "sort",   "reverse",
                                                  "update", "setdefault", "popitem"};
  if (of.is(Kind::kLoop)) return loop_method(of, name);
  const auto* methods = of.is(Kind::kText)   ? &text_methods()
                        : of.is(Kind::kDict) ? &dict_methods()
                        : of.is_sequence()   ? &list_methods()
                                             : nullptr;
  if (!methods) return {};
  const auto it = methods->find(name);
  if (it != methods->end())
    return make_function(name, [of, call = it->second](Interpreter& in, Arguments& a) {
      if (of.is(Kind::kText)) in.step(of.as_text().bytes.size() / 64);
      return call(in, of, a);
    });
  if (of.is(Kind::kText) && name == "format")
    return make_function(name, [of](Interpreter& in, Arguments& a) {
      return in.make_text(format_braces(in, of.as_text(), a));
    });
  if ((of.is(Kind::kDict) || of.is(Kind::kList)) && kChanging.count(name))
    return Value::undefined(detail::join("the method ", name, " would change a ", type_name(of),
                                         ", which a template must not; build a new one"));
  return {};
}

}  // namespace lyceum::jinja
