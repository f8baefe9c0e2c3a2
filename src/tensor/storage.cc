#include "tensor/storage.h"

#include <sys/mman.h>

#include <bit>
#include <cstring>
#include <mutex>
#include <vector>

#include "base/error.h"
#include "base/progress.h"

namespace lyceum {
namespace {

constexpr size_t kSmallest = 256, kHuge = size_t{2} << 20;

// Four classes per power of two: at most a quarter of a block is wasted.
int class_of(size_t bytes) {
  if (bytes <= kSmallest) return 0;
  const int log = std::bit_width(bytes - 1);  // 2^(log-1) < bytes <= 2^log
  const size_t quarter = size_t{1} << (log - 3);
  return (log - 8) * 4 + static_cast<int>((bytes - 1 - (size_t{1} << (log - 1))) / quarter) - 3;
}

size_t class_bytes(int c) {
  if (c == 0) return kSmallest;
  const int log = (c + 3) / 4 + 8, step = (c + 3) % 4;
  return (size_t{1} << (log - 1)) + (static_cast<size_t>(step) + 1) * (size_t{1} << (log - 3));
}

class Pool {
 public:
  void* take(size_t bytes, bool* used_before) {
    std::lock_guard<std::mutex> lock(mutex_);
    const int c = class_of(bytes);
    const size_t size = class_bytes(c);
    statistics.in_use_bytes += size;
    if (statistics.in_use_bytes > statistics.peak_bytes) statistics.peak_bytes = statistics.in_use_bytes;
    *used_before = !free_[c].empty();
    if (*used_before) {
      void* p = free_[c].back();
      free_[c].pop_back();
      return p;
    }
    return size >= kHuge ? from_system(size) : carve(size);
  }

  void give(void* p, size_t bytes) {
    std::lock_guard<std::mutex> lock(mutex_);
    const int c = class_of(bytes);
    statistics.in_use_bytes -= class_bytes(c);
    free_[c].push_back(p);
  }

  PoolStatistics statistics;
  std::mutex mutex_;

 private:
  void* from_system(size_t size) {
    const size_t span = size + kHuge;  // room to align
    void* p = mmap(nullptr, span, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) {
      statistics.in_use_bytes -= size;
      fail(ErrorKind::kOutOfMemory, "tensor", "wanted ", human_bytes(static_cast<double>(size)),
           " on top of ", human_bytes(static_cast<double>(statistics.in_use_bytes)),
           " in use; use a smaller model or micro-batch");
    }
    ++statistics.system_calls;
    statistics.reserved_bytes += size;
    auto* begin = reinterpret_cast<char*>((reinterpret_cast<uintptr_t>(p) + kHuge - 1) / kHuge * kHuge);
    madvise(begin, size, MADV_HUGEPAGE);
    return begin;
  }

  void* carve(size_t size) {
    if (left_ < size) {
      constexpr size_t kChunk = 4 * kHuge;
      chunk_ = static_cast<char*>(from_system(kChunk));
      left_ = kChunk;
    }
    void* p = chunk_;
    chunk_ += size;
    left_ -= size;
    return p;
  }

  std::vector<void*> free_[256];
  char* chunk_ = nullptr;
  size_t left_ = 0;
};

Pool& pool() {
  static Pool* instance = new Pool;  // outlives every static tensor
  return *instance;
}

}  // namespace

PoolStatistics pool_statistics() {
  std::lock_guard<std::mutex> lock(pool().mutex_);
  return pool().statistics;
}

void reset_pool_peak() {
  std::lock_guard<std::mutex> lock(pool().mutex_);
  pool().statistics.peak_bytes = pool().statistics.in_use_bytes;
}

namespace detail {
void* pool_take(size_t bytes) {
  bool used_before;
  return pool().take(bytes, &used_before);
}
void* pool_take_zeros(size_t bytes) {
  bool used_before;
  void* memory = pool().take(bytes, &used_before);
  if (used_before) std::memset(memory, 0, bytes);
  return memory;
}
void pool_give(void* memory, size_t bytes) { pool().give(memory, bytes); }
}  // namespace detail

}  // namespace lyceum
