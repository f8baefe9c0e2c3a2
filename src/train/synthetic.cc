#include "train/synthetic.h"

#include <algorithm>
#include <cmath>

#include "base/random.h"

namespace lyceum {

Batch synthetic_batch(int64_t sequences, int64_t length, int64_t vocab, uint64_t seed) {
  Batch b;
  const RandomKey key(seed);
  const int64_t tokens = sequences * length;
  for (int64_t t = 0; t < tokens; ++t) {
    const double u = key.uniform(static_cast<uint64_t>(t));
    b.ids.push_back(static_cast<int32_t>(
        std::min<double>(static_cast<double>(vocab) - 1, std::pow(static_cast<double>(vocab), u) - 1)));
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
