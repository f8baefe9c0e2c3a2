// Values as text: str(), repr() and json.dumps() of Python; and JSON as values.
#include <utf8proc.h>
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "text/template/value.h"
#include "text/unicode.h"

namespace lyceum::jinja {
namespace {

using OrderedJson = nlohmann::ordered_json;

constexpr int kDeepestValue = 100;

void check_depth(int depth) {  // of every value that is walked
  Budget::step();
  if (depth > kDeepestValue) fail_render("values are nested more than 100 deep");
}

bool is_printable(uint32_t c) {
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(c))) {
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
      return false;
    case UTF8PROC_CATEGORY_ZS:
      return c == ' ';
    default:
      return true;
  }
}

std::string escaped(const char* form, uint32_t c) {
  char text[16];
  std::snprintf(text, sizeof text, form, c);
  return text;
}

// Calls f(code point, its bytes as Text) for every character.
template <class F>
void each_char(const Text& text, const F& f) {
  for (size_t i = 0; i < text.bytes.size();) {
    int n;
    const uint32_t c = decode_char(&text.bytes[i], &n);
    const bool user = !text.marks.empty() && text.marks[i] != 0;
    f(c, std::string_view(&text.bytes[i], static_cast<size_t>(n)), user);
    i += n;
  }
}

Text text_repr(const Text& text) {
  const bool has_single = text.bytes.find('\'') != std::string::npos;
  const bool use_double = has_single && text.bytes.find('"') == std::string::npos;
  const uint32_t mark = use_double ? '"' : '\'';
  Text out(std::string(1, static_cast<char>(mark)));
  each_char(text, [&](uint32_t c, std::string_view bytes, bool user) {
    if (c == mark || c == '\\') out.append("\\", user), out.append(bytes, user);
    else if (c == '\n') out.append("\\n", user);
    else if (c == '\r') out.append("\\r", user);
    else if (c == '\t') out.append("\\t", user);
    else if (is_printable(c)) out.append(bytes, user);
    else
      out.append(c < 0x100     ? escaped("\\x%02x", c)
                 : c < 0x10000 ? escaped("\\u%04x", c)
                               : escaped("\\U%08x", c),
                 user);
  });
  out.append(std::string(1, static_cast<char>(mark)));
  return out;
}

void json_text(const Text& text, bool ascii, Text& out) {
  out.append("\"");
  each_char(text, [&](uint32_t c, std::string_view bytes, bool user) {
    if (c == '"' || c == '\\') out.append("\\", user), out.append(bytes, user);
    else if (c == '\n') out.append("\\n", user);
    else if (c == '\r') out.append("\\r", user);
    else if (c == '\t') out.append("\\t", user);
    else if (c == '\b') out.append("\\b", user);
    else if (c == '\f') out.append("\\f", user);
    else if (c < 0x20 || (ascii && c >= 0x7f && c < 0x10000)) {
      if (c == 0x7f) out.append(bytes, user);
      else out.append(escaped("\\u%04x", c), user);
    } else if (ascii && c >= 0x10000) {
      out.append(escaped("\\u%04x", 0xd800 + ((c - 0x10000) >> 10)), user);
      out.append(escaped("\\u%04x", 0xdc00 + ((c - 0x10000) & 0x3ff)), user);
    } else out.append(bytes, user);
  });
  out.append("\"");
}

void join_reprs(const std::vector<Value>& items, int depth, Text& out) {
  for (size_t i = 0; i < items.size(); ++i) {
    if (i > 0) out.append(", ");
    out.append(to_repr(items[i], depth + 1));
  }
}

std::string json_number(const Value& v) {
  if (v.is(Kind::kBool)) return v.integer ? "true" : "false";
  if (v.is(Kind::kInt)) return std::to_string(v.integer);
  if (std::isnan(v.number)) return "NaN";
  if (std::isinf(v.number)) return v.number < 0 ? "-Infinity" : "Infinity";
  return float_text(v.number);
}

void json_key(const Value& key, const JsonStyle& style, Text& out) {
  if (key.is(Kind::kText)) return json_text(key.as_text(), style.ascii, out);
  if (!key.is_number() && !key.is(Kind::kNone))
    fail_render(
        detail::join("keys of JSON are strings, numbers, booleans or none, found a ", type_name(key)));
  out.append("\"" + (key.is(Kind::kNone) ? std::string("null") : json_number(key)) + "\"");
}

void new_line(const JsonStyle& style, int depth, Text& out) {
  if (!style.pretty) return;
  out.append("\n");
  for (int i = 0; i < depth; ++i) out.append(style.indent);
}

}  // namespace

Text to_text(const Value& v) {
  if (v.is(Kind::kText)) return v.as_text();
  if (v.is(Kind::kUndefined)) return {};
  return to_repr(v);
}

