// What a model is made of. Families translate their config.json to this and back; recipes set it directly.
#pragma once

#include "base/fields.h"
#include "moe/balance.h"
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
  int64_t d_ff_dense = 0;            // of the dense blocks of a sparse model; 0: d_ff
  int64_t d_ff_shared = 0;           // of the experts that every token sees, side by side; 0: none
  int64_t n_experts = 0, top_k = 0;  // 0: dense
  // Block i is sparse if i >= moe_first, (i - moe_first) mod moe_every = 0 and i is no dense layer.
  int64_t moe_first = 0, moe_every = 1;
  std::vector<int64_t> dense_layers;
  std::string router = "softmax_top_k";
  bool renormalise = false;
  RouterOptions routing;  // what else a router can be told; names and sizes are copied from here
  double norm_eps = 1e-5;
  double clip_qkv = 0;
  bool qkv_bias = false, out_bias = false, feed_forward_bias = false;
  int64_t window = 0;                // tokens that a query sees; 0: all before it
  std::vector<int64_t> full_layers;  // blocks without the window
  bool tied = false;                 // output matrix = embedding
  int64_t max_positions = 4096;
  RopeOptions rope;
  double init_std = 0.02;
  double init_cut = 3;                // truncated normal at this many standard deviations
  double balance_coefficient = 0.01;  // router_aux_loss_coef of config.json
  int64_t bos = -1, eos = -1, pad = -1;
  // Of a model with an encoder: its blocks, which of them have experts, its relative positions.
  int64_t n_encoder_layers = 0, encoder_moe_first = 0, encoder_moe_every = 1;
  int64_t buckets = 32, max_distance = 128;
  // Latent attention: ranks of the narrow rows, widths of the plain and the rotated part of a head, of a
  // value.
  int64_t q_rank = 0, kv_rank = 0, d_nope = 0, d_rope = 0, d_value = 0;
  bool half_split = false;  // and whether the rotated part is turned in pairs (i, i + d_rope / 2)

  // Fixed by the family, not by the user.
  NormOptions::Kind norm = NormOptions::Kind::kRms;
  AttentionOptions::QkNorm qk_norm = AttentionOptions::QkNorm::kNone;
  // How a block joins its two halves: x + f(norm x); x + norm(f x); both halves of the same x.
  enum class BlockForm { kPreNorm, kPostNorm, kParallel } block = BlockForm::kPreNorm;
  Activation activation = Activation::kSilu;
  bool gated = true;            // act(W_gate x) * (W_up x), else act(W_up x)
  bool own_activation = false;  // said by config.json; false: that of the family

  double activation_limit = 0;  // of kClampedSwiglu
  double embedding_scale = 1, residual_scale = 1, logit_scale = 1;
  double attention_scale = 0;  // of q.k; 0: 1 / sqrt(width of a head)
  bool head_bias = false;
  bool sinks = false, rotary = true;
  bool expert_bias = false, shared_gate = false;
  std::string shared_name = "shared_expert";
  bool extra_network = false;     // sparse blocks end with a dense network of their own norm (OpenMoE)
  bool filtered = false;          // queries and keys of locally filtered rows (Yuan)
  bool shared_qk = false;         // one projection for both (a dense Yuan)
  bool mask_by_document = false;  // no query sees past the last end of a document
  int64_t eod = -1;               // that ends a document
  bool learned_positions = false;
  bool query_layer = false;  // the last block asks with rows learned by position (PanGu)
  bool norm_before_query = true;
  // What balances experts in the published code, with the coefficients of config.json.
  BalanceForm balance_form = BalanceForm::kHuggingFace;
  double z_coefficient = 0;

  bool relative_positions = false;
  int64_t decoder_start = 0;  // id that a target text begins after

  bool encoder_decoder() const { return n_encoder_layers > 0; }
  bool latent() const { return kv_rank > 0; }
  bool sparse() const { return n_experts > 0; }
  bool sparse_layer(int64_t layer, bool encoder = false) const;
  int64_t sparse_layers() const;  // how many
  int64_t kv_heads() const { return n_kv_heads ? n_kv_heads : n_heads; }
  int64_t head_width() const { return d_head ? d_head : d_model / n_heads; }
  int64_t dense_width() const { return d_ff_dense ? d_ff_dense : d_ff; }
  int64_t window_of(int64_t layer) const;

  void fields(Fields& f);
  // Throws kInvalidArgument naming the key that cannot be (top_k above n_experts, heads that do not divide,
  // ...).
  void validate() const;
};

}  // namespace lyceum
