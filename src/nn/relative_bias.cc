#include "nn/relative_bias.h"

#include <algorithm>
#include <cmath>

namespace lyceum {

RelativeBias::RelativeBias(int64_t buckets, int64_t max_distance, bool both_directions, int64_t n_heads,
                           const std::string& name, ParameterList& parameters)
    : buckets_(buckets), max_distance_(max_distance), both_directions_(both_directions) {
  check(buckets >= 4 && buckets % 4 == 0 && max_distance > buckets / 2, "relative positions",
        "wanted a multiple of 4 buckets and a largest distance beyond half of them, found ", buckets, " and ",
        max_distance);
  table_ = parameters.vectors(name, {buckets, n_heads});
  table_->decay = true;
}

int32_t RelativeBias::bucket(int64_t distance) const {
  int64_t n = std::max<int64_t>(distance, 0), buckets = buckets_, first = 0;
  if (both_directions_) {
    buckets /= 2;
    if (distance < 0) first = buckets, n = -distance;
  }
  const int64_t exact = buckets / 2;
  if (n < exact) return static_cast<int32_t>(first + n);
  const float ratio =
      std::log(static_cast<float>(n) / static_cast<float>(exact)) /  // f32, as published
      static_cast<float>(std::log(static_cast<double>(max_distance_) / static_cast<double>(exact)));
  const int64_t far = exact + static_cast<int64_t>(ratio * static_cast<float>(buckets - exact));
  return static_cast<int32_t>(first + std::min(far, buckets - 1));
}

void RelativeBias::describe(const kernels::AttentionShape& shape, ops::AttentionExtra* extra) const {
  int64_t longest = 1;
  for (int64_t i = 0; i < shape.sequences; ++i)
    longest = std::max<int64_t>(
        {longest, shape.k_offsets[i + 1] - shape.k_offsets[i], shape.q_offsets[i + 1] - shape.q_offsets[i]});
  extra->table = table_;
  extra->zero = shape.causal ? 0 : longest - 1;
  for (int64_t d = -extra->zero; d < longest; ++d) extra->bucket.push_back(bucket(d));
}

}  // namespace lyceum
