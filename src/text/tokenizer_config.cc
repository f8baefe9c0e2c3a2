#include "text/tokenizer_config.h"

#include <algorithm>
#include <cstdlib>
#include <map>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "text/sentencepiece.h"
#include "text/tokenizer_state.h"

namespace lyceum {
namespace {

using OrderedJson = nlohmann::ordered_json;

OrderedJson parse(const std::string& text, const std::string& where) {
  if (text.empty()) return OrderedJson::object();
  try {
    OrderedJson json = OrderedJson::parse(text);
    check_data(json.is_object(), where.c_str(), "wanted a JSON object");
    return json;
  } catch (const OrderedJson::exception& e) {
    fail(ErrorKind::kCorruptData, where.c_str(), "wanted JSON, found ", e.what());
  }
}

// "eos_token": "</s>" or {"content": "</s>", ...}
std::string token_name(const OrderedJson& json, const char* key) {
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

OrderedJson describe(const AddedToken& t) {
  return {{"content", t.content}, {"lstrip", t.lstrip},           {"normalized", t.normalized},
          {"rstrip", t.rstrip},   {"single_word", t.single_word}, {"special", t.special}};
}

}  // namespace

void read_tokenizer_config(Tokenizer::State& s, std::string config_text, std::string special_text,
                           const std::string& where) {
  const OrderedJson config = parse(config_text, where + " tokenizer_config.json");
  const OrderedJson special = parse(special_text, where + " special_tokens_map.json");
  const auto named = [&](const char* key) {
    const std::string name = token_name(config, key);
    return name.empty() ? token_name(special, key) : name;
  };
  s.bos = find_token(s, named("bos_token"), {"<s>", "<|begin_of_text|>", "<bos>", "[CLS]"});
  s.eos = find_token(s, named("eos_token"), {"<|endoftext|>", "</s>", "<|end_of_text|>", "<eos>", "[SEP]"});
  s.pad = find_token(s, named("pad_token"), {"<|padding|>", "<pad>", "<|pad|>", "[PAD]"});

  const bool is_json = s.model_file.first == "tokenizer.json";
  OrderedJson new_config = {{"tokenizer_class", is_json ? "PreTrainedTokenizerFast" : "LlamaTokenizer"},
                            {"clean_up_tokenization_spaces", false},
                            {"model_max_length", 1000000000000000000}};
  if (!is_json) {
    new_config["add_bos_token"] = !s.prefix.empty();
    new_config["add_eos_token"] = !s.suffix.empty();
  }
  OrderedJson new_special = OrderedJson::object(), decoder = OrderedJson::object();
  for (const AddedToken& t : s.added) decoder[std::to_string(t.id)] = describe(t);
  new_config["added_tokens_decoder"] = decoder;
  if (s.yuan) {
    s.eos = yuan_end_of_text(s);
    s.bos = -1;
    s.pad = s.ids.at("<pad>");
  }
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

SentencePieceExtras read_sentencepiece_extras(const std::string& config_text, const std::string& special_text,
                                              const std::string& added_text, const std::string& where) {
  const OrderedJson config = parse(config_text, where + " tokenizer_config.json");
  const OrderedJson special = parse(special_text, where + " special_tokens_map.json");
  const OrderedJson added = parse(added_text, where + " added_tokens.json");
  SentencePieceExtras extras;
  std::map<int64_t, AddedToken> by_id;
  const auto flag = [](const OrderedJson& json, const char* key) {
    return json.is_object() && json.contains(key) && json[key].is_boolean() && json[key].get<bool>();
  };
  if (config.contains("added_tokens_decoder") && config["added_tokens_decoder"].is_object())
    for (const auto& [id, json] : config["added_tokens_decoder"].items()) {
      AddedToken t;
      t.content = token_name({{"t", json}}, "t");
      t.lstrip = flag(json, "lstrip");
      t.rstrip = flag(json, "rstrip");
      t.single_word = flag(json, "single_word");
      t.special = flag(json, "special");
      t.normalized = flag(json, "normalized");
      t.id = static_cast<int32_t>(std::strtol(id.c_str(), nullptr, 10));
      if (!t.content.empty() && t.content.size() <= 4096) by_id[t.id] = t;
    }
  for (const auto& [content, id] : added.items()) {
    if (!id.is_number_unsigned() || content.empty() || content.size() > 4096) continue;
    AddedToken t;
    t.content = content;
    t.special = true;
    t.normalized = false;
    t.id = static_cast<int32_t>(id.get<uint64_t>() & 0x7fffffff);
    by_id.emplace(t.id, t);
  }
  for (const auto& [id, token] : by_id) extras.added.push_back(token);
  const auto add = [&](const std::string& content, bool strip) {
    const auto same = [&](const AddedToken& t) { return t.content == content; };
    if (content.empty() || content.size() > 4096 ||
        std::any_of(extras.added.begin(), extras.added.end(), same))
      return;
    AddedToken t;
    t.content = content;
    t.special = true;
    t.normalized = false;
    t.lstrip = t.rstrip = strip;
    extras.added.push_back(std::move(t));
  };
  // T5 counts its sentinels from the end of the vocabulary
  if (by_id.empty() && config.contains("extra_ids") && config["extra_ids"].is_number_unsigned())
    for (uint64_t i = std::min<uint64_t>(config["extra_ids"].get<uint64_t>(), 4096); i-- > 0;)
      add("<extra_id_" + std::to_string(i) + ">", true);
  for (const OrderedJson* json : {&special, &config})
    if (json->contains("additional_special_tokens") && (*json)["additional_special_tokens"].is_array())
      for (const OrderedJson& token : (*json)["additional_special_tokens"])
        add(token_name({{"t", token}}, "t"), false);
  extras.tokenizer_class = token_name(config, "tokenizer_class");
  if (config.contains("add_bos_token")) extras.add_bos = flag(config, "add_bos_token");
  if (config.contains("add_eos_token")) extras.add_eos = flag(config, "add_eos_token");
  return extras;
}

Tokenizer Tokenizer::from_json(std::string tokenizer_json, const std::string& where) {
  auto state = read_tokenizer_json(std::move(tokenizer_json), where);
  read_tokenizer_config(*state, "", "", where);
  return Tokenizer(std::move(state));
}

Tokenizer Tokenizer::from_sentencepiece(std::string model, const std::string& where) {
  auto state = read_sentencepiece(std::move(model), {}, where);
  read_tokenizer_config(*state, "", "", where);
  return Tokenizer(std::move(state));
}

Tokenizer Tokenizer::load(const std::string& path) {
  std::string file = path;
  if (directory_exists(path)) {
    file.clear();
    for (const char* name : {"tokenizer.json", "tokenizer.model", "spiece.model", "sentencepiece.bpe.model"})
      if (file.empty() && file_exists(path + "/" + name)) file = path + "/" + name;
    if (file.empty())
      fail(ErrorKind::kNotFound, path.c_str(),
           "wanted a tokenizer.json, tokenizer.model or spiece.model in this folder, found none");
  }
  const size_t slash = file.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : file.substr(0, slash);
  const std::string name = file.substr(slash == std::string::npos ? 0 : slash + 1);
  // a file of another name than the usual ones shares its folder with strangers
  const bool at_home = name == "tokenizer.json" || name == "tokenizer.model" || name == "spiece.model" ||
                       name == "sentencepiece.bpe.model";
  const auto beside = [&](const char* other) {
    const std::string full = folder + "/" + other;
    return at_home && file_exists(full) ? read_file(full) : std::string();
  };
  const std::string config = beside("tokenizer_config.json"), special = beside("special_tokens_map.json");
  std::string text = read_file(file);
  const size_t first = text.find_first_not_of(" \t\r\n");
  const bool is_json = name.ends_with(".json") || (first != std::string::npos && text[first] == '{');
  auto state =
      is_json ? read_tokenizer_json(std::move(text), file)
              : read_sentencepiece(
                    std::move(text),
                    read_sentencepiece_extras(config, special, beside("added_tokens.json"), folder), file);
  read_tokenizer_config(*state, config, special, folder);
  return Tokenizer(std::move(state));
}

}  // namespace lyceum
