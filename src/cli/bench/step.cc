// `lyceum bench step`: where the time of one training step goes, op by op. What is timed is a shape with
// random weights and made-up text, or a trained model on real text, whose routers load their experts as
// unevenly as training made them.
#include <algorithm>
#include <cmath>
#include <cstdio>

#include "base/clock.h"
#include "base/error.h"
#include "base/median.h"
#include "base/progress.h"
#include "bench/training_step.h"
#include "cli/bench/results.h"
#include "cli/bench/run.h"
#include "cli/model_folder.h"
#include "tensor/storage.h"
#include "train/shard_source.h"

namespace lyceum::bench {
namespace {

// Bytes that clipping and AdamW move: the update reads and writes weight, gradient and both moments once, the
// norm reads the gradients whose squares no product has left. limit: bytes/s, probed after each update.
void print_update(const Model& model, const StepOptions& o, const Profile::Row& row, double limit) {
  if (o.optimizer != "adamw" || row.calls == 0) return;
  double bytes = 0;
  for (const Parameter* p : model.parameters())
    if (p->grad) bytes += static_cast<double>(p->physical()) * (2 * 16 + (std::isnan(p->squares) ? 4 : 0));
  const double speed = bytes * static_cast<double>(row.calls) / row.forward_seconds;
  std::printf(
      "optimiser: %s of weights, gradients and moments, %.1f GB/s, %.0f%% of the %.1f GB/s at which this "
      "memory is updated\n",
      human_bytes(bytes).c_str(), speed * 1e-9, 100 * speed / std::max(limit, 1.0), limit * 1e-9);
}

TrainingStep open_step(const StepOptions& o) {
  StepShape shape;
  if (o.model.empty()) {
    check(o.data.empty(), "bench", "--data wants the --model that reads it");
    shape = step_shape(o.shape);
  }
  if (o.sequences > 0) shape.sequences = o.sequences;
  shape.length = o.length, shape.micro_batches = o.micro_batches, shape.recompute = o.recompute;
  shape.optimizer = o.optimizer;
  if (o.model.empty()) return TrainingStep(shape);

  check(!o.data.empty(), "bench", "--model wants --data, token shards that its tokenizer made");
  ModelFolder folder = open_model_folder(o.model, "bf16");
  shape.name = folder.path;
  LoaderConfig loader;
  loader.sequence_length = o.length;
  ShardSource source(loader, {o.data}, folder.model->config().vocab, folder.eos(), shape.sequences);
  std::vector<Batch> batches(static_cast<size_t>(o.micro_batches));
  for (Batch& batch : batches) {
    source.next(batch);
    float sum = 0;
    for (float w : batch.weights) sum += w;
    for (float& w : batch.weights) w /= std::max(sum, 1.0f);
  }
  return TrainingStep(shape, std::move(folder.model), std::move(batches));
}

}  // namespace

void run_step(const StepOptions& o) {
  TrainingStep step = open_step(o);
  step.micro_batch(0, nullptr);
  step.update(nullptr);
  reset_pool_peak();

  Profile profile;
  std::vector<double> seconds, peaks, memory;
  for (int64_t r = 0; r < o.repeats; ++r) {
    const double begin = steady_seconds();
    double probing = 0;
    for (int64_t m = 0; m < o.micro_batches; ++m) {
      step.micro_batch(m, &profile);
      const double before = steady_seconds();
      peaks.push_back(probe(Limit::kProducts));
      probing += steady_seconds() - before;
    }
    step.update(&profile);
    seconds.push_back(steady_seconds() - begin - probing);
    memory.push_back(probe(Limit::kUpdate));
  }
  double total = 0;
  for (double s : seconds) total += s;
  const double flops = profile_flops(profile) / static_cast<double>(o.repeats), middle = median(seconds),
               tokens = static_cast<double>(step.tokens()), peak = std::max(median(peaks), 1.0);
  std::printf("%s; %s: %lld x %lld tokens x %lld micro-batches, optimiser %s\n", machine_text().c_str(),
              step.shape().name.c_str(), static_cast<long long>(step.shape().sequences),
              static_cast<long long>(o.length), static_cast<long long>(o.micro_batches), o.optimizer.c_str());
  print_profile(profile, static_cast<double>(o.repeats), total, flops, peak);
  print_update(step.model(), o, profile.row("optimizer"), median(memory));
  const auto [least, most] = std::minmax_element(seconds.begin(), seconds.end());
  std::printf(
      "median step %.3f s (%.3f to %.3f), %.0f tokens/s, %s of the peak (%.3f TFLOP/s, median of %zu probes "
      "beside the steps); peak memory of tensors %s\n",
      middle, *least, *most, tokens / middle, rate_text(flops, middle, peak).c_str(), peak / 1e12,
      peaks.size(), human_bytes(static_cast<double>(pool_statistics().peak_bytes)).c_str());
}

}  // namespace lyceum::bench
