#include "models/config_reader.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "base/error.h"

namespace lyceum {
namespace {

std::string shown(const nlohmann::json& value) {
  return quote(value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)).str();
}

}  // namespace

bool ConfigReader::has(const char* key) const {
  asked_.insert(key);
  return json_.contains(key) && !json_.at(key).is_null();
}

int64_t ConfigReader::count(const char* key, int64_t least) const {
  if (!has(key)) fail(ErrorKind::kInvalidArgument, "config", where_, ": key ", key, " is missing");
  const nlohmann::json& value = json_.at(key);
  const bool integer = value.is_number_integer() && value >= least && value <= kMost;
  check(integer, "config", where_, ": ", key, " must be an integer of at least ", least, ", found ",
        shown(value));
  return value.get<int64_t>();
}

int64_t ConfigReader::count_or(const char* key, int64_t otherwise, int64_t least) const {
  return has(key) ? count(key, least) : otherwise;
}

double ConfigReader::number(const char* key, double otherwise) const {
  if (!has(key)) return otherwise;
  const nlohmann::json& value = json_.at(key);
  check(value.is_number() && std::isfinite(value.get<double>()), "config", where_, ": ", key,
        " must be a number, found ", shown(value));
  return value.get<double>();
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

std::vector<int64_t> ConfigReader::integers(const char* key) const {
  std::vector<int64_t> out;
  if (const nlohmann::json* values = list(key))
    for (const nlohmann::json& value : *values) {
      check(value.is_number_integer() && value >= -kMost && value <= kMost, "config", where_, ": ", key,
            " must be a list of integers, found ", shown(value));
      out.push_back(value.get<int64_t>());
    }
  return out;
}

std::vector<double> ConfigReader::numbers(const char* key) const {
  std::vector<double> out;
  if (const nlohmann::json* values = list(key))
    for (const nlohmann::json& value : *values) {
      check(value.is_number(), "config", where_, ": ", key, " must be a list of numbers, found ",
            shown(value));
      out.push_back(value.get<double>());
    }
  return out;
}

std::vector<std::string> ConfigReader::words(const char* key) const {
  std::vector<std::string> out;
  if (const nlohmann::json* values = list(key))
    for (const nlohmann::json& value : *values) {
      check(value.is_string(), "config", where_, ": ", key, " must be a list of words, found ", shown(value));
      out.push_back(value.get<std::string>());
    }
  return out;
}

int64_t ConfigReader::token(const char* key) const {
  if (!has(key)) return -1;
  const nlohmann::json& value = json_.at(key);
  const nlohmann::json& first = value.is_array() && !value.empty() ? value[0] : value;
  if (value.is_array() && value.empty()) return -1;
  check(first.is_number_integer() && first >= -1 && first <= kMost, "config", where_, ": ", key,
        " must be a token id, found ", shown(value));
  return first.get<int64_t>();
}

bool ConfigReader::object(const char* key) const { return has(key) && json_.at(key).is_object(); }

ConfigReader ConfigReader::inside(const char* key) const {
  check(object(key), "config", where_, ": key ", key, " must be an object");
  return {json_.at(key), where_ + ": " + key};
}

}  // namespace lyceum
