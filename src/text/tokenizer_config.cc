#include "text/tokenizer_config.h"

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "text/tokenizer_state.h"

namespace lyceum {
namespace {

using Json = nlohmann::ordered_json;

Json parse(const std::string& text, const std::string& where) {
  if (text.empty()) return Json::object();
  try {
    Json json = Json::parse(text);
    check_data(json.is_object(), where.c_str(), "wanted a JSON object");
    return json;
  } catch (const Json::exception& e) {
    fail(ErrorKind::kCorruptData, where.c_str(), "wanted JSON, found ", e.what());
  }
}

// "eos_token": "</s>" or {"content": "</s>", ...}
std::string token_name(const Json& json, const char* key) {
  const auto it = json.find(key);
  if (it == json.end()) return {};
  if (it->is_string()) return it->get<std::string>();
  if (it->is_object() && it->contains("content") && (*it)["content"].is_string())
    return (*it)["content"].get<std::string>();
  return {};
}

int32_t find_token(const Tokenizer::State& s, const std::string& named,
                   std::initializer_list<const char*> usual) {
  const auto id = [&](const std::string& name) {
    const auto it = s.ids.find(name);
    return it == s.ids.end() ? -1 : it->second;
  };
  if (!named.empty()) return id(named);
  for (const char* name : usual) {
    const int32_t found = id(name);
    if (found >= 0 && s.special[static_cast<size_t>(found)]) return found;
  }
  return -1;
}

std::string content_of(const Tokenizer::State& s, int32_t id) {
  for (const AddedToken& t : s.added)
    if (t.id == id) return t.content;
  return s.pieces[static_cast<size_t>(id)];
}

Json describe(const AddedToken& t) {
  return {{"content", t.content}, {"lstrip", t.lstrip},           {"normalized", t.normalized},
          {"rstrip", t.rstrip},   {"single_word", t.single_word}, {"special", t.special}};
}

}  // namespace

void read_tokenizer_config(Tokenizer::State& s, std::string config_text, std::string special_text,
                           const std::string& where) {
  const Json config = parse(config_text, where + " tokenizer_config.json");
  const Json special = parse(special_text, where + " special_tokens_map.json");
  const auto named = [&](const char* key) {
    const std::string name = token_name(config, key);
    return name.empty() ? token_name(special, key) : name;
  };
  s.bos = find_token(s, named("bos_token"), {"<s>", "<|begin_of_text|>", "<bos>", "[CLS]"});
  s.eos = find_token(s, named("eos_token"), {"<|endoftext|>", "</s>", "<|end_of_text|>", "<eos>", "[SEP]"});
  s.pad = find_token(s, named("pad_token"), {"<|padding|>", "<pad>", "<|pad|>", "[PAD]"});

  Json new_config = {{"tokenizer_class", "PreTrainedTokenizerFast"},
                     {"clean_up_tokenization_spaces", false},
                     {"model_max_length", 1000000000000000000}};
  Json new_special = Json::object(), decoder = Json::object();
  for (const AddedToken& t : s.added) decoder[std::to_string(t.id)] = describe(t);
  new_config["added_tokens_decoder"] = decoder;
  const std::pair<const char*, int32_t> roles[] = {
      {"bos_token", s.bos}, {"eos_token", s.eos}, {"pad_token", s.pad}};
  for (const auto& [role, id] : roles) {
    if (id < 0) continue;
    new_config[role] = content_of(s, id);
    new_special[role] = content_of(s, id);
  }
  s.config_json = config_text.empty() ? new_config.dump(2) + "\n" : std::move(config_text);
  s.special_tokens_json = special_text.empty() ? new_special.dump(2) + "\n" : std::move(special_text);
}

Tokenizer Tokenizer::from_json(std::string tokenizer_json, const std::string& where) {
  auto state = read_tokenizer_json(std::move(tokenizer_json), where);
  read_tokenizer_config(*state, "", "", where);
  return Tokenizer(std::move(state));
}

Tokenizer Tokenizer::load(const std::string& path) {
  const bool is_folder = directory_exists(path);
  const std::string file = is_folder ? path + "/tokenizer.json" : path;
  if (is_folder && !file_exists(file))
    fail(ErrorKind::kNotFound, path.c_str(), "wanted a tokenizer.json in this folder, found none");
  auto state = read_tokenizer_json(read_file(file), file);
  const size_t slash = file.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : file.substr(0, slash);
  const auto beside = [&](const char* name) {
    const std::string other = folder + "/" + name;
    // a file of another name than tokenizer.json shares its folder with strangers
    return file.ends_with("tokenizer.json") && file_exists(other) ? read_file(other) : std::string();
  };
  read_tokenizer_config(*state, beside("tokenizer_config.json"), beside("special_tokens_map.json"), folder);
  return Tokenizer(std::move(state));
}

}  // namespace lyceum
