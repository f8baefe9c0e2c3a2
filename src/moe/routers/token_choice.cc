#include "moe/routers/token_choice.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "base/threads.h"
#include "kernels/rowwise.h"
#include "kernels/scores.h"

namespace lyceum {
namespace {

constexpr int64_t kGrain = 128;  // tokens of a task

// Experts outside the best groups of their token get -infinity.
void limit_to_groups(const RouterOptions& o, Tensor& scores) {
  const int64_t n = scores.width(), size = n / o.groups;
  const bool pair = o.group_score == "top2_sum";
  parallel_ranges(scores.rows(), kGrain, [&](int64_t begin, int64_t end, int) {
    PoolVector<float> value(static_cast<size_t>(o.groups));
    for (int64_t t = begin; t < end; ++t) {
      float* row = scores.f32() + t * n;
      for (int64_t g = 0; g < o.groups; ++g) {
        float first = -std::numeric_limits<float>::infinity(), second = first;
        for (int64_t e = g * size; e < (g + 1) * size; ++e) {
          if (row[e] > first) second = first, first = row[e];
          else second = std::max(second, row[e]);
        }
        value[static_cast<size_t>(g)] = pair ? first + second : first;
      }
      for (int64_t g = 0; g < o.groups; ++g) {
        int64_t better = 0;  // groups before this one in falling order, ties to the lower
        for (int64_t h = 0; h < o.groups; ++h) {
          const float a = value[static_cast<size_t>(h)], b = value[static_cast<size_t>(g)];
          better += a > b || (a == b && h < g);
        }
        if (better >= o.kept_groups)
          std::fill(row + g * size, row + (g + 1) * size, -std::numeric_limits<float>::infinity());
      }
    }
  });
}

// Selection by biased scores, edges in falling order of the scores themselves.
void order_by_score(const Tensor& scores, Routing& r) {
  const int64_t k = r.top_k, n = r.n_experts;
  parallel_ranges(r.tokens, kGrain, [&](int64_t begin, int64_t end, int) {
    for (int64_t t = begin; t < end; ++t) {
      const float* row = scores.f32() + t * n;
      int32_t* chosen = r.expert.i32() + t * k;
      std::sort(chosen, chosen + k, [&](int32_t a, int32_t b) {
        const float x = ordered(row[a]), y = ordered(row[b]);
        return x != y ? x > y : a < b;
      });
    }
  });
}

}  // namespace

RouterProduct::RouterProduct(const RouterOptions& o, const std::string& name, int64_t outputs,
                             ParameterList& parameters)
    : jitter_(o.jitter),
      narrow_(o.precision == "bf16"),
      weight_(narrow_ ? parameters.matrix(name + ".weight", {outputs, o.d_model})
                      : parameters.matrix_f32(name + ".weight", {outputs, o.d_model})) {
  weight_->is_matrix = false;  // Muon leaves routers alone
  if (o.bias) bias_ = parameters.vector(name + ".bias", outputs);
}

Tensor RouterProduct::forward(Context& c, const Tensor& x, int64_t layer, const RouterNoise& noise) const {
  Tensor in = x;
  if (jitter_ > 0 && c.phase == Phase::kTraining)
    in = jittered(c.tape, x, noise.uniform(c, layer, NoiseUse::kJitter, x.rows(), x.width()),
                  static_cast<float>(jitter_));
  if (narrow_ && in.type() == DType::kF32) in = ops::round_to_bf16(c.tape, in);
  return narrowed(c.tape, ops::linear(c.tape, in, *weight_, bias_, DType::kF32), narrow_);
}

Tensor narrowed(Tape& tape, const Tensor& x, bool narrow) { return narrow ? ops::round_to_bf16(tape, x) : x; }

// dx = dy (1 - size + 2 size u)
Tensor jittered(Tape& tape, const Tensor& x, const Tensor& u, float size) {
  const Tape::Span span(tape, "jittered");
  Tensor y = x.to(DType::kF32);
  const auto scale = [size](const Tensor& rows, const Tensor& noise) {
    parallel_ranges(rows.elements(), 8192,
                    [size, x = rows.f32(), r = noise.f32()](int64_t begin, int64_t end, int) {
                      for (int64_t i = begin; i < end; ++i) x[i] *= 1 - size + 2 * size * r[i];
                    });
  };
  scale(y, u);
  if (tape.recording())
    tape.record("jittered", [&tape, x, y, u, scale] {
      const Tensor dy = tape.take(y);
      if (!dy) return;
      const Tensor dx = dy.to(DType::kF32);
      scale(dx, u);
      tape.pass(x, x.type() == DType::kF32 ? dx : dx.to(x.type()));
    });
  return y;
}

void mark_all_kept(Routing& r) {
  if (r.kept) return;
  r.kept = Tensor({r.edges()}, DType::kU8);
  std::memset(r.kept.data(), 1, r.kept.bytes());
}

Tensor sequence_offsets(const Context& c, int64_t tokens) {
  const std::vector<int32_t>& o = c.batch.offsets;
  if (o.size() >= 2 && o.back() == tokens)
    return Tensor::of({static_cast<int64_t>(o.size())}, DType::kI32, o.data());
  const int32_t all[2] = {0, static_cast<int32_t>(tokens)};
  return Tensor::of({2}, DType::kI32, all);
}

TokenChoice::TokenChoice(const RouterOptions& o, const std::string& prefix, ParameterList& parameters,
                         Form form, NoProduct)
    : options_(o), form_(form), narrow_(o.precision == "bf16"), capacity_(o) {
  if (o.selection_bias)
    selection_bias_ = parameters.buffer(prefix + ".gate.e_score_correction_bias", {o.n_experts});
}

TokenChoice::TokenChoice(const RouterOptions& o, const std::string& prefix, ParameterList& parameters,
                         Form form)
    : TokenChoice(o, prefix, parameters, form, NoProduct{}) {
  product_ = std::make_unique<RouterProduct>(o, prefix + ".gate", o.n_experts, parameters);
}

Tensor TokenChoice::logits(Context& c, const Tensor& x, int64_t layer) const {
  return product_->forward(c, x, layer, *noise_);
}

// With `sample` the first choice (the only one of top 1 is drawn, that of top k is not) and then the largest
// of logits + Gumbel noise.
void TokenChoice::sample(Context& c, const Tensor& scores, Routing& r) const {
  const Tensor u = noise_->uniform(c, r.layer, NoiseUse::kSample, r.tokens, r.n_experts);
  const int64_t n = r.n_experts, k = r.top_k;
  Tensor by(scores.shape(), DType::kF32);
  kernels::map(kernels::ScoreMap::kGumbel, u.elements(), u.f32(), by.f32());
  parallel_ranges(r.tokens, kGrain, [&](int64_t begin, int64_t end, int) {
    for (int64_t t = begin; t < end; ++t) {
      const float *row = scores.f32() + t * n, *l = r.logits.f32() + t * n;
      for (int64_t e = 0; e < n; ++e) by.f32()[t * n + e] += l[e];
      if (k > 1)
        by.f32()[t * n + (std::max_element(row, row + n) - row)] = std::numeric_limits<float>::infinity();
    }
  });
  kernels::top_k(r.tokens, n, k, by.f32(), nullptr, r.expert.i32());
}

void TokenChoice::choose(Context& c, const Tensor& scores, Routing& r) const {
  if (options_.sample && c.phase == Phase::kTraining) return sample(c, scores, r);
  Tensor by = scores;
  const bool biased = selection_bias_ != nullptr, grouped = options_.groups > 1;
  if (biased || grouped) {
    by = Tensor(scores.shape(), DType::kF32);
    const float* bias = biased ? selection_bias_->value.f32() : nullptr;
    parallel_ranges(r.tokens, kGrain, [&](int64_t begin, int64_t end, int) {
      for (int64_t t = begin; t < end; ++t)
        for (int64_t e = 0; e < r.n_experts; ++e)
          by.f32()[t * r.n_experts + e] = scores.f32()[t * r.n_experts + e] + (bias ? bias[e] : 0.0f);
    });
    if (grouped) limit_to_groups(options_, by);
  }
  kernels::top_k(r.tokens, r.n_experts, r.top_k, by.f32(), nullptr, r.expert.i32());
  if (biased) order_by_score(scores, r);
}

Routing TokenChoice::route(Context& c, const Tensor& x, int64_t layer) const {
  return route_logits(c, logits(c, x, layer), layer);
}

Routing TokenChoice::route_logits(Context& c, const Tensor& logits, int64_t layer) const {
  Routing r;
  r.layer = layer, r.tokens = logits.rows(), r.n_experts = options_.n_experts, r.top_k = options_.top_k;
  r.offsets = sequence_offsets(c, r.tokens);
  r.first = uniform_first(r.tokens, r.top_k);
  r.expert = Tensor({r.tokens, r.top_k}, DType::kI32);
  r.logits = logits;
  Tensor scores;
  if (form_.sigmoid) {
    scores = ops::sigmoid(c.tape, r.logits);
    r.probs = ops::normalise_rows(c.tape, scores);
  } else {
    scores = r.probs = ops::softmax(c.tape, r.logits, &r.logsumexp);
  }
  scores = narrowed(c.tape, scores, narrow_);
  choose(c, scores, r);
  before_places(c, scores, r);
  capacity_.apply(c, *noise_, scores, r);
  after_places(c, scores, r);
  const float scale = static_cast<float>(options_.gate_scale);
  r.gate = narrowed(c.tape, ops::chosen_gates(c.tape, scores, r.list(), form_.sum, scale), narrow_);
  return r;
}

}  // namespace lyceum
