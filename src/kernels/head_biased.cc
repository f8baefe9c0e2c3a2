#include "kernels/head_biased.h"

#include <algorithm>
#include <cmath>

#include "base/threads.h"
#include "kernels/product_blocks.h"
#include "kernels/rowwise.h"

namespace lyceum::kernels::biased {
namespace {

constexpr int64_t kBlockBytes = 16 << 20;

// f(first, n, logits): blocks of x W^T + b, [n, vocab] f32 with room for as many bf16 behind.
template <class F>
void by_blocks(int64_t tokens, ConstRows x, const Weights& w, F&& f) {
  const int64_t vocab = w.layout.n,
                block = std::min(tokens, std::max<int64_t>(16, kBlockBytes / (4 * vocab)));
  float* logits = static_cast<float*>(worker_memory(3, block * vocab * 6));
  for (int64_t first = 0; first < tokens; first += block) {
    const int64_t n = std::min(block, tokens - first);
    const int32_t bounds[2] = {0, static_cast<int32_t>(n)};
    product({1, bounds}, rows_from(x, first), nullptr, w, {logits, DType::kF32, vocab});
    f(first, n, logits);
  }
}

}  // namespace

void linear_log_prob(int64_t tokens, ConstRows x, const Weights& w, float scale, const int32_t* targets,
                     float* log_prob, float* logsumexp, int32_t* argmax) {
  const int64_t vocab = w.layout.n;
  by_blocks(tokens, x, w, [&](int64_t first, int64_t n, const float* logits) {
    parallel_ranges(n, 4, [&](int64_t begin, int64_t end, int) {
      for (int64_t r = begin; r < end; ++r) {
        const float* z = logits + r * vocab;
        const int64_t t = first + r;
        const float* best = scale < 0 ? std::min_element(z, z + vocab) : std::max_element(z, z + vocab);
        double sum = 0;
        for (int64_t v = 0; v < vocab; ++v) sum += std::exp(scale * (z[v] - *best));
        const double total = static_cast<double>(scale) * *best + std::log(sum);
        logsumexp[t] = static_cast<float>(total);
        if (log_prob)
          log_prob[t] =
              targets[t] < 0 ? 0 : static_cast<float>(static_cast<double>(scale) * z[targets[t]] - total);
        if (argmax) argmax[t] = static_cast<int32_t>(best - z);
      }
    });
  });
}

void linear_log_prob_gradient(int64_t tokens, ConstRows x, const Weights& w, float scale,
                              const int32_t* targets, const float* logsumexp, const float* dlog_prob,
                              const float* dlogsumexp, Rows dx, float* dw, float* db, double* squares) {
  const int64_t vocab = w.layout.n;
  const bool narrow = x.type == DType::kBF16 && w.layout.type == DType::kBF16;
  by_blocks(tokens, x, w, [&](int64_t first, int64_t n, float* logits) {
    parallel_ranges(n, 4, [&](int64_t begin, int64_t end, int) {
      for (int64_t r = begin; r < end; ++r) {  // logits become slopes
        float* z = logits + r * vocab;
        const int64_t t = first + r;
        const float from_target = targets[t] < 0 || !dlog_prob ? 0 : dlog_prob[t];
        const float all = scale * ((dlogsumexp ? dlogsumexp[t] : 0) - from_target);
        for (int64_t v = 0; v < vocab; ++v) z[v] = all * std::exp(scale * z[v] - logsumexp[t]);
        if (targets[t] >= 0) z[targets[t]] += scale * from_target;
      }
    });
    const int32_t bounds[2] = {0, static_cast<int32_t>(n)};
    ConstRows slopes(logits, DType::kF32, vocab);
    if (db) bias_gradient({1, bounds}, slopes, vocab, db);
    if (narrow) {
      bf16* rounded = reinterpret_cast<bf16*>(logits + n * vocab);
      convert(n * vocab, logits, DType::kF32, rounded, DType::kBF16);
      slopes = {rounded, DType::kBF16, vocab};
    }
    if (dx.data) product_dgrad({1, bounds}, slopes, nullptr, w, rows_from(dx, first));
    if (dw)
      product_wgrad({1, bounds}, slopes, nullptr, rows_from(x, first), nullptr, w.layout, dw, w.layout.size(),
                    first + n == tokens ? squares : nullptr);
  });
}

}  // namespace lyceum::kernels::biased
