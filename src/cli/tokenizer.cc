// `lyceum tokenizer`: train one, turn text or messages into ids and back, ask how well it fits a text.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <iterator>
#include <memory>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/progress.h"
#include "base/threads.h"
#include "cli/verb.h"
#include "data/document.h"
#include "text/bpe_trainer.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"
#include "text/unicode.h"

namespace lyceum {
namespace {

bool is_jsonl(const std::string& path) {
  return path.ends_with(".jsonl") || path.ends_with(".jsonl.gz") || path.ends_with(".jsonl.zst");
}

std::string read_stdin() {
  std::string text{std::istreambuf_iterator<char>(std::cin), std::istreambuf_iterator<char>()};
  return text;
}

// Bytes that no text has, or too many that are no UTF-8.
bool is_binary(std::string_view text) {
  const std::string_view head = text.substr(0, 64 << 10);
  if (head.find('\0') != std::string_view::npos) return true;
  std::string buffer;
  const std::string_view valid = to_valid_utf8(head, buffer);
  size_t replaced = 0;
  if (valid.data() == buffer.data())
    for (size_t i = 0; (i = valid.find("\xef\xbf\xbd", i)) != std::string_view::npos; i += 3) ++replaced;
  return replaced * 50 > head.size();
}

// A file, or every file below a folder, sorted.
std::vector<std::string> files_of(const std::vector<std::string>& inputs) {
  std::vector<std::string> files;
  for (const std::string& input : inputs) {
    if (!directory_exists(input)) {
      if (!file_exists(input))
        fail(ErrorKind::kNotFound, input.c_str(), "wanted a file or a folder, found nothing");
      files.push_back(input);
      continue;
    }
    std::vector<std::string> inside;
    const auto options = std::filesystem::directory_options::skip_permission_denied;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(input, options))
      if (entry.is_regular_file()) inside.push_back(entry.path().string());
    std::sort(inside.begin(), inside.end());
    files.insert(files.end(), inside.begin(), inside.end());
  }
  return files;
}

// The texts of a file: the documents of JSONL, else the whole file, or none if it is binary.
std::vector<std::string> texts_of(const std::string& path) {
  std::vector<std::string> texts;
  if (is_jsonl(path)) {
    Reasons bad_rows;
    for (Document& d : read_documents(path, bad_rows)) texts.push_back(std::move(d.text));
    for (const auto& [reason, n] : bad_rows) log_warn("tokenizer", path, ": ", n, " rows left out: ", reason);
    return texts;
  }
  std::string text = read_file(path, size_t{1} << 40);
  if (is_binary(text)) log_warn("tokenizer", path, " left out: not text");
  else if (!text.empty()) texts.push_back(std::move(text));
  return texts;
}

struct TrainOptions {
  BpeTrainerOptions trainer;
  std::vector<std::string> inputs;
  std::string out;
};

constexpr size_t kHeldBytes = size_t{64} << 20;  // of text in memory, then its words are counted
constexpr size_t kReadBytes = size_t{8} << 20;   // of files read side by side; a larger one is read alone

void train(TrainOptions options) {
  const double begin = steady_seconds();
  options.trainer.progress = true;
  const std::vector<std::string> files = files_of(options.inputs);
  real_files().make_directories(options.out);  // not after all the work
  BpeTrainer trainer(options.trainer);
  std::vector<std::string> texts;
  size_t held = 0, n_texts = 0;
  const auto flush = [&] {
    trainer.add(std::vector<std::string_view>(texts.begin(), texts.end()));
    n_texts += texts.size();
    texts.clear();
    held = 0;
  };
  {
    Progress bar("read and count", static_cast<double>(files.size()), "files");
    for (size_t first = 0, next; first < files.size(); first = next) {
      size_t bytes = 0;
      for (next = first; next < files.size(); ++next) {
        std::error_code error;  // texts_of() says what is wrong with it
        const auto size = std::filesystem::file_size(files[next], error);
        if (!error) bytes += static_cast<size_t>(size);
        if (next > first && bytes > kReadBytes) break;
      }
      std::vector<std::vector<std::string>> read(next - first);
      parallel_for(static_cast<int64_t>(read.size()), [&](int64_t i, int) {
        read[static_cast<size_t>(i)] = texts_of(files[first + static_cast<size_t>(i)]);
      });
      for (std::vector<std::string>& of_file : read)
        for (std::string& text : of_file) {
          held += text.size();
          texts.push_back(std::move(text));
        }
      if (held > kHeldBytes) flush();
      bar.add(static_cast<double>(read.size()));
    }
    flush();
  }
  check(trainer.bytes() > 0, "tokenizer train", "wanted text, found none in ", files.size(), " files");
  const uint64_t words = trainer.n_words();
  const Tokenizer tokenizer = trainer.train();
  tokenizer.save(options.out);
  const double seconds = steady_seconds() - begin;
  std::printf("%d tokens from %s in %zu texts, %s distinct words, %s -> %s\n", tokenizer.vocab_size(),
              human_bytes(static_cast<double>(trainer.bytes())).c_str(), n_texts,
              human_count(static_cast<double>(words)).c_str(), human_seconds(seconds).c_str(),
              options.out.c_str());
  if (tokenizer.vocab_size() < options.trainer.vocab_size)
    log_warn("tokenizer", "the text has no more pairs that occur ", options.trainer.min_frequency,
             " times: wanted ", options.trainer.vocab_size, " tokens, made ", tokenizer.vocab_size());
}

void add_tokenizer_train(CLI::App& parent) {
  auto options = std::make_shared<TrainOptions>();
  CLI::App* app = parent.add_subcommand("train", "learn a byte-level BPE tokenizer from text");
  app->add_option("inputs", options->inputs, "files, folders, or documents as .jsonl, .jsonl.gz, .jsonl.zst")
      ->required();
  app->add_option("--out", options->out, "folder for tokenizer.json and what belongs to it")->required();
  app->add_option("--vocab-size", options->trainer.vocab_size, "tokens, bytes and special ones included")
      ->capture_default_str();
  app->add_option("--min-frequency", options->trainer.min_frequency, "a pair seen less often is not merged")
      ->capture_default_str();
  app->add_option("--pattern", options->trainer.pattern, "how text is split into words: gpt2, llama3, qwen2")
      ->capture_default_str();
  app->add_option("--special", options->trainer.special_tokens, "control tokens; the first ends a text")
      ->capture_default_str();
  app->footer(
      "Examples:\n"
      "  lyceum tokenizer train ~/texts --out runs/tokenizer\n"
      "  lyceum tokenizer train runs/data/documents --vocab-size 32768 --out runs/tokenizer\n"
      "  lyceum tokenizer train a.txt b.jsonl.zst --pattern gpt2 --special '<|endoftext|>' --special '<pad>' "
      "--out tok");
  app->callback([options] { train(*options); });
}

struct EncodeArguments {
  std::string tokenizer, input = "-", format = "ids";
  EncodeOptions encode{.add_special = false, .allow_special = false};
};

void add_encode(CLI::App& parent) {
  auto a = std::make_shared<EncodeArguments>();
  CLI::App* app = parent.add_subcommand("encode", "text to ids");
  app->add_option("tokenizer", a->tokenizer, "tokenizer.json, a SentencePiece model, or the folder of one")
      ->required();
  app->add_option("input", a->input, "a text file, - for stdin")->capture_default_str();
  app->add_option("--format", a->format, "ids on one line, count of ids, or pieces one a line")
      ->check(CLI::IsMember({"ids", "count", "pieces"}))
      ->capture_default_str();
  app->add_flag("--add-special", a->encode.add_special, "with the tokens that begin and end a text");
  app->add_flag("--allow-special", a->encode.allow_special,
                "the names of control tokens become these tokens");
  app->footer(
      "Examples:\n"
      "  echo 'Hello, world' | lyceum tokenizer encode runs/tokenizer\n"
      "  lyceum tokenizer encode tokenizer.json book.txt --format count\n"
      "  echo 'int main() {' | lyceum tokenizer encode tokenizer.json --format pieces\n"
      "  echo 'Hello<sep>' | lyceum tokenizer encode Yuan2-M32/tokenizer.model --allow-special");
  app->callback([a] {
    const Tokenizer tokenizer = Tokenizer::load(a->tokenizer);
    const std::string text = a->input == "-" ? read_stdin() : read_file(a->input, size_t{1} << 40);
    const std::vector<int32_t> ids = tokenizer.encode(text, a->encode);
    std::string out;
    if (a->format == "count") {
      out = std::to_string(ids.size()) + "\n";
    } else if (a->format == "ids") {
      for (const int32_t id : ids) out += (out.empty() ? "" : " ") + std::to_string(id);
      out += "\n";
    } else {
      for (const int32_t id : ids) out += std::to_string(id) + "\t" + tokenizer.piece(id) + "\n";
    }
    std::fwrite(out.data(), 1, out.size(), stdout);
  });
}

std::vector<int32_t> parse_ids(const std::string& text, const Tokenizer& tokenizer) {
  std::vector<int32_t> ids;
  for (const char* p = text.c_str(); *p != 0;) {
    if (std::isspace(static_cast<unsigned char>(*p)) || *p == ',' || *p == '[' || *p == ']') {
      ++p;
      continue;
    }
    char* end = nullptr;
    const long long id = std::strtoll(p, &end, 10);
    check(end != p && id >= 0 && id < tokenizer.vocab_size(), "tokenizer decode", "wanted ids from 0 to ",
          tokenizer.vocab_size() - 1, ", found \"",
          std::string(p).substr(0, std::string(p).find_first_of(" \t\n\r,]")), "\" as number ",
          ids.size() + 1);
    ids.push_back(static_cast<int32_t>(id));
    p = end;
  }
  return ids;
}

void add_decode(CLI::App& parent) {
  struct Arguments {
    std::string tokenizer, input = "-";
    bool keep_special = false;
  };
  auto a = std::make_shared<Arguments>();
  CLI::App* app = parent.add_subcommand("decode", "ids to text");
  app->add_option("tokenizer", a->tokenizer, "tokenizer.json, a SentencePiece model, or the folder of one")
      ->required();
  app->add_option("input", a->input, "a file of ids, - for stdin")->capture_default_str();
  app->add_flag("--keep-special", a->keep_special, "write control tokens by their names");
  app->footer(
      "Examples:\n"
      "  echo '12092 13 1533' | lyceum tokenizer decode tokenizer.json\n"
      "  lyceum tokenizer encode tok a.txt | lyceum tokenizer decode tok | cmp - a.txt");
  app->callback([a] {
    const Tokenizer tokenizer = Tokenizer::load(a->tokenizer);
    const std::string text = tokenizer.decode(
        parse_ids(a->input == "-" ? read_stdin() : read_file(a->input, size_t{1} << 40), tokenizer),
        !a->keep_special);
    std::fwrite(text.data(), 1, text.size(), stdout);
  });
}

void show_fertility(const Tokenizer& tokenizer, const std::vector<std::string>& inputs) {
  std::printf("%12s %12s %12s %12s %12s  %s\n", "bytes", "tokens", "bytes/token", "chars/token",
              "tokens/word", "file");
  for (const std::string& file : files_of(inputs)) {
    size_t bytes = 0, chars = 0, words = 0, tokens = 0;
    const std::vector<std::string> texts = texts_of(file);
    for (const auto& ids : tokenizer.encode_batch(std::vector<std::string_view>(texts.begin(), texts.end()),
                                                  {.add_special = false}))
      tokens += ids.size();
    for (const std::string& text : texts) {
      bytes += text.size();
      bool inside = false;
      for (const char c : text) {
        chars += !is_continuation(c);
        const bool blank = std::isspace(static_cast<unsigned char>(c)) != 0;
        words += !blank && !inside;
        inside = !blank;
      }
    }
    if (tokens == 0) continue;
    const auto ratio = [](size_t a, size_t b) {
      return b == 0 ? 0.0 : static_cast<double>(a) / static_cast<double>(b);
    };
    std::printf("%12zu %12zu %12.3f %12.3f %12.3f  %s\n", bytes, tokens, ratio(bytes, tokens),
                ratio(chars, tokens), ratio(tokens, words), file.c_str());
  }
}

void add_info(CLI::App& parent) {
  struct Arguments {
    std::string tokenizer;
    std::vector<std::string> inputs;
  };
  auto a = std::make_shared<Arguments>();
  CLI::App* app =
      parent.add_subcommand("info", "what a tokenizer is made of, and how well it fits some texts");
  app->alias("inspect");
  app->add_option("tokenizer", a->tokenizer, "tokenizer.json, a SentencePiece model, or the folder of one")
      ->required();
  app->add_option("inputs", a->inputs, "texts to measure: files, folders, .jsonl");
  app->footer(
      "Examples:\n"
      "  lyceum tokenizer info tokenizer.json\n"
      "  lyceum tokenizer inspect Yuan2-M32/tokenizer.model\n"
      "  lyceum tokenizer info runs/tokenizer book.txt /usr/include/c++");
  app->callback([a] {
    const Tokenizer tokenizer = Tokenizer::load(a->tokenizer);
    std::printf("%s\n", tokenizer.description().c_str());
    const std::pair<const char*, int32_t> roles[] = {{"begin of text", tokenizer.bos_id()},
                                                     {"end of text", tokenizer.eos_id()},
                                                     {"padding", tokenizer.pad_id()}};
    for (const auto& [role, id] : roles)
      if (id >= 0) std::printf("%-14s %d %s\n", role, id, tokenizer.piece(id).c_str());
    size_t special = 0;
    for (const AddedToken& t : tokenizer.added_tokens()) special += t.special;
    std::printf("%-14s %zu, of them %zu special\n", "added tokens", tokenizer.added_tokens().size(), special);
    if (!a->inputs.empty()) show_fertility(tokenizer, a->inputs);
  });
}

// A conversation as the model will read it. Text of the user is marked, for it is read differently.
void add_tokenizer_chat(CLI::App& parent) {
  struct Arguments {
    std::string folder, input = "-", template_file, name = "default", format = "text";
  };
  auto a = std::make_shared<Arguments>();
  CLI::App* app = parent.add_subcommand("chat", "what a chat template makes of messages");
  app->add_option("folder", a->folder, "folder with tokenizer and chat template")->required();
  app->add_option("input", a->input, "JSON with messages, tools, ..., or the list of messages; - for stdin")
      ->capture_default_str();
  app->add_option("--chat-template", a->template_file, "this Jinja template instead of the folder's")
      ->check(CLI::ExistingFile);
  app->add_option("--name", a->name, "which of several templates")->capture_default_str();
  app->add_option("--format", a->format, "text, ids on one line, or parts: one a line, with whose it is")
      ->check(CLI::IsMember({"text", "ids", "parts"}))
      ->capture_default_str();
  app->footer(
      "Examples:\n"
      "  echo '[{\"role\": \"user\", \"content\": \"Hi\"}]' | lyceum tokenizer chat OLMoE-1B-7B-Instruct\n"
      "  lyceum tokenizer chat runs/tuned request.json --format parts --chat-template chatml.jinja");
  app->callback([a] {
    const Tokenizer tokenizer = Tokenizer::load(a->folder);
    const std::string text = a->input == "-" ? read_stdin() : read_file(a->input);
    const auto found = a->template_file.empty()
                           ? ChatTemplate::load(a->folder, a->name)
                           : ChatTemplate::parse(read_file(a->template_file), a->template_file);
    check(found.has_value(), "tokenizer chat", "wanted a chat template in ", a->folder,
          ", found none; --chat-template FILE names one");
    const bool list = text.find_first_not_of(" \t\r\n") != std::string::npos &&
                      text[text.find_first_not_of(" \t\r\n")] == '[';
    const auto parts =
        found->render(list ? "{\"add_generation_prompt\": true, \"messages\": " + text + "}" : text,
                      template_settings(tokenizer));
    std::string out;
    if (a->format == "ids")
      for (const int32_t id : tokenizer.encode_marked(parts))
        out += (out.empty() ? "" : " ") + std::to_string(id);
    else
      for (const MarkedText& part : parts)
        out += a->format == "text"
                   ? part.text
                   : std::string(part.trusted ? "template  " : "user      ") + quote(part.text).str() + "\n";
    out += a->format == "ids" ? "\n" : "";
    std::fwrite(out.data(), 1, out.size(), stdout);
  });
}

void add_tokenizer(CLI::App& root) {
  CLI::App* app = root.add_subcommand("tokenizer", "train tokenizers, text and messages to ids, ids to text");
  app->require_subcommand(1);
  add_tokenizer_train(*app);
  add_encode(*app);
  add_decode(*app);
  add_info(*app);
  add_tokenizer_chat(*app);
}

}  // namespace

extern const Verb kTokenizerVerb{"tokenizer", add_tokenizer};

}  // namespace lyceum
