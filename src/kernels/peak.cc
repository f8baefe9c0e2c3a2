#include "kernels/peak.h"

#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <thread>

#include "base/clock.h"
#include "base/threads.h"
#include "kernels/product_blocks.h"

namespace lyceum::kernels {
namespace {

// One thread alone is timed by the processor time it got, so that other programs do not count.
double seconds(bool alone) { return alone ? thread_seconds() : steady_seconds(); }

const ProductTable* table_for(bool f32_operands) {
  const DType type = f32_operands ? DType::kF32 : DType::kBF16;
  return product_table(type, type);
}

// The rates of `threads` threads that run at the same time, added up. Each waits until all have begun, or a
// thread that sleeps would be measured waking up.
double sample(const ProductTable& table, int threads, int64_t turns) {
  std::atomic<int> begun{0};
  std::atomic<double> rate{0};
  parallel_for(threads, [&](int64_t, int) {
    table.begin();
    begun.fetch_add(1);
    while (begun.load() < threads) std::this_thread::yield();
    const double begin = seconds(threads == 1);
    table.peak(turns);
    rate.fetch_add(table.peak_flops * static_cast<double>(turns) / (seconds(threads == 1) - begin));
    table.end();
  });
  return rate.load();
}

int64_t turns_for(const ProductTable& table, double time) {
  const double rate = sample(table, 1, 64);
  return std::max<int64_t>(64, static_cast<int64_t>(rate * time / table.peak_flops));
}

// Sixteen bytes; wide enough for any memory, whatever the level.
typedef float Line __attribute__((vector_size(16)));

// Bytes a second of all threads walking over memory that no cache holds: `update` reads and writes each once
// and counts both.
double measure_bandwidth(bool update) {
  constexpr int64_t kBytes = 256 << 20, kPiece = 1 << 20, kUnroll = 8;
  void* memory = mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return 0;
  madvise(memory, kBytes, MADV_HUGEPAGE);
  Line* lines = static_cast<Line*>(memory);
  std::atomic<float> sink{0};
  double best = 0;
  for (int pass = 0; pass < 4; ++pass) {  // the first one fills
    const double begin = seconds(false);
    parallel_ranges(kBytes / 16, kPiece / 16, [&](int64_t from, int64_t to, int) {
      Line sum[kUnroll] = {};
      for (int64_t i = from; i < to; i += kUnroll)
        for (int64_t j = 0; j < kUnroll; ++j) {
          if (pass == 0) lines[i + j] = Line{} + 1.0f;
          else if (update) lines[i + j] = lines[i + j] * 0.5f + 0.5f;
          else sum[j] += lines[i + j];
        }
      for (int64_t j = 1; j < kUnroll; ++j) sum[0] += sum[j];
      sink.store(sum[0][0]);
    });
    if (pass > 0) best = std::max(best, (update ? 2.0 : 1.0) * kBytes / (seconds(false) - begin));
  }
  munmap(memory, kBytes);
  return best;
}

}  // namespace

Peak measure_peak(bool with_bandwidth, bool f32_operands) {
  Peak peak;
  if (const ProductTable* table = table_for(f32_operands)) {
    const int64_t turns = turns_for(*table, 5e-4);
    for (int i = 0; i < 25; ++i) {
      peak.flops_one = std::max(peak.flops_one, sample(*table, 1, turns));
      peak.flops_all = std::max(peak.flops_all, sample(*table, thread_count(), turns));
    }
  }
  if (with_bandwidth)
    peak.read_bandwidth = measure_bandwidth(false), peak.update_bandwidth = measure_bandwidth(true);
  return peak;
}

double probe_peak(bool f32_operands) {
  const ProductTable* table = table_for(f32_operands);
  if (!table) return 0;
  thread_local const ProductTable* known = nullptr;
  thread_local int64_t turns = 0;
  if (known != table) known = table, turns = turns_for(*table, 1e-4);
  return sample(*table, thread_count(), turns);
}

}  // namespace lyceum::kernels
