// How a run begins: from random weights, from another checkpoint, or where it was interrupted.
#pragma once

#include <memory>

#include "train/batch_source.h"
#include "train/state.h"

namespace lyceum {

struct Begin {
  std::unique_ptr<Model> model;
  std::unique_ptr<Optimizer> optimizer;
  TrainingState state;
  bool resumed = false;
  std::string checkpoint;  // that was resumed from
};

// The newest complete checkpoint of the run whose bytes are what its manifest says (damaged ones are passed
// over with a warning); without any, train.from; without that, random weights. `source` is moved to the
// cursor. Throws kInvalidArgument when the run in this folder is another one (its model, precision, optimiser
// or seed differ).
Begin begin_or_resume(const TrainConfig& config, BatchSource& source);

// train.from, or random weights and tables of ids built from the source's text: what step 1 begins with.
Begin begin_anew(const TrainConfig& config, const BatchSource& source);

// Loads a checkpoint with its training state, as resuming does.
Begin load_checkpoint(const Checkpoint& checkpoint, const TrainConfig& config, BatchSource& source);

}  // namespace lyceum
