#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "base/progress.h"
#include "bench/case.h"
#include "kernels/optimizer.h"
#include "kernels/peak.h"
#include "kernels/rowwise.h"
#include "train/memory.h"

namespace lyceum::bench {
namespace {

volatile double g_sum = 0;  // so that no reading is left out

double probe_memory(bool update) {
  static std::vector<float> memory(16 << 20, 1.0f);
  const auto n = static_cast<int64_t>(memory.size());
  const double begin = steady_seconds();
  if (update) kernels::scale(n, 1.0f, memory.data(), DType::kF32);
  else g_sum = kernels::sum_of_squares(n, memory.data());
  return (update ? 8.0 : 4.0) * static_cast<double>(n) / (steady_seconds() - begin);
}

}  // namespace

const char* limit_name(Limit limit) {
  constexpr const char* names[] = {"peak", "f32 peak", "reading", "updating"};
  return names[static_cast<int>(limit)];
}

const char* limit_unit(Limit limit) {
  return limit == Limit::kProducts || limit == Limit::kProductsF32 ? "FLOP/s" : "bytes/s";
}

double probe(Limit limit) {
  if (limit == Limit::kRead || limit == Limit::kUpdate) return probe_memory(limit == Limit::kUpdate);
  return kernels::probe_peak(limit == Limit::kProductsF32);
}

void refuse_what_cannot_fit(const std::string& what, double bytes, const char* advice) {
  const double available = memory_available();
  if (bytes > available)
    fail(ErrorKind::kOutOfMemory, "bench", what, " needs ", human_bytes(bytes), ", ", human_bytes(available),
         " are available; ", advice);
}

}  // namespace lyceum::bench
