#include "base/clock.h"
#include "base/error.h"
#include "base/progress.h"
#include "base/threads.h"
#include "bench/case.h"
#include "bench/random_tensor.h"
#include "kernels/optimizer.h"
#include "kernels/peak.h"
#include "train/memory.h"

namespace lyceum::bench {
namespace {

volatile double g_sum = 0;  // so that no reading is left out

constexpr int64_t kFloats = 16 << 20;  // more than a cache holds
typedef float Line __attribute__((vector_size(16)));

// Each thread walks along four places at once: a single stream does not fill what the memory can do.
void update_memory(float* memory) {
  constexpr int64_t kPiece = (1 << 20) / sizeof(Line), kPart = kPiece / 4;
  Line* lines = reinterpret_cast<Line*>(memory);
  parallel_for(kFloats / 4 / kPiece, [&](int64_t piece, int) {
    Line* first = lines + piece * kPiece;
    for (int64_t i = 0; i < kPart; i += 4)
      for (Line* at = first + i; at < first + kPiece; at += kPart)
        for (int64_t j = 0; j < 4; ++j) at[j] = at[j] * 0.5f + 0.5f;
  });
}

double probe_memory(bool update) {
  static const Tensor memory = random_tensor({kFloats}, DType::kF32, 1);
  const double begin = work_seconds();
  if (update) update_memory(memory.f32());
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
