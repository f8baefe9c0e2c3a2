// One step of a finished or running run again, from the checkpoint before it and the cursor of the data: it
// falls out of determinism, and shows what happened in that step at any station of the model.
#pragma once

#include "train/trainer.h"

namespace lyceum {

struct ReplayedStep {
  StepMetrics logged, found;             // the row of metrics.jsonl, and the same numbers now
  std::vector<std::string> differences;  // one line for each number that is not the same, bit for bit
  int64_t from_step = 0;                 // of the checkpoint it began with; 0: the initial weights
  std::string checkpoint;                // "" for the initial weights
};

// The recipe of the run in `folder`, from its newest complete checkpoint, and with that folder. Throws
// kNotFound if there is none.
TrainConfig config_of_run(const std::string& folder);

// Steps on from the nearest earlier checkpoint (or the initial weights) with the logged learning rates, and
// listens to step `step` alone. Nothing in the folder changes.
ReplayedStep replay_step(const TrainConfig& config, BatchSource& source, int64_t step, Taps* taps);

}  // namespace lyceum
