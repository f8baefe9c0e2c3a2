#include "analysis/accounting.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace lyceum {

const std::vector<WeightFormat> kWeightFormats = {
    {"f32", 4}, {"bf16", 2}, {"f8", 1}, {"q8_0", 34.0 / 32}, {"q4_k", 144.0 / 256}};

namespace {

// Mean over the tokens of a sequence of the keys that each sees.
double mean_keys(const AttentionKind& kind, int64_t tokens) {
  const double n = static_cast<double>(tokens);
  if (!kind.causal) return n;
  const double w = kind.window > 0 ? std::min(n, static_cast<double>(kind.window)) : n;
  return (w * (w + 1) / 2 + (n - w) * w) / n;  // 1, 2, ..., w, w, w, ...
}

template <class Field>
int64_t sum_of(const std::vector<ModelPart>& parts, Field field) {
  int64_t sum = 0;
  for (const ModelPart& part : parts) sum += part.*field;
  return sum;
}

}  // namespace

int64_t ModelSize::total() const { return sum_of(parts, &ModelPart::total); }
int64_t ModelSize::active() const { return sum_of(parts, &ModelPart::active); }
int64_t ModelSize::products() const { return sum_of(parts, &ModelPart::products); }

int64_t ModelSize::part_total(const std::string& part_name) const {
  int64_t sum = 0;
  for (const ModelPart& part : parts)
    if (part.name == part_name) sum += part.total;
  return sum;
}

double ModelSize::forward_flops(int64_t tokens) const {
  check(tokens > 0, "flops", "wanted at least one token of context, got ", tokens);
  double flops = 2.0 * static_cast<double>(products());
  for (const AttentionKind& kind : attention)
    flops += 2.0 * static_cast<double>(kind.layers) * mean_keys(kind, tokens) *
             static_cast<double>(kind.score_width + kind.value_width);
  return flops;
}

double ModelSize::cache_bytes(int64_t tokens, double bytes_per_value) const {
  double values = 0;
  for (const AttentionKind& kind : attention) {
    const int64_t kept = kind.window > 0 ? std::min(tokens, kind.window) : tokens;
    values +=
        static_cast<double>(kind.layers) * static_cast<double>(kind.cache_values) * static_cast<double>(kept);
  }
  return values * bytes_per_value;
}

ModelSize model_size_from_counts(const std::string& label, double total, double active) {
  check(total > 0 && active > 0 && active <= total && total < 1e18, "flops", quote(label),
        ": wanted LABEL=TOTAL/ACTIVE with active at most total, such as Llama3-70B=70B/70B");
  ModelSize size;
  size.name = label;
  size.family = "counts only";
  const auto total_count = static_cast<int64_t>(std::llround(total));
  const auto active_count = static_cast<int64_t>(std::llround(active));
  size.parts = {{"all", total_count, active_count, active_count}};
  return size;
}

TrainingMemory training_memory(const ModelSize& size, int64_t tokens_per_micro_batch) {
  const auto tokens = static_cast<double>(tokens_per_micro_batch);
  TrainingMemory out;
  out.state = 16.0 * static_cast<double>(size.total());
  out.activations = 2.0 * tokens * static_cast<double>(size.activation_values);
  // One layer at full, of the others only the rows that enter them.
  const double layers = static_cast<double>(std::max<int64_t>(1, size.n_layers));
  out.recomputed = out.activations / layers + 2.0 * tokens * layers * static_cast<double>(size.d_model);
  out.recomputed = std::min(out.recomputed, out.activations);
  return out;
}

double accuracy_per_gflop(const ModelSize& size, double accuracy) {
  return accuracy / (size.inference_flops() / 1e9);
}

double petaflop_days(const ModelSize& size, double tokens) {
  return size.training_flops() * tokens / (1e15 * 86400);
}

}  // namespace lyceum
