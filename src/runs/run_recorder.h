// What a trainer talks to: one call a step feeds metrics.jsonl, the TensorBoard files and the run database.
//
// metrics.jsonl is the truth and its failure is the trainer's; TensorBoard and the database are conveniences:
// when one of them fails, one warning says so and training goes on without it.
#pragma once

#include <memory>
#include <string>

#include "runs/metrics.h"
#include "runs/run_database.h"

namespace lyceum {

struct RecorderOptions {
  std::string folder = {};  // of the run: metrics.jsonl and tensorboard/ go there
  std::string root = {};    // of the runs, for runs.db; empty: the parent of `folder`
  int64_t resume_step = 0;  // 0 for a new run
  bool tensorboard = true, database = true;
  RunInfo run = {};  // name, config, config_hash, version, cpu, total_steps
};

class RunRecorder {
 public:
  explicit RunRecorder(RecorderOptions options);
  ~RunRecorder();  // without finish(): marked as stopped
  RunRecorder(RunRecorder&&) noexcept;

  void step(const StepMetrics& row);
  // Called when a checkpoint is complete: what was recorded until here survives a power cut.
  void sync();
  // status: finished, stopped (by the user) or failed.
  void finish(const std::string& status, const std::string& note = {});
  const std::string& run_id() const;  // empty when the database is not to be had

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace lyceum
