// The filters of Jinja2 that work on text and numbers, and tojson as `transformers` has it.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>

#include "base/error.h"
#include "text/template/filters.h"
#include "text/template/strings.h"

namespace lyceum::jinja {
namespace {

Value method_of_text(Interpreter& in, const Value& v, Arguments& a, const char* name) {
  return in.call(method(Value::text(to_text(v)), name), a);
}

Value tojson(Interpreter& in, const Value& v, Arguments& a) {
  JsonStyle style;
  style.ascii = is_true(a.get_or(0, "ensure_ascii", Value(false)));
  const Value indent = a.get_or(1, "indent", Value::none()),
              separators = a.get_or(2, "separators", Value::none());
  style.sorted = is_true(a.get_or(3, "sort_keys", Value(false)));
  a.done("tojson", 4);
  if (indent.is(Kind::kText)) {
    style.indent = indent.as_text().bytes;
    style.pretty = true;
  } else if (!indent.is(Kind::kNone)) {
    const int64_t n = want_integer(indent, "tojson");
    style.indent = std::string(static_cast<size_t>(std::clamp<int64_t>(n, 0, 1000)), ' ');
    style.pretty = true;
  }
  if (style.pretty) style.item_separator = ",";
  if (!separators.is(Kind::kNone)) {
    const std::vector<Value> two = in.iterate(separators);
    if (two.size() != 2) fail_render("tojson: wanted two separators");
    style.item_separator = want_text(two[0], "tojson").bytes;
    style.key_separator = want_text(two[1], "tojson").bytes;
  }
  Text out;
  to_json(v, style, 0, out);
  in.step(out.bytes.size() / 32);
  return in.make_text(std::move(out));
}

Value indent(Interpreter& in, const Value& v, Arguments& a) {
  const Value width = a.get_or(0, "width", Value(int64_t{4}));
  const bool first = is_true(a.get_or(1, "first", Value(false))),
             blank = is_true(a.get_or(2, "blank", Value(false)));
  a.done("indent", 3);
  const Text by =
      width.is(Kind::kText)
          ? width.as_text()
          : Text(std::string(
                static_cast<size_t>(std::clamp<int64_t>(want_integer(width, "indent"), 0, 10000)), ' '));
  Text text = to_text(v);
  text.append("\n");  // a quirk of Jinja2: an empty last line counts
  const std::vector<Text> lines = split_lines(text, false);
  Text out;
  for (size_t i = 0; i < lines.size(); ++i) {
    if (i > 0) out.append("\n");
    if (i == 0 ? first : blank || !lines[i].bytes.empty()) {
      in.charge(by.bytes.size());
      out.append(by);
    }
    out.append(lines[i]);
  }
  return in.make_text(std::move(out));
}

Value default_filter(Interpreter&, const Value& v, Arguments& a) {
  const Value otherwise = a.get_or(0, "default_value", Value::text(""));
  const bool falsy = is_true(a.get_or(1, "boolean", Value(false)));
  a.done("default", 2);
  return v.is(Kind::kUndefined) || (falsy && !is_true(v)) ? otherwise : v;
}

// True if all of the text is one number; Python allows white space around it and underscores between digits.
template <class Number>
bool read_number(std::string_view text, Number& n, int base = 10) {
  std::string digits(strip_left(strip_right(text)));
  std::erase(digits, '_');
  if (digits.starts_with('+')) digits.erase(0, 1);
  const char* end = digits.data() + digits.size();
  if constexpr (std::is_same_v<Number, double>) {
    const auto [p, error] = std::from_chars(digits.data(), end, n);
    return error == std::errc() && p == end && !digits.empty();
  } else {
    const auto [p, error] = std::from_chars(digits.data(), end, n, base);
    return error == std::errc() && p == end && !digits.empty();
  }
}

Value int_filter(Interpreter&, const Value& v, Arguments& a) {
  const Value otherwise = a.get_or(0, "default", Value(int64_t{0}));
  const int64_t base = want_integer(a.get_or(1, "base", Value(int64_t{10})), "int");
  if (v.is(Kind::kUndefined)) fail_render(v.as_text().bytes);
  if (v.is_integer()) return Value(v.integer);
  double d = 0;
  if (v.is(Kind::kText)) {
    int64_t n = 0;
    std::string_view digits = v.as_text().bytes;
    if (base == 16 && (digits.starts_with("0x") || digits.starts_with("0X"))) digits.remove_prefix(2);
    if (base < 2 || base > 36) fail_render("int: wanted a base from 2 to 36");
    if (read_number(digits, n, static_cast<int>(base))) return Value(n);
    if (!read_number(v.as_text().bytes, d)) return otherwise;
  } else if (v.is(Kind::kFloat)) {
    d = v.number;
  } else {
    return otherwise;
  }
  return std::fabs(d) < 9.2e18 ? Value(static_cast<int64_t>(d)) : otherwise;  // NaN too
}

Value float_filter(Interpreter&, const Value& v, Arguments& a) {
  const Value otherwise = a.get_or(0, "default", Value(0.0));
  double d = 0;
  if (v.is(Kind::kUndefined)) fail_render(v.as_text().bytes);
  if (v.is_number()) return Value(v.as_number());
  return v.is(Kind::kText) && read_number(v.as_text().bytes, d) ? Value(d) : otherwise;
}

Value round_filter(Interpreter&, const Value& v, Arguments& a) {
  const int64_t digits = want_integer(a.get_or(0, "precision", Value(int64_t{0})), "round");
  const Value how = a.get_or(1, "method", Value::text("common"));
  a.done("round", 2);
  if (!v.is_number()) fail_render(detail::join("round: wanted a number, found ", type_name(v)));
  const std::string& method = want_text(how, "round").bytes;
  if (digits < -300 || digits > 300) fail_render("round: wanted a precision from -300 to 300");
  const double scale = std::pow(10.0, static_cast<double>(digits)), d = v.as_number();
  if (method == "ceil") return Value(std::ceil(d * scale) / scale);
  if (method == "floor") return Value(std::floor(d * scale) / scale);
  if (method != "common") fail_render("round: wanted common, ceil or floor");
  if (v.is_integer() && digits >= 0) return Value(v.integer);
  if (digits < 0) {
    const double r = std::nearbyint(d * scale) / scale;
    return v.is_integer() ? Value(static_cast<int64_t>(r)) : Value(r);
  }
  char text[700];
  std::snprintf(text, sizeof text, "%.*f", static_cast<int>(digits), d);  // rounds the exact binary value
  return Value(std::strtod(text, nullptr));
}

Value truncate(Interpreter& in, const Value& v, Arguments& a) {
  const int64_t length = want_integer(a.get_or(0, "length", Value(int64_t{255})), "truncate");
  const bool kill = is_true(a.get_or(1, "killwords", Value(false)));
  const Text end = to_text(a.get_or(2, "end", Value::text("...")));
  const Value leeway = a.get_or(3, "leeway", Value::none());
  a.done("truncate", 4);
  const Text text = to_text(v);
  const int64_t spare = leeway.is(Kind::kNone) ? 5 : want_integer(leeway, "truncate");
  const int64_t keep = length - count_chars(end.bytes);
  if (keep < 0 || spare < 0) fail_render("truncate: wanted a length of at least that of the end");
  if (count_chars(text.bytes) <= length + spare) return v;
  size_t at = 0;
  for (int64_t i = 0; i < keep; ++i) at += static_cast<size_t>(char_length(text.bytes[at]));
  Text out = text.substr(0, at);
  if (!kill)
    if (const size_t space = out.bytes.rfind(' '); space != std::string::npos) out = out.substr(0, space);
  out.append(end);
  return in.make_text(std::move(out));
}

Value escape(Interpreter& in, const Value& v, Arguments&) {
  const Text text = to_text(v);
  Text out;
  for (size_t i = 0; i < text.bytes.size(); ++i) {
    const char c = text.bytes[i];
    const char* code = c == '&'    ? "&amp;"
                       : c == '<'  ? "&lt;"
                       : c == '>'  ? "&gt;"
                       : c == '"'  ? "&#34;"
                       : c == '\'' ? "&#39;"
                                   : nullptr;
    if (code) out.append(code, !text.marks.empty() && text.marks[i] != 0);
    else out.append(text.substr(i, 1));
  }
  return in.make_text(std::move(out));
}

Value urlencode(Interpreter& in, const Value& v, Arguments&) {
  const Text text = to_text(v);
  Text out;
  for (size_t i = 0; i < text.bytes.size(); ++i) {
    const auto c = static_cast<uint8_t>(text.bytes[i]);
    if (std::isalnum(c) || std::string_view("_.-~/").find(static_cast<char>(c)) != std::string_view::npos) {
      out.append(text.substr(i, 1));
      continue;
    }
    char code[4];
    std::snprintf(code, sizeof code, "%%%02X", c);
    out.append(code, text.from_user());
  }
  return in.make_text(std::move(out));
}

// A word begins behind white space and signs that open something.
Value title(Interpreter& in, const Value& v, Arguments&) {
  const Text text = to_text(v);
  Text out;
  bool begins = true;
  for (const Text& c : characters(text)) {
    out.append(change_case(c, begins ? "upper" : "lower"));
    begins = is_space_at(c.bytes, 0) || std::string_view("-({[<").find(c.bytes[0]) != std::string_view::npos;
  }
  return in.make_text(std::move(out));
}

Value wordcount(Interpreter&, const Value& v, Arguments&) {
  const Text text = to_text(v);
  int64_t n = 0;
  bool inside = false;
  for (const Text& c : characters(text)) {
    int bytes;
    const bool word = (char_class(decode_char(c.bytes.data(), &bytes)) & kWord) != 0;
    n += word && !inside;
    inside = word;
  }
  return Value(n);
}

Value absolute(Interpreter&, const Value& v, Arguments&) {
  if (!v.is_number()) fail_render(detail::join("abs: wanted a number, found ", type_name(v)));
  if (v.is(Kind::kFloat)) return Value(std::fabs(v.number));
  if (v.integer == INT64_MIN) fail_render("abs: leaves the range of 64 bits");
  return Value(v.integer < 0 ? -v.integer : v.integer);
}

Value format(Interpreter& in, const Value& v, Arguments& a) {
  Value values = in.make_list(a.values, Kind::kTuple);
  if (!a.named.empty()) {
    std::vector<std::pair<Value, Value>> named;
    for (const auto& [name, value] : a.named) named.emplace_back(Value::text(name), value);
    values = Value::dict(std::move(named));
  }
  return in.make_text(format_percent(in, to_text(v), values));
}

}  // namespace

void add_text_filters(std::map<std::string, Filter>& filters) {
  filters.insert({
      {"abs", absolute},
      {"d", default_filter},
      {"default", default_filter},
      {"e", escape},
      {"escape", escape},
      {"float", float_filter},
      {"forceescape", escape},
      {"format", format},
      {"indent", indent},
      {"int", int_filter},
      {"round", round_filter},
      {"title", title},
      {"tojson", tojson},
      {"truncate", truncate},
      {"urlencode", urlencode},
      {"wordcount", wordcount},
      {"capitalize",
       [](Interpreter& in, const Value& v, Arguments& a) { return method_of_text(in, v, a, "capitalize"); }},
      {"lower",
       [](Interpreter& in, const Value& v, Arguments& a) { return method_of_text(in, v, a, "lower"); }},
      {"upper",
       [](Interpreter& in, const Value& v, Arguments& a) { return method_of_text(in, v, a, "upper"); }},
      {"trim",
       [](Interpreter& in, const Value& v, Arguments& a) { return method_of_text(in, v, a, "strip"); }},
      {"replace",
       [](Interpreter& in, const Value& v, Arguments& a) { return method_of_text(in, v, a, "replace"); }},
      {"center",
       [](Interpreter& in, const Value& v, Arguments& a) {
         if (a.values.empty()) a.values.push_back(a.get_or(0, "width", Value(int64_t{80})));
         return method_of_text(in, v, a, "center");
       }},
      {"string", [](Interpreter& in, const Value& v, Arguments&) { return in.make_text(to_text(v)); }},
      {"safe", [](Interpreter& in, const Value& v, Arguments&) { return in.make_text(to_text(v)); }},
  });
}

}  // namespace lyceum::jinja
