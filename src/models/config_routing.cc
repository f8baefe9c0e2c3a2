#include "models/config_routing.h"

#include <nlohmann/json.hpp>

#include "models/families.h"

namespace lyceum {
namespace {

// All keys of the routing as text, the router's name first.
std::vector<std::pair<std::string, std::string>> texts_of(const ModelConfig& c) {
  RouterOptions o = c.routing;
  o.router = c.router;
  std::vector<std::pair<std::string, std::string>> out = {{"router", c.router},
                                                          {"renormalise", c.renormalise ? "true" : "false"}};
  for (const Field& f : fields_of(o)) out.emplace_back(f.key, field_text(f.value));
  return out;
}

}  // namespace

void write_routing(const ModelConfig& c, nlohmann::ordered_json& json) {
  if (!c.sparse()) return;
  const auto wanted = texts_of(c), found = texts_of(read_model_config(json.dump(), "config.json"));
  nlohmann::ordered_json own;
  for (size_t i = 0; i < wanted.size(); ++i)
    if (wanted[i] != found[i]) own[wanted[i].first] = wanted[i].second;
  if (!own.empty()) json["lyceum"] = own;
}

void read_routing(const ConfigReader& keys, ModelConfig& c) {
  if (!keys.object("lyceum")) return;
  const ConfigReader own = keys.inside("lyceum");
  std::vector<Setting> settings;
  for (const auto& [key, value] : own.json().items()) {
    check_data(value.is_string(), keys.where().c_str(), "lyceum.", quote(key), ": wanted a text, found ",
               value.type_name());
    const std::string text = value.get<std::string>();
    if (key == "router") c.router = find_router(text).name;
    else if (key == "renormalise") c.renormalise = text == "true";
    else settings.push_back({keys.where() + ": lyceum", key, text});
  }
  c.routing.router = c.router;
  try {
    detail::apply_settings(fields_of(c.routing), settings);
  } catch (const Error& e) {
    fail(ErrorKind::kCorruptData, keys.where().c_str(), e.what());
  }
}

}  // namespace lyceum
