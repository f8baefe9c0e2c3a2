#include "infer/sampler.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.h"

namespace lyceum {

void SamplingOptions::fields(Fields& f) {
  const bool random = temperature > 0;
  const std::string why = "temperature 0 is greedy";
  f.add("temperature", temperature, "spread of the choice; 0: always the best", at_least(0));
  f.add("top_k", top_k, "choose among the k best; 0: all", at_least(0), effective(random, why));
  f.add("top_p", top_p, "choose among the best that reach this probability", above(0), at_most(1),
        effective(random, why));
  f.add("min_p", min_p, "leave out what has less than this share of the best probability", at_least(0),
        at_most(1), effective(random, why));
  f.add("repetition_penalty", repetition_penalty, "above 1: recent ids become less likely", above(0));
  f.add("repetition_window", repetition_window, "how many ids count as recent", at_least(1),
        effective(repetition_penalty != 1, "the repetition penalty is 1"));
  f.add("seed", seed, "of the random choice", effective(random, why));
}

int32_t Sampler::next(std::span<const float> logits, std::span<const int32_t> history) {
  const SamplingOptions& o = options_;
  scores_.assign(logits.begin(), logits.end());
  if (o.repetition_penalty != 1) {
    const size_t window = std::min(history.size(), static_cast<size_t>(o.repetition_window));
    std::vector<int32_t> recent(history.end() - static_cast<std::ptrdiff_t>(window), history.end());
    std::sort(recent.begin(), recent.end());
    recent.erase(std::unique(recent.begin(), recent.end()), recent.end());
    for (int32_t id : recent)
      if (id >= 0 && static_cast<size_t>(id) < scores_.size()) {
        float& s = scores_[static_cast<size_t>(id)];
        s = s > 0 ? s / static_cast<float>(o.repetition_penalty)
                  : s * static_cast<float>(o.repetition_penalty);
      }
  }
  const auto best = std::max_element(scores_.begin(), scores_.end());
  if (best == scores_.end() || !std::isfinite(*best))
    fail(ErrorKind::kInternal, "sampler", "no finite logit to choose from");
  if (o.temperature <= 0) return static_cast<int32_t>(best - scores_.begin());

  order_.resize(scores_.size());
  std::iota(order_.begin(), order_.end(), 0);
  const auto better = [&](int32_t a, int32_t b) {
    const float x = scores_[static_cast<size_t>(a)], y = scores_[static_cast<size_t>(b)];
    return x != y ? x > y : a < b;
  };
  if (o.top_k > 0 && static_cast<size_t>(o.top_k) < order_.size()) {
    std::nth_element(order_.begin(), order_.begin() + o.top_k, order_.end(), better);
    order_.resize(static_cast<size_t>(o.top_k));
  }
  std::sort(order_.begin(), order_.end(), better);
  const double top = *best;
  std::vector<double> p;
  double total = 0;
  for (int32_t id : order_) {
    p.push_back(std::exp((scores_[static_cast<size_t>(id)] - top) / o.temperature));
    total += p.back();
  }
  double kept = 0;
  size_t n = 0;
  while (n < p.size() && p[n] >= o.min_p && (n == 0 || kept < o.top_p * total)) kept += p[n++];
  double u = key_.uniform(draws_++) * kept;
  for (size_t i = 0; i < n; ++i) {
    u -= p[i];
    if (u < 0) return order_[i];
  }
  return order_[n - 1];
}

}  // namespace lyceum
