#include "data/prepare.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/log.h"
#include "base/progress.h"
#include "base/threads.h"
#include "data/machine.h"
#include "formats/checksum.h"
#include "text/bpe_trainer.h"

namespace lyceum {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kVersion = 1;  // of the rules: raise it when a stage's result changes for the same input

class Key {
 public:
  Key& add(const std::string& text) {
    sum_.update(text.data(), text.size());
    sum_.update("", 1);
    return *this;
  }
  template <class Number>
  Key& number(Number n) {
    return add(std::to_string(n));
  }
  std::string text() const { return checksum_text(sum_.value()); }

 private:
  Checksum sum_;
};

std::string ingest_key(const IngestOptions& o) {
  Key key;
  key.number(kVersion).number(o.machine).number(o.budget).number(o.seed);
  const auto add = [&](const std::vector<Candidate>& list) {
    for (const Candidate& c : list) {
      std::error_code error;
      const auto time = std::filesystem::last_write_time(c.path, error).time_since_epoch().count();
      const std::string path =
          std::filesystem::absolute(c.path).lexically_normal();  // however it was spelled
      key.add(path).add(c.name).add(c.domain).number(c.bytes).number(error ? 0 : time);
    }
  };
  add(ingest_candidates(o, nullptr));
  return key.text();
}

struct Keys {
  std::string ingest, filter, dedup, split, tokenizer, tokenize;
};
Keys keys_of(const PrepareOptions& o) {
  Keys k;
  k.ingest = ingest_key(o.ingest);
  k.filter = Key()
                 .add(k.ingest)
                 .number(o.filter.min_bytes)
                 .number(o.filter.max_bytes)
                 .number(o.filter.min_letters)
                 .number(o.filter.longest_word)
                 .number(o.filter.languages)
                 .number(o.filter.pii)
                 .text();
  k.dedup =
      Key().add(k.filter).number(o.dedup.threshold).number(o.dedup.shingle_words).number(o.dedup.near).text();
  k.split = Key()
                .add(k.dedup)
                .number(o.split.heldout_bytes)
                .number(o.split.most_of_domain)
                .number(o.split.near_threshold)
                .number(o.split.seed)
                .number(o.mask_pii)
                .text();
  if (o.tokenizer.empty()) {
    k.tokenizer = Key().add(k.split).number(o.vocab_size).add(o.pattern).number(o.tokenizer_bytes).text();
  } else {
    const std::string file = directory_exists(o.tokenizer) ? o.tokenizer + "/tokenizer.json" : o.tokenizer;
    const MappedFile contents(file);
    k.tokenizer = Key().add(std::string(contents.text())).text();
  }
  k.tokenize = Key().add(k.split).add(k.tokenizer).number(o.mask_pii).text();
  return k;
}

// The stages that are done, by name; lives in folder/stamps.json.
class Stamps {
 public:
  explicit Stamps(std::string path) : path_(std::move(path)) {
    if (!file_exists(path_)) return;
    const Json read = Json::parse(read_file(path_, 1 << 20), nullptr, false);
    if (!read.is_object()) return;  // damaged: everything is done again
    for (const auto& [stage, key] : read.items())
      if (key.is_string()) keys_[stage] = key.get<std::string>();
  }
  bool up_to_date(const std::string& stage, const std::string& key) const {
    const auto it = keys_.find(stage);
    return it != keys_.end() && it->second == key;
  }
  void clear(const std::string& stage) { keys_.erase(stage), save(); }
  void set(const std::string& stage, const std::string& key) { keys_[stage] = key, save(); }

