// `lyceum generate` and `lyceum chat`: text from a model, on the terminal.
#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <iostream>
#include <memory>

#include "base/log.h"
#include "base/progress.h"
#include "cli/model_folder.h"
#include "cli/verb.h"
#include "infer/generate.h"

namespace lyceum {
namespace {

struct TextOptions {
  std::string model, prompt, file, dtype = "bf16", format = "auto";
  GenerateOptions generate;
  bool ignore_eos = false, echo = true;
};

void add_common(CLI::App& app, TextOptions& o) {
  SamplingOptions& s = o.generate.sampling;
  app.add_option("model,-m,--model", o.model, "model directory, or a run folder")->required();
  app.add_option("-n,--max-tokens,--n-predict", o.generate.max_tokens, "most new tokens")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  app.add_option("--temp,--temperature", s.temperature, "0: always the best id")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app.add_option("--top-k", s.top_k, "choose among the k best; 0: all")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app.add_option("--top-p", s.top_p, "choose among the best that reach this probability")
      ->check(CLI::Range(1e-6, 1.0))
      ->capture_default_str();
  app.add_option("--min-p", s.min_p, "leave out what is below this share of the best")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  app.add_option("--repeat-penalty", s.repetition_penalty, "above 1: recent ids become less likely")
      ->check(CLI::Range(0.01, 100.0))
      ->capture_default_str();
  app.add_option("--repeat-last-n", s.repetition_window, "how many ids count as recent")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("-s,--seed", s.seed, "of the random choice")->capture_default_str();
  app.add_option("--dtype", o.dtype, "bf16 or f32")->capture_default_str();
  app.add_flag("--ignore-eos", o.ignore_eos, "go on after the end of the text");
}

void print(const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
}

double seconds_since(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

void run_generate(TextOptions o) {
  if (!o.file.empty()) o.prompt = read_file(o.file);
  const ModelFolder folder = open_model_folder(o.model, o.dtype);
  std::vector<int32_t> prompt = folder.tokenizer.encode(o.prompt);
  if (prompt.empty() && folder.eos() >= 0) prompt.push_back(folder.eos());  // text from nothing
  if (!o.ignore_eos && folder.eos() >= 0) o.generate.stop_ids.push_back(folder.eos());
  if (o.echo) print(o.prompt);
  StreamDecoder decoder(folder.tokenizer);
  const auto begin = std::chrono::steady_clock::now();
  const auto fresh = generate(*folder.model, prompt, o.generate, folder.vocab(), [&](int32_t id) {
    print(decoder.push(id));
    return true;
  });
  print(decoder.finish() + "\n");
  const double seconds = seconds_since(begin);
  log_info("generate", prompt.size(), " tokens read, ", fresh.size(), " written in ", human_seconds(seconds),
           " (", human_count(static_cast<double>(fresh.size()) / std::max(seconds, 1e-9)), " tokens/s)");
}

// The chat form of OLMoE's tuned models; a model that was never tuned simply continues what it reads.
std::string turn_text(const std::string& format, const std::string& user) {
  return format == "olmoe" ? "<|user|>\n" + user + "\n<|assistant|>\n" : user;
}

std::string chat_format(const TextOptions& o, const std::string& folder) {
  if (o.format != "auto") return o.format;
  const std::string path = folder + "/tokenizer_config.json";
  const bool tuned = file_exists(path) && read_file(path).find("<|assistant|>") != std::string::npos;
  return tuned ? "olmoe" : "plain";
}

void run_chat(TextOptions o) {
  const ModelFolder folder = open_model_folder(o.model, o.dtype);
  const std::string format = chat_format(o, folder.path);
  const int64_t room = folder.model->config().max_positions;
  auto sequence = std::make_unique<TextSequence>(*folder.model, room, folder.vocab());
  std::vector<int32_t> history;
  Sampler sampler(o.generate.sampling);
  log_info("chat", "room for ", room, " tokens; ",
           format == "plain" ? "the model continues what you write" : "chat form of OLMoE",
           "; /reset forgets, an empty line or Ctrl-D ends");
  for (std::string line;;) {
    if (stderr_is_interactive()) std::fputs("\x1b[1m> \x1b[0m", stderr);
    if (!std::getline(std::cin, line) || line.empty()) break;
    if (line == "/reset") {
      sequence = std::make_unique<TextSequence>(*folder.model, room, folder.vocab());
      history.clear();
      continue;
    }
    std::vector<int32_t> ids = folder.tokenizer.encode(turn_text(format, line));
    if (history.empty() && folder.eos() >= 0) ids.insert(ids.begin(), folder.eos());
    if (sequence->length() + static_cast<int64_t>(ids.size()) + 1 >= room) {
      log_warn("chat", "the text is full (", room, " tokens); /reset begins anew");
      continue;
    }
    std::span<const float> logits = sequence->read(ids);
    history.insert(history.end(), ids.begin(), ids.end());
    StreamDecoder decoder(folder.tokenizer);
    for (int64_t n = 0; n < o.generate.max_tokens && sequence->length() < room; ++n) {
      const int32_t id = sampler.next(logits, history);
      history.push_back(id);
      logits = sequence->read({&id, 1});
      if (!o.ignore_eos && id == folder.eos()) break;
      print(decoder.push(id));
    }
    print(decoder.finish() + "\n");
  }
}

void add_generate(CLI::App& root) {
  auto o = std::make_shared<TextOptions>();
  CLI::App* app = root.add_subcommand("generate", "continue a text");
  add_common(*app, *o);
  app->add_option("-p,--prompt", o->prompt, "the text to continue");
  app->add_option("-f,--file", o->file, "read the prompt from a file")
      ->check(CLI::ExistingFile)
      ->excludes("--prompt");
  app->add_flag("!--no-echo", o->echo, "print the continuation only");
  app->footer(
      "Examples:\n"
      "  lyceum generate runs/quickstart -p '#include <' -n 100\n"
      "  lyceum generate runs/quickstart/checkpoint -p 'In the beginning' --temp 0.7 --top-p 0.9 -s 3\n"
      "  lyceum generate runs/quickstart -f prompt.txt --temp 0 --no-echo");
  app->callback([o] { run_generate(*o); });
}

void add_chat(CLI::App& root) {
  auto o = std::make_shared<TextOptions>();
  o->generate.max_tokens = 200;
  CLI::App* app = root.add_subcommand("chat", "talk to a model on the terminal");
  add_common(*app, *o);
  app->add_option("--format", o->format, "how turns are written")
      ->check(CLI::IsMember({"auto", "plain", "olmoe"}))
      ->capture_default_str();
  app->footer(
      "Examples:\n"
      "  lyceum chat runs/quickstart\n"
      "  lyceum chat OLMoE-1B-7B-Instruct --temp 0.6");
  app->callback([o] { run_chat(*o); });
}

}  // namespace

extern const Verb kGenerateVerb{"generate", add_generate};
extern const Verb kChatVerb{"chat", add_chat};

}  // namespace lyceum
