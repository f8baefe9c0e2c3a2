// The next id from a row of logits. Filters are applied in this order, each to what the one before it left:
// repetition penalty, temperature, top_k, top_p, min_p. Temperature 0 is greedy (ties to the lower id).
#pragma once

#include <span>
#include <vector>

#include "base/fields.h"
#include "base/random.h"

namespace lyceum {

struct SamplingOptions {
  double temperature = 0.8;
  int64_t top_k = 0;  // 0: all
  double top_p =
      0.95;          // smallest set whose probability reaches this (Holtzman et al. 2020, arXiv:1904.09751)
  double min_p = 0;  // at least this share of the best probability
  double repetition_penalty = 1;  // logits of recent ids are divided (positive) or multiplied (negative) by
                                  // it (Keskar et al. 2019, arXiv:1909.05858)
  int64_t repetition_window = 64;
  int64_t seed = 0;
  void fields(Fields& f);
};

class Sampler {
 public:
  explicit Sampler(const SamplingOptions& options)
      : options_(options), key_(static_cast<uint64_t>(options.seed)) {}
  // logits [vocab]; `history`: ids so far, prompt included. The draw depends on seed and number of calls
  // only.
  int32_t next(std::span<const float> logits, std::span<const int32_t> history);

 private:
  SamplingOptions options_;
  RandomKey key_;
  uint64_t draws_ = 0;
  std::vector<float> scores_;
  std::vector<int32_t> order_;
};

}  // namespace lyceum
