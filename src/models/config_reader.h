// Reading keys of a config.json with errors that name the file and the key. For .cc files that parse one.
//
// A reader remembers which keys were asked for: what nobody asked for is unknown to the family, and
// models/config_json.cc decides whether that is harmless.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <set>
#include <string>
#include <vector>

namespace lyceum {

class ConfigReader {
 public:
  ConfigReader(const nlohmann::json& json, std::string where) : json_(json), where_(std::move(where)) {}

  bool has(const char* key) const;  // and is not null
  // An integer that must be there, at least `least`.
  int64_t count(const char* key, int64_t least = 1) const;
  int64_t count_or(const char* key, int64_t otherwise, int64_t least = 0) const;
  double number(const char* key, double otherwise) const;
  bool flag(const char* key, bool otherwise) const;
  std::string word(const char* key, const std::string& otherwise = {}) const;
  // The list under `key`, null when absent.
  const nlohmann::json* list(const char* key) const;
  std::vector<int64_t> integers(const char* key) const;   // empty when absent
  std::vector<double> numbers(const char* key) const;     // empty when absent
  std::vector<std::string> words(const char* key) const;  // empty when absent
  // A token id, the first of a list; -1 when absent.
  int64_t token(const char* key) const;
  ConfigReader inside(const char* key) const;
  bool object(const char* key) const;  // whether an object stands there
  const std::string& where() const { return where_; }

  const std::set<std::string>& asked() const { return asked_; }
  const nlohmann::json& json() const { return json_; }

  // Beyond any model; keeps products inside 64 bits for long.
  static constexpr int64_t kMost = int64_t{1} << 31;

 private:
  const nlohmann::json& json_;
  std::string where_;
  mutable std::set<std::string> asked_;
};

}  // namespace lyceum
