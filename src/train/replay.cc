#include "train/replay.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "base/log.h"
#include "train/resume.h"
#include "train/span_corruption.h"

namespace lyceum {
namespace {

Begin nearest_state(const TrainConfig& config, BatchSource& source, int64_t step) {
  std::vector<CompleteCheckpoint> found = complete_checkpoints(config.train.folder + "/checkpoints");
  while (!found.empty() && found.back().step >= step) found.pop_back();
  if (!found.empty()) return load_checkpoint(Checkpoint(found.back().path), config, source);
  return begin_anew(config, source);
}

// The line of metrics of each step; the last one wins.
const StepMetrics& row_of(const std::vector<StepMetrics>& rows, int64_t step, const std::string& folder) {
  for (size_t i = rows.size(); i-- > 0;)
    if (rows[i].step == step) return rows[i];
  fail(ErrorKind::kNotFound, "replay", folder, "/metrics.jsonl has no step ", step,
       rows.empty() ? std::string("; it is empty")
                    : "; it has steps " + std::to_string(rows.front().step) + " to " +
                          std::to_string(rows.back().step));
}

void compare_rows(ReplayedStep& r) {
  const auto differ = [&](const std::string& name, double logged, double found) {
    if (logged == found || (std::isnan(logged) && !std::isfinite(found))) return;
    char text[160];
    std::snprintf(text, sizeof text, "%s: logged %.17g, now %.17g", name.c_str(), logged, found);
    r.differences.push_back(text);
  };
  differ("loss", r.logged.loss, r.found.loss);
  differ("gradient_norm", r.logged.gradient_norm, r.found.gradient_norm);
  differ("tokens", static_cast<double>(r.logged.tokens), static_cast<double>(r.found.tokens));
  differ("skipped", r.logged.skipped, r.found.skipped);
  differ("layers", static_cast<double>(r.logged.layers.size()), static_cast<double>(r.found.layers.size()));
  for (size_t i = 0; i < std::min(r.logged.layers.size(), r.found.layers.size()); ++i) {
    const LayerMetrics &a = r.logged.layers[i], &b = r.found.layers[i];
    const std::string layer = "layer " + std::to_string(i) + " ";
    differ(layer + "load_max_over_mean", a.load_max_over_mean, b.load_max_over_mean);
    differ(layer + "router_entropy", a.router_entropy, b.router_entropy);
    differ(layer + "dead_experts", a.dead_experts, b.dead_experts);
    differ(layer + "balance_loss", a.balance_loss, b.balance_loss);
    differ(layer + "z_loss", a.z_loss, b.z_loss);
    differ(layer + "dropped", a.dropped, b.dropped);
  }
}

}  // namespace

TrainConfig config_of_run(const std::string& folder) {
  const auto newest = latest_complete(folder + "/checkpoints");
  if (!newest)
    fail(ErrorKind::kNotFound, "replay", folder, " holds no complete checkpoint; wanted the folder of a run");
  TrainConfig config = read_training_state(Checkpoint(newest->path)).config;
  config.train.folder = folder;
  return config;
}

ReplayedStep replay_step(const TrainConfig& config, BatchSource& texts, int64_t step, Taps* taps) {
  auto corrupted = corrupted_source(config.model, texts, config.train.seed);
  BatchSource& source = corrupted ? *corrupted : texts;
  const std::string& folder = config.train.folder;
  check(step >= 1, "replay", "steps are counted from 1, found ", step);
  const std::vector<StepMetrics> rows = read_metrics(folder + "/metrics.jsonl").rows;
  ReplayedStep out;
  out.logged = row_of(rows, step, folder);
  Begin begin = nearest_state(config, source, step);
  out.from_step = begin.state.step, out.checkpoint = begin.checkpoint;
  if (step - out.from_step > 1)
    log_info("replay", "going through ", step - out.from_step - 1, " steps after ",
             out.checkpoint.empty() ? "the initial weights" : out.checkpoint);
  const std::vector<Parameter*> parameters = begin.model->parameters();
  std::vector<Batch> batches(static_cast<size_t>(config.train.micro_batches));
  StepGradient gradient;
  int64_t tokens = begin.state.tokens;
  for (int64_t s = out.from_step; s < step; ++s) {
    const bool last = s + 1 == step;
    const double lr = row_of(rows, s + 1, folder).lr;
    for (Batch& b : batches) source.next(b);
    step_gradient(*begin.model, step_options(config), s, batches, gradient, last ? taps : nullptr);
    const StepUpdate update = apply_gradient(config, gradient, parameters, *begin.optimizer, lr);
    if (update.skip_reason.empty()) update_routers(config, gradient, begin.model->routers());
    tokens += gradient.tokens;
    out.found.step = s + 1, out.found.tokens = tokens, out.found.loss = gradient.loss, out.found.lr = lr;
    out.found.gradient_norm = update.gradient_norm;
    out.found.skipped = !update.skip_reason.empty(), out.found.skip_reason = update.skip_reason;
  }
  out.found.layers = layer_metrics(gradient);
  compare_rows(out);
  return out;
}

}  // namespace lyceum
