#include "train/synthetic.h"

#include <algorithm>
#include <cmath>

#include "base/random.h"

namespace lyceum {

std::vector<int32_t> synthetic_ids(int64_t n, int64_t vocab, uint64_t seed) {
  const RandomKey key(seed);
  const double most = static_cast<double>(vocab);
  std::vector<int32_t> ids(static_cast<size_t>(n));
  for (size_t i = 0; i < ids.size(); ++i)
    ids[i] = static_cast<int32_t>(std::min(most - 1, std::pow(most, key.uniform(i)) - 1));
  return ids;
}

Batch synthetic_batch(int64_t sequences, int64_t length, int64_t vocab, uint64_t seed) {
  Batch b;
  const int64_t tokens = sequences * length;
  b.ids = synthetic_ids(tokens, vocab, seed);
  for (int64_t t = 0; t < tokens; ++t) {
    b.positions.push_back(static_cast<int32_t>(t % length));
    b.domains.push_back(0);
    b.weights.push_back(1.0f / static_cast<float>(tokens));
    if (t % length == 0) b.offsets.push_back(static_cast<int32_t>(t));
  }
  b.offsets.push_back(static_cast<int32_t>(tokens));
  b.targets.assign(b.ids.begin() + 1, b.ids.end());
  b.targets.push_back(0);
  return b;
}

}  // namespace lyceum
