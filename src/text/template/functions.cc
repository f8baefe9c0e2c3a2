// What a template can call by name, and the two ways in which Python's strings are filled in.
#include <algorithm>
#include <cstdio>

#include "base/error.h"
#include "text/template/interpreter.h"
#include "text/template/strings.h"

namespace lyceum::jinja {
namespace {

constexpr int64_t kLongestRange = 100000;  // as Jinja2's sandbox has it

Value range(Interpreter& in, Arguments& a) {
  a.done("range", 3);
  if (a.values.empty()) fail_render("range: wanted one to three whole numbers");
  int64_t begin = 0, end = want_integer(a.values[0], "range"), by = 1;
  if (a.values.size() > 1) begin = end, end = want_integer(a.values[1], "range");
  if (a.values.size() > 2) by = want_integer(a.values[2], "range");
  if (by == 0) fail_render("range: wanted a step other than 0");
  std::vector<Value> items;
  for (int64_t i = begin; by > 0 ? i < end : i > end;) {
    if (static_cast<int64_t>(items.size()) >= kLongestRange)
      fail_render(detail::join("range: wanted at most ", kLongestRange, " numbers"));
    items.push_back(Value(i));
    if (__builtin_add_overflow(i, by, &i)) break;
  }
  return in.make_list(std::move(items));
}

std::vector<std::pair<Value, Value>> named_items(Interpreter& in, Arguments& a, const char* what) {
  Dict dict;
  if (a.values.size() > 1) fail_render(detail::join(what, ": wanted at most one value before names"));
  if (!a.values.empty()) {
    if (a.values[0].is(Kind::kDict)) dict.items = a.values[0].as_dict().items;
    else
      for (const Value& pair : in.iterate(a.values[0])) {
        const std::vector<Value> two = in.iterate(pair);
        if (two.size() != 2) fail_render(detail::join(what, ": wanted pairs of keys and values"));
        in.step(dict.items.size() / 8);
        dict.set(two[0], two[1]);
      }
  }
  for (const auto& [name, value] : a.named) dict.set(Value::text(name), value);
  return std::move(dict.items);
}

Value strftime_now(Interpreter& in, Arguments& a) {
  const Value* form = a.get(0, "format");
  if (!form) fail_render("strftime_now: wanted a format");
  const Text& text = want_text(*form, "strftime_now");
  if (text.bytes.empty()) return *form;
  const std::time_t now = in.now();
  std::tm local{};
  localtime_r(&now, &local);
  std::string out(text.bytes.size() * 4 + 256, '\0');
  const size_t n =
      text.bytes.size() > 4096 ? 0 : std::strftime(out.data(), out.size(), text.bytes.c_str(), &local);
  if (n == 0) fail_render("strftime_now: the result is empty or too long");
  out.resize(n);
  std::string buffer;
  return in.make_text(Text(std::string(to_valid_utf8(out, buffer)), text.from_user()));
}

[[noreturn]] Value raise_exception(Interpreter&, Arguments& a) {
  const Value* message = a.get(0, "message");
  throw Error(ErrorKind::kInvalidArgument,
              "the template refuses: " + std::string(message ? to_text(*message).bytes : ""));
}

// One value after the other, for ever.
Value cycler(Interpreter& in, Arguments& a) {
  if (a.values.empty()) fail_render("cycler: wanted values");
  auto at = std::make_shared<size_t>(0);
  const std::vector<Value> values = a.values;
  return in.make_namespace({{Value::text("next"), make_function("next",
                                                                [at, values](Interpreter&, Arguments&) {
                                                                  return values[(*at)++ % values.size()];
                                                                })},
                            {Value::text("reset"), make_function("reset", [at](Interpreter&, Arguments&) {
                               *at = 0;
                               return Value::none();
                             })}});
}

// Nothing at the first call, the separator at all others.
Value joiner(Interpreter&, Arguments& a) {
  const Value separator = a.get_or(0, "sep", Value::text(", "));
  auto used = std::make_shared<bool>(false);
  return make_function("joiner", [separator, used](Interpreter&, Arguments&) {
    return std::exchange(*used, true) ? separator : Value::text("");
  });
}

}  // namespace

void add_globals(Scope& scope) {
  const auto add = [&](const char* name, Value (*call)(Interpreter&, Arguments&)) {
    scope.set(name, make_function(name, call));
  };
  add("range", range);
  add("dict", [](Interpreter& in, Arguments& a) {
    auto items = named_items(in, a, "dict");
    in.charge(items.size() * 2 * sizeof(Value));
    return Value::dict(std::move(items));
  });
  add("namespace",
      [](Interpreter& in, Arguments& a) { return in.make_namespace(named_items(in, a, "namespace")); });
  add("raise_exception", [](Interpreter& in, Arguments& a) -> Value { raise_exception(in, a); });
  add("strftime_now", strftime_now);
  add("cycler", cycler);
  add("joiner", joiner);
}

// %s %r %d %i %f %x %% with flags, width and precision; %(name)s with a dict.
Text format_percent(Interpreter& in, const Text& form, const Value& values) {
  Text out;
  size_t used = 0;
  const std::string& s = form.bytes;
  for (size_t i = 0; i < s.size(); ++i) {
    if (s[i] != '%') {
      out.append(form.substr(i, 1));
      continue;
    }
    const size_t begin = i++;
    Value value;
    bool named = false;
    if (i < s.size() && s[i] == '(') {
      const size_t close = s.find(')', i);
      if (close == std::string::npos || !values.is(Kind::kDict)) fail_render("%: wanted a dict for %(name)");
      const Value* found = values.as_dict().find(std::string_view(s).substr(i + 1, close - i - 1));
      if (!found) fail_render("%: the dict lacks the name of a place");
      value = *found;
      named = true;
      i = close + 1;
    }
    std::string spec = "%";
    while (i < s.size() && std::string_view("-+ 0#").find(s[i]) != std::string_view::npos) spec += s[i++];
    while (i < s.size() && ((s[i] >= '0' && s[i] <= '9') || s[i] == '.')) spec += s[i++];
    if (i >= s.size() || spec.size() > 8) fail_render("%: wanted a format that is complete and short");
    if (s[i] == '%') {
      out.append(form.substr(begin, 1));
      continue;
    }
    if (!named) {
      const bool many = values.is(Kind::kTuple);
      if (used >= (many ? values.items().size() : 1)) fail_render("%: there are fewer values than places");
      value = many ? values.items()[used] : values;
      ++used;
    }
    char buffer[1200];
    int n = 0;
    const char kind = s[i];
    if (kind == 's' || kind == 'r') {
      Text text = kind == 's' ? to_text(value) : to_repr(value);
      const size_t dot = spec.find('.'), digit = spec.find_first_of("123456789");
      const int width = digit < dot ? std::atoi(spec.c_str() + digit) : 0;
      if (dot != std::string::npos) {  // at most so many characters
        const int64_t most = std::atoi(spec.c_str() + dot + 1);
        size_t end = 0;
        for (int64_t k = 0; k < most && end < text.bytes.size(); ++k)
          end += static_cast<size_t>(char_length(text.bytes[end]));
        text = text.substr(0, end);
      }
      const int64_t missing = std::clamp<int64_t>(width - count_chars(text.bytes), 0, 100000);
      const std::string fill(static_cast<size_t>(missing), ' ');
      in.charge(fill.size());
      if (spec.find('-') == std::string::npos) out.append(fill);
      out.append(text);
      if (spec.find('-') != std::string::npos) out.append(fill);
      continue;
    }
    if (!value.is_number()) fail_render("%: wanted a number for a place of numbers");
    const std::string_view kinds = "dixXofFeEgG";
    if (kinds.find(kind) == std::string_view::npos)
      fail_render(detail::join("%: the conversion ", quote(std::string_view(&s[i], 1)), " is not supported"));
    if (std::atoi(spec.c_str() + std::min(spec.find_first_of("123456789"), spec.size())) > 500)
      fail_render("%: wanted a width of at most 500");
    if (const size_t dot = spec.find('.');
        dot != std::string::npos && std::atoi(spec.c_str() + dot + 1) > 500)
      fail_render("%: wanted a precision of at most 500");
    if (std::string_view("dixXo").find(kind) != std::string_view::npos) {
      const auto integer =
          static_cast<long long>(value.is_integer() ? value.integer : static_cast<int64_t>(value.number));
      n = std::snprintf(buffer, sizeof buffer, (spec + "ll" + (kind == 'i' ? 'd' : kind)).c_str(), integer);
    } else {
      n = std::snprintf(buffer, sizeof buffer, (spec + kind).c_str(), value.as_number());
    }
    out.append(std::string(buffer, static_cast<size_t>(std::clamp<int>(n, 0, sizeof buffer - 1))),
               form.from_user());
  }
  if (values.is(Kind::kTuple) && used < values.items().size())
    fail_render("%: there are more values than places");
  in.charge(out.bytes.size());
  return out;
}

// {} {0} {name}, without format specifications.
Text format_braces(Interpreter& in, const Text& form, Arguments& arguments) {
  Text out;
  size_t next = 0;
  const std::string& s = form.bytes;
  for (size_t i = 0; i < s.size(); ++i) {
    if ((s[i] == '{' || s[i] == '}') && i + 1 < s.size() && s[i + 1] == s[i]) {
      out.append(form.substr(i++, 1));
    } else if (s[i] == '}') {
      fail_render("format: found a single }");
    } else if (s[i] != '{') {
      out.append(form.substr(i, 1));
    } else {
      const size_t close = s.find('}', i);
      if (close == std::string::npos) fail_render("format: found a { without }");
      const std::string name = s.substr(i + 1, close - i - 1);
      const bool digits = name.find_first_not_of("0123456789") == std::string::npos && name.size() < 5;
      const size_t index = name.empty() ? next++
                           : digits     ? static_cast<size_t>(std::atoi(name.c_str()))
                                        : ~size_t{0};
      if (name.find_first_of(":.[!") != std::string::npos)
        fail_render("format: only {}, {0} and {name} are supported");
      const Value* v = arguments.get(index, name);
      if (!v) fail_render(detail::join("format: there is no value for {", name, "}"));
      const Text text = to_text(*v);
      in.charge(text.bytes.size());
      out.append(text);
      i = close;
    }
  }
  return out;
}

}  // namespace lyceum::jinja
