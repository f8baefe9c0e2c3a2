// The head by blocks of tokens: logits of a block in working memory, one pass over its rows for the
// statistics, one for the slopes, and the grouped products for everything else. A block holds at most
// kBlockBytes of logits, so that they stay near the processor while dW is not touched too often.
#include "kernels/head.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/threads.h"
#include "kernels/product_blocks.h"
#include "kernels/products_reference.h"

namespace lyceum::kernels {
namespace {

constexpr int64_t kBlockBytes = 32 << 20;

struct Head {
  int64_t tokens;
  ConstRows x;
  const Weights& w;
  float scale;
  const int32_t* targets;
  const ProductTable* table;
  int64_t vocab = w.layout.n, block;
  float* logits;  // [block, vocab]
  void* slopes;   // [block, vocab], type as x where the weight is bf16 too
  DType slope_type;

  Head(int64_t t, ConstRows rows, const Weights& weights, float s, const int32_t* wanted)
      : tokens(t), x(rows), w(weights), scale(s), targets(wanted) {
    check(w.layout.parts == 1 && !w.bias, "head", "wanted an output matrix of one part without bias");
    table = product_table(x.type, w.layout.type);
    block = std::clamp<int64_t>(kBlockBytes / (4 * vocab) / 64 * 64, 64, 1024);
    block = std::min(block, tokens);
    slope_type = x.type == DType::kBF16 && w.layout.type == DType::kBF16 ? DType::kBF16 : DType::kF32;
    logits = static_cast<float*>(worker_memory(3, block * vocab * 8));
    slopes = logits + block * vocab;
  }

  ConstRows rows(int64_t first) const {
    const int64_t bytes = first * x.stride * static_cast<int64_t>(dtype_size(x.type));
    return {static_cast<const char*>(x.data) + bytes, x.type, x.stride};
  }

  // x W^T of tokens first .. first + n.
  void compute_logits(int64_t first, int64_t n) const {
    const int32_t bounds[2] = {0, static_cast<int32_t>(n)};
    product({1, bounds}, rows(first), nullptr, w, {logits, DType::kF32, vocab});
  }

  void compute_statistics(int64_t first, int64_t n, float* log_prob, float* logsumexp,
                          int32_t* argmax) const {
    parallel_ranges(n, 4, [&](int64_t begin, int64_t end, int) {
      for (int64_t r = begin; r < end; ++r) {
        const float* z = logits + r * vocab;
        const int64_t t = first + r;
        const double sum = table->log_sum_exp(z, vocab, scale);
        logsumexp[t] = static_cast<float>(sum);
        if (log_prob)
          log_prob[t] =
              targets[t] < 0 ? 0 : static_cast<float>(static_cast<double>(scale) * z[targets[t]] - sum);
        if (argmax) argmax[t] = static_cast<int32_t>(largest(z));
      }
    });
  }

  int64_t largest(const float* z) const {
    int64_t best = 0;
    const float sign = scale < 0 ? -1.0f : 1.0f;
    for (int64_t v = 1; v < vocab; ++v)
      if (sign * z[v] > sign * z[best]) best = v;
    return best;
  }

  // slope = scale * (from_target * ([v = target] - p) + from_sum * p), p = exp(scale z - logsumexp); then dx,
  // dW.
  template <class Factors>
  void backward(int64_t first, int64_t n, const float* logsumexp, Factors&& factors, Rows dx,
                float* dw) const {
    parallel_ranges(n, 4, [&](int64_t begin, int64_t end, int) {
      for (int64_t r = begin; r < end; ++r) {
        const int64_t t = first + r;
        const auto [from_target, from_sum] = factors(t);
        const float target = targets[t] < 0 ? 0 : from_target;
        table->head_slopes(logits + r * vocab, vocab, scale, logsumexp[t], scale * (from_sum - target),
                           slopes, slope_type, r * vocab);
        if (targets[t] < 0) continue;
        const int64_t at = r * vocab + targets[t];
        const float p = std::exp(scale * logits[at] - logsumexp[t]);
        const float slope = scale * (target * (1 - p) + from_sum * p);
        if (slope_type == DType::kBF16) static_cast<bf16*>(slopes)[at] = to_bf16(slope);
        else static_cast<float*>(slopes)[at] = slope;
      }
    });
    const int32_t bounds[2] = {0, static_cast<int32_t>(n)};
    const ConstRows d(slopes, slope_type, vocab);
    if (dx.data) {
      const int64_t bytes = first * dx.stride * static_cast<int64_t>(dtype_size(dx.type));
      product_dgrad({1, bounds}, d, nullptr, w, {static_cast<char*>(dx.data) + bytes, dx.type, dx.stride});
    }
    if (dw) product_wgrad({1, bounds}, d, nullptr, rows(first), nullptr, w.layout, dw, w.layout.size());
  }

