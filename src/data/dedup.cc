#include "data/dedup.h"

#include <unistd.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/progress.h"
#include "data/minhash.h"
#include "data/utf8.h"
#include "data/words.h"

namespace lyceum {
namespace {

constexpr size_t kExamples = 12;

struct Fingerprint {
  std::string id, domain;
  size_t bytes = 0;
  int64_t characters = 0;
  bool filtered = false;
  Hash128 hash;
  std::vector<uint64_t> shingles;
  MinHash signature;
};

// Share of rows that agree: an estimate of the similarity with standard deviation below 0.046.
double estimate(const MinHash& a, const MinHash& b) {
  int same = 0;
  for (size_t i = 0; i < kMinHashes; ++i) same += a[i] == b[i];
  return static_cast<double>(same) / kMinHashes;
}

void check_memory(const std::string& folder, const std::vector<std::string>& names) {
  uint64_t compressed = 0;
  for (const std::string& name : names) compressed += MappedFile(folder + "/documents/" + name).size();
  const uint64_t needed = compressed * 8;  // text compresses to about a quarter
  const uint64_t have =
      static_cast<uint64_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  if (needed > have)
    fail(ErrorKind::kOutOfMemory, "dedup", "these documents need about ",
         human_bytes(static_cast<double>(needed)), " of memory and this machine has ",
         human_bytes(static_cast<double>(have)), "; collect less with --budget or use --exact-only");
}

// The verdict on one document: empty, or the attribute and the document that is kept instead.
struct Verdict {
  const char* attribute = nullptr;
  size_t kept = 0;
  double similarity = 1;
};

std::vector<Verdict> decide(const std::vector<Fingerprint>& all, const DedupOptions& options) {
  std::vector<Verdict> verdicts(all.size());
  std::map<Hash128, size_t> seen;
  MinHashIndex index;
  std::vector<int32_t> candidates;
  Progress progress("find duplicates", static_cast<double>(all.size()), "documents");
  for (size_t i = 0; i < all.size(); ++i) {
    const Fingerprint& f = all[i];
    if (i % 256 == 0) progress.update(static_cast<double>(i));
    if (f.filtered) continue;
    if (const auto [it, fresh] = seen.try_emplace(f.hash, i); !fresh) {
      verdicts[i] = {"dedup__exact", it->second, 1};
      continue;
    }
    if (!options.near) continue;
    index.candidates(f.signature, candidates);
    for (const int32_t c : candidates) {
      const Fingerprint& other = all[static_cast<size_t>(c)];
      const auto [small, large] = std::minmax({f.shingles.size(), other.shingles.size()});
      if (static_cast<double>(small) < options.threshold * static_cast<double>(large))
        continue;                                                                       // cannot be alike
      if (estimate(f.signature, other.signature) < options.threshold - 0.25) continue;  // five deviations
      const double similarity = jaccard(f.shingles, other.shingles);
      if (similarity < options.threshold) continue;
      verdicts[i] = {"dedup__near", static_cast<size_t>(c), similarity};
      break;
    }
    if (!verdicts[i].attribute) index.add(f.signature, static_cast<int32_t>(i));
  }
  progress.update(static_cast<double>(all.size()));
  return verdicts;
}

}  // namespace

size_t DedupReport::exact() const {
  size_t n = 0;
  for (const DedupedDomain& d : domains) n += d.exact;
  return n;
}
size_t DedupReport::near() const {
  size_t n = 0;
  for (const DedupedDomain& d : domains) n += d.near;
  return n;
}

DedupReport dedup(const DedupOptions& options) {
  check(options.threshold > 0 && options.threshold <= 1, "dedup",
        "wanted a threshold above 0 and at most 1, found ", options.threshold);
  check(options.shingle_words >= 1 && options.shingle_words <= 100, "dedup",
        "wanted 1 to 100 words a shingle, found ", options.shingle_words);
  const std::vector<std::string> names = document_files(options.folder + "/documents");
  if (options.near) check_memory(options.folder, names);
  std::vector<std::vector<Fingerprint>> by_file(names.size());
  for_each_file(options.folder, {"filter"}, "fingerprints",
                [&](size_t file, const std::string&, auto& documents, auto& rows) {
                  for (size_t i = 0; i < documents.size(); ++i) {
                    const Document& d = documents[i];
                    Fingerprint f{d.id,
                                  d.domain,
                                  d.text.size(),
                                  static_cast<int64_t>(count_code_points(d.text)),
                                  !drop_reason(rows[i]).empty(),
                                  {},
                                  {},
                                  {}};
                    if (!f.filtered) {
                      f.hash = normalised_hash(d.text);
                      if (options.near) {
                        f.shingles = shingles_of(d.text, options.shingle_words);
                        f.signature = minhash_of(f.shingles);
                      }
                    }
                    by_file[file].push_back(std::move(f));
                  }
                });
  std::vector<Fingerprint> all;
  std::vector<size_t> first = {0};
  for (auto& list : by_file) {
    std::move(list.begin(), list.end(), std::back_inserter(all));
    first.push_back(all.size());
  }
  const std::vector<Verdict> verdicts = decide(all, options);

  DedupReport report;
  report.threshold = options.threshold;
  std::map<std::string, DedupedDomain> domains;
  real_files().remove_all(options.folder + "/attributes/dedup");
  for (size_t file = 0; file < names.size(); ++file) {
    std::vector<Attributes> rows;
    for (size_t i = first[file]; i < first[file + 1]; ++i) {
      const Fingerprint& f = all[i];
      const Verdict& v = verdicts[i];
      DedupedDomain& d = domains[f.domain];
      d.name = f.domain;
      d.documents += !f.filtered;
      rows.push_back({f.id, {}});
      if (!v.attribute) continue;
      rows.back().spans[v.attribute] = {{0, f.characters, v.similarity}};
      const bool exact = v.attribute == std::string_view("dedup__exact");
      (exact ? d.exact : d.near) += 1;
      (exact ? d.exact_bytes : d.near_bytes) += f.bytes;
      auto& examples = exact ? report.exact_examples : report.near_examples;
      if (examples.size() < kExamples) examples.push_back({f.id, all[v.kept].id, v.similarity});
    }
    write_attributes(options.folder + "/attributes/dedup/" + names[file], rows);
  }
  for (auto& [name, d] : domains) report.domains.push_back(std::move(d));
  write_file(options.folder + "/dedup_report.json", dedup_report_json(report));
  return report;
}

std::string dedup_report_json(const DedupReport& report) {
  nlohmann::ordered_json out;
  out["threshold"] = report.threshold;
  out["domains"] = nlohmann::ordered_json::array();
  for (const DedupedDomain& d : report.domains)
    out["domains"].push_back({{"name", d.name},
                              {"documents", d.documents},
                              {"exact", d.exact},
                              {"near", d.near},
                              {"exact_bytes", d.exact_bytes},
                              {"near_bytes", d.near_bytes}});
  for (const auto& [key, list] :
       {std::pair("exact_examples", &report.exact_examples), {"near_examples", &report.near_examples}}) {
    out[key] = nlohmann::ordered_json::array();
    for (const DuplicatePair& p : *list)
      out[key].push_back({{"dropped", p.dropped}, {"kept", p.kept}, {"similarity", p.similarity}});
  }
  return out.dump(2) + "\n";
}

}  // namespace lyceum
