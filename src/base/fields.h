// Every configuration key is declared once, and everything else follows from the declaration: TOML, JSON,
// command line, --help, hash, diff, "unknown key" and "this key has no effect here".
//
//   struct AdamConfig {
//     double lr = 4e-4, beta1 = 0.9;
//     void fields(Fields& f) {
//       f.add("lr", lr, "peak learning rate", at_least(0));
//       f.add("beta1", beta1, "decay of the first moment", between(0, 1), effective(name == "adamw", "only
//       adamw has it")); f.section("schedule", schedule);          // keys become schedule.warmup, ...
//     }
//   };
//
// A key that the user sets although it has no effect is refused by name: settings are never silently ignored.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace lyceum {

using FieldValue = std::variant<bool*, int64_t*, double*, std::string*, std::vector<std::string>*,
                                std::vector<int64_t>*, std::vector<double>*>;

// Conditions on a field; combine by passing several.
struct FieldRule {
  enum Kind { kMin, kMax, kAbove, kBelow, kChoice, kEffective } kind;
  double bound = 0;
  std::vector<std::string> choices;
  bool holds = true;
  std::string reason;
};
inline FieldRule at_least(double x) { return {FieldRule::kMin, x, {}, true, {}}; }
inline FieldRule at_most(double x) { return {FieldRule::kMax, x, {}, true, {}}; }
inline FieldRule above(double x) { return {FieldRule::kAbove, x, {}, true, {}}; }
inline FieldRule below(double x) { return {FieldRule::kBelow, x, {}, true, {}}; }
inline FieldRule one_of(std::vector<std::string> names) {
  return {FieldRule::kChoice, 0, std::move(names), true, {}};
}
// The field matters only when `holds`; otherwise setting it is an error that ends with `reason`.
inline FieldRule effective(bool holds, std::string reason) {
  return {FieldRule::kEffective, 0, {}, holds, std::move(reason)};
}

struct Field {
  std::string key;  // "optimizer.lr"
  FieldValue value;
  std::string help;
  std::vector<FieldRule> rules;
  std::string default_text;  // as declared, before anything was set
};

class Fields {
 public:
  template <class... Rules>
  void add(const char* name, bool& v, const char* help, Rules... rules) {
    push(name, &v, help, {rules...});
  }
  template <class... Rules>
  void add(const char* name, int64_t& v, const char* help, Rules... rules) {
    push(name, &v, help, {rules...});
  }
  template <class... Rules>
  void add(const char* name, double& v, const char* help, Rules... rules) {
    push(name, &v, help, {rules...});
  }
  template <class... Rules>
  void add(const char* name, std::string& v, const char* help, Rules... rules) {
    push(name, &v, help, {rules...});
  }
  template <class... Rules>
  void add(const char* name, std::vector<std::string>& v, const char* help, Rules... rules) {
    push(name, &v, help, {rules...});
  }
  template <class... Rules>
  void add(const char* name, std::vector<int64_t>& v, const char* help, Rules... rules) {
    push(name, &v, help, {rules...});
  }
  template <class... Rules>
  void add(const char* name, std::vector<double>& v, const char* help, Rules... rules) {
    push(name, &v, help, {rules...});
  }

  template <class Config>
  void section(const char* name, Config& config) {
    const std::string outer = prefix_;
    prefix_ += std::string(name) + ".";
    config.fields(*this);
    prefix_ = outer;
  }

  const std::vector<Field>& all() const { return fields_; }

 private:
  void push(const char* name, FieldValue value, const char* help, std::vector<FieldRule> rules);
  std::string prefix_;
  std::vector<Field> fields_;
};

// One key set by the user: where it came from ("recipe.toml:12", "--train.steps"), its key and its text.
struct Setting {
  std::string source, key, text;
};

// The value as text, the way the command line takes it: true, 12, 0.0004, word, [a, b].
std::string field_text(const FieldValue& value);

namespace detail {
void apply_settings(const std::vector<Field>& fields, const std::vector<Setting>& settings);
void check_settings(const std::vector<Field>& fields, const std::vector<Setting>& settings);
std::string help_text(const std::vector<Field>& fields);
std::string json_text(const std::vector<Field>& fields);
}  // namespace detail

template <class Config>
std::vector<Field> fields_of(Config& config) {
  Fields f;
  config.fields(f);
  return f.all();
}

// Applies settings in order. Throws kInvalidArgument: unknown key (with the nearest known one), wrong type,
// out of range, or a key without effect under the final configuration.
template <class Config>
void apply_settings(Config& config, const std::vector<Setting>& settings) {
  detail::apply_settings(fields_of(config), settings);
  detail::check_settings(fields_of(config), settings);  // rules may depend on other fields: ask again
}

// One line per key: "  --optimizer.lr=0.0004   peak learning rate [>= 0]".
template <class Config>
std::string config_help(Config config) {
  return detail::help_text(fields_of(config));
}

// {"optimizer": {"lr": 0.0004, ...}, ...}, keys in declared order, two blanks of indent.
template <class Config>
std::string config_json(Config config) {
  return detail::json_text(fields_of(config));
}

// 64-bit hash of all keys and values.
uint64_t fields_hash(const std::vector<Field>& fields);

// "key: a -> b" for every key that differs; both lists must come from the same config type.
std::vector<std::string> fields_diff(const std::vector<Field>& a, const std::vector<Field>& b);

// The name in `known` that is nearest to `word` by edit distance, or "" when none is near.
std::string nearest_name(std::string_view word, const std::vector<std::string>& known);

}  // namespace lyceum
