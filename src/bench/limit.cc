#include "base/clock.h"
#include "base/error.h"
#include "base/progress.h"
#include "base/threads.h"
#include "bench/case.h"
#include "kernels/peak.h"
#include "train/memory.h"

namespace lyceum::bench {
const char* limit_name(Limit limit) {
  constexpr const char* names[] = {"peak", "f32 peak", "reading", "updating"};
  return names[static_cast<int>(limit)];
}

const char* limit_unit(Limit limit) {
  return limit == Limit::kProducts || limit == Limit::kProductsF32 ? "FLOP/s" : "bytes/s";
}

double work_seconds() { return thread_count() == 1 ? thread_seconds() : steady_seconds(); }

double probe(Limit limit) {
  if (limit == Limit::kRead || limit == Limit::kUpdate) {
    static const kernels::MemoryProbe memory;
    return memory.sample(limit == Limit::kUpdate);
  }
  return kernels::probe_peak(limit == Limit::kProductsF32);
}

void refuse_what_cannot_fit(const std::string& what, double bytes, const char* advice) {
  const double available = memory_available();
  if (bytes > available)
    fail(ErrorKind::kOutOfMemory, "bench", "wanted ", human_bytes(bytes), " of memory for ", what, ", found ",
         human_bytes(available), "; ", advice);
}

}  // namespace lyceum::bench
