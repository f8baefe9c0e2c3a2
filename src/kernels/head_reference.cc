// The output matrix of head.h, plainly: one row of logits at a time, double sums.
#include <cmath>
#include <limits>
#include <vector>

#include "base/threads.h"
#include "kernels/products_reference.h"
#include "kernels/rows_access.h"

namespace lyceum::kernels::reference {
namespace {

constexpr int64_t kPanel = WeightLayout::kPanel;

// Logits of outputs p .. p + 15 of one row, at most `n` of them real.
void panel_logits(const float* x, const float* panel, int64_t k, float scale, const float* bias, int64_t n,
                  double* z) {
  for (int64_t o = 0; o < kPanel; ++o) z[o] = 0;
  for (int64_t i = 0; i < k; ++i)
    for (int64_t o = 0; o < kPanel; ++o) z[o] += static_cast<double>(x[i]) * panel[i * kPanel + o];
  for (int64_t o = 0; bias && o < std::min(kPanel, n); ++o) z[o] += bias[o];
  for (int64_t o = 0; o < kPanel; ++o) z[o] *= scale;
}

}  // namespace

void linear_log_prob(int64_t tokens, ConstRows x, const Weights& w, float scale, const int32_t* targets,
                     float* log_prob, float* logsumexp, int32_t* argmax) {
  const int64_t vocab = w.layout.n, k = w.layout.k;
  parallel_ranges(tokens, 4, [&](int64_t begin, int64_t end, int) {
    std::vector<float>&in = scratch<float, 1>(k), &panel = scratch<float, 0>(w.layout.panel_size());
    std::vector<double>& z = scratch<double, 0>(w.layout.n_padded());
    for (int64_t t = begin; t < end; ++t) {
      read_row(x, t, k, in.data());
      for (int64_t p = 0; p < vocab; p += kPanel) {
        read_panel(w, 0, 0, p, panel.data());
        panel_logits(in.data(), panel.data(), k, scale, w.bias ? w.bias + p : nullptr, vocab - p,
                     z.data() + p);
      }
      int64_t best = 0;
      for (int64_t v = 1; v < vocab; ++v)
        if (z[v] > z[best]) best = v;
      double sum = 0;
      for (int64_t v = 0; v < vocab; ++v) sum += std::exp(z[v] - z[best]);
      const double total = z[best] + std::log(sum);
      logsumexp[t] = static_cast<float>(total);
      if (log_prob) log_prob[t] = targets[t] < 0 ? 0 : static_cast<float>(z[targets[t]] - total);
      if (argmax) argmax[t] = static_cast<int32_t>(best);
    }
  });
}

void linear_log_prob_gradient(int64_t tokens, ConstRows x, const Weights& w, float scale,
                              const int32_t* targets, const float* logsumexp, const float* dlog_prob,
                              const float* dlogsumexp, Rows dx, float* dw, float* db) {
  const int64_t vocab = w.layout.n, k = w.layout.k;
  // scale * dlogit of outputs p .. p + 15 of row t; 0 beyond the vocabulary.
  const auto slopes = [&](int64_t t, int64_t p, const float* in, const float* panel, double* d) {
    panel_logits(in, panel, k, scale, w.bias ? w.bias + p : nullptr, vocab - p, d);
    const double from_target = targets[t] < 0 ? 0 : dlog_prob[t];
    const double from_sum = dlogsumexp ? dlogsumexp[t] : 0;
    for (int64_t o = 0; o < kPanel; ++o) {
      const double probability = std::exp(d[o] - logsumexp[t]);
      d[o] = p + o >= vocab
                 ? 0
                 : scale * (from_target * ((p + o == targets[t]) - probability) + from_sum * probability);
    }
  };
  if (dx.data)
    parallel_ranges(tokens, 4, [&](int64_t begin, int64_t end, int) {
      std::vector<float>&in = scratch<float, 1>(k), &panel = scratch<float, 0>(w.layout.panel_size());
      std::vector<double>& sum = scratch<double, 0>(k);
      for (int64_t t = begin; t < end; ++t) {
        read_row(x, t, k, in.data());
        std::fill(sum.begin(), sum.begin() + k, 0.0);
        for (int64_t p = 0; p < vocab; p += kPanel) {
          double d[kPanel];
          read_panel(w, 0, 0, p, panel.data());
          slopes(t, p, in.data(), panel.data(), d);
          for (int64_t i = 0; i < k; ++i)
            for (int64_t o = 0; o < kPanel; ++o) sum[i] += d[o] * panel[i * kPanel + o];
        }
        for (int64_t i = 0; i < k; ++i) write(dx, t, i, static_cast<float>(sum[i]));
      }
    });
  if (!dw && !db) return;
  parallel_for(w.layout.n_padded() / kPanel, [&](int64_t task, int) {
    const int64_t p = task * kPanel;
    std::vector<float>&in = scratch<float, 1>(k), &panel = scratch<float, 0>(w.layout.panel_size());
    std::vector<double>& sum = scratch<double, 0>(k * kPanel);
    std::fill(sum.begin(), sum.begin() + k * kPanel, 0.0);
    double of_bias[kPanel] = {};
    read_panel(w, 0, 0, p, panel.data());
    for (int64_t t = 0; t < tokens; ++t) {
      double d[kPanel];
      read_row(x, t, k, in.data());
      slopes(t, p, in.data(), panel.data(), d);
      for (int64_t o = 0; o < kPanel; ++o) of_bias[o] += d[o];
      for (int64_t i = 0; i < k; ++i)
        for (int64_t o = 0; o < kPanel; ++o) sum[i * kPanel + o] += d[o] * in[i];
    }
    for (int64_t o = 0; db && o < std::min(kPanel, vocab - p); ++o)
      db[p + o] = static_cast<float>(db[p + o] + of_bias[o]);
    if (!dw) return;
    for (int64_t i = 0; i < k; ++i)
      for (int64_t o = 0; o < std::min(kPanel, vocab - p); ++o) {
        float& to = dw[w.layout.index(0, p + o, i)];
        to = static_cast<float>(to + sum[i * kPanel + o]);
      }
  });
}

}  // namespace lyceum::kernels::reference
