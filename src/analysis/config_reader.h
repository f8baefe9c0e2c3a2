// Reading keys of a config.json with errors that name the file and the key. For .cc files of this folder.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>

namespace lyceum {

class ConfigReader {
 public:
  ConfigReader(const nlohmann::json& json, std::string where) : json_(json), where_(std::move(where)) {}

  bool has(const char* key) const;
  // An integer that must be there, at least `least`.
  int64_t count(const char* key, int64_t least = 1) const;
  int64_t count_or(const char* key, int64_t otherwise, int64_t least = 0) const;
  bool flag(const char* key, bool otherwise) const;
  std::string word(const char* key, const std::string& otherwise = {}) const;
  // The list under `key`, null when absent.
  const nlohmann::json* list(const char* key) const;
  ConfigReader inside(const char* key) const;
  const std::string& where() const { return where_; }

  // Beyond any model; keeps products inside 64 bits for long.
  static constexpr int64_t kMost = int64_t{1} << 31;

 private:
  const nlohmann::json& json_;
  std::string where_;
};

}  // namespace lyceum
