// `data split`: whole documents are held out of training, drawn by a hash of their ids.
#pragma once

#include <string>
#include <vector>

#include "data/attributes.h"

namespace lyceum {

struct SplitOptions {
  std::string folder;  // attributes go to attributes/split, held-out documents to heldout/
  size_t heldout_bytes = size_t{256} << 10;  // of whole documents per domain
  double most_of_domain = 0.05;              // but never more than this share of a domain
  double near_threshold = 0.5;               // similarity from which a document is too like a held-out one
  uint64_t seed = 1;
  bool mask_pii = false;  // held-out documents are written with personal data masked
};

struct SplitDomain {
  std::string name;
  size_t heldout_documents = 0, heldout_bytes = 0;
  size_t near_documents = 0, near_bytes = 0;  // left out of training since they are like held-out ones
};
struct SplitReport {
  std::vector<SplitDomain> domains;
  std::vector<std::string> examples;  // "dropped ~ held out (0.83)"
};

// Draws per domain among the documents that neither filters nor duplicates dropped and that are at most a
// quarter of heldout_bytes, so that many documents speak for a domain; a domain of few documents gives one
// when it has two. A document is left out of training when its similarity to a held-out one (Jaccard of
// five-word shingles, computed exactly against every held-out document) reaches near_threshold, or when it
// contains 80 % of one of at least 20 shingles. Writes attributes/split, heldout/<domain>.jsonl (the
// documents), heldout_text/<domain>.txt (their texts one after another, what `xz` would compress),
// split_report.json.
SplitReport split(const SplitOptions& options);

std::string split_report_json(const SplitReport& report);

}  // namespace lyceum
