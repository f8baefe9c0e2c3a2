// Ctrl-C and SIGTERM. Work that can stop between two steps is asked to; work that cannot ends at once, which
// costs the step it was in, since files are replaced atomically.
#pragma once

#include <string>

#include "train/trainer.h"

namespace lyceum {

// Asks the trainer to save and stop after the step; another signal, at least a second later, ends the process
// as it stands.
class StopOnSignal : public TrainObserver {
 public:
  StopOnSignal();
  ~StopOnSignal() override;
  bool stop_requested() override;
};

// While it lives, a signal prints `line` on stderr and ends the process with exit code 130.
class EndOnSignal {
 public:
  explicit EndOnSignal(const std::string& line);
  ~EndOnSignal();
  EndOnSignal(const EndOnSignal&) = delete;
  EndOnSignal& operator=(const EndOnSignal&) = delete;
};

}  // namespace lyceum
