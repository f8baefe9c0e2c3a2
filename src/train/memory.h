// What a run needs in memory, said before it starts; a run that cannot fit is refused.
#pragma once

#include "models/model.h"
#include "train/config.h"

namespace lyceum {

struct MemoryNeed {
  double parameters = 0;   // count
  double state = 0;        // bytes: weights, residuals, gradients, moments (16 a parameter with adamw)
  double disk = 0;         // bytes of a checkpoint: the training state without gradients
  double activations = 0;  // bytes kept between forward and backward of a micro-batch, and scratch
  double total() const { return state + activations; }
  // "33.5 M parameters: 512 MiB of training state (16 bytes each) + 1.2 GiB of activations"
  std::string text() const;
};

// From the configuration alone: nothing of the model is allocated.
MemoryNeed memory_need(const TrainConfig& config);

// Bytes that this process may still take (free and reclaimable memory, limits of the control group).
double memory_available();

// Throws kOutOfMemory saying what is needed, what there is, and which keys to change.
void refuse_what_cannot_fit(const TrainConfig& config);
// Throws kIo when the disk of train.folder has no room for a checkpoint: better said before hours of
// training.
void refuse_small_disk(const TrainConfig& config);

}  // namespace lyceum
