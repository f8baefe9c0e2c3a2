// Chat templates: how a list of messages becomes the text that a model was tuned on. The language is the part
// of Jinja2 that the templates of published models use, with the results that Python's Jinja2 gives in the
// sandbox of `transformers`; it can read nothing and change nothing outside, and is bounded in steps, memory
// and depth.
#pragma once

#include <ctime>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "text/tokenizer.h"

namespace lyceum {

struct TemplateLimits {
  uint64_t steps = 20'000'000;
  uint64_t bytes = uint64_t{256} << 20;  // of all strings and lists that are made on the way
};

class ChatTemplate {
 public:
  // Throws kCorruptData or kUnsupported: "where:line:column: wanted ..., found ...".
  static ChatTemplate parse(std::string_view source, const std::string& where);
  // The template of a model's folder: chat_template.jinja, or chat_template of tokenizer_config.json, which
  // may be a list of named ones ("default", "tool_use", "rag"); nothing where there is none.
  static std::optional<ChatTemplate> load(const std::string& folder, const std::string& name = "default");

  // The text, cut where it changes between what the template wrote and what came out of `conversation`: a
  // JSON object with messages, tools, documents, add_generation_prompt and whatever else the template asks
  // for. `settings`: a JSON object of ours, see template_settings. Throws kInvalidArgument with the place in
  // the template, among others when the template itself refuses (raise_exception).
  std::vector<MarkedText> render(std::string_view conversation, std::string_view settings = "{}",
                                 const TemplateLimits& limits = {},
                                 std::time_t now = std::time(nullptr)) const;

  struct State;

 private:
  explicit ChatTemplate(std::shared_ptr<const State> state) : state_(std::move(state)) {}
  std::shared_ptr<const State> state_;
};

struct ChatMessage {
  std::string role, content;
};

// {"messages": [...], "add_generation_prompt": true}
std::string conversation_json(std::span<const ChatMessage> messages);
// {"bos_token": "<s>", "eos_token": ...} of a tokenizer.
std::string template_settings(const Tokenizer& tokenizer);

}  // namespace lyceum
