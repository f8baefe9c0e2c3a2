// Stage 4 of the quick start: held-out bits per byte by domain, and what `xz -9` makes of the same bytes.
#include <map>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "cli/model_folder.h"
#include "cli/quickstart/run.h"
#include "cli/quickstart/xz.h"
#include "eval/documents.h"
#include "formats/checksum.h"

namespace lyceum::quickstart {
namespace {

using Json = nlohmann::ordered_json;

Json json_of(const HeldOutScore& s) {
  return {{"domain", s.name},   {"documents", s.documents},         {"bytes", s.bytes},
          {"tokens", s.tokens}, {"bits_per_byte", s.bits_per_byte}, {"xz_bits_per_byte", s.xz_bits_per_byte}};
}
HeldOutScore score_of(const Json& j) {
  return {j.value("domain", ""),         j.value("documents", int64_t{0}), j.value("bytes", int64_t{0}),
          j.value("tokens", int64_t{0}), j.value("bits_per_byte", 0.0),    j.value("xz_bits_per_byte", 0.0)};
}

bool read_scores(const std::string& path, const std::string& key, Scores& out) {
  if (!file_exists(path)) return false;
  const Json old = Json::parse(read_file(path), nullptr, false);
  if (!old.is_object() || old.value("of", "") != key || !old.contains("domains") || !old.contains("all"))
    return false;
  for (const Json& row : old["domains"]) out.domains.push_back(score_of(row));
  out.all = score_of(old["all"]);
  out.reused = true;
  return true;
}

}  // namespace

Scores score(const Options& o, const PreparedData& data, const Training& training) {
  const std::string path = o.run + "/scores.json";
  Checksum text;
  std::vector<std::string> files;
  for (const PreparedDomain& d : data.domains) {
    const std::string file = data.heldout_folder + "/" + d.name + ".jsonl";
    if (d.heldout_documents == 0 || !file_exists(file)) continue;
    files.push_back(file);
    const MappedFile contents(file);
    text.update(contents.data(), contents.size());
  }
  const std::string key = training.checkpoint + " step " + std::to_string(training.steps) + " text " +
                          checksum_text(text.value());
  Scores out;
  if (read_scores(path, key, out)) return out;
  check(!files.empty(), "quickstart",
        "no text was held out: a domain needs two documents at least; give more text with --text DIR");

  const ModelFolder folder = open_model_folder(training.checkpoint, "bf16");
  LikelihoodOptions options;
  options.window = folder.model->config().max_positions, options.stride = options.window / 2;
  options.eos = std::max(0, folder.eos());
  std::map<std::string, Likelihood> by_domain;
  for (const GroupLikelihood& g :
       evaluate_documents(*folder.model, folder.tokenizer, read_evaluation_documents(files), options,
                          "evaluate held-out text"))
    by_domain[g.domain] += g.likelihood;
  Likelihood total;
  int64_t xz_total = 0;
  Json rows = Json::array();
  for (const PreparedDomain& d : data.domains) {
    const auto found = by_domain.find(d.name);
    if (found == by_domain.end() || found->second.bytes == 0) continue;
    const Likelihood& l = found->second;
    std::string plain;
    for (const Document& document : read_own_documents(data.heldout_folder + "/" + d.name + ".jsonl"))
      plain += document.text;
    const int64_t packed = xz_bytes(plain);
    out.domains.push_back({d.name, l.documents, l.bytes, l.tokens, l.bits_per_byte(),
                           8.0 * static_cast<double>(packed) / static_cast<double>(plain.size())});
    rows.push_back(json_of(out.domains.back()));
    total += l, xz_total += packed;
  }
  out.all = {"all",
             total.documents,
             total.bytes,
             total.tokens,
             total.bits_per_byte(),
             8.0 * static_cast<double>(xz_total) / static_cast<double>(total.bytes)};
  write_file(path, Json{{"of", key}, {"domains", rows}, {"all", json_of(out.all)}}.dump(2) + "\n");
  return out;
}

}  // namespace lyceum::quickstart
