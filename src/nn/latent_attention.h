// Multi-head latent attention (DeepSeek-V2, arXiv:2405.04434): keys and values are expanded from one narrow
// row per token, and a sequence keeps only that row (nn/latent_decode.h looks at it as it is).
//   q = W_q x, or W_qb RMSNorm(W_qa x);   latent = RMSNorm(W_kva x),  r = rope(W_kr x)     one for all heads
//   head h: q_h = [rope(q_r), q_n],  k_h = [r, W_kb_h latent],  v_h = W_vb_h latent
//   scale = m^2 / sqrt(d_nope + d_rope), m = 0.1 mscale_all ln(factor) + 1 where the rotation is stretched
// Files hold the rotated part of a head after the other, and W_kva over W_kr, W_kb over W_vb head by head;
// here the rotated part comes first and the matrices are apart. The inner norms have epsilon 1e-6 always.
#pragma once

#include "nn/attention.h"
#include "nn/latent_decode.h"
#include "nn/norm.h"

namespace lyceum {

struct LatentOptions {
  int64_t d_model = 0, n_heads = 0;
  int64_t q_rank = 0;  // 0: queries straight from x
  int64_t kv_rank = 0, d_nope = 0, d_rope = 0, d_value = 0;
  bool bias = false;  // of the projections from d_model and of the output
  RopeOptions rope;
};

class LatentAttention : public AttentionLayer {
 public:
  // Parameters <prefix>.q_proj, or .q_a_proj, .q_a_layernorm, .q_b_proj; .kv_a_proj, .k_rope_proj,
  // .kv_a_layernorm, .k_b_proj, .v_b_proj, .o_proj
  LatentAttention(const LatentOptions& options, const std::string& prefix, ParameterList& parameters);
  Tensor forward(Context& context, const Tensor& x, const Tensor& queries, int64_t layer) const override;

 private:
  Tensor expanded(Context& context, const Tensor& q, const Tensor& latent, const Tensor& rotated,
                  const kernels::AttentionShape& shape) const;
  LatentOptions options_;
  LatentRows widths_;
  Rotary rotary_;
  Parameter *q_ = nullptr, *q_a_ = nullptr, *q_b_ = nullptr, *kv_a_, *k_rope_, *k_b_, *v_b_, *o_;
  Parameter *q_a_bias_ = nullptr, *kv_a_bias_ = nullptr, *k_rope_bias_ = nullptr, *o_bias_ = nullptr;
  std::unique_ptr<Norm> q_norm_, kv_norm_;
};

}  // namespace lyceum
