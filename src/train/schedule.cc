#include "train/schedule.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace lyceum {

void ScheduleOptions::fields(Fields& f) {
  const bool falls = kind == "cosine" || kind == "linear" || kind == "wsd";
  f.add("kind", kind, "how the learning rate moves after the warm-up",
        one_of({"cosine", "constant", "inverse_sqrt", "linear", "wsd"}));
  f.add("warmup_steps", warmup_steps, "steps of the warm-up; 0: schedule.warmup decides", at_least(0));
  f.add("warmup", warmup, "share of the run that is warm-up", at_least(0), below(1),
        effective(warmup_steps == 0, "schedule.warmup_steps is set"));
  f.add("final", final, "share of the peak rate at the end", at_least(0), at_most(1),
        effective(falls, "the schedule " + kind + " does not fall to a given share"));
  f.add("decay", decay, "share of the run over which wsd falls", above(0), at_most(1),
        effective(kind == "wsd", "only wsd has it"));
}

void ScheduleOptions::validate(bool by_time, int64_t steps) const {
  check(by_time || warmup_steps < steps, "schedule", "schedule.warmup_steps = ", warmup_steps,
        " leaves nothing of the ", steps, " steps of the run");
  check(kind != "inverse_sqrt" || warmup_steps > 0 || warmup > 0, "schedule",
        "inverse_sqrt needs a warm-up: set schedule.warmup_steps or schedule.warmup");
}

double schedule_factor(const ScheduleOptions& o, const SchedulePoint& at, int64_t steps) {
  const double all = static_cast<double>(steps), done = static_cast<double>(at.step);
  double x = std::clamp(at.x, 0.0, 1.0), warm = o.warmup;
  if (o.warmup_steps > 0) {
    const double n = static_cast<double>(o.warmup_steps);
    if (at.step < o.warmup_steps) return (done + 1) / n;
    if (steps == 0) {  // by time: the sqrt counts steps, the falling forms start at the share they are at
      if (o.kind == "inverse_sqrt") return std::sqrt(n / (done + 1));
      warm = 0;
    } else {
      warm = n / all;
    }
  } else if (warm > 0 && x < warm) {
    const double one = steps > 0 ? 1 / all : 0;  // the first step does not stand still
    return std::min(1.0, std::max(x + one, 1e-3) / warm);
  }
  const double t = warm < 1 ? std::clamp((x - warm) / (1 - warm), 0.0, 1.0) : 1.0;
  if (o.kind == "cosine") return o.final + (1 - o.final) * (1 + std::cos(M_PI * t)) / 2;
  if (o.kind == "linear") return 1 + (o.final - 1) * t;
  if (o.kind == "inverse_sqrt") return std::sqrt(warm / std::max(x, warm));
  if (o.kind == "wsd") return t <= 1 - o.decay ? 1 : 1 + (o.final - 1) * (t - (1 - o.decay)) / o.decay;
  return 1;
}

}  // namespace lyceum
