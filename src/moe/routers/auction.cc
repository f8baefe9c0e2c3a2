#include "moe/routers/auction.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace lyceum {
namespace {

struct Bid {
  float price;
  int32_t token;
};
// What bids are made with: scores of a step that diverged (NaN, infinite) must not keep the auction from its
// end.
float bounded(float x) { return std::isfinite(x) ? std::clamp(x, -1e30f, 1e30f) : x > 0 ? 1e30f : -1e30f; }

// The lowest price on top; among equals the latest token goes first.
bool outbids(const Bid& a, const Bid& b) {
  return a.price != b.price ? a.price > b.price : a.token < b.token;
}

}  // namespace

// Invariants: 1. an expert holds at most `places` bids, as a heap; its price is the lowest of them once it is
// full, else 0. 2. every token is either held by one expert or waits. 3. prices only rise.
void balanced_assignment(const Tensor& score, int32_t* expert) {
  const int64_t tokens = score.rows(), n = score.width();
  const int64_t places = (tokens + n - 1) / n, full_experts = tokens % n == 0 ? n : tokens % n;
  if (tokens == 0) return;
  PoolVector<float> worth(static_cast<size_t>(tokens * n));  // the scores, bounded
  std::transform(score.f32(), score.f32() + tokens * n, worth.begin(), bounded);
  const auto [low, high] = std::minmax_element(worth.begin(), worth.end());
  const float least = *low, most = *high;
  const float epsilon =
      std::max({1e-4f, (most - least) / 200, 1e-6f * std::max(std::abs(least), std::abs(most))});
  PoolVector<Bid> held(static_cast<size_t>(n * places));
  PoolVector<int32_t> count(static_cast<size_t>(n)), waiting(static_cast<size_t>(tokens));
  PoolVector<float> price(static_cast<size_t>(n));
  for (int64_t t = 0; t < tokens; ++t) waiting[static_cast<size_t>(t)] = static_cast<int32_t>(tokens - 1 - t);
  int64_t at_most = 0;  // experts that hold `places` tokens; the others may hold one less
  while (!waiting.empty()) {
    const int32_t t = waiting.back();
    waiting.pop_back();
    const float* row = &worth[static_cast<size_t>(t * n)];
    float best = -std::numeric_limits<float>::infinity(), second = best;
    int64_t e = 0;
    for (int64_t i = 0; i < n; ++i) {
      const float value = row[i] - price[static_cast<size_t>(i)];
      if (value > best) second = best, best = value, e = i;
      else second = std::max(second, value);
    }
    if (n == 1) second = best;
    Bid* heap = &held[static_cast<size_t>(e * places)];
    int32_t& own = count[static_cast<size_t>(e)];
    const float bid = price[static_cast<size_t>(e)] + best - second + epsilon;
    // Places of e: the larger size while the remainder has some left, else one less.
    const bool larger = own == places || at_most < full_experts;
    const int32_t room = static_cast<int32_t>(larger ? places : places - 1);
    if (own < room) {
      heap[own++] = {bid, t};
      std::push_heap(heap, heap + own, outbids);
      at_most += own == places;
    } else {
      std::pop_heap(heap, heap + own, outbids);
      waiting.push_back(heap[own - 1].token);
      heap[own - 1] = {bid, t};
      std::push_heap(heap, heap + own, outbids);
    }
    const bool full = own == places || (own == places - 1 && at_most >= full_experts);
    if (full)
      price[static_cast<size_t>(e)] = std::max(price[static_cast<size_t>(e)], own ? heap[0].price : bid);
  }
  for (int64_t e = 0; e < n; ++e)
    for (int32_t i = 0; i < count[static_cast<size_t>(e)]; ++i)
      expert[held[static_cast<size_t>(e * places + i)].token] = static_cast<int32_t>(e);
}

}  // namespace lyceum
