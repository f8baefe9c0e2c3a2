// Held-out documents as batches for evaluation, by domain, with the bytes of text they stand for.
//
//   bits per byte of a domain = sum of -log2 p(target) over all its batches (weight 1) / bytes
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "nn/batch.h"

namespace lyceum {

struct HeldOutDomain {
  std::string name;
  int32_t id = 0;                                // as the training shards count it
  int64_t documents = 0, bytes = 0, tokens = 0;  // bytes of text, without the ends of documents
  std::vector<int32_t> ids;                      // end_id, document, end_id, document, ..., end_id
};

class HeldOut {
 public:
  // A shard made by `lyceum data tokenize` and <prefix>.json beside it, which has the bytes. Throws
  // kNotFound, kCorruptData.
  HeldOut(const std::string& prefix, int64_t vocab, int32_t end_id);

  const std::vector<HeldOutDomain>& domains() const { return domains_; }

  // Batches of at most `instances` windows that score every token of the domain exactly once, ends of
  // documents included. A window has sequence_length tokens of which the first `context` (0 <= context <
  // sequence_length) are read but not scored, except in the first window. More context scores better and
  // costs more.
  std::vector<Batch> batches(size_t domain, int64_t sequence_length, int64_t context,
                             int64_t instances) const;

 private:
  std::vector<HeldOutDomain> domains_;
};

}  // namespace lyceum
