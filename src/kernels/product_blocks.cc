#include "kernels/product_blocks.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <memory>

#include "base/error.h"
#include "base/threads.h"
#include "kernels/isa.h"

namespace lyceum::kernels {
namespace {

constexpr int64_t kTasksPerThread = 6;
constexpr int64_t kLeastRows = 128;  // of a task, where there are more: the panels stream past them
constexpr int64_t kLeastPanels = 8;  // of a task: packing its rows must pay

int64_t round_up(int64_t n, int64_t step) { return (n + step - 1) / step * step; }

const ProductTable* table_of(Isa isa, DType operand) {
  const bool dot = operand == DType::kBF16;
  switch (isa) {
    case Isa::kAmx:
      return dot ? &kProductsAmx : nullptr;
    case Isa::kAmxEmulated:
      return dot ? &kProductsAmxEmulated : nullptr;
    case Isa::kAvx512Bf16:
      return dot ? &kProductsAvx512Bf16 : nullptr;
    case Isa::kAvx512:
      return dot ? nullptr : &kProductsAvx512;
    case Isa::kAvx2:
      return dot ? nullptr : &kProductsAvx2;
    case Isa::kReference:
      return nullptr;
  }
  return nullptr;
}

struct Memory {
  void* data = nullptr;
  int64_t size = 0;
  ~Memory() { std::free(data); }
};

}  // namespace

const ProductTable* product_table(DType x, DType w) {
  for (Isa isa : fallback_order(isa_level())) {
    if (x == DType::kBF16 && w == DType::kBF16)
      if (const ProductTable* table = table_of(isa, DType::kBF16)) return table;
    if (const ProductTable* table = table_of(isa, DType::kF32)) return table;
  }
  return nullptr;
}

int64_t packed_budget() {
  static const int64_t budget = [] {
    const long l2 = sysconf(_SC_LEVEL2_CACHE_SIZE);
    return static_cast<int64_t>(l2 >= (256 << 10) ? l2 : (1 << 20)) / 2;
  }();
  return budget;
}

const std::vector<ProductTask>& cut_rows(const Groups& groups, int64_t row_block, int64_t max_rows,
                                         int64_t panels, int64_t panel_step) {
  thread_local std::vector<ProductTask> tasks;
  tasks.clear();
  const int threads = thread_count();
  const int64_t wanted = threads == 1 ? 1 : kTasksPerThread * threads;
  // Fewer rows before fewer columns: pieces of columns pack the same rows again.
  max_rows = std::min(max_rows, std::max(kLeastRows, round_up(groups.slots() / wanted, row_block)));
  max_rows = std::max(row_block, max_rows / row_block * row_block);
  int64_t row_tasks = 0;
  for (int64_t g = 0; g < groups.n; ++g)
    row_tasks += (groups.first[g + 1] - groups.first[g] + max_rows - 1) / max_rows;
  if (row_tasks == 0) return tasks;
  int64_t piece = panels * row_tasks / wanted;
  piece = std::min(panels, round_up(std::max(piece, kLeastPanels), panel_step));
  for (int64_t g = 0; g < groups.n; ++g) {
    const int64_t rows = groups.first[g + 1] - groups.first[g];
    if (rows == 0) continue;
    const int64_t blocks = (rows + max_rows - 1) / max_rows;
    const int64_t step = round_up((rows + blocks - 1) / blocks, row_block);
    for (int64_t row = 0; row < rows; row += step)
      for (int64_t panel = 0; panel < panels; panel += piece)
        tasks.push_back(
            {g, groups.first[g] + row, std::min(step, rows - row), panel, std::min(piece, panels - panel)});
  }
  return tasks;
}

void* worker_memory(int use, int64_t bytes) {
  thread_local Memory memory[4];
  Memory& m = memory[use];
  if (m.size >= bytes) return m.data;
  std::free(m.data);
  constexpr int64_t kHuge = 2 << 20;
  m.size = round_up(bytes, kHuge);
  m.data = std::aligned_alloc(kHuge, static_cast<size_t>(m.size));
  if (!m.data) {
    m.size = 0;
    fail(ErrorKind::kOutOfMemory, "products", "wanted ", bytes, " bytes of working memory for one thread");
  }
  madvise(m.data, static_cast<size_t>(m.size), MADV_HUGEPAGE);
  return m.data;
}

}  // namespace lyceum::kernels
