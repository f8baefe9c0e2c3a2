// `lyceum generate`: a text continued, or one answer of a tuned model.
#include <CLI/CLI.hpp>
#include <memory>

#include "base/clock.h"
#include "base/log.h"
#include "base/progress.h"
#include "cli/text_options.h"
#include "cli/verb.h"

namespace lyceum {
namespace {

struct GenerateOptions : TextOptions {
  std::string prompt, file;
  bool echo = true;
};

void run_generate(GenerateOptions o) {
  if (!o.file.empty()) o.prompt = read_file(o.file);
  const ModelFolder folder = open_model_folder(o.model, o.dtype);
  apply_generation_config(o, folder);
  std::vector<int32_t> prompt;
  if (const auto chat = find_chat_template(o, folder)) {
    std::vector<ChatMessage> messages;
    if (!o.system.empty()) messages.push_back({"system", o.system});
    messages.push_back({"user", o.prompt});
    prompt = encode_conversation(*chat, folder.tokenizer, messages);
    log_info("generate",
             "the prompt goes through the chat template of the model; --raw continues it as it is");
  } else {
    prompt = folder.tokenizer.encode(o.prompt);
    if (o.echo && !folder.model->config().encoder_decoder()) print_text(o.prompt);
  }
  if (prompt.empty() && folder.eos() >= 0) prompt.push_back(folder.eos());  // text from nothing
  StreamDecoder decoder(folder.tokenizer);
  const double begin = steady_seconds();
  const auto fresh = generate(*folder.model, prompt, o.generate, folder.vocab(), [&](int32_t id) {
    print_text(decoder.push(id));
    return true;
  });
  print_text(decoder.finish() + "\n");
  const double seconds = steady_seconds() - begin;
  log_info("generate", prompt.size(), " tokens read, ", fresh.size(), " written in ", human_seconds(seconds),
           " (", human_count(static_cast<double>(fresh.size()) / std::max(seconds, 1e-9)), " tokens/s)");
}

void add_generate(CLI::App& root) {
  auto o = std::make_shared<GenerateOptions>();
  CLI::App* app = root.add_subcommand("generate", "continue a text, or answer a message");
  add_text_options(*app, *o);
  app->add_option("-p,--prompt", o->prompt, "the text to continue, or the message");
  app->add_option("-f,--file", o->file, "read the prompt from a file")
      ->check(CLI::ExistingFile)
      ->excludes("--prompt");
  app->add_flag("!--no-echo", o->echo, "print the continuation only");
  app->footer(
      "A model with a chat template (chat_template.jinja, or tokenizer_config.json) answers the prompt; "
      "others, and\n"
      "all with --raw, continue it. A model with an encoder (T5, Switch) reads it there and writes what "
      "follows from it.\n"
      "generation_config.json of the model says how ids are chosen where you do not.\n"
      "Examples:\n"
      "  lyceum generate runs/quickstart -p '#include <' -n 100\n"
      "  lyceum generate runs/quickstart/checkpoint -p 'In the beginning' --temp 0.7 --top-p 0.9 -s 3\n"
      "  lyceum generate runs/quickstart -f prompt.txt --temp 0 --no-echo\n"
      "  lyceum generate OLMoE-1B-7B-Instruct -p 'Why is the sky blue?' --system 'Answer in one sentence.'");
  app->callback([o] { run_generate(*o); });
}

}  // namespace

extern const Verb kGenerateVerb{"generate", add_generate};

}  // namespace lyceum
