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

constexpr int64_t kMemory = 256 << 20, kPiece = 1 << 20;

}  // namespace

MemoryProbe::MemoryProbe()
    : memory_(mmap(nullptr, kMemory, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)) {
  if (memory_ == MAP_FAILED) {
    memory_ = nullptr;
    return;
  }
  madvise(memory_, kMemory, MADV_HUGEPAGE);
  sample(true);  // the first touch
}

MemoryProbe::~MemoryProbe() {
  if (memory_) munmap(memory_, kMemory);
}

// Each thread walks along four places at once: a single stream does not fill what the memory can do.
double MemoryProbe::sample(bool update) const {
  if (!memory_) return 0;
  constexpr int64_t kLines = kPiece / static_cast<int64_t>(sizeof(Line)), kPart = kLines / 4, kUnroll = 4;
  const bool alone = thread_count() == 1;
  Line* lines = static_cast<Line*>(memory_);
  std::atomic<float> sink{0};
  const double begin = seconds(alone);
  parallel_for(kMemory / kPiece, [&](int64_t piece, int) {
    Line* first = lines + piece * kLines;
    Line sum[kUnroll] = {};
    for (int64_t i = 0; i < kPart; i += kUnroll)
      for (Line* at = first + i; at < first + kLines; at += kPart)
        for (int64_t j = 0; j < kUnroll; ++j) {
          if (update) at[j] = at[j] * 0.5f + 0.5f;
          else sum[j] += at[j];
        }
    for (int64_t j = 1; j < kUnroll; ++j) sum[0] += sum[j];
    sink.store(sum[0][0]);
  });
  return (update ? 2.0 : 1.0) * kMemory / (seconds(alone) - begin);
}

Peak measure_peak(bool with_bandwidth, bool f32_operands) {
  Peak peak;
  if (const ProductTable* table = table_for(f32_operands)) {
    const int64_t turns = turns_for(*table, 5e-4);
    for (int i = 0; i < 25; ++i) {
      peak.flops_one = std::max(peak.flops_one, sample(*table, 1, turns));
      peak.flops_all = std::max(peak.flops_all, sample(*table, thread_count(), turns));
    }
  }
  if (!with_bandwidth) return peak;
  const MemoryProbe memory;
  for (int i = 0; i < 3; ++i) {
    peak.read_bandwidth = std::max(peak.read_bandwidth, memory.sample(false));
    peak.update_bandwidth = std::max(peak.update_bandwidth, memory.sample(true));
  }
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