Text to_repr(const Value& v, int depth) {
  check_depth(depth);
  Text out;
  switch (v.kind) {
    case Kind::kUndefined:
      return Text("Undefined");
    case Kind::kNone:
      return Text("None");
    case Kind::kBool:
      return Text(v.integer ? "True" : "False");
    case Kind::kInt:
      return Text(std::to_string(v.integer));
    case Kind::kFloat:
      return Text(float_text(v.number));
    case Kind::kText:
      return text_repr(v.as_text());
    case Kind::kList:
    case Kind::kTuple:
      out.append(v.is(Kind::kList) ? "[" : "(");
      join_reprs(v.items(), depth, out);
      if (v.is(Kind::kTuple) && v.items().size() == 1) out.append(",");
      out.append(v.is(Kind::kList) ? "]" : ")");
      return out;
    case Kind::kView:
      out.append(std::string(static_cast<const List&>(*v.object).view) + "([");
      join_reprs(v.items(), depth, out);
      out.append("])");
      return out;
    case Kind::kDict:
    case Kind::kNamespace: {
      out.append(v.is(Kind::kDict) ? "{" : "<Namespace {");
      bool first = true;
      for (const auto& [key, value] : v.as_dict().items) {
        if (!first) out.append(", ");
        first = false;
        out.append(to_repr(key, depth + 1));
        out.append(": ");
        out.append(to_repr(value, depth + 1));
      }
      out.append(v.is(Kind::kDict) ? "}" : "}>");
      return out;
    }
    default:
      return Text("<" + std::string(type_name(v)) + ">");
  }
}

void to_json(const Value& v, const JsonStyle& style, int depth, Text& out) {
  check_depth(depth);
  switch (v.kind) {
    case Kind::kNone:
      return out.append("null");
    case Kind::kBool:
    case Kind::kInt:
    case Kind::kFloat:
      return out.append(json_number(v));
    case Kind::kText:
      return json_text(v.as_text(), style.ascii, out);
    case Kind::kList:
    case Kind::kTuple: {
      if (v.items().empty()) return out.append("[]");
      out.append("[");
      for (size_t i = 0; i < v.items().size(); ++i) {
        if (i > 0) out.append(style.item_separator);
        new_line(style, depth + 1, out);
        to_json(v.items()[i], style, depth + 1, out);
      }
      new_line(style, depth, out);
      return out.append("]");
    }
    case Kind::kDict: {
      auto items = v.as_dict().items;
      if (items.empty()) return out.append("{}");
      if (style.sorted)
        std::stable_sort(items.begin(), items.end(),
                         [](const auto& a, const auto& b) { return compare(a.first, b.first) < 0; });
      out.append("{");
      bool first = true;
      for (const auto& [key, value] : items) {
        if (!first) out.append(style.item_separator);
        first = false;
        new_line(style, depth + 1, out);
        json_key(key, style, out);
        out.append(style.key_separator);
        to_json(value, style, depth + 1, out);
      }
      new_line(style, depth, out);
      return out.append("}");
    }
    default:
      fail_render(detail::join("a value of the type ", type_name(v), " has no form in JSON",
                               v.is(Kind::kUndefined) ? ": " + to_text(Value(v)).bytes : ""));
  }
}

namespace {

Value convert(const OrderedJson& j, bool from_user, int depth) {
  check_depth(depth);
  switch (j.type()) {
    case OrderedJson::value_t::boolean:
      return Value(j.get<bool>());
    case OrderedJson::value_t::number_integer:
      return Value(j.get<int64_t>());
    case OrderedJson::value_t::number_unsigned:
      if (j.get<uint64_t>() > INT64_MAX) return Value(j.get<double>());
      return Value(j.get<int64_t>());
    case OrderedJson::value_t::number_float:
      return Value(j.get<double>());
    case OrderedJson::value_t::string:
      return Value::text(Text(j.get<std::string>(), from_user));
    case OrderedJson::value_t::array: {
      std::vector<Value> items;
      for (const OrderedJson& item : j) items.push_back(convert(item, from_user, depth + 1));
      return Value::list(std::move(items));
    }
    case OrderedJson::value_t::object: {
      std::vector<std::pair<Value, Value>> items;
      for (const auto& [key, item] : j.items())
        items.emplace_back(Value::text(Text(key, from_user)), convert(item, from_user, depth + 1));
      return Value::dict(std::move(items));
    }
    default:
      return Value::none();
  }
}

}  // namespace

Value from_json(std::string_view json, bool from_user, const std::string& where) {
  try {
    return convert(OrderedJson::parse(json), from_user, 0);
  } catch (const OrderedJson::exception& e) {
    fail(ErrorKind::kCorruptData, where.c_str(), "wanted JSON, found ", e.what());
  }
}

}  // namespace lyceum::jinja
