// T5's relative positions (Raffel et al. 2020, arXiv:1910.10683): a learned number per head and bucket of
// distance is added to the scores. One table serves all blocks of a stack.
//   distance n = query - key; causal: keys ahead have none. Both directions: half of the buckets for keys
//   ahead. the first half of the buckets holds single distances, the rest grow with the logarithm up to
//   max_distance
#pragma once

#include "nn/context.h"

namespace lyceum {

class RelativeBias {
 public:
  // The parameter <name> [buckets, n_heads].
  RelativeBias(int64_t buckets, int64_t max_distance, bool both_directions, int64_t n_heads,
               const std::string& name, ParameterList& parameters);
  // The table and the bucket of every distance that the sequences of `shape` have.
  void describe(const kernels::AttentionShape& shape, ops::AttentionExtra* extra) const;
  int32_t bucket(int64_t distance) const;

 private:
  int64_t buckets_, max_distance_;
  bool both_directions_;
  Parameter* table_;
};

}  // namespace lyceum
