#include "bench/expert_loads.h"

#include <cmath>
#include <span>

namespace lyceum::bench {

std::vector<int32_t> recorded_offsets(int64_t n_experts, int64_t slots) {
  const std::span<const int32_t> table =
      n_experts <= 45 ? std::span<const int32_t>(kLoadsOf32) : std::span<const int32_t>(kLoadsOf64);
  const auto recorded = static_cast<int64_t>(table.size());
  const auto load = [&](int64_t expert) {
    const int64_t at = n_experts < recorded ? expert * recorded / n_experts : expert % recorded;
    return static_cast<double>(table[static_cast<size_t>(at)]);
  };
  double sum = 0, before = 0;
  for (int64_t e = 0; e < n_experts; ++e) sum += load(e);
  std::vector<int32_t> offsets{0};
  for (int64_t e = 0; e < n_experts; ++e) {
    before += load(e);
    offsets.push_back(static_cast<int32_t>(std::llround(before / sum * static_cast<double>(slots))));
  }
  return offsets;
}

}  // namespace lyceum::bench
