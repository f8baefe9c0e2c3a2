// Reading keys of a config.json with errors that name the file and the key. For .cc files of this folder.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "base/error.h"

namespace lyceum {

class ConfigReader {
 public:
  ConfigReader(const nlohmann::json& json, std::string where) : json_(json), where_(std::move(where)) {}

  bool has(const char* key) const { return json_.contains(key) && !json_.at(key).is_null(); }
  // An integer that must be there, at least `least`.
  int64_t count(const char* key, int64_t least = 1) const {
    if (!has(key)) fail(ErrorKind::kInvalidArgument, "config", where_, ": key ", key, " is missing");
    const nlohmann::json& value = json_.at(key);
    const bool integer = value.is_number_integer() && value >= least && value <= kMost;
    check(integer, "config", where_, ": ", key, " must be an integer of at least ", least, ", found ",
          quote(value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)).str());
    return value.get<int64_t>();
  }
  int64_t count_or(const char* key, int64_t otherwise, int64_t least = 0) const {
    return has(key) ? count(key, least) : otherwise;
  }
  bool flag(const char* key, bool otherwise) const {
    if (!has(key)) return otherwise;
    check(json_.at(key).is_boolean(), "config", where_, ": ", key, " must be true or false");
    return json_.at(key).get<bool>();
  }
  std::string word(const char* key, const std::string& otherwise = {}) const {
    return has(key) && json_.at(key).is_string() ? json_.at(key).get<std::string>() : otherwise;
  }
  // The list under `key`, null when absent.
  const nlohmann::json* list(const char* key) const {
    if (!has(key)) return nullptr;
    check(json_.at(key).is_array(), "config", where_, ": ", key, " must be a list");
    return &json_.at(key);
  }
  ConfigReader inside(const char* key) const {
    check(has(key) && json_.at(key).is_object(), "config", where_, ": key ", key, " must be an object");
    return {json_.at(key), where_ + ": " + key};
  }
  const std::string& where() const { return where_; }

  static constexpr int64_t kMost = int64_t{1}
                                   << 31;  // beyond any model; keeps products inside 64 bits for long

 private:
  const nlohmann::json& json_;
  std::string where_;
};

}  // namespace lyceum
