// The filters of Jinja2 that work on lists and dicts; those on text are in text_filters.cc.
#include <algorithm>
#include <map>

#include "base/error.h"
#include "text/template/filters.h"
#include "text/template/strings.h"

namespace lyceum::jinja {
namespace {

// a.b.0 of a value, as the argument "attribute" of many filters says it.
Value follow(Interpreter& in, Value v, const Value& path) {
  if (path.is_integer()) return in.item(v, path);
  for (const Text& part : split_at(want_text(path, "attribute"), ".", -1, false)) {
    const bool digits = !part.bytes.empty() && part.bytes.size() < 10 &&
                        part.bytes.find_first_not_of("0123456789") == std::string::npos;
    if (digits) v = in.item(v, Value(static_cast<int64_t>(std::atoll(part.bytes.c_str()))));
    else v = in.item(v, Value::text(part));
  }
  return v;
}

Value lowered(const Value& v, bool case_sensitive) {
  return case_sensitive || !v.is(Kind::kText) ? v : Value::text(change_case(v.as_text(), "lower"));
}

// Sorts by what `key` makes of each; stable, in reverse too.
template <class Key>
std::vector<Value> sorted(Interpreter& in, const std::vector<Value>& values, bool reverse, const Key& key) {
  std::vector<std::pair<Value, Value>> pairs;
  for (const Value& v : values) pairs.emplace_back(key(v), v);
  in.step(pairs.size() * 8);
  if (reverse) std::reverse(pairs.begin(), pairs.end());
  std::stable_sort(pairs.begin(), pairs.end(),
                   [](const auto& a, const auto& b) { return compare(a.first, b.first) < 0; });
  if (reverse) std::reverse(pairs.begin(), pairs.end());
  std::vector<Value> out;
  for (auto& pair : pairs) out.push_back(std::move(pair.second));
  return out;
}

bool flag(Arguments& a, size_t i, const char* name, bool otherwise) {
  const Value* v = a.get(i, name);
  return v ? is_true(*v) : otherwise;
}

Value sort(Interpreter& in, const Value& value, Arguments& a) {
  const bool reverse = flag(a, 0, "reverse", false), exact = flag(a, 1, "case_sensitive", false);
  const Value path = a.get_or(2, "attribute", Value::none());
  a.done("sort", 3);
  const std::vector<Value> values = in.iterate(value);
  if (!path.is(Kind::kText) || path.as_text().bytes.find(',') == std::string::npos)
    return in.make_list(sorted(in, values, reverse, [&](const Value& v) {
      return lowered(path.is(Kind::kNone) ? v : follow(in, v, path), exact);
    }));
  const std::vector<Text> paths = split_at(path.as_text(), ",", -1, false);
  return in.make_list(sorted(in, values, reverse, [&](const Value& v) {
    std::vector<Value> keys;
    for (const Text& p : paths) keys.push_back(lowered(follow(in, v, Value::text(p)), exact));
    return Value::list(std::move(keys));
  }));
}

Value dictsort(Interpreter& in, const Value& value, Arguments& a) {
  const bool exact = flag(a, 0, "case_sensitive", false);
  const Value by = a.get_or(1, "by", Value::text("key"));
  const bool reverse = flag(a, 2, "reverse", false);
  a.done("dictsort", 3);
  if (!value.is(Kind::kDict)) fail_render(detail::join("dictsort: wanted a dict, found ", type_name(value)));
  const size_t part = want_text(by, "dictsort").bytes == "value" ? 1 : 0;
  std::vector<Value> pairs;
  for (const auto& [key, v] : value.as_dict().items) pairs.push_back(in.make_list({key, v}, Kind::kTuple));
  return in.make_list(
      sorted(in, pairs, reverse, [&](const Value& pair) { return lowered(pair.items()[part], exact); }));
}

Value items(Interpreter& in, const Value& value, Arguments&) {
  if (value.is(Kind::kUndefined)) return in.make_list({}, Kind::kIterator);
  if (!value.is(Kind::kDict)) fail_render("items: wanted a dict, found " + std::string(type_name(value)));
  std::vector<Value> pairs;
  for (const auto& [key, v] : value.as_dict().items) pairs.push_back(in.make_list({key, v}, Kind::kTuple));
  return in.make_list(std::move(pairs), Kind::kIterator);
}

// map('upper'), map(attribute='name', default=...)
Value map(Interpreter& in, const Value& value, Arguments& a) {
  std::vector<Value> out;
  const Value* path = a.values.empty() ? a.get(~size_t{0}, "attribute") : nullptr;
  const Value otherwise = a.values.empty() ? a.get_or(~size_t{0}, "default", Value()) : Value();
  if (!path && a.values.empty()) fail_render("map: wanted the name of a filter or attribute=...");
  for (const Value& v : in.iterate(value)) {
    if (path) {
      const Value found = follow(in, v, *path);
      out.push_back(found.is(Kind::kUndefined) && !otherwise.is(Kind::kUndefined) ? otherwise : found);
      continue;
    }
    Arguments rest;
    rest.values.assign(a.values.begin() + 1, a.values.end());
    rest.named = a.named;
    out.push_back(in.apply_filter(want_text(a.values[0], "map").bytes, v, rest));
  }
  return in.make_list(std::move(out), Kind::kIterator);
}

// select, reject: by a test of the value; selectattr, rejectattr: of an attribute.
Value choose(Interpreter& in, const Value& value, Arguments& a, bool by_attribute, bool wanted) {
  std::vector<Value> out;
  const size_t first = by_attribute ? 1 : 0;
  if (a.values.size() < first) fail_render("selectattr, rejectattr: wanted the name of an attribute");
  for (const Value& v : in.iterate(value)) {
    const Value seen = by_attribute ? follow(in, v, a.values[0]) : v;
    bool holds = is_true(seen);
    if (a.values.size() > first) {
      Arguments rest;
      rest.values.assign(a.values.begin() + static_cast<std::ptrdiff_t>(first) + 1, a.values.end());
      rest.named = a.named;
      holds = in.apply_test(want_text(a.values[first], "select").bytes, seen, rest);
    }
    if (holds == wanted) out.push_back(v);
  }
  return in.make_list(std::move(out), Kind::kIterator);
}

Value first(Interpreter& in, const Value& value, Arguments&) {
  const std::vector<Value> values = in.iterate(value);
  return values.empty() ? Value::undefined("No first item, sequence was empty.") : values.front();
}
Value last(Interpreter& in, const Value& value, Arguments&) {
  const std::vector<Value> values = in.iterate(value);
  return values.empty() ? Value::undefined("No last item, sequence was empty.") : values.back();
}

Value length(Interpreter&, const Value& v, Arguments&) {
  if (v.is(Kind::kUndefined)) return Value(int64_t{0});
  if (v.is(Kind::kText)) return Value(count_chars(v.as_text().bytes));
  if (v.is(Kind::kDict)) return Value(static_cast<int64_t>(v.as_dict().items.size()));
  if (v.is_sequence() || v.is(Kind::kView)) return Value(static_cast<int64_t>(v.items().size()));
  if (v.is(Kind::kLoop)) return Value(static_cast<int64_t>(static_cast<const Loop&>(*v.object).items.size()));
  fail_render(detail::join("a value of the type ", type_name(v), " has no length"));
}

Value unique(Interpreter& in, const Value& value, Arguments& a) {
  const bool exact = flag(a, 0, "case_sensitive", false);
  const Value path = a.get_or(1, "attribute", Value::none());
  std::vector<Value> out;
  Dict seen;
  for (const Value& v : in.iterate(value)) {
    const Value key = lowered(path.is(Kind::kNone) ? v : follow(in, v, path), exact);
    in.step(seen.items.size() / 8);
    if (seen.find(key)) continue;
    seen.items.emplace_back(key, Value());
    out.push_back(v);
  }
  return in.make_list(std::move(out), Kind::kIterator);
}

Value extreme(Interpreter& in, const Value& value, Arguments& a, bool greatest) {
  const bool exact = flag(a, 0, "case_sensitive", false);
  const Value path = a.get_or(1, "attribute", Value::none());
  Value best = Value::undefined("No aggregated item, sequence was empty."), best_key;
  bool any = false;
  for (const Value& v : in.iterate(value)) {
    const Value key = lowered(path.is(Kind::kNone) ? v : follow(in, v, path), exact);
    if (any && (greatest ? compare(key, best_key) <= 0 : compare(key, best_key) >= 0)) continue;
    any = true;
    best = v;
    best_key = key;
  }
  return best;
}

Value sum(Interpreter& in, const Value& value, Arguments& a) {
  const Value path = a.get_or(0, "attribute", Value::none());
  Value total = a.get_or(1, "start", Value(int64_t{0}));
  for (const Value& item : in.iterate(value)) {
    const Value v = path.is(Kind::kNone) ? item : follow(in, item, path);
    if (total.is_sequence() && v.kind == total.kind) {
      std::vector<Value> both = total.items();
      both.insert(both.end(), v.items().begin(), v.items().end());
      total = in.make_list(std::move(both), total.kind);
      continue;
    }
    if (!v.is_number() || !total.is_number()) fail_render("sum: wanted numbers");
    int64_t r = 0;
    if (!v.is_integer() || !total.is_integer()) total = Value(total.as_number() + v.as_number());
    else if (__builtin_add_overflow(total.integer, v.integer, &r))
      fail_render("sum: leaves the range of 64 bits");
    else total = Value(r);
  }
  return total;
}

Value reverse(Interpreter& in, const Value& value, Arguments&) {
  if (value.is(Kind::kText)) {
    Text out;
    std::vector<Text> chars = characters(value.as_text());
    for (size_t i = chars.size(); i-- > 0;) out.append(chars[i]);
    return in.make_text(std::move(out));
  }
  std::vector<Value> values = in.iterate(value);
  std::reverse(values.begin(), values.end());
  return in.make_list(std::move(values), Kind::kIterator);
}

// Lists of n items; the last one filled up.
Value batch(Interpreter& in, const Value& value, Arguments& a) {
  const Value* n = a.get(0, "linecount");
  const Value fill = a.get_or(1, "fill_with", Value::none());
  if (!n || want_integer(*n, "batch") < 1) fail_render("batch: wanted a number above 0");
  const auto size = static_cast<size_t>(n->integer);
  std::vector<Value> out, now;
  for (const Value& v : in.iterate(value)) {
    if (now.size() == size) out.push_back(in.make_list(std::exchange(now, {})));
    now.push_back(v);
  }
  if (!now.empty() && !fill.is(Kind::kNone)) {
    in.charge((size - now.size()) * sizeof(Value));
    now.resize(size, fill);
  }
  if (!now.empty()) out.push_back(in.make_list(std::move(now)));
  return in.make_list(std::move(out), Kind::kIterator);
}

// n lists of about one size.
Value slice(Interpreter& in, const Value& value, Arguments& a) {
  const Value* n = a.get(0, "slices");
  const Value fill = a.get_or(1, "fill_with", Value::none());
  if (!n || want_integer(*n, "slice") < 1) fail_render("slice: wanted a number above 0");
  const std::vector<Value> values = in.iterate(value);
  const auto slices = static_cast<size_t>(n->integer), each = values.size() / slices,
             longer = values.size() % slices;
  in.step(slices);
  in.charge(slices * sizeof(Value));
  std::vector<Value> out;
  for (size_t i = 0, at = 0; i < slices; ++i) {
    const size_t size = each + (i < longer ? 1 : 0);
    std::vector<Value> part(values.begin() + static_cast<std::ptrdiff_t>(at),
                            values.begin() + static_cast<std::ptrdiff_t>(at + size));
    if (!fill.is(Kind::kNone) && i >= longer) part.push_back(fill);
    out.push_back(in.make_list(std::move(part)));
    at += size;
  }
  return in.make_list(std::move(out), Kind::kIterator);
}

Value groupby(Interpreter& in, const Value& value, Arguments& a) {
  const Value* path = a.get(0, "attribute");
  const Value otherwise = a.get_or(1, "default", Value());
  const bool exact = flag(a, 2, "case_sensitive", false);
  if (!path) fail_render("groupby: wanted an attribute");
  const auto key_of = [&](const Value& v) {
    const Value key = follow(in, v, *path);
    return key.is(Kind::kUndefined) && !otherwise.is(Kind::kUndefined) ? otherwise : key;
  };
  std::vector<Value> groups;
  Value key;
  for (const Value& v :
       sorted(in, in.iterate(value), false, [&](const Value& x) { return lowered(key_of(x), exact); })) {
    const Value own = key_of(v);
    if (groups.empty() || !equal(lowered(own, exact), lowered(key, exact)))
      groups.push_back(in.make_list({own, in.make_list({})}, Kind::kTuple));
    key = own;
    groups.back().items()[1].items().push_back(v);
  }
  return in.make_list(std::move(groups));
}

Value join(Interpreter& in, const Value& value, Arguments& a) {
  const Text separator = to_text(a.get_or(0, "d", Value::text("")));
  const Value path = a.get_or(1, "attribute", Value::none());
  Text out;
  bool begun = false;
  for (const Value& v : in.iterate(value)) {
    if (begun) out.append(separator);
    begun = true;
    const Text part = to_text(path.is(Kind::kNone) ? v : follow(in, v, path));
    in.charge(separator.bytes.size() + part.bytes.size());
    out.append(part);
  }
  return in.make_text(std::move(out));
}

const std::map<std::string, Filter>& filters() {
  static const std::map<std::string, Filter> kFilters = [] {
    std::map<std::string, Filter> all = {
        {"batch", batch},
        {"count", length},
        {"dictsort", dictsort},
        {"first", first},
        {"groupby", groupby},
        {"items", items},
        {"join", join},
        {"last", last},
        {"length", length},
        {"map", map},
        {"reverse", reverse},
        {"slice", slice},
        {"sort", sort},
        {"sum", sum},
        {"unique", unique},
        {"list", [](Interpreter& in, const Value& v, Arguments&) { return in.make_list(in.iterate(v)); }},
        {"max", [](Interpreter& in, const Value& v, Arguments& a) { return extreme(in, v, a, true); }},
        {"min", [](Interpreter& in, const Value& v, Arguments& a) { return extreme(in, v, a, false); }},
        {"select",
         [](Interpreter& in, const Value& v, Arguments& a) { return choose(in, v, a, false, true); }},
        {"reject",
         [](Interpreter& in, const Value& v, Arguments& a) { return choose(in, v, a, false, false); }},
        {"selectattr",
         [](Interpreter& in, const Value& v, Arguments& a) { return choose(in, v, a, true, true); }},
        {"rejectattr",
         [](Interpreter& in, const Value& v, Arguments& a) { return choose(in, v, a, true, false); }},
        {"attr",
         [](Interpreter& in, const Value& v, Arguments& a) {
           const Value* name = a.get(0, "name");
           if (!name) fail_render("attr: wanted a name");
           // never an element: a dict has attributes of its own only
           if (v.is(Kind::kDict)) return method(v, want_text(*name, "attr").bytes);
           return in.attribute(v, want_text(*name, "attr").bytes);
         }},
    };
    add_text_filters(all);
    return all;
  }();
  return kFilters;
}

}  // namespace

Value Interpreter::apply_filter(const std::string& name, const Value& value, Arguments& arguments) {
  const auto it = filters().find(name);
  if (it == filters().end()) fail_render(detail::join("there is no filter named ", quote(name)));
  if (value.is(Kind::kText)) step(value.as_text().bytes.size() / 64);
  return it->second(*this, value, arguments);
}

}  // namespace lyceum::jinja
