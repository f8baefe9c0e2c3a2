// What `generate` and `chat` share: options of the choice of ids, the chat template of a model, its
// generation_config.json.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "cli/model_folder.h"
#include "infer/generate.h"
#include "text/chat_template.h"

namespace lyceum {

struct TextOptions {
  std::string model, dtype = "bf16", template_file, system;
  GenerateOptions generate;
  bool ignore_eos = false, raw = false;
  std::function<bool(const char*)> given;  // whether an option stood on the command line
};

void add_text_options(CLI::App& app, TextOptions& options);

// Takes over what generation_config.json says and the command line does not: how ids are chosen (if it
// samples at all) and which ids end a text.
void apply_generation_config(TextOptions& options, const ModelFolder& folder);

// The template of --chat-template or of the model's folder; nothing for a model that was never tuned, or
// --raw.
std::optional<ChatTemplate> find_chat_template(const TextOptions& options, const ModelFolder& folder);

// Ids of a conversation through the template. Control tokens are those that the template writes; the same
// words in a message stay text.
std::vector<int32_t> encode_conversation(const ChatTemplate& chat, const Tokenizer& tokenizer,
                                         const std::vector<ChatMessage>& messages);

void print_text(const std::string& text);

}  // namespace lyceum
