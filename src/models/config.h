// What a decoder is made of. Families translate their config.json to this and back; recipes set it directly.
#pragma once

#include "base/fields.h"
#include "moe/layer.h"
#include "nn/attention.h"
#include "nn/feed_forward.h"
#include "nn/norm.h"

namespace lyceum {

struct ModelConfig {
  std::string family = "olmoe";  // a name of the family table
  int64_t vocab = 0;
  int64_t d_model = 512, n_layers = 8, n_heads = 8, n_kv_heads = 0,
          d_head = 0;                // 0: n_heads, d_model / n_heads
  int64_t d_ff = 256;                // of one expert, or of the dense network
  int64_t n_experts = 0, top_k = 0;  // 0: dense
  std::string router = "softmax_top_k";
  bool renormalise = false;
  double norm_eps = 1e-5;
  double clip_qkv = 0;
  bool attention_bias = false, feed_forward_bias = false;
  int64_t window = 0;
  bool tied = false;  // output matrix = embedding
  int64_t max_positions = 4096;
  double rope_theta = 10000;
  std::string rope_scaling = "default";
  double rope_factor = 1, rope_low = 1, rope_high = 4;
  int64_t rope_original = 8192;
  double init_std = 0.02;
  double init_cut = 3;                // truncated normal at this many standard deviations
  double balance_coefficient = 0.01;  // router_aux_loss_coef of config.json
  int64_t bos = -1, eos = -1, pad = -1;

  // Fixed by the family, not by the user.
  NormOptions::Kind norm = NormOptions::Kind::kRms;
  AttentionOptions::QkNorm qk_norm = AttentionOptions::QkNorm::kNone;

  bool sparse() const { return n_experts > 0; }
  int64_t kv_heads() const { return n_kv_heads ? n_kv_heads : n_heads; }
  int64_t head_width() const { return d_head ? d_head : d_model / n_heads; }

  void fields(Fields& f);
  // Throws kInvalidArgument naming the key that cannot be (top_k above n_experts, heads that do not divide,
  // ...).
  void validate() const;
};

}  // namespace lyceum
