// The Attention Router of Yuan 2.0-M32: experts attend to each other before a token chooses.
//   q, k, v = W_q x, W_k x, W_v x                       [tokens, n_experts] each, no bias, no scale
//   A[i, j] = softmax over j of q_i k_j,  r_i = sum_j A[i, j] v_j            per token, in f32
//   the k largest of r, gates = softmax over those k (renormalise; Yuan's form)
// Wu et al. 2024, arXiv:2405.17976. Parameters <prefix>.gate.query.weight, .key.weight, .value.weight
// [n_experts, d_model]. No balance loss was used in its training; ours act on r.
#include "kernels/scores.h"
#include "moe/routers/stacked_products.h"
#include "moe/routers/token_choice.h"

namespace lyceum {
// Gradients: kernels/scores.h.
Tensor attention_scores(Tape& tape, const Tensor& q, const Tensor& k, const Tensor& v) {
  const Tape::Span span(tape, "attention_router");
  const int64_t tokens = q.rows(), n = q.width();
  const Tensor r(q.shape(), DType::kF32);
  kernels::expert_attention(tokens, n, q.f32(), k.f32(), v.f32(), r.f32());
  if (tape.recording())
    tape.record("attention_router", [&tape, q, k, v, r, tokens, n] {
      const Tensor dr = tape.take(r);
      if (!dr) return;
      const Tensor dq(q.shape(), DType::kF32), dk(k.shape(), DType::kF32), dv(v.shape(), DType::kF32);
      kernels::expert_attention_gradient(tokens, n, q.f32(), k.f32(), v.f32(), r.f32(), dr.f32(), dq.f32(),
                                         dk.f32(), dv.f32());
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
        products_(o,
                  {{prefix + ".gate.query", o.n_experts},
                   {prefix + ".gate.key", o.n_experts},
                   {prefix + ".gate.value", o.n_experts}},
                  parameters) {}

 protected:
  Tensor logits(Context& c, const Tensor& x, int64_t layer) const override {
    const auto y = products_.forward(c, x);
    return attention_scores(c.tape, y[0], y[1], y[2]);
  }

 private:
  StackedProducts products_;
};

}  // namespace

std::unique_ptr<Router> make_attention_router(const RouterOptions& o, const std::string& prefix,
                                              ParameterList& parameters) {
  return std::make_unique<AttentionRouter>(o, prefix, parameters);
}

}  // namespace lyceum
