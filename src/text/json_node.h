// For .cc files of this folder: a JSON object that knows where it stands, so that every error of a
// tokenizer.json names its place.
#pragma once

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/error.h"
#include "text/unicode.h"

namespace lyceum {

using Json = nlohmann::json;

// A JSON object and where it stands, for errors: "gpt.json: pre_tokenizer.pretokenizers[1]".
struct Node {
  const Json& json;
  std::string where;

  [[noreturn]] void bad(const char* key, const char* wanted) const {
    const Json* found = json.is_object() && json.contains(key) ? &json[key] : nullptr;
    std::string text = found ? found->dump(-1, ' ', false, Json::error_handler_t::replace) : "nothing";
    if (text.size() > 60) text = text.substr(0, 60) + "...";
    fail(ErrorKind::kCorruptData, where.c_str(), key, ": wanted ", wanted, ", found ", text);
  }
  const Json* get(const char* key) const {  // null when absent or null
    if (!json.is_object()) fail(ErrorKind::kCorruptData, where.c_str(), "wanted an object");
    const auto it = json.find(key);
    return it == json.end() || it->is_null() ? nullptr : &*it;
  }
  std::string text(const char* key) const {
    const Json* v = get(key);
    if (!v || !v->is_string()) bad(key, "a string");
    return v->get<std::string>();
  }
  std::string text_or(const char* key, const std::string& otherwise) const {
    return get(key) ? text(key) : otherwise;
  }
  bool flag(const char* key, bool otherwise) const {
    const Json* v = get(key);
    if (v && !v->is_boolean()) bad(key, "true or false");
    return v ? v->get<bool>() : otherwise;
  }
  uint32_t count(const char* key) const {
    const Json* v = get(key);
    if (!v || !v->is_number_unsigned() || v->get<uint64_t>() > 0x7fffffff)
      bad(key, "a number of 0 and above");
    return static_cast<uint32_t>(v->get<uint64_t>());
  }
  char32_t character(const char* key) const {
    const std::string s = text(key);
    int bytes = 0;
    const char32_t c = s.empty() ? 0 : decode_char(s.data(), &bytes);
    if (s.empty() || static_cast<size_t>(bytes) != s.size()) bad(key, "one character");
    return c;
  }
  std::vector<Node> list(const char* key) const {
    const Json* v = get(key);
    if (!v || !v->is_array()) bad(key, "a list");
    std::vector<Node> nodes;
    for (size_t i = 0; i < v->size(); ++i)
      nodes.push_back({(*v)[i], detail::join(where, ".", key, "[", i, "]")});
    return nodes;
  }
  Node child(const char* key) const {
    const Json* v = get(key);
    if (!v) bad(key, "an object");
    return {*v, where + "." + key};
  }
  // {"String": s} or {"Regex": s}
  std::string pattern(const char* key, bool* is_regex) const {
    const Json* v = get(key);
    if (v && v->is_object() && v->size() == 1 && v->begin()->is_string()) {
      *is_regex = v->begin().key() == "Regex";
      if (*is_regex || v->begin().key() == "String") return v->begin()->get<std::string>();
    }
    bad(key, "{\"String\": ...} or {\"Regex\": ...}");
  }
  template <class Value>
  Value choice(const char* key, const std::map<std::string, Value>& values) const {
    const auto it = values.find(text(key));
    if (it == values.end()) bad(key, "one of the names that Hugging Face tokenizers has");
    return it->second;
  }
};

inline void check_depth(
    const Node& node) {  // readers call themselves: a hostile file must not use up the stack
  if (std::count(node.where.begin(), node.where.end(), '[') > 16)
    fail(ErrorKind::kUnsupported, node.where.c_str(), "wanted pieces up to 16 deep, found deeper ones");
}

// Makes the piece that node.type names from a table of makers.
template <class Result>
Result make_piece(const Node& node, const std::map<std::string, Result (*)(const Node&)>& makers) {
  const std::string type = node.text("type");
  const auto it = makers.find(type);
  if (it == makers.end()) {
    std::string known;
    for (const auto& [name, maker] : makers) known += (known.empty() ? "" : ", ") + name;
    fail(ErrorKind::kUnsupported, node.where.c_str(), "the piece ", type, " is unknown here; known are ",
         known);
  }
  check_depth(node);
  return it->second(node);
}

template <class Result>
std::vector<Result> make_pieces(const Node& node, const char* key, Result (*make)(const Node&)) {
  std::vector<Result> parts;
  for (const Node& part : node.list(key)) parts.push_back(make(part));
  return parts;
}

}  // namespace lyceum
