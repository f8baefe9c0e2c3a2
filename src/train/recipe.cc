// Recipes on disk: TOML through toml++ and JSON through nlohmann, flattened to settings with their places.
#include <toml++/toml.h>

#include <nlohmann/json.hpp>

#include "base/file.h"
#include "train/config.h"

namespace lyceum {
namespace {

std::string text_of(const toml::node& node) {
  if (const auto* s = node.as_string()) return s->get();
  if (const auto* i = node.as_integer()) return std::to_string(i->get());
  if (const auto* b = node.as_boolean()) return b->get() ? "true" : "false";
  if (const auto* d = node.as_floating_point()) {
    double value = d->get();
    return field_text(&value);
  }
  return "";
}

void flatten(const toml::table& table, const std::string& path, const std::string& prefix,
             std::vector<Setting>& out) {
  for (const auto& [name, node] : table) {
    const std::string key = prefix + std::string(name.str());
    const std::string source = path + ":" + std::to_string(name.source().begin.line);
    if (const toml::table* inner = node.as_table()) {
      flatten(*inner, path, key + ".", out);
    } else if (const toml::array* list = node.as_array()) {
      std::string text = "[";
      for (const toml::node& item : *list) {
        check(item.is_value(), source.c_str(), key, " wants a flat list");
        text += (text.size() > 1 ? ", " : "") + text_of(item);
      }
      out.push_back({source, key, text + "]"});
    } else {
      check(node.is_string() || node.is_number() || node.is_boolean(), source.c_str(), key,
            " wants a word, a number, true, false or a list");
      out.push_back({source, key, text_of(node)});
    }
  }
}

std::string json_text_of(const nlohmann::json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (!value.is_array()) return value.dump();
  std::string text = "[";
  for (const auto& item : value) text += (text.size() > 1 ? ", " : "") + json_text_of(item);
  return text + "]";
}

}  // namespace

std::vector<Setting> read_toml_settings(const std::string& path) {
  const std::string text = read_file(path, size_t{1} << 20);
  std::vector<Setting> out;
  try {
    flatten(toml::parse(text, path), path, "", out);
  } catch (const toml::parse_error& e) {
    fail(ErrorKind::kInvalidArgument, (path + ":" + std::to_string(e.source().begin.line)).c_str(),
         e.description());
  }
  return out;
}

TrainConfig config_from_json(const std::string& text, const std::string& where) {
  const auto json = nlohmann::json::parse(text, nullptr, false);
  check_data(json.is_object(), where.c_str(), "the configuration of the run is not a JSON object");
  std::vector<Setting> settings;
  for (const auto& [section, keys] : json.items()) {
    check_data(keys.is_object(), where.c_str(), "the section ", quote(section), " is not an object");
    for (const auto& [key, value] : keys.items())
      settings.push_back({where, section + "." + key, json_text_of(value)});
  }
  TrainConfig config;
  detail::apply_settings(fields_of(config), settings);
  config.model.balance_coefficient = config.balance_options().balance_coefficient;
  return config;
}

}  // namespace lyceum
