#include "text/template/value.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>

#include "base/error.h"

namespace lyceum::jinja {

namespace {
thread_local Budget* current_budget = nullptr;
}

void fail_render(const std::string& message) { throw Error(ErrorKind::kInvalidArgument, message); }

Budget::Budget(uint64_t steps, uint64_t bytes)
    : most_steps_(steps), most_bytes_(bytes), before_(std::exchange(current_budget, this)) {}
Budget::~Budget() { current_budget = before_; }

void Budget::step(uint64_t n) {
  Budget* b = current_budget;
  if (b && (b->steps_ += n) > b->most_steps_)
    fail_render(
        detail::join("the template takes more than ", b->most_steps_, " steps; does it loop for ever?"));
}

void Budget::charge(uint64_t bytes) {
  Budget* b = current_budget;
  if (b && (bytes > b->most_bytes_ || (b->bytes_ += bytes) > b->most_bytes_))
    fail_render(detail::join("the template makes more than ", b->most_bytes_, " bytes of text and lists"));
}

void Text::append(const Text& other) {
  Budget::charge(other.bytes.size());
  if (marks.empty() && !other.marks.empty()) marks.assign(bytes.size(), '\0');
  bytes += other.bytes;
  if (!other.marks.empty()) marks += other.marks;
  else if (!marks.empty()) marks.resize(bytes.size(), '\0');
}

void Text::append(std::string_view text, bool from_user) {
  Budget::charge(text.size());
  if (from_user || !marks.empty()) {
    marks.resize(bytes.size(), '\0');
    marks.resize(bytes.size() + text.size(), from_user ? '\1' : '\0');
  }
  bytes += text;
}

Text Text::substr(size_t begin, size_t n) const {
  Text out;
  Budget::charge(std::min(n, bytes.size() - begin));
  out.bytes = bytes.substr(begin, n);
  if (!marks.empty()) out.marks = marks.substr(begin, n);
  return out;
}

// Every edge between objects is a Value, so what an object holds comes by here while it is destroyed.
void Value::release(std::shared_ptr<Object> object) {
  thread_local std::vector<std::shared_ptr<Object>>* waiting = nullptr;
  if (object.use_count() > 1) return;
  if (waiting) return waiting->push_back(std::move(object));
  std::vector<std::shared_ptr<Object>> own = {std::move(object)};
  waiting = &own;
  while (!own.empty()) {
    const std::shared_ptr<Object> next = std::move(own.back());
    own.pop_back();
  }
  waiting = nullptr;
}

Value Value::undefined(std::string hint) {
  Value v = text(std::move(hint));
  v.kind = Kind::kUndefined;
  return v;
}

Value Value::text(Text t) {
  Value v;
  v.kind = Kind::kText;
  auto object = std::make_shared<TextObject>();
  object->text = std::move(t);
  v.object = std::move(object);
  return v;
}

Value Value::list(std::vector<Value> items, Kind kind) {
  Value v;
  v.kind = kind;
  auto object = std::make_shared<List>();
  object->items = std::move(items);
  v.object = std::move(object);
  return v;
}

Value Value::dict(std::vector<std::pair<Value, Value>> items) {
  Value v;
  v.kind = Kind::kDict;
  auto object = std::make_shared<Dict>();
  object->items = std::move(items);
  v.object = std::move(object);
  return v;
}

Value Value::function(std::shared_ptr<Function> f) {
  Value v;
  v.kind = Kind::kFunction;
  v.object = std::move(f);
  return v;
}

const Text& Value::as_text() const { return static_cast<const TextObject&>(*object).text; }
std::vector<Value>& Value::items() const { return static_cast<List&>(*object).items; }
Dict& Value::as_dict() const { return static_cast<Dict&>(*object); }
Function& Value::as_function() const { return static_cast<Function&>(*object); }

const Value* Dict::find(const Value& key) const {
  for (const auto& [k, v] : items)
    if (equal(k, key)) return &v;
  return nullptr;
}
const Value* Dict::find(std::string_view key) const {
  for (const auto& [k, v] : items)
    if (k.is(Kind::kText) && k.as_text().bytes == key) return &v;
  return nullptr;
}
void Dict::set(const Value& key, Value value) {
  for (auto& [k, v] : items)
    if (equal(k, key)) {
      v = std::move(value);
      return;
    }
  items.emplace_back(key, std::move(value));
}

const Value* Arguments::get(size_t index, std::string_view name) {
  if (index < values.size()) return &values[index];
  for (size_t i = 0; i < named.size(); ++i)
    if (named[i].first == name) {
      taken_.push_back(i);
      return &named[i].second;
    }
  return nullptr;
}
Value Arguments::get_or(size_t index, std::string_view name, Value otherwise) {
  const Value* v = get(index, name);
  return v ? *v : otherwise;
}
void Arguments::done(const char* what, size_t most) const {
  if (values.size() > most)
    fail_render(detail::join(what, " takes at most ", most, " arguments, found ", values.size()));
  for (size_t i = 0; i < named.size(); ++i)
    if (std::find(taken_.begin(), taken_.end(), i) == taken_.end())
      fail_render(detail::join(what, " has no argument named ", quote(named[i].first)));
}

bool is_true(const Value& v) {
  switch (v.kind) {
    case Kind::kUndefined:
    case Kind::kNone:
      return false;
    case Kind::kBool:
    case Kind::kInt:
      return v.integer != 0;
    case Kind::kFloat:
      return v.number != 0;
    case Kind::kText:
      return !v.as_text().bytes.empty();
    case Kind::kList:
    case Kind::kTuple:
    case Kind::kView:
      return !v.items().empty();
    case Kind::kDict:
      return !v.as_dict().items.empty();
    default:
      return true;
  }
}

namespace {

bool equal_at(const Value& a, const Value& b, int depth) {
  Budget::step();
  if (depth > 100) fail_render("values are nested too deep to compare");
  if (a.is_number() && b.is_number()) {
    if (a.is_integer() && b.is_integer()) return a.integer == b.integer;
    return a.as_number() == b.as_number();
  }
  if (a.kind != b.kind) return false;
  switch (a.kind) {
    case Kind::kUndefined:
    case Kind::kNone:
      return true;
    case Kind::kText:
      Budget::step(std::min(a.as_text().bytes.size(), b.as_text().bytes.size()) / 64);
      return a.as_text().bytes == b.as_text().bytes;
    case Kind::kList:
    case Kind::kTuple: {
      const auto &x = a.items(), &y = b.items();
      return x.size() == y.size() &&
             std::equal(x.begin(), x.end(), y.begin(),
                        [&](const Value& p, const Value& q) { return equal_at(p, q, depth + 1); });
    }
    case Kind::kDict: {
      const Dict &x = a.as_dict(), &y = b.as_dict();
      if (x.items.size() != y.items.size()) return false;
      for (const auto& [key, value] : x.items) {
        const Value* other = y.find(key);
        if (!other || !equal_at(value, *other, depth + 1)) return false;
      }
      return true;
    }
    default:
      return a.object == b.object;
  }
}

int compare_at(const Value& a, const Value& b, int depth) {
  Budget::step();
  if (depth > 100) fail_render("values are nested too deep to compare");
  if (a.is_number() && b.is_number()) {
    if (a.is_integer() && b.is_integer()) return a.integer < b.integer ? -1 : a.integer > b.integer;
    return a.as_number() < b.as_number() ? -1 : a.as_number() > b.as_number();
  }
  if (a.is(Kind::kText) && b.is(Kind::kText)) {
    Budget::step(std::min(a.as_text().bytes.size(), b.as_text().bytes.size()) / 64);
    return a.as_text().bytes.compare(b.as_text().bytes);
  }
  if (a.is_sequence() && a.kind == b.kind) {
    const auto &x = a.items(), &y = b.items();
    for (size_t i = 0; i < x.size() && i < y.size(); ++i)
      if (!equal_at(x[i], y[i], depth + 1)) return compare_at(x[i], y[i], depth + 1);
    return x.size() < y.size() ? -1 : x.size() > y.size();
  }
  fail_render(detail::join("values of the types ", type_name(a), " and ", type_name(b), " have no order"));
}

}  // namespace

bool equal(const Value& a, const Value& b) { return equal_at(a, b, 0); }
int compare(const Value& a, const Value& b) { return compare_at(a, b, 0); }

const char* type_name(const Value& v) {
  static constexpr const char* kNames[] = {"Undefined", "NoneType",  "bool",        "int",       "float",
                                           "str",       "list",      "tuple",       "dict_view", "generator",
                                           "dict",      "Namespace", "LoopContext", "function"};
  return kNames[static_cast<int>(v.kind)];
}

std::string float_text(double d) {
  if (std::isnan(d)) return "nan";
  if (std::isinf(d)) return d < 0 ? "-inf" : "inf";
  char digits[64];
  const auto end = std::to_chars(digits, digits + sizeof digits, d, std::chars_format::scientific).ptr;
  std::string s(digits, end);  // -d.ddde+XX: the shortest that reads back
  const size_t e = s.find('e');
  const int exponent = std::atoi(s.c_str() + e + 1);
  if (exponent < -4 || exponent >= 16) return s;
  char plain[400];
  std::string fixed(plain, std::to_chars(plain, plain + sizeof plain, d, std::chars_format::fixed).ptr);
  return fixed.find('.') == std::string::npos ? fixed + ".0" : fixed;
}

}  // namespace lyceum::jinja