  template <class Body>
  void for_blocks(Body&& body) const {
    for (int64_t first = 0; first < tokens; first += block) body(first, std::min(block, tokens - first));
  }
};

struct Factor {
  float from_target, from_sum;
};

}  // namespace

void linear_log_prob(int64_t tokens, ConstRows x, const Weights& w, float scale, const int32_t* targets,
                     float* log_prob, float* logsumexp, int32_t* argmax) {
  if (tokens == 0) return;
  if (!product_table(x.type, w.layout.type))
    return reference::linear_log_prob(tokens, x, w, scale, targets, log_prob, logsumexp, argmax);
  const Head head(tokens, x, w, scale, targets);
  head.for_blocks([&](int64_t first, int64_t n) {
    head.compute_logits(first, n);
    head.compute_statistics(first, n, log_prob, logsumexp, argmax);
  });
}

void linear_log_prob_gradient(int64_t tokens, ConstRows x, const Weights& w, float scale,
                              const int32_t* targets, const float* logsumexp, const float* dlog_prob,
                              const float* dlogsumexp, Rows dx, float* dw) {
  if (tokens == 0) return;
  if (!product_table(x.type, w.layout.type))
    return reference::linear_log_prob_gradient(tokens, x, w, scale, targets, logsumexp, dlog_prob, dlogsumexp,
                                               dx, dw);
  const Head head(tokens, x, w, scale, targets);
  head.for_blocks([&](int64_t first, int64_t n) {
    head.compute_logits(first, n);
    head.backward(
        first, n, logsumexp,
        [&](int64_t t) {
          return Factor{dlog_prob ? dlog_prob[t] : 0.0f, dlogsumexp ? dlogsumexp[t] : 0.0f};
        },
        dx, dw);
  });
}

void linear_cross_entropy(int64_t tokens, ConstRows x, const Weights& w, float scale, const int32_t* targets,
                          const float* weight, const float* z_weight, float* log_prob, float* logsumexp,
                          Rows dx, float* dw) {
  if (tokens == 0) return;
  const auto factors = [&](int64_t t) {
    return Factor{-weight[t], z_weight ? 2 * z_weight[t] * logsumexp[t] : 0.0f};
  };
  if (!product_table(x.type, w.layout.type)) {
    reference::linear_log_prob(tokens, x, w, scale, targets, log_prob, logsumexp, nullptr);
    float* from_target = static_cast<float*>(worker_memory(3, tokens * 8));
    float* from_sum = from_target + tokens;
    for (int64_t t = 0; t < tokens; ++t)
      from_target[t] = factors(t).from_target, from_sum[t] = factors(t).from_sum;
    return reference::linear_log_prob_gradient(tokens, x, w, scale, targets, logsumexp, from_target, from_sum,
                                               dx, dw);
  }
  const Head head(tokens, x, w, scale, targets);
  head.for_blocks([&](int64_t first, int64_t n) {
    head.compute_logits(first, n);
    head.compute_statistics(first, n, log_prob, logsumexp, nullptr);
    head.backward(first, n, logsumexp, factors, dx, dw);
  });
}

}  // namespace lyceum::kernels