 private:
  void save() { write_file(path_, Json(keys_).dump(2) + "\n"); }
  std::string path_;
  std::map<std::string, std::string> keys_;
};

Json read_report(const std::string& path) {
  return file_exists(path) ? Json::parse(read_file(path, 1 << 26), nullptr, false) : Json();
}
const Json* domain_in(const Json& report, const std::string& name) {
  if (!report.is_object() || !report.contains("domains") || !report["domains"].is_array()) return nullptr;
  for (const Json& d : report["domains"])
    if (d.is_object() && d.value("name", "") == name) return &d;
  return nullptr;
}

// One report of all stages: what each domain had, what was dropped and why, what is left.
Json data_report(const PrepareOptions& o, PreparedData& out) {
  const std::string& f = o.folder;
  const Json ingested = read_report(f + "/ingest_report.json"),
             filtered = read_report(f + "/filter_report.json"),
             deduped = read_report(f + "/dedup_report.json"), divided = read_report(f + "/split_report.json"),
             tokenized = read_report(f + "/tokens/tokenize_report.json");
  Json report, domains = Json::array();
  for (const std::string& name : domain_names_of(f)) {
    PreparedDomain d{name, 0, 0, 0, 0, 0, 0};
    Json row{{"name", name}};
    Json dropped = Json::object(), dropped_bytes = Json::object();
    if (const Json* x = domain_in(ingested, name)) {
      for (const char* k : {"files_found", "files_read", "files_beyond_budget"}) row[k] = (*x)[k];
      row["collected_documents"] = (*x)["documents"];
      row["collected_bytes"] = (*x)["bytes"];
      row["refused_files"] = (*x)["refused"];
    }
    if (const Json* x = domain_in(filtered, name)) {
      dropped = (*x)["dropped"], dropped_bytes = (*x)["dropped_bytes"];
      row["personal_data"] = (*x)["personal_data"];
    }
    const auto add = [&](const Json* x, const char* from, const char* bytes, const char* reason) {
      if (!x || (*x)[from].get<int64_t>() == 0) return;
      dropped[reason] = (*x)[from];
      dropped_bytes[reason] = (*x)[bytes];
    };
    add(domain_in(deduped, name), "exact", "exact_bytes", "exact_duplicate");
    add(domain_in(deduped, name), "near", "near_bytes", "near_duplicate");
    add(domain_in(divided, name), "near_documents", "near_bytes", "like_held_out");
    row["dropped"] = dropped;
    row["dropped_bytes"] = dropped_bytes;
    if (const Json* x = domain_in(tokenized, name)) {
      d.documents = (*x)["documents"], d.bytes = (*x)["bytes"], d.tokens = (*x)["tokens"];
      d.heldout_documents = (*x)["heldout_documents"], d.heldout_bytes = (*x)["heldout_bytes"];
      d.heldout_tokens = (*x)["heldout_tokens"];
      for (const char* k : {"documents", "bytes", "tokens", "bytes_per_token", "heldout_documents",
                            "heldout_bytes", "heldout_tokens"})
        row[k] = (*x)[k];
    }
    out.domains.push_back(d);
    domains.push_back(row);
  }
  report["documents"] = 0;
  int64_t documents = 0;
  for (const PreparedDomain& d : out.domains) documents += d.documents;
  report["documents"] = documents;
  report["bytes"] = out.bytes();
  report["tokens"] = out.tokens();
  report["heldout_bytes"] = out.heldout_bytes();
  report["domains"] = domains;
  report["notes"] = ingested.is_object() ? ingested.value("notes", Json::array()) : Json::array();
  report["near_duplicate_threshold"] = o.dedup.threshold;
  if (filtered.is_object()) report["filter_examples"] = filtered.value("examples", Json::array());
  if (deduped.is_object()) {
    report["exact_examples"] = deduped.value("exact_examples", Json::array());
    report["near_examples"] = deduped.value("near_examples", Json::array());
  }
  if (divided.is_object()) report["like_held_out_examples"] = divided.value("examples", Json::array());
  return report;
}

}  // namespace

int64_t PreparedData::tokens() const {
  int64_t n = 0;
  for (const PreparedDomain& d : domains) n += d.tokens;
  return n;
}
int64_t PreparedData::bytes() const {
  int64_t n = 0;
  for (const PreparedDomain& d : domains) n += d.bytes;
  return n;
}
int64_t PreparedData::heldout_bytes() const {
  int64_t n = 0;
  for (const PreparedDomain& d : domains) n += d.heldout_bytes;
  return n;
}

