// `lyceum chat`: a conversation on the terminal.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>
#include <memory>

#include "base/log.h"
#include "base/progress.h"
#include "cli/text_options.h"
#include "cli/verb.h"

namespace lyceum {
namespace {

// A conversation and what the model has read of it. With a template each turn is the whole conversation anew,
// of which the model reads what it has not; without, turns follow each other as they were typed.
class Conversation {
 public:
  Conversation(const TextOptions& options, const ModelFolder& folder)
      : options_(options),
        folder_(folder),
        chat_(find_chat_template(options, folder)),
        sampler_(options.generate.sampling) {
    reset();
  }
  bool has_template() const { return chat_.has_value(); }
  int64_t room() const { return folder_.model->config().max_positions; }

  void reset() {
    messages_.clear();
    if (!options_.system.empty()) messages_.push_back({"system", options_.system});
    forget();
  }

  // Prints the answer to a line.
  void answer(const std::string& line) {
    std::vector<int32_t> ids = ids_of_turn(line);
    const auto known =
        std::mismatch(history_.begin(), history_.end(), ids.begin(), ids.end()).first - history_.begin();
    // keys and values cannot be taken back, and the last id must be read to go on from it
    if (static_cast<size_t>(known) < history_.size() || ids.size() <= history_.size()) forget();
    if (static_cast<int64_t>(ids.size()) + 1 >= room()) {
      log_warn("chat", "the text is full (", room(), " tokens); /reset begins anew");
      if (has_template()) messages_.pop_back();
      return;
    }
    const std::span<const int32_t> unread = std::span(ids).subspan(history_.size());
    std::span<const float> logits = sequence_->read(unread);
    history_ = std::move(ids);
    const std::string text = write(logits);
    print_text("\n");
    if (has_template()) messages_.push_back({"assistant", text});
  }

 private:
  void forget() {
    sequence_ =
        std::make_unique<TextSequence>(*folder_.model, room(), folder_.vocab(), options_.generate.domain);
    history_.clear();
  }

  std::vector<int32_t> ids_of_turn(const std::string& line) {
    if (chat_) {
      messages_.push_back({"user", line});
      return encode_conversation(*chat_, folder_.tokenizer, messages_);
    }
    std::vector<int32_t> ids = history_;
    if (ids.empty() && folder_.eos() >= 0) ids.push_back(folder_.eos());
    const std::vector<int32_t> fresh = folder_.tokenizer.encode(line);
    ids.insert(ids.end(), fresh.begin(), fresh.end());
    return ids;
  }

  std::string write(std::span<const float> logits) {
    const std::vector<int32_t>& stop = options_.generate.stop_ids;
    StreamDecoder decoder(folder_.tokenizer);
    std::string text;
    const auto show = [&](const std::string& part) {
      text += part;
      print_text(part);
    };
    for (int64_t n = 0; n < options_.generate.max_tokens && sequence_->length() < room(); ++n) {
      const int32_t id = sampler_.next(logits, history_);
      history_.push_back(id);
      logits = sequence_->read({&id, 1});
      if (std::find(stop.begin(), stop.end(), id) != stop.end()) break;
      show(decoder.push(id));
    }
    show(decoder.finish());
    return text;
  }

  const TextOptions& options_;
  const ModelFolder& folder_;
  std::optional<ChatTemplate> chat_;
  Sampler sampler_;
  std::vector<ChatMessage> messages_;
  std::vector<int32_t> history_;  // what the sequence has read
  std::unique_ptr<TextSequence> sequence_;
};

void run_chat(TextOptions o) {
  const ModelFolder folder = open_model_folder(o.model, o.dtype);
  apply_generation_config(o, folder);
  Conversation conversation(o, folder);
  log_info("chat", "room for ", conversation.room(), " tokens; ",
           conversation.has_template() ? "turns go through the model's chat template"
                                       : "no chat template: the model continues what you write",
           "; /reset forgets, an empty line or Ctrl-D ends");
  for (std::string line;;) {
    if (stderr_is_interactive()) std::fputs("\x1b[1m> \x1b[0m", stderr);
    if (!std::getline(std::cin, line) || line.empty()) break;
    if (line == "/reset") conversation.reset();
    else conversation.answer(line);
  }
}

void add_chat(CLI::App& root) {
  auto o = std::make_shared<TextOptions>();
  o->generate.max_tokens = 200;
  CLI::App* app = root.add_subcommand("chat", "talk to a model on the terminal");
  add_text_options(*app, *o);
  app->footer(
      "Turns are written as the model's chat template says (chat_template.jinja, or chat_template of\n"
      "tokenizer_config.json); a model without one continues what you write. What you type never becomes a "
      "control\n"
      "token.\n"
      "Examples:\n"
      "  lyceum chat runs/quickstart\n"
      "  lyceum chat OLMoE-1B-7B-Instruct --temp 0.6 --system 'You are terse.'\n"
      "  lyceum chat runs/tuned --chat-template chatml.jinja");
  app->callback([o] { run_chat(*o); });
}

}  // namespace

extern const Verb kChatVerb{"chat", add_chat};

}  // namespace lyceum
