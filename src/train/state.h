// Training state: what a checkpoint holds beside the weights, so that going on is the same as never having
// stopped.
//
//   training_state/state.json       step, tokens, cursor of the data, counters, hash of the learning rates,
//                                   configuration, version
//   training_state/optimizer.*      <parameter>.m, .v ...: moments, f32
//                                   <parameter>.residual: i16, what a bf16 weight lacks to its f32 master
//                                   <parameter>.master: f32, of parameters that the weights' file rounds
// All in logical order: files never show a layout, and a run goes on on another make of CPU.
#pragma once

#include "formats/checkpoint.h"
#include "models/model.h"
#include "train/config.h"

namespace lyceum {

struct TrainingState {
  int64_t step = 0;             // steps done, skipped ones included
  int64_t optimizer_steps = 0;  // updates made
  int64_t tokens = 0;
  int64_t skipped = 0;  // steps whose loss or gradient was not finite
  int64_t skipped_in_a_row = 0;
  double seconds = 0;       // of training so far; with train.minutes the schedule follows it
  uint64_t rates_hash = 0;  // of the learning rates of all steps, in order
  double loss = 0;          // of the last step
  std::string cursor;       // of the data
};

uint64_t extend_rates_hash(uint64_t hash, double rate);

// Everything of a checkpoint: weights in the run's precision, configuration of the model, state.
// `texts`: further files (tokenizer). The sources read the model when they are written.
CheckpointContents checkpoint_contents(const Model& model, const Optimizer& optimizer,
                                       const TrainingState& state, const TrainConfig& config,
                                       const std::map<std::string, std::string>& texts);

struct SavedState {
  TrainingState state;
  TrainConfig config;
  std::string version;
};
// Throws kNotFound if the checkpoint has no training state, kCorruptData if it is not ours.
SavedState read_training_state(const Checkpoint& checkpoint);

// Exact masters into the model, whatever its precision. Every byte is held against its checksum first.
void restore_weights(const Checkpoint& checkpoint, Model& model);
// The optimiser's tensors and step count. Throws kCorruptData naming a tensor that is missing or misshapen.
void restore_optimizer(const Checkpoint& checkpoint, const TrainingState& state, Optimizer& optimizer);

// Version of the program, as `git describe` gave it when the build was configured; "development" without git.
const char* program_version();

}  // namespace lyceum
