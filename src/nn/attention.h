// Attention: grouped-query, over the own sequence or another one, with the variations of the published models
// as fields.
#pragma once

#include "nn/context.h"
#include "nn/local_filter.h"
#include "nn/relative_bias.h"
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
  int64_t window = 0;      // 0: all before; w: itself and the w - 1 before
  double scale = 0;        // of q.k; 0: 1 / sqrt(d_head)
  bool causal = true;      // false: every position of the sequence (encoders)
  bool cross = false;      // keys and values come from the source sequence; neither causal nor rotated
  bool rotary = true;      // false: positions come from elsewhere
  bool sinks = false;      // one logit more per head (gpt-oss)
  bool filtered = false;   // queries and keys of locally filtered rows (Yuan)
  bool shared_qk = false;  // one projection for queries and keys, each with its own scale and bias (Yuan)
  RopeOptions rope;
};

// What the blocks of a stack ask. `x` [rows, d_model] gives keys and values, `queries` [tokens, d_model] asks
// (mostly the same rows) -> [tokens, d_model]
class AttentionLayer {
 public:
  virtual ~AttentionLayer() = default;
  virtual Tensor forward(Context& context, const Tensor& x, const Tensor& queries, int64_t layer) const = 0;
};

class Attention : public AttentionLayer {
 public:
  // Parameters are named <prefix>.q_proj.weight and so on. `bias`: of relative positions, may be shared by
  // blocks.
  Attention(const AttentionOptions& options, const std::string& prefix, ParameterList& parameters,
            std::shared_ptr<const RelativeBias> bias = nullptr);
  Tensor forward(Context& context, const Tensor& x, const Tensor& queries, int64_t layer) const override;

 private:
  void project(Context& context, const Tensor& x, const Tensor& queries, int64_t layer, Tensor* q, Tensor* k,
               Tensor* v) const;
  Tensor normed(Context& context, const Tensor& x, Parameter* weight, int64_t heads) const;
  AttentionOptions options_;
  Rotary rotary_;
  std::shared_ptr<const RelativeBias> bias_;
  std::unique_ptr<LocalFilter> filter_;
  Parameter *q_ = nullptr, *k_ = nullptr, *v_, *o_, *q_bias_ = nullptr, *k_bias_ = nullptr,
            *v_bias_ = nullptr, *o_bias_ = nullptr;
  Parameter *q_norm_ = nullptr, *k_norm_ = nullptr, *sinks_ = nullptr;
  Parameter *q_scale_ = nullptr, *k_scale_ = nullptr;  // with shared_qk
};

// The keys that the queries of a batch see when a sequence goes on: appends `k` and `v` (nullable) to the
// state, makes them all rows so far, and sets the shape's offsets. Without a state only the offsets are set.
// `offsets` must live as long as the shape.
void continue_sequence(Context& context, int64_t layer, Tensor* k, Tensor* v, kernels::AttentionShape* shape,
                       std::vector<int32_t>* offsets);

}  // namespace lyceum
