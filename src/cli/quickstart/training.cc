// Stage 3 of the quick start: training by run/recipe.toml, and what it came to.
#include <cmath>

#include "base/error.h"
#include "base/log.h"
#include "base/median.h"
#include "cli/interrupt.h"
#include "cli/quickstart/run.h"
#include "runs/metrics.h"
#include "train/progress_line.h"

namespace lyceum::quickstart {
namespace {

struct Counts : TrainObserver {
  int64_t parameters = 0, active = 0, vocab = 0;
  void on_start(const TrainStart& start) override {
    parameters = start.parameters, active = start.active_parameters;
    vocab = start.config.model.vocab;
  }
};

}  // namespace

Training train_model(const TrainConfig& config) {
  Counts counts;
  TrainResult r;
  {
    StopOnSignal stop;
    ProgressLine line;
    r = train(config, {&counts, &line, &stop});
  }
  if (r.status == TrainResult::Status::kStopped)
    fail(ErrorKind::kCancelled, "quickstart", "stopped after step ", r.state.step, ", saved in ",
         r.checkpoint, "; the same command goes on from there");
  Training out;
  out.checkpoint = config.train.folder + "/checkpoint";
  out.steps = r.state.step, out.tokens = r.state.tokens, out.loss = r.state.loss,
  out.seconds = r.state.seconds;
  out.parameters = counts.parameters, out.active_parameters = counts.active, out.vocab = counts.vocab;
  out.reused = r.steps_now == 0;
  std::vector<double> speed, tflops, share, seconds;
  for (const StepMetrics& row : read_metrics(config.train.folder + "/metrics.jsonl").rows) {
    speed.push_back(row.tokens_per_second), tflops.push_back(row.tflops), share.push_back(row.share_of_peak);
    seconds.push_back(row.seconds);
    if (const double forecast = metric_value(row, "extra.step_forecast"); std::isfinite(forecast))
      out.step_forecast = forecast;
  }
  out.step_seconds = median(seconds);
  out.tokens_per_second = median(speed), out.tflops = median(tflops), out.share_of_peak = median(share);
  return out;
}

}  // namespace lyceum::quickstart
