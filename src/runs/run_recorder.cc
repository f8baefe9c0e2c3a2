#include "runs/run_recorder.h"

#include <filesystem>
#include <optional>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "runs/event_file.h"

namespace lyceum {

struct RunRecorder::State {
  std::optional<MetricsWriter> metrics;
  std::optional<EventWriter> events;
  std::optional<RunDatabase> database;
  std::string id, last_line;
  RunCurve curve;
  NamedNumbers held_out;  // of the latest evaluation
  int64_t last_step = 0;
  double last_update = 0;
  bool finished = false;

  // Runs f; what it throws costs the convenience, not the training.
  template <class Part, class F>
  void try_part(std::optional<Part>& part, const char* what, F&& f) {
    if (!part) return;
    try {
      f(*part);
    } catch (const Error& e) {
      log_warn("runs", what, " goes on without further rows: ", e.what());
      part.reset();
    }
  }

  void update_database() {
    last_update = steady_seconds();
    try_part(database, "run database", [&](RunDatabase& d) { d.update(id, last_step, last_line, curve); });
  }
};

namespace {

RunCurve::Point point_of(const StepMetrics& row) {
  return {static_cast<double>(row.step), static_cast<double>(row.tokens), row.loss, row.tokens_per_second};
}

}  // namespace

RunRecorder::RunRecorder(RecorderOptions options) : state_(std::make_unique<State>()) {
  namespace fs = std::filesystem;
  State& s = *state_;
  const std::string metrics_path = options.folder + "/metrics.jsonl";
  s.metrics.emplace(metrics_path, options.resume_step);
  s.last_step = options.resume_step;
  if (options.resume_step > 0)
    for (const StepMetrics& row : read_metrics(metrics_path).rows) {
      s.curve.add(point_of(row));
      if (!row.held_out.empty()) s.held_out = row.held_out;
      s.last_line = metrics_line(row);
    }
  if (options.tensorboard) {
    try {
      s.events.emplace(options.folder + "/tensorboard", options.resume_step);
      if (!options.run.config.empty())
        s.events->text(options.resume_step, "config", "```json\n" + options.run.config + "\n```");
    } catch (const Error& e) {
      log_warn("runs", "no TensorBoard files: ", e.what());
      s.events.reset();
    }
  }
  if (!options.database) return;
  try {
    fs::path folder = fs::path(options.folder).lexically_normal();
    if (folder.filename().empty()) folder = folder.parent_path();
    if (options.root.empty()) options.root = folder.has_parent_path() ? folder.parent_path().string() : ".";
    s.database.emplace(options.root);
    options.run.folder = folder.string();
    if (options.run.name.empty()) options.run.name = folder.filename().string();
    s.id = s.database->begin(options.run, options.resume_step > 0);
    s.update_database();
  } catch (const Error& e) {
    log_warn("runs", "this run is not in the run database: ", e.what());
    s.database.reset();
    s.id.clear();
  }
}

RunRecorder::RunRecorder(RunRecorder&&) noexcept = default;

RunRecorder::~RunRecorder() {
  if (!state_ || state_->finished) return;
  try {
    finish("stopped");
  } catch (const std::exception& e) {
    log_warn("runs", "the end of the run is not recorded: ", e.what());
  }
}

void RunRecorder::step(const StepMetrics& row) {
  State& s = *state_;
  s.metrics->write(row);
  s.last_step = row.step;
  if (row.held_out.empty()) {
    StepMetrics with_scores = row;  // the database shows the latest scores beside the latest step
    with_scores.held_out = s.held_out;
    s.last_line = metrics_line(with_scores);
  } else {
    s.held_out = row.held_out;
    s.last_line = metrics_line(row);
  }
  s.curve.add(point_of(row));
  s.try_part(s.events, "TensorBoard", [&](EventWriter& e) { e.step(row); });
  if (s.database && steady_seconds() - s.last_update > 2) s.update_database();
}

void RunRecorder::sync() {
  state_->metrics->sync();
  state_->try_part(state_->events, "TensorBoard", [](EventWriter& e) { e.sync(); });
  if (state_->database) state_->update_database();
}

void RunRecorder::finish(const std::string& status, const std::string& note) {
  State& s = *state_;
  if (s.finished) return;
  s.finished = true;
  if (s.database) s.update_database();
  s.try_part(s.database, "run database", [&](RunDatabase& d) { d.finish(s.id, status, note); });
  s.try_part(s.events, "TensorBoard", [](EventWriter& e) { e.sync(); });
  s.metrics->sync();
}

const std::string& RunRecorder::run_id() const { return state_->id; }

}  // namespace lyceum
