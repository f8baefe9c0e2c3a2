#include "base/clock.h"
#include "base/error.h"
#include "base/progress.h"
#include "base/threads.h"
#include "bench/case.h"
#include "bench/random_tensor.h"
#include "kernels/optimizer.h"
#include "kernels/peak.h"
#include "kernels/rowwise.h"
#include "train/memory.h"

namespace lyceum::bench {
namespace {

volatile double g_sum = 0;  // so that no reading is left out

double probe_memory(bool update) {
  constexpr int64_t kFloats = 16 << 20;
  static const Tensor memory = random_tensor({kFloats}, DType::kF32, 1);
  const double begin = work_seconds();
  if (update) kernels::scale(kFloats, 1.0f, memory.data(), DType::kF32);
  else g_sum = kernels::sum_of_squares(kFloats, memory.f32());
  return (update ? 8.0 : 4.0) * static_cast<double>(kFloats) / (work_seconds() - begin);
}

}  // namespace

const char* limit_name(Limit limit) {
  constexpr const char* names[] = {"peak", "f32 peak", "reading", "updating"};
  return names[static_cast<int>(limit)];
}

const char* limit_unit(Limit limit) {
  return limit == Limit::kProducts || limit == Limit::kProductsF32 ? "FLOP/s" : "bytes/s";
}

double work_seconds() { return thread_count() == 1 ? thread_seconds() : steady_seconds(); }

double probe(Limit limit) {
  if (limit == Limit::kRead || limit == Limit::kUpdate) return probe_memory(limit == Limit::kUpdate);
  return kernels::probe_peak(limit == Limit::kProductsF32);
}

void refuse_what_cannot_fit(const std::string& what, double bytes, const char* advice) {
  const double available = memory_available();
  if (bytes > available)
    fail(ErrorKind::kOutOfMemory, "bench", "wanted ", human_bytes(bytes), " of memory for ", what, ", found ",
         human_bytes(available), "; ", advice);
}

}  // namespace lyceum::bench
