#include "train/trainer.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "base/clock.h"
#include "base/log.h"
#include "base/progress.h"
#include "kernels/isa.h"
#include "models/weights.h"
#include "runs/run_recorder.h"
#include "train/resume.h"
#include "train/span_corruption.h"

namespace lyceum {
namespace {

// Bytes that the process has in memory.
double resident_bytes() {
  char text[128];
  const int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  const ssize_t n = read(fd, text, sizeof text - 1);
  close(fd);
  if (n <= 0) return 0;
  text[n] = 0;
  long size = 0, resident = 0;
  return std::sscanf(text, "%ld %ld", &size, &resident) == 2
             ? static_cast<double>(resident) * static_cast<double>(sysconf(_SC_PAGESIZE))
             : 0;
}

std::string run_name(std::string folder) {
  while (folder.size() > 1 && folder.back() == '/') folder.pop_back();
  return folder.substr(folder.rfind('/') + 1);
}

class Trainer {
 public:
  Trainer(const TrainConfig& config, TrainParts& parts, const std::vector<TrainObserver*>& observers)
      : config_(config),
        parts_(parts),
        observers_(observers),
        store_(config.train.folder + "/checkpoints",
               {config.checkpoint.keep_last, config.checkpoint.keep_every},
               config.train.folder + "/checkpoint", parts.files ? *parts.files : real_files()) {}

  TrainResult run();

 private:
  void open();
  RunRecorder open_recorder() const;
  void announce() const;
  bool finished() const;
  double share_done() const;
  StepMetrics step();
  void after_step(StepMetrics& row, RunRecorder& recorder);
  bool checkpoint_due() const;
  void save(RunRecorder& recorder);
  void evaluate_into(StepMetrics& row);
  bool stop_requested() const;
  double now() const { return parts_.clock ? parts_.clock() : steady_seconds(); }

