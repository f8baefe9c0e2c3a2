// Learning-rate schedules: the share of the peak rate as a function of how far training is.
//
// "How far" is x = steps done / all steps, or, when a run is given minutes, elapsed time / all time; then the
// rate that was used is logged with each step, so that a step can be computed again.
//   warm-up       rises linearly to 1 over `warmup_steps` steps, or while x < `warmup`
//   after it, with t = (x - warm) / (1 - warm):
//     constant       1
//     cosine         final + (1 - final) (1 + cos(pi t)) / 2             Loshchilov & Hutter,
//     arXiv:1608.03983 inverse_sqrt   sqrt(warm / x)                                      Vaswani et al.,
//     arXiv:1706.03762 linear         1 + (final - 1) t                                   annealing: final =
//     0 wsd            1, then from t = 1 - decay on linearly to final     Hu et al., arXiv:2404.06395
#pragma once

#include <string>

#include "base/fields.h"

namespace lyceum {

struct ScheduleOptions {
  std::string kind = "cosine";
  int64_t warmup_steps = 0;
  double warmup = 0.02;
  double final = 0.1;
  double decay = 0.2;
  void fields(Fields& f);
  void validate(bool by_time, int64_t steps) const;
};

// Where a step stands. By time, x is the share of the time that had gone when the step began.
struct SchedulePoint {
  int64_t step = 0;  // steps done before this one
  double x = 0;      // [0, 1]
};

// Share of the peak rate for the step that begins at `at`. `steps`: of the whole run, 0 when it is by time.
double schedule_factor(const ScheduleOptions& options, const SchedulePoint& at, int64_t steps);

}  // namespace lyceum
