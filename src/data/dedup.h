// `data dedup`: of documents that are the same, or nearly, one is kept.
#pragma once

#include <string>
#include <vector>

#include "data/attributes.h"

namespace lyceum {

struct DedupOptions {
  std::string folder;  // holds documents/ and perhaps attributes/filter; attributes go to attributes/dedup
  double threshold =
      0.8;  // true Jaccard similarity of word shingles from which a document is a near duplicate
  int shingle_words = 5;
  bool near = true;
};

struct DuplicatePair {
  std::string dropped, kept;
  double similarity = 1;
};
struct DedupedDomain {
  std::string name;
  size_t documents = 0, exact = 0, near = 0, exact_bytes = 0, near_bytes = 0;
};
struct DedupReport {
  double threshold = 0;
  std::vector<DedupedDomain> domains;
  std::vector<DuplicatePair> exact_examples, near_examples;
  size_t exact() const, near() const;
};

// Goes through the documents that no filter dropped in the order of their files: one whose normalised text
// has been seen is an exact duplicate; one whose similarity to a document kept before reaches the threshold
// is a near one. So the result is the same at any thread count, and no two documents that are kept were found
// alike. Holds 8 bytes per distinct shingle: about 1.5 times the text; refuses with kOutOfMemory what cannot
// fit.
DedupReport dedup(const DedupOptions& options);

std::string dedup_report_json(const DedupReport& report);

}  // namespace lyceum
