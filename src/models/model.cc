#include "models/model.h"

#include <algorithm>
#include <cmath>

#include "base/threads.h"
#include "models/families.h"

namespace lyceum {

Model::Model(const ModelConfig& config, DType weights)
    : config_(config), weights_(weights), parameters_(weights) {
  const Family& family = find_family(config_.family);
  family.fix(config_);
  config_.validate();
  const ModelConfig& c = config_;
  const std::string table = "model.embed_tokens.weight";
  if (c.tied) {
    head_ = embedding_ = parameters_.matrix(table, {c.vocab, c.d_model});
    head_->is_matrix = false;
  } else {
    embedding_ = parameters_.table(table, {c.vocab, c.d_model});
  }

  const NormOptions norm{c.norm, c.norm_eps};
  AttentionOptions attention;
  attention.d_model = c.d_model, attention.n_heads = c.n_heads, attention.n_kv_heads = c.kv_heads();
  attention.d_head = c.head_width(), attention.qk_norm = c.qk_norm, attention.norm_eps = c.norm_eps;
  attention.clip_qkv = c.clip_qkv, attention.qkv_bias = attention.out_bias = c.attention_bias,
  attention.window = c.window;
  attention.rope.theta = c.rope_theta, attention.rope.scaling = c.rope_scaling,
  attention.rope.factor = c.rope_factor;
  attention.rope.low_frequency_factor = c.rope_low, attention.rope.high_frequency_factor = c.rope_high;
  attention.rope.original_positions = c.rope_original;
  MoeOptions moe;
  moe.router = {c.router, c.d_model, c.n_experts, c.top_k, c.renormalise, 1.0};
  moe.d_ff = c.d_ff;

  blocks_.reserve(static_cast<size_t>(c.n_layers));
  for (int64_t layer = 0; layer < c.n_layers; ++layer) {
    const std::string prefix = "model.layers." + std::to_string(layer) + ".";
    Block b{Norm(norm, prefix + "input_layernorm", c.d_model, parameters_),
            Attention(attention, prefix + "self_attn", parameters_),
            Norm(norm, prefix + "post_attention_layernorm", c.d_model, parameters_), nullptr, nullptr};
    if (c.sparse())
      b.sparse = std::make_unique<MoeLayer>(moe, prefix + family.pieces.moe_prefix, parameters_);
    else
      b.dense = std::make_unique<FeedForward>(
          FeedForwardOptions{c.d_model, c.d_ff, Activation::kSilu, c.feed_forward_bias}, prefix + "mlp",
          parameters_);
    blocks_.push_back(std::move(b));
  }
  norm_ = std::make_unique<Norm>(norm, "model.norm", c.d_model, parameters_);
  if (!c.tied) {
    head_ = parameters_.matrix("lm_head.weight", {c.vocab, c.d_model});
    head_->is_matrix = false;
  }
}

Model::Output Model::forward(Context& c, bool recompute) const {
  Output out;
  forward(c, out, recompute);
  return out;
}

void Model::forward(Context& c, Output& out, bool recompute) const {
  const Batch& b = c.batch;
  check(b.positions.size() == b.ids.size() && b.offsets.size() >= 2 && b.offsets.back() == b.tokens(),
        "model", "a batch of ", b.tokens(), " ids with ", b.positions.size(), " positions and ",
        b.sequences(), " sequences");
  if (c.state && c.state->layers.empty()) c.state->layers.resize(blocks_.size());
  out.routings.clear();
  Tensor x = ops::embedding(c.tape, b.ids, *embedding_, c.activations);
  c.tap("hidden", 0, x);
  for (int64_t layer = 0; layer < config_.n_layers; ++layer) {
    x = recompute && c.tape.recording() ? recomputed_block(c, x, layer, out.routings)
                                        : block_forward(c, x, layer, out.routings);
    c.tap("hidden", layer + 1, x);
  }
  if (c.state) c.state->length += b.tokens();
  out.hidden = norm_->forward(c, x);
  c.tap("final", -1, out.hidden);
}

// x = x + attention(norm(x));  x = x + feed_forward(norm(x))
Tensor Model::block_forward(Context& c, const Tensor& x, int64_t layer,
                            std::vector<Routing>& routings) const {
  const Block& b = blocks_[static_cast<size_t>(layer)];
  const Tensor h = ops::add(c.tape, x, b.attention.forward(c, b.attention_norm.forward(c, x), layer));
  const Tensor n = b.feed_forward_norm.forward(c, h);
  return ops::add(c.tape, h, b.sparse ? b.sparse->forward(c, n, layer, routings) : b.dense->forward(c, n));
}

// The block runs without a tape; its backward runs it again with one. Same inputs, same key: same edges, same
// bits. Losses on the routing reach the first run's logits and are handed to the second's.
Tensor Model::recomputed_block(Context& c, const Tensor& x, int64_t layer,
                               std::vector<Routing>& routings) const {
  Tape silent(false);
  Context quiet{silent, c.batch, c.phase, c.key, c.activations, c.taps, nullptr};
  spare_.clear();
  const Tensor y = block_forward(quiet, x, layer, spare_);
  const Tensor logits = spare_.empty() ? Tensor() : spare_[0].logits;
  routings.insert(routings.end(), spare_.begin(), spare_.end());
  spare_.clear();
  c.tape.record("recomputed_block", [this, &tape = c.tape, &batch = c.batch, phase = c.phase, key = c.key,
                                     activations = c.activations, x, y, layer, logits] {
    const Tensor dy = tape.take(y);
    Tape inner(true);
    Context again{inner, batch, phase, key, activations, nullptr, nullptr};
    const Tensor y_again = block_forward(again, x, layer, spare_);
    if (dy) inner.pass(y_again, dy);
    if (logits)
      if (const Tensor d = tape.take(logits)) inner.pass(spare_[0].logits, d);
    spare_.clear();
    inner.backward();
  });
  return y;
}

void Model::initialise(RandomKey key) {
  uint64_t stream = 0;
  for (Parameter* p : parameters_.all()) {
    const RandomKey own = key.with(stream++);
    const int64_t per_matrix = p->elements() / p->matrices;
    const bool vector = p->shape.rank == 1 || p->name.ends_with(".bias");
    std::vector<float> values(static_cast<size_t>(per_matrix));
    for (int64_t m = 0; m < p->matrices; ++m) {
      if (vector) {
        std::fill(values.begin(), values.end(), p->name.ends_with(".bias") ? 0.0f : 1.0f);
      } else {
        parallel_ranges(per_matrix, 4096, [&](int64_t begin, int64_t end, int) {
          for (int64_t i = begin; i < end; ++i)
            values[static_cast<size_t>(i)] = static_cast<float>(
                config_.init_std *
                own.truncated_normal(static_cast<uint64_t>(m * per_matrix + i), config_.init_cut));
        });
      }
      p->write_matrix(m, values.data());
    }
  }
}

void Model::enable_gradients() {
  for (Parameter* p : parameters_.all()) p->enable_gradient();
}

SequenceState Model::new_state(int64_t capacity) const {
  SequenceState state;
  state.capacity = capacity;
  return state;
}

}  // namespace lyceum
