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

  blocks_.reserve(static_cast<size_t>(c.n_layers));
  for (int64_t layer = 0; layer < c.n_layers; ++layer)
    blocks_.emplace_back(c, layer, "model.layers." + std::to_string(layer) + ".", parameters_);
  const NormOptions norm{c.norm, c.norm_eps};
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
    const Block& block = blocks_[static_cast<size_t>(layer)];
    x = recompute && c.tape.recording() ? recomputed_block(c, x, block, out.routings)
                                        : block.forward(c, x, out.routings);
    c.tap("hidden", layer + 1, x);
  }
  if (c.state) c.state->length += b.tokens();
  if (c.state && b.tokens() > 0) c.state->last_id = b.ids.back();
  out.hidden = norm_->forward(c, x);
  c.tap("final", -1, out.hidden);
}

// The block runs without a tape; its backward runs it again with one. Same inputs, same key: same edges, same
// bits. Losses on the routing reach the first run's logits and are handed to the second's.
Tensor Model::recomputed_block(Context& c, const Tensor& x, const Block& block,
                               std::vector<Routing>& routings) const {
  Tape silent(false);
  Context quiet{silent, c.batch, c.phase, c.key, c.activations, c.taps, nullptr};
  spare_.clear();
  const Tensor y = block.forward(quiet, x, spare_);
  Routing seen;  // by the losses
  if (!spare_.empty()) {
    seen.logits = spare_[0].logits, seen.probs = spare_[0].probs;
    seen.importance = spare_[0].importance, seen.load_loss = spare_[0].load_loss;
  }
  routings.insert(routings.end(), spare_.begin(), spare_.end());
  spare_.clear();
  c.tape.record("recomputed_block", [this, &tape = c.tape, &batch = c.batch, phase = c.phase, key = c.key,
                                     activations = c.activations, x, y, &block, seen] {
    const Tensor dy = tape.take(y);
    Tape inner(true);
    Context again{inner, batch, phase, key, activations, nullptr, nullptr};
    const Tensor y_again = block.forward(again, x, spare_);
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

void Model::initialise(RandomKey key) {
  uint64_t stream = 0;
  for (Parameter* p : parameters_.all()) {
    const RandomKey own = key.with(stream++);
    const int64_t per_matrix = p->elements() / p->matrices;
    const bool vector = p->shape.rank == 1 || p->name.ends_with(".bias");
    std::vector<float> values(static_cast<size_t>(per_matrix));
    for (int64_t m = 0; m < p->matrices; ++m) {
      if (!p->trained) continue;  // its layer has filled it
      if (p->starts_at_zero) {
        std::fill(values.begin(), values.end(), 0.0f);
      } else if (vector) {
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

std::vector<Router*> Model::routers() const {
  std::vector<Router*> out;
  for (const Block& b : blocks_)
    if (Router* router = b.router()) out.push_back(router);
  return out;
}

SequenceState Model::new_state(int64_t capacity) const {
  SequenceState state;
  state.capacity = capacity;
  return state;
}

}  // namespace lyceum
