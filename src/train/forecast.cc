#include "train/forecast.h"

#include <algorithm>
#include <cstdio>

#include "base/clock.h"
#include "base/log.h"
#include "base/median.h"
#include "base/progress.h"
#include "models/families.h"
#include "train/resume.h"
#include "train/span_corruption.h"
#include "train/synthetic.h"
#include "train/trainer.h"

namespace lyceum {
namespace {

constexpr double kMost = 2;    // seconds of measuring
constexpr size_t kRounds = 9;  // micro-batches measured; the median counts

MemorySource made_up_text(const TrainConfig& c) {
  const int64_t length = c.data.loader.sequence_length;
  return MemorySource(synthetic_ids(64 * length, c.model.vocab, 1), length, c.train.micro_batch, 1);
}

}  // namespace

Forecast forecast(const TrainConfig& config) {
  const QuietLog quiet;  // what this model has to say is not about the run
  TrainConfig c = config;
  c.train.from.clear();  // only the shape counts
  if (family_form(c.model).router == "random_routed" && c.model.routing.n_domains == 0)
    c.model.routing.n_domains = 1;  // as the data have, which are not open yet
  MemorySource text = made_up_text(c);
  auto corrupted = corrupted_source(c.model, text, 1);
  BatchSource& source = corrupted ? static_cast<BatchSource&>(*corrupted) : text;
  const Begin begin = begin_anew(c, source);
  const std::vector<Parameter*> parameters = begin.model->parameters();
  std::vector<Batch> batches(1);
  StepGradient gradient;
  const auto micro_batch = [&] {
    const double start = steady_seconds();
    source.next(batches[0]);
    step_gradient(*begin.model, step_options(c), 0, batches, gradient);
    return steady_seconds() - start;
  };
  const auto update = [&] {
    const double start = steady_seconds();
    apply_gradient(c, gradient, parameters, *begin.optimizer, 1e-4);
    return steady_seconds() - start;
  };
  micro_batch();  // memory and threads are warm after the first
  update();
  std::vector<double> seconds;
  for (double spent = 0; seconds.size() < kRounds && (seconds.empty() || spent < kMost);
       spent += seconds.back())
    seconds.push_back(micro_batch());

  Forecast f;
  f.step_seconds = median(seconds) * static_cast<double>(c.train.micro_batches) + update();
  f.step_tokens = static_cast<double>(c.tokens_per_step());
  f.seconds =
      c.train.minutes > 0 ? 60 * c.train.minutes : f.step_seconds * static_cast<double>(c.train.steps);
  f.steps = c.train.minutes > 0 ? f.seconds / f.step_seconds : static_cast<double>(c.train.steps);
  return f;
}

std::string Forecast::text() const {
  char each[32];
  std::snprintf(each, sizeof each, "%.3g s each", step_seconds);
  return "about " + human_seconds(seconds) + ": " + human_count(steps) + " steps of " +
         human_count(step_tokens) + " tokens, " + each;
}

}  // namespace lyceum
