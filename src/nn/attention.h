// Self-attention: grouped-query, with the variations of the published decoders as fields.
#pragma once

#include "nn/context.h"
#include "nn/rope.h"

namespace lyceum {

struct AttentionOptions {
  enum class QkNorm {
    kNone,
    kFull,  // one RMSNorm over the whole projection, all heads together (OLMoE, OLMo-2)
    kHead,  // one weight of d_head for every head (Qwen3)
  };
  int64_t d_model = 0, n_heads = 0, n_kv_heads = 0, d_head = 0;
  QkNorm qk_norm = QkNorm::kNone;
  double norm_eps = 1e-5;
  double clip_qkv = 0;  // 0: none; else q, k, v are clamped after the norm
  bool qkv_bias = false, out_bias = false;
  int64_t window = 0;  // 0: all before; w: itself and the w - 1 before
  double scale = 0;    // of q.k; 0: 1 / sqrt(d_head)
  RopeOptions rope;
};

// What the blocks of a decoder ask: x [tokens, d_model] -> [tokens, d_model]
class AttentionLayer {
 public:
  virtual ~AttentionLayer() = default;
  virtual Tensor forward(Context& context, const Tensor& x, int64_t layer) const = 0;
};

class Attention : public AttentionLayer {
 public:
  // Parameters are named <prefix>.q_proj.weight and so on.
  Attention(const AttentionOptions& options, const std::string& prefix, ParameterList& parameters);
  Tensor forward(Context& context, const Tensor& x, int64_t layer) const override;

 private:
  Tensor normed(Context& context, const Tensor& x, Parameter* weight, int64_t heads) const;
  AttentionOptions options_;
  std::vector<float> frequencies_;
  Parameter *q_, *k_, *v_, *o_, *q_bias_ = nullptr, *k_bias_ = nullptr, *v_bias_ = nullptr,
                                *o_bias_ = nullptr;
  Parameter *q_norm_ = nullptr, *k_norm_ = nullptr;
};

}  // namespace lyceum
