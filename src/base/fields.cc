#include "base/fields.h"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "base/error.h"
#include "base/random.h"

namespace lyceum {
namespace {

std::string number_text(double x) {
  char text[40];
  for (int digits = 6; digits <= 17; ++digits) {
    std::snprintf(text, sizeof text, "%.*g", digits, x);
    if (std::strtod(text, nullptr) == x) break;
  }
  return text;
}

std::string trim(std::string s) {
  const auto blank = [](char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; };
  while (!s.empty() && blank(s.back())) s.pop_back();
  size_t i = 0;
  while (i < s.size() && blank(s[i])) ++i;
  return s.substr(i);
}

std::string unquote(const std::string& s) {
  return s.size() >= 2 && (s.front() == '"' || s.front() == '\'') && s.back() == s.front()
             ? s.substr(1, s.size() - 2)
             : s;
}

std::vector<std::string> list_items(std::string text) {
  text = trim(text);
  if (!text.empty() && text.front() == '[' && text.back() == ']') text = text.substr(1, text.size() - 2);
  std::vector<std::string> items;
  std::string item;
  for (size_t i = 0; i <= text.size(); ++i) {
    if (i == text.size() || text[i] == ',') {
      item = unquote(trim(item));
      if (!item.empty()) items.push_back(item);
      item.clear();
    } else {
      item += text[i];
    }
  }
  return items;
}

bool parse_integer(const std::string& text, int64_t* out) {
  std::string digits;
  for (char c : text)
    if (c != '_') digits += c;
  if (digits.empty()) return false;
  char* end = nullptr;
  errno = 0;
  const long long v = std::strtoll(digits.c_str(), &end, 10);
  if (*end == 0 && errno == 0) return *out = v, true;
  const double d = std::strtod(digits.c_str(), &end);  // 1e6
  if (*end == 0 && d == std::floor(d) && std::abs(d) < 9e15) return *out = static_cast<int64_t>(d), true;
  return false;
}

bool parse_number(const std::string& text, double* out) {
  if (text.empty()) return false;
  char* end = nullptr;
  *out = std::strtod(text.c_str(), &end);
  return *end == 0 && !std::isnan(*out);
}

struct Text {
  std::string operator()(bool* p) const { return *p ? "true" : "false"; }
  std::string operator()(int64_t* p) const { return std::to_string(*p); }
  std::string operator()(double* p) const { return number_text(*p); }
  std::string operator()(std::string* p) const { return *p; }
  template <class T>
  std::string operator()(std::vector<T>* p) const {
    std::string out = "[";
    for (T& item : *p) out += (out.size() > 1 ? ", " : "") + (*this)(&item);
    return out + "]";
  }
};

struct Parse {
  const std::string& text;
  bool operator()(bool* p) const {
    if (text == "true" || text == "on" || text == "yes" || text == "1") return *p = true, true;
    if (text == "false" || text == "off" || text == "no" || text == "0") return *p = false, true;
    return false;
  }
  bool operator()(int64_t* p) const { return parse_integer(text, p); }
  bool operator()(double* p) const { return parse_number(text, p); }
  bool operator()(std::string* p) const { return *p = unquote(text), true; }
  bool operator()(std::vector<std::string>* p) const { return *p = list_items(text), true; }
  template <class T, class F>
  static bool list(const std::string& text, std::vector<T>* p, F parse) {
    std::vector<T> values;
    for (const std::string& item : list_items(text)) {
      T v;
      if (!parse(item, &v)) return false;
      values.push_back(v);
    }
    *p = values;
    return true;
  }
  bool operator()(std::vector<int64_t>* p) const { return list(text, p, parse_integer); }
  bool operator()(std::vector<double>* p) const { return list(text, p, parse_number); }
};

const char* type_name(const FieldValue& v) {
  static const char* names[] = {"true or false",   "a whole number",          "a number",         "a word",
                                "a list of words", "a list of whole numbers", "a list of numbers"};
  return names[v.index()];
}

std::string json_string(const std::string& s) {
  std::string out = "\"";
  for (unsigned char c : s) {
    char text[8];
    if (c == '"' || c == '\\') out += '\\', out += static_cast<char>(c);
    else if (c == '\n') out += "\\n";
    else if (c == '\t') out += "\\t";
    else if (c < 0x20) std::snprintf(text, sizeof text, "\\u%04x", c), out += text;
    else out += static_cast<char>(c);
  }
  return out + "\"";
}

std::string json_value(const FieldValue& value) {
  if (auto* p = std::get_if<std::string*>(&value)) return json_string(**p);
  if (auto* p = std::get_if<std::vector<std::string>*>(&value)) {
    std::string out = "[";
    for (const std::string& s : **p) out += (out.size() > 1 ? ", " : "") + json_string(s);
    return out + "]";
  }
  if (auto* p = std::get_if<double*>(&value); p && !std::isfinite(**p)) return "null";
  return field_text(value);
}

std::string rules_text(const std::vector<FieldRule>& rules) {
  std::string out;
  for (const FieldRule& r : rules) {
    std::string part;
    if (r.kind == FieldRule::kMin) part = ">= " + number_text(r.bound);
    if (r.kind == FieldRule::kMax) part = "<= " + number_text(r.bound);
    if (r.kind == FieldRule::kAbove) part = "> " + number_text(r.bound);
    if (r.kind == FieldRule::kBelow) part = "< " + number_text(r.bound);
    if (r.kind == FieldRule::kChoice)
      for (const std::string& c : r.choices) part += (part.empty() ? "" : " | ") + c;
    if (!part.empty()) out += (out.empty() ? "" : ", ") + part;
  }
  return out;
}

bool within(double x, const FieldRule& r) {
  switch (r.kind) {
    case FieldRule::kMin:
      return x >= r.bound;
    case FieldRule::kMax:
      return x <= r.bound;
    case FieldRule::kAbove:
      return x > r.bound;
    case FieldRule::kBelow:
      return x < r.bound;
    default:
      return true;
  }
}

bool satisfied(const FieldValue& value, const FieldRule& r) {
  if (r.kind == FieldRule::kEffective) return true;
  if (r.kind == FieldRule::kChoice) {
    const auto allowed = [&](const std::string& s) {
      return std::find(r.choices.begin(), r.choices.end(), s) != r.choices.end();
    };
    if (auto* p = std::get_if<std::string*>(&value)) return allowed(**p);
    if (auto* p = std::get_if<std::vector<std::string>*>(&value))
      return std::all_of((*p)->begin(), (*p)->end(), allowed);
    return true;
  }
  if (auto* p = std::get_if<int64_t*>(&value)) return within(static_cast<double>(**p), r);
  if (auto* p = std::get_if<double*>(&value)) return within(**p, r);
  if (auto* p = std::get_if<std::vector<double>*>(&value))
    return std::all_of((*p)->begin(), (*p)->end(), [&](double x) { return within(x, r); });
  if (auto* p = std::get_if<std::vector<int64_t>*>(&value))
    return std::all_of((*p)->begin(), (*p)->end(),
                       [&](int64_t x) { return within(static_cast<double>(x), r); });
  return true;
}

const Field* find(const std::vector<Field>& fields, const std::string& key) {
  for (const Field& f : fields)
    if (f.key == key) return &f;
  return nullptr;
}

}  // namespace

void Fields::push(const char* name, FieldValue value, const char* help, std::vector<FieldRule> rules) {
  Field f{prefix_ + name, value, help, std::move(rules), field_text(value)};
  ensure(!find(fields_, f.key), "fields", "the key \"", f.key, "\" is declared twice");
  fields_.push_back(std::move(f));
}

std::string field_text(const FieldValue& value) { return std::visit(Text{}, value); }

namespace detail {

void apply_settings(const std::vector<Field>& fields, const std::vector<Setting>& settings) {
  for (const Setting& s : settings) {
    const Field* f = find(fields, s.key);
    if (!f) {
      std::vector<std::string> known;
      for (const Field& x : fields) known.push_back(x.key);
      const std::string near = nearest_name(s.key, known);
      fail(ErrorKind::kInvalidArgument, s.source.c_str(), "unknown key \"", s.key, "\"",
           near.empty() ? "; --help lists the keys" : "; did you mean \"" + near + "\"?");
    }
    check(std::visit(Parse{s.text}, f->value), s.source.c_str(), f->key, " wants ", type_name(f->value),
          ", found \"", s.text, "\"");
  }
}

void check_settings(const std::vector<Field>& fields, const std::vector<Setting>& settings) {
  const auto source_of = [&](const std::string& key) {
    for (size_t i = settings.size(); i-- > 0;)
      if (settings[i].key == key) return settings[i].source;
    return std::string("configuration");
  };
  for (const Field& f : fields)
    for (const FieldRule& r : f.rules)
      check(satisfied(f.value, r), source_of(f.key).c_str(), f.key, " wants ", rules_text({r}), ", found ",
            field_text(f.value));
  for (const Setting& s : settings)
    if (const Field* f = find(fields, s.key))
      for (const FieldRule& r : f->rules)
        check(r.kind != FieldRule::kEffective || r.holds, s.source.c_str(), f->key,
              " would have no effect: ", r.reason, "; remove it");
}

std::string help_text(const std::vector<Field>& fields) {
  std::string out, section;
  for (const Field& f : fields) {
    const size_t dot = f.key.rfind('.');
    const std::string here = dot == std::string::npos ? "" : f.key.substr(0, dot);
    if (here != section) out += "\n[" + here + "]\n", section = here;
    std::string left = "  --" + f.key + "=" + f.default_text;
    if (left.size() < 44) left.resize(44, ' ');
    const std::string rules = rules_text(f.rules);
    out += left + " " + f.help + (rules.empty() ? "" : "  [" + rules + "]") + "\n";
  }
  return out;
}

std::string json_text(const std::vector<Field>& fields) {
  std::string out = "{", open;
  int depth = 1;
  bool first = true;
  const auto line = [&](const std::string& text) {
    out += first ? "\n" : ",\n";
    out.append(static_cast<size_t>(2 * depth), ' ');
    out += text;
    first = false;
  };
  const auto close_one = [&] {
    --depth;
    out += "\n";
    out.append(static_cast<size_t>(2 * depth), ' ');
    out += "}";
    first = false;
  };
  std::vector<std::string> path;
  for (const Field& f : fields) {
    std::vector<std::string> parts;
    size_t begin = 0;
    for (size_t dot; (dot = f.key.find('.', begin)) != std::string::npos; begin = dot + 1)
      parts.push_back(f.key.substr(begin, dot - begin));
    size_t common = 0;
    while (common < path.size() && common < parts.size() && path[common] == parts[common]) ++common;
    while (path.size() > common) close_one(), path.pop_back();
    while (path.size() < parts.size()) {
      line(json_string(parts[path.size()]) + ": {");
      path.push_back(parts[path.size()]);
      ++depth;
      first = true;
    }
    line(json_string(f.key.substr(begin)) + ": " + json_value(f.value));
  }
  while (!path.empty()) close_one(), path.pop_back();
  return out + "\n}\n";
}

}  // namespace detail

uint64_t fields_hash(const std::vector<Field>& fields) {
  uint64_t h = 0xcbf29ce484222325ull;
  for (const Field& f : fields)
    for (char c : f.key + "=" + field_text(f.value) + "\n")
      h = (h ^ static_cast<unsigned char>(c)) * 0x100000001b3ull;
  return mix64(h);
}

std::vector<std::string> fields_diff(const std::vector<Field>& a, const std::vector<Field>& b) {
  std::vector<std::string> out;
  for (const Field& x : a) {
    const Field* y = find(b, x.key);
    if (y && field_text(x.value) != field_text(y->value))
      out.push_back(x.key + ": " + field_text(x.value) + " -> " + field_text(y->value));
  }
  return out;
}

std::string nearest_name(std::string_view word, const std::vector<std::string>& known) {
  const auto distance = [](std::string_view a, std::string_view b) {
    std::vector<size_t> row(b.size() + 1);
    for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
    for (size_t i = 1; i <= a.size(); ++i) {
      size_t diagonal = row[0];
      row[0] = i;
      for (size_t j = 1; j <= b.size(); ++j) {
        const size_t up = row[j];
        row[j] = std::min({row[j] + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1])});
        diagonal = up;
      }
    }
    return row[b.size()];
  };
  std::string best;
  size_t best_distance = std::max<size_t>(2, word.size() / 3) + 1;
  for (const std::string& name : known) {
    size_t d = distance(word, name);
    const size_t dot = name.rfind('.');  // the last part alone, when the section was forgotten
    if (dot != std::string::npos) d = std::min(d, distance(word, std::string_view(name).substr(dot + 1)) + 1);
    if (d < best_distance) best = name, best_distance = d;
  }
  return best;
}

}  // namespace lyceum
