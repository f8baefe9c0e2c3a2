// How long a run will take, said before it starts and measured: steps of a model of the same shape on made-up
// ids. The model is thrown away; nothing of the run is touched.
#pragma once

#include <string>

#include "train/config.h"

namespace lyceum {

struct Forecast {
  double step_seconds = 0;  // of one optimiser step with its micro-batches
  double step_tokens = 0;
  double seconds = 0;  // of the whole run
  double steps = 0;

  // "about 1 h 20 min: 5000 steps of 8.2 K tokens, 0.96 s each"
  std::string text() const;
};

// model.vocab must be set. Needs the memory of the run for as long as it measures: a few seconds at most, or
// two steps if one takes longer.
Forecast forecast(const TrainConfig& config);

}  // namespace lyceum
