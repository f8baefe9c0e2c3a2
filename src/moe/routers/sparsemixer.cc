// SparseMixer-v2 routing of PhiMoE (GRIN, Liu et al. 2024, arXiv:2409.12136), k rounds of one expert each:
//   l = x W_r^T;  in every round, among the experts not taken before, with best = their largest l:
//   M = { e : (best - l_e) / max(|l_e|, best) <= 2 * threshold },  P = softmax of l over M
//   evaluation  e = argmax,  g = P_e
//   training    e drawn from P (Gumbel noise on l);  g = P_e, or P_e / 3 (0.3333 in the published code) where
//               e is not the best and u <= 0.75 (Heun's third-order midpoint)
//   gradient    of both forms  dl = dg P_e (onehot_e - P): the scaling by a third is not differentiated
// threshold = router_jitter_noise of config.json, which therefore acts in evaluation too; jitter =
// input_jitter_noise. Gates do not sum to 1. Edges of a token stand in falling order of gate, so the second
// round's expert may come first.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "base/threads.h"
#include "kernels/scores.h"
#include "moe/routers/token_choice.h"

namespace lyceum {
namespace {

constexpr float kNever = -std::numeric_limits<float>::infinity();

struct Draw {                     // of one token and round; null in evaluation
  const float* gumbel = nullptr;  // [n_experts]
  float midpoint = 0;
};

// One round: p gets softmax over M; returns the expert, its factor in `factor`.
int32_t one_round(const float* l, int64_t n, float threshold, const Draw& draw, const uint8_t* taken,
                  float* p, float* factor) {
  int64_t best = -1;
  for (int64_t e = 0; e < n; ++e)
    if (!taken[e] && (best < 0 || l[e] > l[best])) best = e;
  const float top = l[best];
  float sum = 0;
  for (int64_t e = 0; e < n; ++e) {
    const bool out = taken[e] || (top - l[e]) / std::max(std::abs(l[e]), top) > 2 * threshold;
    sum += p[e] = out ? 0 : std::exp(l[e] - top);
  }
  for (int64_t e = 0; e < n; ++e) p[e] /= sum;
  int64_t chosen = best;
  if (draw.gumbel) {
    float most = kNever;
    for (int64_t e = 0; e < n; ++e) {
      const float value = p[e] > 0 ? l[e] + draw.gumbel[e] : kNever;
      if (value > most) most = value, chosen = e;
    }
  }
  *factor = draw.gumbel && chosen != best && draw.midpoint <= 0.75f ? 0.3333f : 1;
  return static_cast<int32_t>(chosen);
}

}  // namespace

// uniform [tokens, k * n_experts], midpoint [tokens, k]: empty in evaluation. Fills expert [tokens, k].
Tensor sparsemixer_gates(Tape& tape, const Tensor& l, const Tensor& uniform, const Tensor& midpoint,
                         float threshold, const Tensor& expert) {
  const Tape::Span span(tape, "sparsemixer");
  const int64_t tokens = l.rows(), n = l.width(), k = expert.width();
  const Tensor gate({tokens, k}, DType::kF32), p({tokens, k, n}, DType::kF32),
      factor({tokens, k}, DType::kF32);
  Tensor noise;
  if (uniform) {
    noise = Tensor(uniform.shape(), DType::kF32);
    kernels::map(kernels::ScoreMap::kGumbel, uniform.elements(), uniform.f32(), noise.f32());
  }
  parallel_ranges(tokens, 128, [&](int64_t begin, int64_t end, int) {
    PoolVector<uint8_t> taken(static_cast<size_t>(n));
    PoolVector<float> row(static_cast<size_t>(n));
    for (int64_t t = begin; t < end; ++t) {
      std::fill(taken.begin(), taken.end(), uint8_t{0});
      float *g = gate.f32() + t * k, *f = factor.f32() + t * k, *all = p.f32() + t * k * n;
      int32_t* chosen = expert.i32() + t * k;
      for (int64_t j = 0; j < k; ++j) {
        Draw draw;
        if (noise) draw = {noise.f32() + (t * k + j) * n, midpoint.f32()[t * k + j]};
        float own;
        const int32_t e = one_round(l.f32() + t * n, n, threshold, draw, taken.data(), row.data(), &own);
        taken[static_cast<size_t>(e)] = 1;
        const float value = own * row[static_cast<size_t>(e)];
        int64_t at = j;  // insertion by falling gate
        for (; at > 0 && g[at - 1] < value; --at) {
          g[at] = g[at - 1], f[at] = f[at - 1], chosen[at] = chosen[at - 1];
          std::memcpy(all + at * n, all + (at - 1) * n, static_cast<size_t>(n) * sizeof(float));
        }
        g[at] = value, f[at] = own, chosen[at] = e;
        std::memcpy(all + at * n, row.data(), static_cast<size_t>(n) * sizeof(float));
      }
    }
  });
  if (tape.recording())
    tape.record("sparsemixer", [&tape, l, gate, p, factor, expert, tokens, n, k] {
      const Tensor dgate = tape.take(gate);
      if (!dgate) return;
      const Tape::Target dl = tape.accumulating(l);
      if (!dl.add) dl.buffer.set_zero();
      parallel_ranges(tokens, 128, [&](int64_t begin, int64_t end, int) {
        for (int64_t i = begin * k; i < end * k; ++i) {
          float* d = dl.buffer.f32() + i / k * n;
          const float* row = p.f32() + i * n;
          const int32_t e = expert.i32()[i];
          const float slope = dgate.f32()[i] * row[e];
          for (int64_t j = 0; j < n; ++j) d[j] -= slope * row[j];
          d[e] += slope;
        }
      });
    });
  return gate;
}

namespace {

class SparseMixer : public Router {
 public:
  SparseMixer(const RouterOptions& o, const std::string& prefix, ParameterList& parameters)
      : options_(o), product_(o, prefix + ".gate", o.n_experts, parameters) {}

  Routing route(Context& c, const Tensor& x, int64_t layer) const override {
    Routing r;
    r.layer = layer, r.tokens = x.rows(), r.n_experts = options_.n_experts, r.top_k = options_.top_k;
    r.offsets = sequence_offsets(c, r.tokens);
    r.first = uniform_first(r.tokens, r.top_k);
    r.expert = Tensor({r.tokens, r.top_k}, DType::kI32);
    r.logits = product_.forward(c, x, layer, *noise_);
    r.probs = ops::softmax(c.tape, r.logits, &r.logsumexp);
    Tensor uniform, midpoint;
    if (c.phase == Phase::kTraining) {
      uniform = noise_->uniform(c, layer, NoiseUse::kSample, r.tokens, r.top_k * r.n_experts);
      midpoint = noise_->uniform(c, layer, NoiseUse::kMidpoint, r.tokens, r.top_k);
    }
    r.gate = sparsemixer_gates(c.tape, r.logits, uniform, midpoint, static_cast<float>(options_.threshold),
                               r.expert);
    return r;
  }

 private:
  RouterOptions options_;
  RouterProduct product_;
};

}  // namespace

std::unique_ptr<Router> make_sparsemixer(const RouterOptions& o, const std::string& prefix,
                                         ParameterList& parameters) {
  return std::make_unique<SparseMixer>(o, prefix, parameters);
}

}  // namespace lyceum