  const TrainConfig& config_;
  TrainParts& parts_;
  const std::vector<TrainObserver*>& observers_;
  CheckpointStore store_;
  std::unique_ptr<Model> model_;
  std::vector<Parameter*> parameters_;
  std::vector<Router*> routers_;
  BalanceOptions losses_;
  std::unique_ptr<Optimizer> optimizer_;
  TrainingState state_;
  std::vector<Batch> batches_;
  StepGradient gradient_;
  int64_t resumed_ = 0, saved_step_ = -1;
  double started_ = 0, seconds_before_ = 0, saved_at_ = 0;
  TrainResult result_;
  double flops_ = 0, step_seconds_ = 0;
  int64_t step_tokens_ = 0;
};

void Trainer::open() {
  refuse_what_cannot_fit(config_);
  store_.recover();
  Begin begin = begin_or_resume(config_, parts_.source);
  model_ = std::move(begin.model), optimizer_ = std::move(begin.optimizer), state_ = begin.state;
  resumed_ = begin.resumed ? state_.step : 0;
  if (!begin.resumed) state_.cursor = parts_.source.cursor();  // a run may be stopped before its first step
  if (begin.resumed) saved_step_ = state_.step, result_.checkpoint = begin.checkpoint;
  if (config_.model.sparse() && (find_router(config_.model.router).uses & kLooksAhead))
    log_warn("train", "the router ", config_.model.router,
             " looks at tokens that come later: losses of a decoder come out better than it can generate");
  parameters_ = model_->parameters(), routers_ = model_->routers(), losses_ = config_.balance_options();
  batches_.resize(static_cast<size_t>(config_.train.micro_batches));
  seconds_before_ = state_.seconds;
  started_ = saved_at_ = now();
}

void Trainer::announce() const {
  TrainStart start{config_,           *model_,        0, 0, memory_need(config_), resumed_,
                   parts_.peak_flops, parts_.forecast};
  for (const Parameter* p : parameters_) {
    start.parameters += p->elements();
    start.active_parameters +=
        p->shape.rank == 3 ? p->elements() / p->matrices * config_.model.top_k : p->elements();
  }
  for (TrainObserver* o : observers_) o->on_start(start);
}

RunRecorder Trainer::open_recorder() const {
  RecorderOptions o;
  o.folder = config_.train.folder;
  o.resume_step = resumed_;
  o.tensorboard = config_.log.tensorboard, o.database = config_.log.database;
  TrainConfig copy = config_;
  o.run.name = run_name(config_.train.folder);
  o.run.config = config_json(copy);
  char hash[20];
  std::snprintf(hash, sizeof hash, "%016lx", static_cast<unsigned long>(fields_hash(fields_of(copy))));
  o.run.config_hash = hash;
  o.run.version = program_version();
  o.run.cpu = cpu_info().name + ", " + isa_name(isa_level());
  o.run.total_steps = config_.train.steps;
  return RunRecorder(std::move(o));
}

double Trainer::share_done() const {
  return config_.train.minutes > 0
             ? state_.seconds / (60 * config_.train.minutes)
             : static_cast<double>(state_.step) / static_cast<double>(config_.train.steps);
}

bool Trainer::finished() const { return share_done() >= 1; }

bool Trainer::stop_requested() const {
  for (TrainObserver* o : observers_)
    if (o->stop_requested()) return true;
  return false;
}

StepMetrics Trainer::step() {
  const double begin = now();
  const double lr = config_.optimizer.lr *
                    schedule_factor(config_.schedule, {state_.step, share_done()}, config_.train.steps);
  for (Batch& b : batches_) parts_.source.next(b);
  step_gradient(*model_, step_options(config_), state_.step, batches_, gradient_);
  const StepUpdate update = apply_gradient(config_, gradient_, parameters_, *optimizer_, lr);
  if (update.skip_reason.empty()) update_routers(config_, gradient_, routers_);

  TrainingState next = state_;
  ++next.step;
  next.optimizer_steps = optimizer_->steps();
  next.tokens += gradient_.tokens;
  next.rates_hash = extend_rates_hash(next.rates_hash, lr);
  next.loss = gradient_.loss;
  next.cursor = parts_.source.cursor();
  const bool skipped = !update.skip_reason.empty();
  next.skipped += skipped;
  next.skipped_in_a_row = skipped ? next.skipped_in_a_row + 1 : 0;
  const double end = now();
  next.seconds = seconds_before_ + (end - started_);
  state_ = std::move(next);

  StepMetrics row;
  row.step = state_.step, row.tokens = state_.tokens;
  row.loss = gradient_.loss, row.lr = lr, row.gradient_norm = update.gradient_norm;
  row.seconds = std::max(end - begin, 1e-9);
  const double flops = step_flops(*model_, gradient_.tokens, gradient_.attention_pairs);
  row.tokens_per_second = static_cast<double>(gradient_.tokens) / row.seconds;
  row.tflops = flops / row.seconds * 1e-12;
  row.share_of_peak = parts_.peak_flops > 0 ? flops / row.seconds / parts_.peak_flops : 0;
  row.memory_bytes = resident_bytes();
  row.skipped = skipped, row.skip_reason = update.skip_reason;
  row.layers = layer_metrics(gradient_);
  if (state_.step == 1 && parts_.forecast.step_seconds > 0)
    row.extra.emplace_back("step_forecast", parts_.forecast.step_seconds);
  row.extra.emplace_back("balance", gradient_.balance);
  row.extra.emplace_back("z", gradient_.z);
  if (losses_.importance_coefficient > 0) row.extra.emplace_back("importance", gradient_.importance);
  if (losses_.load_coefficient > 0) row.extra.emplace_back("load", gradient_.load);
  for (const Router* r : routers_)
    if (const Parameter* bias = r->selection_bias()) {
      double most = 0;
      for (int64_t e = 0; e < bias->elements(); ++e)
        most = std::max(most, std::abs(static_cast<double>(bias->value.f32()[e])));
      row.extra.emplace_back("largest_selection_bias", most);
      break;
    }
  row.extra.emplace_back("skipped_total", static_cast<double>(state_.skipped));
  flops_ += flops, step_seconds_ += row.seconds, step_tokens_ += gradient_.tokens;
  return row;
}

void Trainer::evaluate_into(StepMetrics& row) {
  if (!parts_.held_out || parts_.held_out->empty()) return;
  row.held_out = evaluate(*model_, *parts_.held_out);
  result_.held_out = row.held_out;
  for (TrainObserver* o : observers_) o->on_held_out(row.step, row.held_out);
}

bool Trainer::checkpoint_due() const {
  const CheckpointOptions& c = config_.checkpoint;
  return (c.every > 0 && state_.step % c.every == 0) ||
         (c.minutes > 0 && now() - saved_at_ >= 60 * c.minutes);
}

void Trainer::save(RunRecorder& recorder) {
  if (saved_step_ == state_.step) return;
  recorder.sync();
  result_.checkpoint = store_.save(checkpoint_contents(*model_, *optimizer_, state_, config_, parts_.texts));
  saved_step_ = state_.step;
  saved_at_ = now();
  for (TrainObserver* o : observers_) o->on_checkpoint(state_.step, result_.checkpoint);
}

void Trainer::after_step(StepMetrics& row, RunRecorder& recorder) {
  const int64_t every = config_.evaluation.every;
  if (finished() || (every > 0 && state_.step % every == 0)) evaluate_into(row);
  recorder.step(row);
  const bool by_time = config_.train.minutes > 0;
  const StepReport report{row,
                          gradient_.layers,
                          std::min(1.0, share_done()),
                          by_time ? 60 * config_.train.minutes : static_cast<double>(config_.train.steps),
                          by_time,
                          state_.seconds};
  for (TrainObserver* o : observers_) o->on_step(report);
  if (row.skipped) log_warn("train", "step ", row.step, " skipped: ", row.skip_reason);
  if (state_.skipped_in_a_row >= config_.train.max_skipped)
    fail(ErrorKind::kUnsupported, "train", state_.skipped_in_a_row,
         " steps in a row were not finite (the last: ", row.skip_reason,
         "); lower optimizer.lr, lengthen schedule.warmup, or look at the data of these steps with `lyceum "
         "replay`");
  if (checkpoint_due()) save(recorder);
}

TrainResult Trainer::run() {
  open();
  RunRecorder recorder = open_recorder();
  announce();
  try {
    while (!finished() && !stop_requested()) {
      StepMetrics row = step();
      after_step(row, recorder);
      ++result_.steps_now;
    }
    save(recorder);
  } catch (const Error& e) {
    try {
      if (state_.step > 0) save(recorder);
    } catch (const Error& second) {
      if (std::string(second.what()) != e.what())
        log_warn("train", "the state could not be saved either: ", second.what());
    }
    recorder.finish("failed", e.what());
    throw;
  }
  result_.status = finished() ? TrainResult::Status::kFinished : TrainResult::Status::kStopped;
  recorder.finish(finished() ? "finished" : "stopped");
  result_.state = state_;
  result_.forecast = parts_.forecast;
  result_.folder = config_.train.folder;
  result_.seconds_now = now() - started_;
  if (step_seconds_ > 0) {
    result_.tokens_per_second = static_cast<double>(step_tokens_) / step_seconds_;
    result_.step_seconds = step_seconds_ / static_cast<double>(result_.steps_now);
    result_.tflops = flops_ / step_seconds_ * 1e-12;
    result_.share_of_peak = parts_.peak_flops > 0 ? flops_ / step_seconds_ / parts_.peak_flops : 0;
  }
  return result_;
}

}  // namespace

StepOptions step_options(const TrainConfig& config) {
  return {config.precision(), config.train.recompute, config.balance_options(),
          static_cast<uint64_t>(config.train.seed)};
}

StepUpdate apply_gradient(const TrainConfig& config, const StepGradient& gradient,
                          const std::vector<Parameter*>& parameters, Optimizer& optimizer, double lr) {
  StepUpdate update;
  update.gradient_norm = gradient_norm(parameters);
  for (Parameter* p : parameters) p->squares = std::numeric_limits<double>::quiet_NaN();
  if (!std::isfinite(gradient.loss)) update.skip_reason = "the loss is not finite";
  else if (!std::isfinite(update.gradient_norm))
    update.skip_reason = "the gradient of " + non_finite_gradient(parameters) + " is not finite";
  if (!update.skip_reason.empty()) {
    for (Parameter* p : parameters)
      if (p->grad) p->grad.set_zero();
    return update;
  }
  const double clip = config.train.clip;
  optimizer.step(lr, clip > 0 ? std::min(1.0, clip / (update.gradient_norm + 1e-6)) : 1.0);
  return update;
}

void update_routers(const TrainConfig& config, const StepGradient& gradient,
                    const std::vector<Router*>& routers) {
  if (config.balance.bias_rate == 0) return;
  for (size_t l = 0; l < routers.size() && l < gradient.layers.size(); ++l)
    if (Parameter* bias = routers[l]->selection_bias())
      update_selection_bias(*bias, gradient.layers[l].chosen, config.balance.bias_rate);
}

std::vector<LayerMetrics> layer_metrics(const StepGradient& gradient) {
  std::vector<LayerMetrics> out;
  for (const LayerLoad& l : gradient.layers)
    out.push_back({l.max_over_mean(), l.entropy(), l.dead(), l.balance, l.z, l.dropped()});
  return out;
}

TrainResult train(const TrainConfig& config, TrainParts parts, const std::vector<TrainObserver*>& observers) {
  config.validate();
  auto corrupted = corrupted_source(config.model, parts.source, config.train.seed);
  TrainParts used{corrupted ? *corrupted : parts.source,
                  parts.held_out,
                  parts.texts,
                  parts.files,
                  parts.clock,
                  parts.peak_flops,
                  parts.forecast};
  return Trainer(config, used, observers).run();
}

}  // namespace lyceum
