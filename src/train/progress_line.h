// The line that a person watches while a model trains: step, loss, speed, share of this CPU's peak, time
// left, the worst expert's load.
#pragma once

#include <memory>

#include "base/progress.h"
#include "train/trainer.h"

namespace lyceum {

class ProgressLine : public TrainObserver {
 public:
  void on_start(const TrainStart& start) override;
  void on_step(const StepReport& report) override;
  void on_held_out(int64_t step, const NamedNumbers& bits_per_byte) override;
  void on_checkpoint(int64_t step, const std::string& folder) override;

 private:
  std::unique_ptr<Progress> bar_;
  double loss_ = 0, speed_ = 0, flops_ = 0, share_ = 0;  // smoothed
};

// "step 120  loss 3.214  8.1 K tokens/s  0.61 TFLOP/s (31 % of peak)  worst load 1.8x"
std::string step_note(const StepMetrics& row);

}  // namespace lyceum
