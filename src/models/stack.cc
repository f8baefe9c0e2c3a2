#include "models/stack.h"

namespace lyceum {

Stack::Stack(const ModelConfig& c, const StackOptions& o, ParameterList& parameters)
    : norm_before_query_(c.query_layer && c.norm_before_query) {
  StackForm form{o.encoder, o.cross, nullptr};
  const std::string layers = o.name + ".layers.";
  if (c.relative_positions)
    form.bias =
        std::make_shared<RelativeBias>(c.buckets, c.max_distance, o.encoder, c.n_heads,
                                       layers + "0.self_attn.relative_attention_bias.weight", parameters);
  blocks_.reserve(static_cast<size_t>(o.n_layers));
  for (int64_t layer = 0; layer < o.n_layers; ++layer)
    blocks_.emplace_back(c, layer, layers + std::to_string(layer) + ".", form, parameters);
  norm_ = std::make_unique<Norm>(NormOptions{c.norm, c.norm_eps}, o.name + ".norm", c.d_model, parameters);
}

Tensor Stack::forward(Context& c, Tensor x, const Tensor& queries, const Tensor& memory,
                      std::vector<Routing>& routings, bool recompute) const {
  c.tap("hidden", 0, x);
  for (size_t layer = 0; layer < blocks_.size(); ++layer) {
    const bool last = layer + 1 == blocks_.size();
    if (last && norm_before_query_) x = norm_->forward(c, x);
    const BlockInput in{x, last ? queries : Tensor(), memory};
    x = recompute && c.tape.recording() ? recomputed_block(c, in, blocks_[layer], routings)
                                        : blocks_[layer].forward(c, in, routings);
    c.tap("hidden", static_cast<int64_t>(layer) + 1, x);
  }
  if (!norm_before_query_) x = norm_->forward(c, x);
  c.tap("final", -1, x);
  return x;
}

// The block runs without a tape; its backward runs it again with one. Same inputs, same key: same edges, same
// bits. Gradients live with the tensors they belong to, so those of the inputs arrive by themselves; losses
// on the routing reach the first run's tensors and are handed to the second's.
Tensor Stack::recomputed_block(Context& c, const BlockInput& in, const Block& block,
                               std::vector<Routing>& routings) const {
  Tape silent(false);
  Context quiet{silent, c.batch, c.phase, c.key, c.activations, c.taps, nullptr};
  quiet.spans = c.spans, quiet.stack = c.stack;
  spare_.clear();
  const Tensor y = block.forward(quiet, in, spare_);
  Routing seen;  // by the losses
  if (!spare_.empty()) {
    seen.logits = spare_[0].logits, seen.probs = spare_[0].probs;
    seen.importance = spare_[0].importance, seen.load_loss = spare_[0].load_loss;
  }
  routings.insert(routings.end(), spare_.begin(), spare_.end());
  spare_.clear();
  c.tape.record("recomputed_block", [this, &tape = c.tape, &batch = c.batch, phase = c.phase, key = c.key,
                                     activations = c.activations, spans = c.spans, in, y, &block, seen] {
    const Tensor dy = tape.take(y);
    Tape inner(true);
    Context again{inner, batch, phase, key, activations, nullptr, nullptr};
    again.spans = spans;
    const Tensor y_again = block.forward(again, in, spare_);
    if (dy) inner.pass(y_again, dy);
    if (!spare_.empty())
      seen.for_loss_inputs(spare_[0], [&](const Tensor& first, const Tensor& second) {
        if (const Tensor d = tape.take(first)) inner.pass(second, d);
      });
    spare_.clear();
    inner.backward();
  });
  return y;
}

}  // namespace lyceum
