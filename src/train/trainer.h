// The trainer: from a recipe to checkpoints, interruptible at any moment.
//
// Invariants
//   1. Between steps a run is its weights, its optimiser's tensors and a TrainingState, and nothing else:
//      what a step reads is one of these or a function of the recipe. All three are in every checkpoint.
//   2. A step happens whole or not at all: state and cursor move on together, after the update or the skip.
//      A step that throws leaves weights and state as they were.
//   3. Checkpoints are written between steps only, after the rows of metrics up to their step; resuming cuts
//      off the rows after it.
//   4. The same seed and instruction set give the same bits at any thread count, resumed or not. When time
//      decides (train.minutes), the learning rates differ between runs, and those of a run are in its
//      metrics.
//   5. A step whose loss or gradient is not finite changes no weight; it is counted and its culprit is named.
//
//              open                        step()                       all steps or minutes are done
//   (nothing) ------> begun or resumed -----------> between steps ---------------------------> finished
//                                        ^           |  |  |  save(): every n steps or minutes     save()
//                                        +-----------+  |  +-----> between steps
//                                                       +--------> stopped   save(), observer asked
//                     step() throws: save() of the state before it, then failed, rethrown
#pragma once

#include <functional>
#include <memory>

#include "runs/metrics.h"
#include "train/batch_source.h"
#include "train/forecast.h"
#include "train/held_out.h"
#include "train/memory.h"
#include "train/state.h"
#include "train/step.h"

namespace lyceum {

struct TrainStart {
  const TrainConfig& config;
  const Model& model;
  int64_t parameters = 0, active_parameters = 0;  // all, and those that see a token (experts top_k / n)
  MemoryNeed memory;
  int64_t resumed_step = 0;  // 0: a new run
  double peak_flops = 0;     // measured; 0: not known
  Forecast forecast;         // of a new run; step_seconds = 0: none was made
};

struct StepReport {
  const StepMetrics& row;
  const std::vector<LayerLoad>& layers;
  double done = 0;   // share of the run, [0, 1]
  double total = 0;  // steps, or seconds when time decides
  bool by_time = false;
  double seconds = 0;  // of the run so far
};

// Called by the training thread; everything borrowed is valid during the call.
class TrainObserver {
 public:
  virtual ~TrainObserver() = default;
  virtual void on_start(const TrainStart& start) {}
  virtual void on_step(const StepReport& report) {}
  virtual void on_held_out(int64_t step, const NamedNumbers& bits_per_byte) {}
  virtual void on_checkpoint(int64_t step, const std::string& folder) {}
  virtual bool stop_requested() { return false; }  // asked between steps; then the run saves and stops
};

struct TrainResult {
  enum class Status { kFinished, kStopped } status = Status::kFinished;
  TrainingState state;
  int64_t steps_now = 0;         // of this call; 0 when the run was finished already
  double seconds_now = 0;        // of this call
  double tokens_per_second = 0;  // of this call, over the time in steps
  double tflops = 0, share_of_peak = 0;
  double step_seconds = 0;         // of this call, a step's mean
  Forecast forecast;               // as said before the run; step_seconds = 0: none was made
  std::string folder, checkpoint;  // of the run; the newest checkpoint
  NamedNumbers held_out;           // of the end; empty when stopped or without held-out text
};

// What a trainer works with besides its recipe; tests hand in their own.
struct TrainParts {
  BatchSource& source;
  const HeldOutSet* held_out = nullptr;
  std::map<std::string, std::string> texts = {};  // files that travel into every checkpoint
  FileSystem* files = nullptr;                    // real_files()
  std::function<double()> clock = {};             // seconds, steady; real time when empty
  double peak_flops = 0;
  Forecast forecast = {};  // for the observers
};

// Trains as the recipe says: opens data and tokenizer, resumes by itself when train.folder holds a complete
// checkpoint. Throws what goes wrong, after saving where that is possible.
TrainResult train(const TrainConfig& config, const std::vector<TrainObserver*>& observers = {});
// The same with parts in hand; model.vocab must be set.
TrainResult train(const TrainConfig& config, TrainParts parts,
                  const std::vector<TrainObserver*>& observers = {});

// The part of a step after the gradient. Returns "" or, when the step must be skipped, why.
struct StepUpdate {
  double gradient_norm = 0;
  std::string skip_reason;
};
StepUpdate apply_gradient(const TrainConfig& config, const StepGradient& gradient,
                          const std::vector<Parameter*>& parameters, Optimizer& optimizer, double lr);

// Loss-free balancing: moves the selection bias of every router that has one by the loads of the whole step.
void update_routers(const TrainConfig& config, const StepGradient& gradient,
                    const std::vector<Router*>& routers);

StepOptions step_options(const TrainConfig& config);
std::vector<LayerMetrics> layer_metrics(const StepGradient& gradient);

}  // namespace lyceum
