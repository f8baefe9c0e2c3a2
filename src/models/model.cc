#include "models/model.h"

#include <algorithm>
#include <cmath>

#include "base/threads.h"
#include "models/families.h"

namespace lyceum {

Model::Model(const ModelConfig& config, DType weights)
    : config_(family_form(config)), weights_(weights), parameters_(weights) {
  config_.validate();
  const ModelConfig& c = config_;
  const std::string table = "model.embed_tokens.weight";
  if (c.tied) {
    head_ = embedding_ = parameters_.matrix(table, {c.vocab, c.d_model});
    head_->is_matrix = false;
  } else {
    embedding_ = parameters_.table(table, {c.vocab, c.d_model});
  }
  if (c.learned_positions)
    positions_ = parameters_.table("model.embed_positions.weight", {c.max_positions, c.d_model});
  if (c.encoder_decoder())
    encoder_ =
        std::make_unique<Stack>(c, StackOptions{"encoder", c.n_encoder_layers, true, false}, parameters_);
  decoder_ = std::make_unique<Stack>(
      c, StackOptions{encoder_ ? "decoder" : "model", c.n_layers, false, encoder_ != nullptr}, parameters_);
  if (c.query_layer) queries_ = parameters_.table("model.embed_queries.weight", {c.max_positions, c.d_model});
  if (!c.tied) {
    head_ = parameters_.matrix("lm_head.weight", {c.vocab, c.d_model});
    head_->is_matrix = false;
  }
  if (c.head_bias) head_bias_ = parameters_.vector("lm_head.bias", c.vocab);
}

Model::Output Model::forward(Context& c, bool recompute) const {
  Output out;
  forward(c, out, recompute);
  return out;
}

namespace {

void check_batch(const Batch& b, const char* what) {
  check(b.positions.size() == b.ids.size() && b.offsets.size() >= 2 && b.offsets.back() == b.tokens(),
        "model", what, " of ", b.tokens(), " ids with ", b.positions.size(), " positions and ", b.sequences(),
        " sequences");
}

// Attention spans that end with every document, and the first token that a later one sees.
void cut_at_documents(const Batch& b, int64_t eod, std::vector<int32_t>& spans) {
  spans.clear();
  for (size_t s = 0; s + 1 < b.offsets.size(); ++s)
    for (int32_t t = b.offsets[s]; t < b.offsets[s + 1]; ++t)
      if (t == b.offsets[s] || b.ids[static_cast<size_t>(t - 1)] == eod) spans.push_back(t);
  spans.push_back(b.offsets.back());
}

}  // namespace

Tensor Model::embed(Context& c) const {
  Tensor x = ops::embedding(c.tape, c.batch.ids, *embedding_, c.activations);
  if (config_.embedding_scale != 1) x = ops::scaled(c.tape, x, static_cast<float>(config_.embedding_scale));
  return positions_ ? ops::add(c.tape, x, by_position(c, *positions_)) : x;
}

Tensor Model::by_position(Context& c, Parameter& table) const {
  for (int32_t p : c.batch.positions)
    check(p >= 0 && p < config_.max_positions, "model", "position ", p, " is beyond the ",
          config_.max_positions, " that the model has learned");
  return ops::embedding(c.tape, c.batch.positions, table, c.activations);
}

// The encoder's rows; read once for a sequence that is decoded step by step.
Tensor Model::encode(Context& c, Output& out, bool recompute) const {
  if (c.state && c.state->length > 0) return {};
  check(c.batch.source.size() == 1 && c.batch.source[0].sequences() == c.batch.sequences(), "model", "a ",
        config_.family, " model reads a source text for every target: ", c.batch.sequences(), " targets, ",
        c.batch.source.empty() ? 0 : c.batch.source[0].sequences(), " sources");
  const Batch& source = c.batch.source[0];
  check_batch(source, "a source");
  Context inner{c.tape, source, c.phase, c.key.with(1), c.activations, c.taps, nullptr};
  inner.stack = "encoder";
  const Tensor x = embed(inner);
  return encoder_->forward(inner, x, {}, {}, out.encoder_routings, recompute);
}

void Model::forward(Context& c, Output& out, bool recompute) const {
  const Batch& b = c.batch;
  check_batch(b, "a batch");
  if (c.state && c.state->layers.empty()) c.state->layers.resize(static_cast<size_t>(config_.n_layers));
  out.routings.clear(), out.encoder_routings.clear();
  Tensor memory;
  if (encoder_) memory = encode(c, out, recompute), c.stack = "decoder";
  if (config_.mask_by_document) {
    if (!out.spans) out.spans = std::make_shared<std::vector<int32_t>>();
    cut_at_documents(b, config_.eod, *out.spans);
    c.spans = out.spans.get();
  }
  const Tensor x = embed(c);
  const Tensor queries = queries_ ? by_position(c, *queries_) : Tensor();
  out.hidden = decoder_->forward(c, x, queries, memory, out.routings, recompute);
  if (!c.state) return;
  if (config_.mask_by_document && b.tokens() > 0) {
    const int32_t last = (*out.spans)[out.spans->size() - 2];
    if (last > 0) c.state->span_begin = c.state->length + last;
    if (b.ids.back() == config_.eod) c.state->span_begin = c.state->length + b.tokens();
  }
  if (b.tokens() > 0) c.state->last_id = b.ids.back();
  c.state->length += b.tokens();
  if (b.tokens() > 0) c.state->last_id = b.ids.back();
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
  if (encoder_) encoder_->add_routers(out);
  decoder_->add_routers(out);
  return out;
}

SequenceState Model::new_state(int64_t capacity) const {
  SequenceState state;
  state.capacity = capacity;
  return state;
}

}  // namespace lyceum
