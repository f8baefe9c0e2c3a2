#include "text/chat_template.h"

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "text/template/interpreter.h"
#include "text/template/parser.h"
#include "text/unicode.h"

namespace lyceum {

using OrderedJson = nlohmann::ordered_json;

struct ChatTemplate::State {
  jinja::Body body;
  std::string where;
};

namespace {

// What a template says may hold anything: a message of ours is one line.
Error one_line(const Error& e) {
  std::string message, buffer(e.what());
  for (char& c : buffer)
    if (static_cast<uint8_t>(c) < ' ' || c == 0x7f) c = ' ';
  if (buffer.size() > 600) buffer = buffer.substr(0, 600) + "...";
  return Error(e.kind(), std::string(to_valid_utf8(buffer, message)));
}

}  // namespace

ChatTemplate ChatTemplate::parse(std::string_view source, const std::string& where) {
  constexpr size_t kLongest = 4 << 20;
  check_data(source.size() <= kLongest, where.c_str(), "wanted a template of at most ", kLongest,
             " bytes, found ", source.size());
  std::string buffer;
  auto state = std::make_shared<State>();
  state->where = where;
  try {
    state->body = jinja::parse(to_valid_utf8(source, buffer), where);
  } catch (const Error& e) {
    throw one_line(e);
  }
  return ChatTemplate(std::move(state));
}

std::optional<ChatTemplate> ChatTemplate::load(const std::string& folder, const std::string& name) {
  const std::string own = folder + "/chat_template.jinja",
                    named = folder + "/additional_chat_templates/" + name + ".jinja";
  if (name != "default" && file_exists(named)) return parse(read_file(named), named);
  if (name == "default" && file_exists(own)) return parse(read_file(own), own);
  const std::string config = folder + "/tokenizer_config.json", where = config + " chat_template";
  if (!file_exists(config)) return std::nullopt;
  try {
    const OrderedJson json = OrderedJson::parse(read_file(config));
    if (!json.is_object() || !json.contains("chat_template") || json["chat_template"].is_null())
      return std::nullopt;
    const OrderedJson& found = json["chat_template"];
    if (found.is_string()) return parse(found.get<std::string>(), where);
    check_data(found.is_array(), where.c_str(), "wanted a string or a list of named templates");
    std::string names;
    for (const OrderedJson& one : found) {
      check_data(one.is_object() && one.contains("name") && one["name"].is_string() &&
                     one.contains("template") && one["template"].is_string(),
                 where.c_str(), "wanted entries with name and template");
      if (one["name"] == name) return parse(one["template"].get<std::string>(), where + " \"" + name + "\"");
      names += (names.empty() ? "" : ", ") + one["name"].get<std::string>();
    }
    fail(ErrorKind::kNotFound, where.c_str(), "there is no template named ", quote(name), "; there are ",
         quote(names));
  } catch (const OrderedJson::exception& e) {
    fail(ErrorKind::kCorruptData, where.c_str(), "wanted JSON, found ", e.what());
  }
}

std::vector<MarkedText> ChatTemplate::render(std::string_view conversation, std::string_view settings,
                                             const TemplateLimits& limits, std::time_t now) const {
  const std::string where = state_->where;
  try {
    const jinja::Value ours = jinja::from_json(settings, false, where + " settings");
    const jinja::Value theirs = jinja::from_json(conversation, true, where + " conversation");
    for (const auto* value : {&ours, &theirs})
      check_data(value->is(jinja::Kind::kDict), where.c_str(), "wanted variables as a JSON object");
    jinja::Interpreter interpreter(where, {limits.steps, limits.bytes}, now);
    const jinja::Text text = interpreter.render(state_->body, {theirs, ours});
    std::vector<MarkedText> parts;
    for (size_t i = 0; i < text.bytes.size();) {
      const auto user = [&](size_t k) { return !text.marks.empty() && text.marks[k] != 0; };
      size_t end = i + 1;
      while (end < text.bytes.size() && user(end) == user(i)) ++end;
      parts.push_back({text.bytes.substr(i, end - i), !user(i)});
      i = end;
    }
    return parts;
  } catch (const Error& e) {
    throw one_line(e);
  }
}

std::string conversation_json(std::span<const ChatMessage> messages) {
  OrderedJson json = {{"messages", OrderedJson::array()}, {"add_generation_prompt", true}};
  for (const ChatMessage& m : messages)
    json["messages"].push_back({{"role", m.role}, {"content", m.content}});
  return json.dump(-1, ' ', false, OrderedJson::error_handler_t::replace);
}

std::string template_settings(const Tokenizer& tokenizer) {
  OrderedJson json = OrderedJson::object();
  const std::pair<const char*, int32_t> roles[] = {{"bos_token", tokenizer.bos_id()},
                                                   {"eos_token", tokenizer.eos_id()},
                                                   {"pad_token", tokenizer.pad_id()}};
  for (const auto& [role, id] : roles) {
    if (id < 0) continue;
    json[role] = tokenizer.piece(id);
    for (const AddedToken& t : tokenizer.added_tokens())
      if (t.id == id) json[role] = t.content;
  }
  return json.dump(-1, ' ', false, OrderedJson::error_handler_t::replace);
}

}  // namespace lyceum
