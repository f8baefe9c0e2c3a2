#include "cli/text_options.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "cli/numbers.h"

namespace lyceum {

void add_text_options(CLI::App& app, TextOptions& o) {
  SamplingOptions& s = o.generate.sampling;
  app.add_option("model,-m,--model", o.model, "model directory, or a run folder")->required();
  app.add_option("-n,--max-tokens,--n-predict", o.generate.max_tokens, "most new tokens")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  app.add_option("--temp,--temperature", s.temperature, "0: always the best id")
      ->check(finite_number(false))
      ->capture_default_str();
  app.add_option("--top-k", s.top_k, "choose among the k best; 0: all")
      ->check(finite_number(false))
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
      ->check(finite_number(true))
      ->capture_default_str();
  app.add_option("--domain", o.generate.domain,
                 "number of the text's domain, for a model whose experts are chosen by domain")
      ->check(finite_number(false));
  app.add_option("-s,--seed", s.seed, "of the random choice")->capture_default_str();
  app.add_option("--dtype", o.dtype, "bf16 or f32")->capture_default_str();
  app.add_flag("--ignore-eos", o.ignore_eos, "go on after the end of the text");
  app.add_option("--chat-template", o.template_file,
                 "a Jinja template for messages, instead of the model's own")
      ->check(CLI::ExistingFile);
  app.add_option("--system", o.system, "a message of the system before all others (needs a chat template)");
  app.add_flag("--raw", o.raw, "no chat template: the model continues the text as it is")
      ->excludes("--chat-template");
  o.given = [&app](const char* name) { return app.count(name) > 0; };
}

void apply_generation_config(TextOptions& o, const ModelFolder& folder) {
  std::vector<int32_t>& stop = o.generate.stop_ids;
  if (folder.eos() >= 0) stop.push_back(folder.eos());
  const std::string path = folder.path + "/generation_config.json";
  if (file_exists(path)) {
    nlohmann::json json;
    try {
      json = nlohmann::json::parse(read_file(path));
    } catch (const nlohmann::json::exception& e) {
      fail(ErrorKind::kCorruptData, path.c_str(), "wanted JSON, found ", e.what());
    }
    check_data(json.is_object(), path.c_str(), "wanted a JSON object");
    const auto add_stop = [&](const nlohmann::json& id) {
      check_data(id.is_number_unsigned() && id.get<uint64_t>() < 0x7fffffff, path.c_str(),
                 "eos_token_id: wanted an id or a list of ids, found ", id.dump());
      stop.push_back(id.get<int32_t>());
    };
    if (const auto eos = json.find("eos_token_id"); eos != json.end() && !eos->is_null()) {
      if (eos->is_array())
        for (const auto& id : *eos) add_stop(id);
      else add_stop(*eos);
    }
    const auto take = [&](const char* key, const char* option, auto& value) {
      const auto it = json.find(key);
      if (it == json.end() || it->is_null() || o.given(option)) return;
      check_data(it->is_number() && it->template get<double>() >= 0, path.c_str(), key,
                 ": wanted a number of 0 and above, found ", it->dump());
      value = it->template get<std::remove_reference_t<decltype(value)>>();
    };
    SamplingOptions& s = o.generate.sampling;
    if (json.contains("do_sample") && json["do_sample"] == true) {
      take("temperature", "--temp", s.temperature);
      take("top_k", "--top-k", s.top_k);
      take("top_p", "--top-p", s.top_p);
      take("min_p", "--min-p", s.min_p);
    }
    take("repetition_penalty", "--repeat-penalty", s.repetition_penalty);
    if (s.repetition_penalty <= 0) s.repetition_penalty = 1;
  }
  if (o.ignore_eos) stop.clear();
}

std::optional<ChatTemplate> find_chat_template(const TextOptions& o, const ModelFolder& folder) {
  std::optional<ChatTemplate> found;
  if (!o.template_file.empty()) found = ChatTemplate::parse(read_file(o.template_file), o.template_file);
  else if (!o.raw) found = ChatTemplate::load(folder.path);
  check(found || o.system.empty(), "--system", "wanted a model with a chat template, found none in ",
        folder.path, "; --chat-template FILE names one");
  return found;
}

std::vector<int32_t> encode_conversation(const ChatTemplate& chat, const Tokenizer& tokenizer,
                                         const std::vector<ChatMessage>& messages) {
  return tokenizer.encode_marked(chat.render(conversation_json(messages), template_settings(tokenizer)));
}

void print_text(const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
}

}  // namespace lyceum
