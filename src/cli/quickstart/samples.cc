// Stage 5 of the quick start: the model continues text that it has not seen, one held-out document per
// domain.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "base/progress.h"
#include "cli/model_folder.h"
#include "cli/quickstart/run.h"
#include "data/document.h"
#include "data/utf8.h"
#include "infer/generate.h"

namespace lyceum::quickstart {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kPrefixBytes = 160, kContinuedBytes = 240;
constexpr int64_t kTokens = 64;

bool inside_character(const std::string& text, size_t at) {
  return at < text.size() && (static_cast<unsigned char>(text[at]) & 0xc0) == 0x80;
}

// The start of a line in the middle of a document, where licences and headings are past.
size_t start_of(const std::string& text) {
  const size_t room = kPrefixBytes + kContinuedBytes;
  if (text.size() <= room) return 0;
  const size_t line = text.find('\n', (text.size() - room) * 2 / 5);
  return line == std::string::npos || line + 1 + room / 2 > text.size() ? 0 : line + 1;
}

// The end of a word, or of a character, near kPrefixBytes after `begin`.
size_t end_of(const std::string& text, size_t begin) {
  size_t end = std::min(text.size(), begin + kPrefixBytes);
  if (end == text.size()) end = begin + (end - begin) / 2;
  for (size_t at = end; at > begin + kPrefixBytes / 2 && at + 24 > end; --at)
    if (text[at] == ' ' || text[at] == '\n') return at;
  while (inside_character(text, end)) ++end;
  return end;
}

// Share of the signs that programs are full of in what is shown of a document.
double signs_in(const std::string& text) {
  const std::string shown = text.substr(start_of(text), kPrefixBytes + kContinuedBytes);
  const auto n = std::count_if(shown.begin(), shown.end(), [](char c) {
    return std::string_view("(){}[];=<>_#$&%").find(c) != std::string_view::npos;
  });
  return static_cast<double>(n) / static_cast<double>(std::max<size_t>(1, shown.size()));
}

// Of the documents whose size is nearest to what shows best, enough to have a middle, the first; of programs
// the one that shows the most of its language, for a licence or a comment could stand anywhere.
const Document& choose(const std::vector<Document>& documents) {
  constexpr size_t kCandidates = 12;
  const auto distance = [](const Document* d) {
    const double n = static_cast<double>(d->text.size());
    return n < 1200 ? 1200 / std::max(1.0, n) : n / 6000 + 1;
  };
  std::vector<const Document*> nearest;
  for (const Document& d : documents) nearest.push_back(&d);
  std::stable_sort(nearest.begin(), nearest.end(),
                   [&](const Document* a, const Document* b) { return distance(a) < distance(b); });
  if (nearest[0]->kind != "code") return *nearest[0];
  nearest.resize(std::min(nearest.size(), kCandidates));
  return **std::max_element(nearest.begin(), nearest.end(), [](const Document* a, const Document* b) {
    return signs_in(a->text) < signs_in(b->text);
  });
}

Json json_of(const Sample& s) {
  return {{"domain", s.domain},
          {"document", s.document},
          {"prefix", s.prefix},
          {"text", s.text},
          {"continued", s.continued}};
}

}  // namespace

std::vector<Sample> write_samples(const Options& o, const PreparedData& data, const Training& training,
                                  bool& reused) {
  reused = false;
  const std::string path = o.run + "/samples.json",
                    key = training.checkpoint + " step " + std::to_string(training.steps);
  std::vector<Sample> out;
  if (file_exists(path)) {
    const Json old = Json::parse(read_file(path), nullptr, false);
    if (old.is_object() && old.value("of", "") == key && old.contains("samples")) {
      for (const Json& s : old["samples"])
        out.push_back({s.value("domain", ""), s.value("document", ""), s.value("prefix", ""),
                       s.value("text", ""), s.value("continued", "")});
      reused = true;
      return out;
    }
  }
  const ModelFolder folder = open_model_folder(training.checkpoint, "bf16");
  Progress progress("samples", static_cast<double>(data.domains.size()), "domains");
  Json rows = Json::array();
  for (const PreparedDomain& d : data.domains) {
    progress.add(1);
    const std::string file = data.heldout_folder + "/" + d.name + ".jsonl";
    if (d.heldout_documents == 0 || !file_exists(file)) continue;
    const std::vector<Document> documents = read_own_documents(file);
    if (documents.empty()) continue;
    const Document& document = choose(documents);
    const size_t begin = start_of(document.text), end = end_of(document.text, begin);
    Sample s;
    s.domain = d.name, s.document = document.id;
    s.prefix = document.text.substr(begin, end - begin);
    size_t more = std::min(document.text.size(), end + kContinuedBytes);
    while (inside_character(document.text, more)) ++more;
    s.continued = document.text.substr(end, more - end);
    std::vector<int32_t> prompt = folder.tokenizer.encode(s.prefix, {.add_special = false});
    if (folder.eos() >= 0) prompt.insert(prompt.begin(), folder.eos());
    GenerateOptions g;
    g.max_tokens =
        std::min(kTokens, folder.model->config().max_positions - static_cast<int64_t>(prompt.size()));
    g.sampling.temperature = 0.7;
    if (folder.eos() >= 0) g.stop_ids = {folder.eos()};
    if (prompt.empty() || g.max_tokens < 1) continue;
    StreamDecoder decoder(folder.tokenizer);  // whole characters only
    for (const int32_t id : generate(*folder.model, prompt, g, folder.vocab())) s.text += decoder.push(id);
    rows.push_back(json_of(s));
    out.push_back(std::move(s));
  }
  progress.finish();
  write_file(path, Json{{"of", key}, {"samples", rows}}.dump(2) + "\n");
  return out;
}

}  // namespace lyceum::quickstart
