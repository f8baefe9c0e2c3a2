#include "analysis/config_reader.h"

#include <nlohmann/json.hpp>

#include "base/error.h"

namespace lyceum {

bool ConfigReader::has(const char* key) const { return json_.contains(key) && !json_.at(key).is_null(); }

int64_t ConfigReader::count(const char* key, int64_t least) const {
  if (!has(key)) fail(ErrorKind::kInvalidArgument, "config", where_, ": key ", key, " is missing");
  const nlohmann::json& value = json_.at(key);
  const bool integer = value.is_number_integer() && value >= least && value <= kMost;
  check(integer, "config", where_, ": ", key, " must be an integer of at least ", least, ", found ",
        quote(value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)).str());
  return value.get<int64_t>();
}

int64_t ConfigReader::count_or(const char* key, int64_t otherwise, int64_t least) const {
  return has(key) ? count(key, least) : otherwise;
}

bool ConfigReader::flag(const char* key, bool otherwise) const {
  if (!has(key)) return otherwise;
  check(json_.at(key).is_boolean(), "config", where_, ": ", key, " must be true or false");
  return json_.at(key).get<bool>();
}

std::string ConfigReader::word(const char* key, const std::string& otherwise) const {
  return has(key) && json_.at(key).is_string() ? json_.at(key).get<std::string>() : otherwise;
}

const nlohmann::json* ConfigReader::list(const char* key) const {
  if (!has(key)) return nullptr;
  check(json_.at(key).is_array(), "config", where_, ": ", key, " must be a list");
  return &json_.at(key);
}

ConfigReader ConfigReader::inside(const char* key) const {
  check(has(key) && json_.at(key).is_object(), "config", where_, ": key ", key, " must be an object");
  return {json_.at(key), where_ + ": " + key};
}

}  // namespace lyceum