void train_tokenizer(const std::string& folder, const std::string& out, int64_t vocab_size,
                     const std::string& pattern, size_t bytes) {
  BpeTrainerOptions options;
  options.vocab_size = vocab_size;
  options.pattern = pattern;
  options.progress = true;
  BpeTrainer trainer(options);
  const std::vector<std::string> names = document_files(folder + "/documents");
  std::vector<std::vector<std::string>> texts(names.size());
  std::map<std::string, size_t> sizes;
  std::vector<std::map<std::string, size_t>> sizes_of(names.size());
  // Two passes over the files keep memory bounded: sizes first, then texts up to each domain's share.
  const std::vector<std::string> taggers = {"filter", "dedup", "split"};
  for_each_file(folder, taggers, "measure text",
                [&](size_t file, const std::string&, auto& documents, auto& rows) {
                  for (size_t i = 0; i < documents.size(); ++i)
                    if (drop_reason(rows[i]).empty())
                      sizes_of[file][documents[i].domain] += documents[i].text.size();
                });
  std::vector<std::string> domains;
  std::vector<size_t> totals;
  for (const auto& list : sizes_of)
    for (const auto& [name, n] : list) sizes[name] += n;
  for (const auto& [name, n] : sizes) domains.push_back(name), totals.push_back(n);
  const std::vector<size_t> shares = shares_of(bytes, totals);
  for_each_file(
      folder, taggers, "read text", [&](size_t file, const std::string&, auto& documents, auto& rows) {
        std::map<std::string, size_t> taken;
        for (size_t i = 0; i < documents.size(); ++i) {
          if (!drop_reason(rows[i]).empty()) continue;
          const std::string& domain = documents[i].domain;
          const auto d =
              static_cast<size_t>(std::find(domains.begin(), domains.end(), domain) - domains.begin());
          // each file gives its part of the domain's share: nothing depends on the order of the files
          const double part = static_cast<double>(shares[d]) / static_cast<double>(totals[d]);
          if (shares[d] != 0 &&
              static_cast<double>(taken[domain]) >= part * static_cast<double>(sizes_of[file][domain]))
            continue;
          taken[domain] += documents[i].text.size();
          texts[file].push_back(std::move(documents[i].text));
        }
      });
  std::vector<std::string_view> views;
  for (const auto& list : texts)
    for (const std::string& text : list) views.push_back(text);
  trainer.add(views);
  trainer.train().save(out);
}

PreparedData prepare(const PrepareOptions& given) {
  PrepareOptions o = given;
  check(!o.folder.empty(), "prepare", "wanted a folder to work in");
  o.ingest.out = o.filter.folder = o.dedup.folder = o.split.folder = o.folder;
  o.split.mask_pii = o.mask_pii;
  PreparedData out;
  out.tokenizer = o.folder + "/tokenizer";
  out.heldout_folder = o.folder + "/heldout";
  out.train_shard = o.folder + "/tokens/train";
  out.report = o.folder + "/data_report.json";
  real_files().make_directories(o.folder);
  Stamps stamps(o.folder + "/stamps.json");
  const Keys keys = keys_of(o);
  const auto stage = [&](const char* name, const std::string& key, const std::string& result,
                         const auto& work) {
    if (stamps.up_to_date(name, key) && std::filesystem::exists(result)) {
      out.stages_reused.push_back(name);
      return;
    }
    stamps.clear(name);  // what it leaves half done counts for nothing
    work();
    stamps.set(name, key);
    out.stages_done.push_back(name);
  };
  stage("ingest", keys.ingest, o.folder + "/documents", [&] {
    for (const char* old : {"/attributes", "/heldout", "/heldout_text"})
      real_files().remove_all(o.folder + old);
    ingest(o.ingest);
  });
  stage("filter", keys.filter, o.folder + "/attributes/filter", [&] { filter(o.filter); });
  stage("dedup", keys.dedup, o.folder + "/attributes/dedup", [&] { dedup(o.dedup); });
  stage("split", keys.split, o.folder + "/attributes/split", [&] { split(o.split); });
  stage("tokenizer", keys.tokenizer, out.tokenizer + "/tokenizer.json", [&] {
    if (!o.tokenizer.empty()) Tokenizer::load(o.tokenizer).save(out.tokenizer);
    else train_tokenizer(o.folder, out.tokenizer, o.vocab_size, o.pattern, o.tokenizer_bytes);
  });
  stage("tokenize", keys.tokenize, out.train_shard + ".idx", [&] {
    TokenizeOptions t;
    t.folder = o.folder;
    t.tokenizer = out.tokenizer;
    t.mask_pii = o.mask_pii;
    tokenize(t);
  });
  const Json report = data_report(o, out);
  write_file(out.report, report.dump(2) + "\n");
  if (out.heldout_bytes() > 0) out.heldout_shard = o.folder + "/tokens/heldout";
  if (out.stages_done.empty()) log_info("data", "everything in ", o.folder, " is up to date");
  return out;
}

}  // namespace lyceum
