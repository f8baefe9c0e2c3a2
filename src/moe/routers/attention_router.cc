// The Attention Router of Yuan 2.0-M32: experts attend to each other before a token chooses.
//   q, k, v = W_q x, W_k x, W_v x                       [tokens, n_experts] each, no bias, no scale
//   A[i, j] = softmax over j of q_i k_j,  r_i = sum_j A[i, j] v_j            per token, in f32
//   the k largest of r, gates = softmax over those k (renormalise; Yuan's form)
// Wu et al. 2024, arXiv:2405.17976. Parameters <prefix>.gate.query.weight, .key.weight, .value.weight
// [n_experts, d_model]. No balance loss was used in its training; ours act on r.
#include <algorithm>
#include <cmath>

#include "base/threads.h"
#include "moe/routers/token_choice.h"

namespace lyceum {
namespace {

constexpr int64_t kGrain = 64;

// A of one row i: a [n], from q_i and all k.
void attend(float q, const float* k, float k_least, float k_most, int64_t n, float* a) {
  const float top = std::max(q * k_most, q * k_least);
  float sum = 0;
  for (int64_t j = 0; j < n; ++j) sum += a[j] = std::exp(q * k[j] - top);
  for (int64_t j = 0; j < n; ++j) a[j] /= sum;
}

}  // namespace

// dv_j = sum_i A_ij dr_i,  dS_ij = A_ij dr_i (v_j - r_i),  dq_i = sum_j dS_ij k_j,  dk_j = sum_i dS_ij q_i
Tensor attention_scores(Tape& tape, const Tensor& q, const Tensor& k, const Tensor& v) {
  const Tape::Span span(tape, "attention_router");
  const int64_t tokens = q.rows(), n = q.width();
  Tensor r(q.shape(), DType::kF32);
  parallel_ranges(tokens, kGrain, [&](int64_t begin, int64_t end, int) {
    PoolVector<float> a(static_cast<size_t>(n));
    for (int64_t t = begin; t < end; ++t) {
      const float *query = q.f32() + t * n, *key = k.f32() + t * n, *value = v.f32() + t * n;
      const float least = *std::min_element(key, key + n), most = *std::max_element(key, key + n);
      for (int64_t i = 0; i < n; ++i) {
        attend(query[i], key, least, most, n, a.data());
        float sum = 0;
        for (int64_t j = 0; j < n; ++j) sum += a[static_cast<size_t>(j)] * value[j];
        r.f32()[t * n + i] = sum;
      }
    }
  });
  if (tape.recording())
    tape.record("attention_router", [&tape, q, k, v, r, tokens, n] {
      const Tensor dr = tape.take(r);
      if (!dr) return;
      const Tensor dq(q.shape(), DType::kF32), dk = Tensor::zeros(k.shape(), DType::kF32),
                                               dv = Tensor::zeros(v.shape(), DType::kF32);
      parallel_ranges(tokens, kGrain, [&](int64_t begin, int64_t end, int) {
        PoolVector<float> a(static_cast<size_t>(n));
        for (int64_t t = begin; t < end; ++t) {
          const int64_t row = t * n;
          const float *query = q.f32() + row, *key = k.f32() + row, *value = v.f32() + row;
          const float least = *std::min_element(key, key + n), most = *std::max_element(key, key + n);
          for (int64_t i = 0; i < n; ++i) {
            attend(query[i], key, least, most, n, a.data());
            const float d = dr.f32()[row + i], mean = r.f32()[row + i];
            float sum = 0;
            for (int64_t j = 0; j < n; ++j) {
              const float weight = a[static_cast<size_t>(j)] * d, slope = weight * (value[j] - mean);
              dv.f32()[row + j] += weight;
              dk.f32()[row + j] += slope * query[i];
              sum += slope * key[j];
            }
            dq.f32()[row + i] = sum;
          }
        }
      });
      tape.pass(q, dq), tape.pass(k, dk), tape.pass(v, dv);
    });
  return r;
}

namespace {

class AttentionRouter : public TokenChoice {
 public:
  AttentionRouter(const RouterOptions& o, const std::string& prefix, ParameterList& parameters)
      : TokenChoice(o, prefix, parameters,
                    {false, o.renormalise ? ops::GateSum::kChosen : ops::GateSum::kNone}, NoProduct{}),
        query_(o, prefix + ".gate.query", o.n_experts, parameters),
        key_(o, prefix + ".gate.key", o.n_experts, parameters),
        value_(o, prefix + ".gate.value", o.n_experts, parameters) {}

 protected:
  Tensor logits(Context& c, const Tensor& x, int64_t layer) const override {
    return attention_scores(c.tape, query_.forward(c, x, layer, *noise_), key_.forward(c, x, layer, *noise_),
                            value_.forward(c, x, layer, *noise_));
  }

 private:
  RouterProduct query_, key_, value_;
};

}  // namespace

std::unique_ptr<Router> make_attention_router(const RouterOptions& o, const std::string& prefix,
                                              ParameterList& parameters) {
  return std::make_unique<AttentionRouter>(o, prefix, parameters);
}

}  // namespace lyceum
