#include "train/step.h"

#include <algorithm>
#include <cmath>
#include <span>

namespace lyceum {
namespace {

void collect(std::span<const Routing> routings, const BalanceLosses& balance, double share,
             std::span<LayerLoad> layers) {
  size_t with_router = 0;  // balance terms exist for layers that have probabilities
  for (size_t l = 0; l < routings.size(); ++l) {
    const Routing& r = routings[l];
    LayerLoad& layer = layers[l];
    layer.load.resize(static_cast<size_t>(r.n_experts));
    layer.chosen.resize(static_cast<size_t>(r.n_experts));
    layer.probability.resize(static_cast<size_t>(r.n_experts));
    layer.tokens += static_cast<double>(r.tokens), layer.edges += static_cast<double>(r.edges());
    const uint8_t* kept = r.kept ? r.kept.as<uint8_t>() : nullptr;
    const int32_t* expert = r.expert.i32();
    for (int64_t e = 0; e < r.edges(); ++e) {
      ++layer.chosen[static_cast<size_t>(expert[e])];
      if (!kept || kept[e]) ++layer.load[static_cast<size_t>(expert[e])];
    }
    if (!r.probs || r.tokens == 0) continue;
    const double* p = &balance.probability[with_router * layer.probability.size()];
    for (size_t e = 0; e < layer.probability.size(); ++e) layer.probability[e] += p[e];
    layer.balance += share * balance.balance_by_layer[with_router];
    layer.z += share * balance.z_by_layer[with_router];
    ++with_router;
  }
}

void clear(StepGradient& s) {
  s.loss = s.balance = s.z = s.importance = s.load = s.attention_pairs = 0;
  s.tokens = 0;
  for (LayerLoad& l : s.layers) {
    std::fill(l.load.begin(), l.load.end(), 0.0);
    std::fill(l.chosen.begin(), l.chosen.end(), 0.0);
    std::fill(l.probability.begin(), l.probability.end(), 0.0);
    l.tokens = l.edges = l.balance = l.z = 0;
  }
}

}  // namespace

double LayerLoad::max_over_mean() const {
  double top = 0, sum = 0;
  for (double n : load) top = std::max(top, n), sum += n;
  return sum > 0 ? top * static_cast<double>(load.size()) / sum : 0;
}

double LayerLoad::entropy() const {
  double sum = 0, h = 0;
  for (double p : probability) sum += p;
  for (double p : probability)
    if (p > 0) h -= p / sum * std::log(p / sum);
  return h;
}

double LayerLoad::dead() const { return static_cast<double>(std::count(load.begin(), load.end(), 0.0)); }

double LayerLoad::dropped() const {
  double kept = 0;
  for (double n : load) kept += n;
  return edges > 0 ? 1 - kept / edges : 0;
}

void step_gradient(const Model& model, const StepOptions& o, int64_t step, std::vector<Batch>& batches,
                   StepGradient& s, Taps* taps) {
  clear(s);
  s.losses.begin_step(), s.encoder_losses.begin_step();
  double weight = 0;
  for (const Batch& b : batches)
    for (float w : b.weights) weight += w;
  check(weight > 0, "train", "step ", step, ": no token of the batch has a weight, nothing can be learned");
  const double share = 1 / static_cast<double>(batches.size());
  const RandomKey key = RandomKey(o.seed).with(static_cast<uint64_t>(step));
  Tape tape(true);
  for (size_t i = 0; i < batches.size(); ++i) {
    Batch& b = batches[i];
    tape.complete_gradients(i + 1 == batches.size());
    for (float& w : b.weights) w = static_cast<float>(w / weight);
    for (size_t q = 0; q + 1 < b.offsets.size(); ++q) {
      const double length = b.offsets[q + 1] - b.offsets[q];
      s.attention_pairs += length * length;
    }
    s.tokens += b.tokens();
    Context context{tape, b};
    context.phase = Phase::kTraining, context.key = key.with(i);
    context.activations = o.activations, context.taps = taps;
    Model::Output& out = s.output;
    BalanceLosses& balance = s.losses;
    model.forward(context, out, o.recompute);
    balance_losses(tape, out.routings, o.balance, share, balance);
    balance_losses(tape, out.encoder_routings, o.balance, share, s.encoder_losses);
    const ops::CrossEntropy ce = model.cross_entropy(tape, out.hidden, b.targets, b.weights);
    s.loss += ce.loss, s.balance += share * (balance.balance + s.encoder_losses.balance);
    s.z += share * (balance.z + s.encoder_losses.z);
    s.importance += share * (balance.importance + s.encoder_losses.importance);
    s.load += share * (balance.load + s.encoder_losses.load);
    s.layers.resize(out.encoder_routings.size() + out.routings.size());  // the encoder's first
    const std::span<LayerLoad> layers(s.layers);
    collect(out.encoder_routings, s.encoder_losses, share, layers.first(out.encoder_routings.size()));
    collect(out.routings, balance, share, layers.subspan(out.encoder_routings.size()));
    out.routings.clear(), out.encoder_routings.clear(), out.hidden = Tensor();
    tape.backward();
  }
}

int64_t active_matrix_parameters(const Model& model) {
  const ModelConfig& c = model.config();
  int64_t sum = 0;
  for (const Parameter* p : model.parameters()) {
    if (p->order != Parameter::Order::kPacked) continue;  // embedding, vectors
    sum += p->matrices > 1 || p->shape.rank == 3 ? p->elements() / p->matrices * c.top_k : p->elements();
  }
  return sum;
}

double step_flops(const Model& model, int64_t tokens, double attention_pairs) {
  const ModelConfig& c = model.config();
  return 6.0 * static_cast<double>(tokens) * static_cast<double>(active_matrix_parameters(model)) +
         6.0 * static_cast<double>(c.n_layers * c.n_heads * c.head_width()) * attention_pairs;
}

}  // namespace lyceum
