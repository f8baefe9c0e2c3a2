// The public products: the choice of a level, and the macro-kernel that every level shares. A task packs its
// rows once into an L2-sized block and streams the panels of its columns past it.
#include "kernels/products.h"

#include <algorithm>
#include <optional>
#include <tuple>

#include "base/error.h"
#include "base/threads.h"
#include "kernels/optimizer.h"
#include "kernels/product_blocks.h"
#include "kernels/product_check.h"
#include "kernels/products_reference.h"
#include "kernels/row_table.h"

namespace lyceum::kernels {
namespace {

// A weight gradient sums this many slots before it touches dW, and packs that many panels of dy at once; with
// operands of half the size twice as many fit the caches.
int64_t slot_block(const ProductTable& table) { return table.operand == DType::kBF16 ? 1024 : 320; }
int64_t wide_panels(const ProductTable& table) { return table.operand == DType::kBF16 ? 16 : 8; }

int64_t round_up(int64_t n, int64_t step) { return (n + step - 1) / step * step; }

// 32-bit units between the rows of a packed block, 0 where it is no block of rows; never a power of two.
int64_t row_stride(const ProductTable& table, int64_t k) {
  if (table.tiled) return 0;
  return (table.operand == DType::kBF16 ? (k + 1) / 2 : k) + 16;
}
int64_t row_bytes(const ProductTable& table, int64_t k) {
  const int64_t stride = row_stride(table, k);
  return stride > 0 ? 4 * stride : k * static_cast<int64_t>(dtype_size(table.operand));
}

// Rows of a packed block: what half of L2 holds, and at least so many that widening or transposing the panels
// which stream past them pays. f32 operands take twice the work to make and half the time to multiply with,
// and their blocks may well come from L3: 4 bytes a cycle.
int64_t most_rows(const ProductTable& table, int64_t bytes_of_row) {
  const int64_t least = table.operand == DType::kF32 ? 384 : 96;
  return std::max(packed_budget() / bytes_of_row, least);
}

const char* weight_at(const Weights& w, int64_t group, int64_t part, int64_t row) {
  return static_cast<const char*>(w.data) +
         (group * w.stride + w.layout.index(part, row, 0)) * static_cast<int64_t>(dtype_size(w.layout.type));
}

char* at(const Rows& rows, int64_t row, int64_t column) {
  return static_cast<char*>(rows.data) +
         (row * rows.stride + column) * static_cast<int64_t>(dtype_size(rows.type));
}

// A packed block of the task's rows, and a sweep over it that lacks its panels and outputs.
Sweep packed_sweep(const ProductTable& table, const PackRows& rows, int64_t k) {
  Sweep s;
  s.rows = rows.rows;
  s.k = k;
  s.a_stride = row_stride(table, k);
  void* a = worker_memory(0, round_up(rows.rows, table.row_block) * row_bytes(table, k));
  table.pack_rows(rows, a, s.a_stride);
  s.a = a;
  return s;
}

float* sweep_memory(const ProductTable& table, int64_t rows, int64_t k) {
  return static_cast<float*>(worker_memory(1, table.scratch_floats(rows, k) * 4));
}

template <class Body>
void run_tasks(const ProductTable& table, const std::vector<ProductTask>& tasks, Body&& body) {
  parallel_for(static_cast<int64_t>(tasks.size()), [&](int64_t i, int) {
    table.begin();
    body(tasks[static_cast<size_t>(i)]);
    table.end();
  });
}

// Forward products with either epilogue: `parts_together` when gate and up panels share a sweep.
void forward(const ProductTable& table, const Groups& groups, ConstRows x, const int32_t* gather,
             const Weights& w, const Sweep& form, const Rows& y, const Rows& pre) {
  const WeightLayout& layout = w.layout;
  const int64_t k = round_up(layout.k, table.k_step), part_panels = layout.n_padded() / 16;
  const bool together = form.epilogue == Epilogue::kActivate && layout.parts == 2;
  const int64_t step = together ? table.panels / 2 : table.panels;
  const int64_t panels = together ? part_panels : layout.parts * part_panels;
  const int64_t panel_bytes = layout.panel_size() * static_cast<int64_t>(dtype_size(layout.type));
  const bool sums = form.epilogue == Epilogue::kExponential;
  const auto& tasks = cut_rows(groups, table.row_block, most_rows(table, row_bytes(table, k)), panels,
                               sums ? kSumPanels : step);
  run_tasks(table, tasks, [&](const ProductTask& task) {
    const PackRows rows{x, gather, task.first, task.rows, {{0, layout.k, k}, {}}, 1};
    const Sweep block = packed_sweep(table, rows, k);
    float* scratch = sweep_memory(table, task.rows, k);
    for (int64_t p = task.panel, taken; p < task.panel + task.panels; p += taken) {
      const int64_t part = p / part_panels, first = p % part_panels;
      taken = std::min({step, task.panel + task.panels - p, part_panels - first});
      Sweep s = form;
      s.a = block.a, s.rows = block.rows, s.k = k, s.a_stride = block.a_stride;
      s.panels = static_cast<int>(together ? 2 * taken : taken);
      s.panel_type = layout.type;
      for (int64_t j = 0; j < taken; ++j) {
        s.panel[j] = weight_at(w, task.group, part, 16 * (first + j));
        if (together) s.panel[taken + j] = weight_at(w, task.group, 1, 16 * (first + j));
      }
      if (p + taken < task.panel + task.panels) {
        const int64_t next = p + taken;
        s.prefetch = {weight_at(w, task.group, next / part_panels, 16 * (next % part_panels)), panel_bytes,
                      together ? part_panels * panel_bytes : panel_bytes, together ? 2 : taken};
      }
      s.columns = layout.n - 16 * first;
      s.y = sums ? rows_from(y, task.first).data : at(y, task.first, part * layout.n + 16 * first);
      if (w.bias) s.bias = w.bias + (task.group * layout.parts + part) * layout.n + 16 * first;
      if (w.bias && together) s.bias_up = s.bias + layout.n;
      if (pre.data) s.pre = at(pre, task.first, 16 * first);
      if (s.scale) s.scale += task.first;
      if (sums) {
        s.begins = p % kSumPanels == 0;
        s.row_sums += (p / kSumPanels * groups.slots() + task.first) * 16;
        s.first_column = 16 * p;
        if (s.shift) s.shift += task.first;
        if (s.target) s.target += task.first, s.target_value += task.first;
      }
      table.sweep(s, scratch);
    }
  });
}

}  // namespace

void product(const Groups& groups, ConstRows x, const int32_t* gather, const Weights& w, Rows y,
             bool accumulate) {
  const ProductTable* table = product_table(x.type, w.layout.type);
  if (!table) return reference::product(groups, x, gather, w, y, accumulate);
  Sweep form;
  form.epilogue = Epilogue::kStore;
  form.y_type = y.type, form.y_stride = y.stride;
  form.accumulate = accumulate;
  if (!check_due()) return forward(*table, groups, x, gather, w, form, y, {});
  const int64_t width = w.layout.parts * w.layout.n;
  const RowsCopy wanted(y, groups.slots(), width);
  forward(*table, groups, x, gather, w, form, y, {});
  reference::product(groups, x, gather, w, wanted.rows, accumulate);
  compare_rows("product", shape_text(groups, w.layout), x.type == DType::kBF16, y, wanted.rows,
               groups.slots(), width);
}

void activated_product(const Groups& groups, ConstRows x, const int32_t* gather, const Weights& w,
                       Activation activation, const float* scale, Rows pre, Rows h) {
  const ProductTable* table = product_table(x.type, w.layout.type);
  if (!table) return reference::activated_product(groups, x, gather, w, activation, scale, pre, h);
  Sweep form;
  form.epilogue = Epilogue::kActivate;
  form.y_type = h.type, form.y_stride = h.stride;
  form.activation = activation;
  form.parts = static_cast<int>(w.layout.parts);
  form.scale = scale;
  form.pre_type = pre.type, form.pre_stride = pre.stride, form.pre_part = w.layout.n;
  forward(*table, groups, x, gather, w, form, h, pre);
  if (!check_due()) return;
  const RowsCopy wanted(h, groups.slots(), w.layout.n);
  reference::activated_product(groups, x, gather, w, activation, scale, {}, wanted.rows);
  compare_rows("activated_product", shape_text(groups, w.layout), x.type == DType::kBF16, h, wanted.rows,
               groups.slots(), w.layout.n);
}

namespace {

constexpr size_t kSharedFrom =
    3;  // row tasks of one matrix from which its transposition is made once for all

// The sweeps of a task over panels [panels][s.k][16] that stand in memory; `s` has its rows, dx its columns.
void sweep_over(const ProductTable& table, Sweep s, const ProductTask& task, const char* panels,
                int64_t columns, Rows dx) {
  const int64_t bytes = s.k * 16 * static_cast<int64_t>(dtype_size(table.operand)),
                end = task.panel + task.panels;
  s.epilogue = Epilogue::kStore;
  s.panel_type = table.operand;
  s.y_type = dx.type, s.y_stride = dx.stride;
  float* scratch = sweep_memory(table, task.rows, s.k);
  const auto taken = [&](int64_t p) { return std::clamp<int64_t>(end - p, 0, table.panels); };
  for (int64_t p = task.panel; p < end; p += table.panels) {
    s.panels = static_cast<int>(taken(p));
    for (int j = 0; j < s.panels; ++j) s.panel[j] = panels + (p + j) * bytes;
    s.prefetch = {panels + (p + table.panels) * bytes, bytes, bytes, taken(p + table.panels)};
    s.columns = columns - 16 * p;
    s.y = at(dx, task.first, 16 * p);
    table.sweep(s, scratch);
  }
}

// The first matrix of w as the panels of a dgrad, [k / 16][parts * k_part][16] of the level's operand.
void transpose_all(const ProductTable& table, const Weights& w, int64_t k_part, char* panels) {
  const int64_t bytes = w.layout.parts * k_part * 16 * static_cast<int64_t>(dtype_size(table.operand));
  parallel_for((w.layout.k + 15) / 16, [&](int64_t p, int) {
    table.transpose({w.data, w.layout, 16 * p, 1, k_part, panels + p * bytes});
  });
}

void dgrad(const ProductTable* table, const Groups& groups, ConstRows dy, const int32_t* gather,
           const Weights& w, Rows dx, bool accumulate) {
  const WeightLayout& layout = w.layout;
  const int64_t k_part = round_up(layout.n_padded(), table->k_step), k = layout.parts * k_part;
  const int64_t panels = (layout.k + 15) / 16;
  const int64_t width = table->operand == DType::kBF16 ? 2 : 4;
  const auto& tasks =
      cut_rows(groups, table->row_block, most_rows(*table, row_bytes(*table, k)), panels, table->panels);
  char* shared = nullptr;
  if (groups.n == 1 && tasks.size() >= kSharedFrom) {
    shared = static_cast<char*>(worker_memory(3, panels * k * 16 * width));
    transpose_all(*table, w, k_part, shared);
  }
  run_tasks(*table, tasks, [&](const ProductTask& task) {
    const PackRows rows{dy,
                        gather,
                        task.first,
                        task.rows,
                        {{0, layout.n, k_part}, {layout.n, layout.n, k_part}},
                        static_cast<int>(layout.parts)};
    Sweep s = packed_sweep(*table, rows, k);
    s.accumulate = accumulate;
    if (shared) return sweep_over(*table, s, task, shared, layout.k, dx);
    float* scratch = sweep_memory(*table, task.rows, k);
    const int64_t buffer = table->panels * k * 16 * width;
    char* transposed = static_cast<char*>(worker_memory(2, 2 * buffer));  // of this sweep and of the next
    const auto piece = [&](int64_t p, int64_t sweep) {
      const int taken = static_cast<int>(std::min<int64_t>(table->panels, task.panel + task.panels - p));
      return TransposeWeight{weight_at(w, task.group, 0, 0), layout, 16 * p, taken, k_part,
                             transposed + sweep % 2 * buffer};
    };
    s.epilogue = Epilogue::kStore;
    s.panel_type = table->operand;
    s.y_type = dx.type, s.y_stride = dx.stride;
    TransposeWeight now = piece(task.panel, 0);
    table->transpose(now);
    int64_t sweep = 0;
    for (int64_t p = task.panel; p < task.panel + task.panels; p += table->panels) {
      const bool more = p + table->panels < task.panel + task.panels;
      const TransposeWeight next = piece(more ? p + table->panels : p, ++sweep);
      s.panels = now.panels;
      for (int j = 0; j < s.panels; ++j) s.panel[j] = static_cast<char*>(now.to) + j * k * 16 * width;
      s.next = more ? &next : nullptr;
      s.columns = layout.k - 16 * p;
      s.y = at(dx, task.first, 16 * p);
      table->sweep(s, scratch);
      if (more && !table->overlaps) table->transpose(next);
      now = next;
    }
  });
}

}  // namespace

void product_dgrad(const Groups& groups, ConstRows dy, const int32_t* gather, const Weights& w, Rows dx,
                   bool accumulate) {
  const ProductTable* table = product_table(dy.type, w.layout.type);
  if (!table) return reference::product_dgrad(groups, dy, gather, w, dx, accumulate);
  if (!check_due()) return dgrad(table, groups, dy, gather, w, dx, accumulate);
  const RowsCopy wanted(dx, groups.slots(), w.layout.k);
  dgrad(table, groups, dy, gather, w, dx, accumulate);
  reference::product_dgrad(groups, dy, gather, w, wanted.rows, accumulate);
  compare_rows("product_dgrad", shape_text(groups, w.layout), dy.type == DType::kBF16, dx, wanted.rows,
               groups.slots(), w.layout.k);
}

namespace {

// Tasks of a weight gradient: rows are inputs, panels are outputs of all parts. Every group is cut by its
// share of the work, so that a hot expert occupies all threads; the largest tasks come first. Few cuts: each
// task packs its inputs and outputs again.
const std::vector<ProductTask>& cut_inputs(const Groups& groups, const WeightLayout& layout, int64_t block,
                                           int64_t panel_step) {
  constexpr int64_t kTasks = 3, kLeastPanels = 4;  // of a thread; of a task
  thread_local std::vector<ProductTask> tasks;
  tasks.clear();
  const int64_t panels = layout.parts * layout.n_padded() / 16, blocks = (layout.k + block - 1) / block;
  const int64_t wanted = thread_count() == 1 ? 1 : kTasks * thread_count(), slots = groups.slots();
  for (int64_t g = 0; g < groups.n; ++g) {
    const int64_t own = groups.first[g + 1] - groups.first[g];
    if (own == 0) continue;
    const int64_t pieces = (own * wanted + slots * blocks - 1) / (slots * blocks);  // of a block
    const int64_t piece =
        std::min(panels, round_up(std::max(kLeastPanels, (panels + pieces - 1) / pieces), panel_step));
    for (int64_t i = 0; i < layout.k; i += block)
      for (int64_t p = 0; p < panels; p += piece)
        tasks.push_back({g, i, std::min(block, layout.k - i), p, std::min(piece, panels - p)});
  }
  const auto work = [&](const ProductTask& t) {
    return (groups.first[t.group + 1] - groups.first[t.group]) * t.rows * t.panels;
  };
  std::sort(tasks.begin(), tasks.end(), [&](const ProductTask& x, const ProductTask& y) {
    if (work(x) != work(y)) return work(x) > work(y);
    return std::tuple(x.group, x.first, x.panel) < std::tuple(y.group, y.first, y.panel);
  });
  return tasks;
}

// The sums of squares of dW's slabs, one for every block of inputs of every panel: cut by shape and loads
// alone and added in their order, whatever thread summed them.
class SlabSquares {
 public:
  SlabSquares(const Groups& groups, const WeightLayout& layout, int64_t block, float* dw, int64_t stride)
      : groups_(groups),
        layout_(layout),
        block_(block),
        blocks_((layout.k + block - 1) / block),
        panels_(layout.parts * layout.n_padded() / 16),
        dw_(dw),
        stride_(stride),
        slab_(memory()) {
    slab_.assign(static_cast<size_t>(groups.n * panels_ * blocks_), 0.0);
  }
  void add(int64_t group, int64_t first, int64_t panel) {
    const int64_t part_panels = layout_.n_padded() / 16, end = std::min(first + block_, layout_.k);
    const float* from =
        dw_ + group * stride_ + layout_.index(panel / part_panels, 16 * (panel % part_panels), first);
    slab_[static_cast<size_t>((group * panels_ + panel) * blocks_ + first / block_)] =
        row_table().sum_of_squares(16 * round_up(end - first, layout_.pair()), from);
  }
  double sum() {
    parallel_for(groups_.n, [&](int64_t g, int) {  // what no task has seen
      if (groups_.first[g + 1] > groups_.first[g]) return;
      for (int64_t panel = 0; panel < panels_; ++panel)
        for (int64_t i = 0; i < layout_.k; i += block_) add(g, i, panel);
    });
    double sum = 0;
    for (double s : slab_) sum += s;
    return sum;
  }

 private:
  static std::vector<double>& memory() {
    static thread_local std::vector<double> kept;
    return kept;
  }
  const Groups& groups_;
  const WeightLayout& layout_;
  int64_t block_, blocks_, panels_;
  const float* dw_;
  int64_t stride_;
  std::vector<double>& slab_;
};

void wgrad(const ProductTable* table, const Groups& groups, ConstRows dy, const int32_t* dy_gather,
           ConstRows x, const int32_t* x_gather, const WeightLayout& layout, float* dw, int64_t stride,
           double* squares, bool dy_tiled = false) {
  const int64_t slots_at_once = slot_block(*table), wide_at_once = wide_panels(*table);
  int64_t most = 0;
  for (int64_t g = 0; g < groups.n; ++g)
    most = std::max<int64_t>(most, groups.first[g + 1] - groups.first[g]);
  const int64_t k_most = round_up(std::min(most, slots_at_once), table->k_step);
  const int64_t width = table->operand == DType::kBF16 ? 2 : 4;
  const int64_t unit = table->row_block == 32 ? 32 : 2 * table->row_block;
  // Blocks of inputs, all of one size: their strips pass by, so they may fill more of L2 than rows do.
  const int64_t most_inputs =
      std::max(unit, packed_budget() * 4 / 3 / (std::max<int64_t>(k_most, 1) * width) / unit * unit);
  const int64_t blocks = (layout.k + most_inputs - 1) / most_inputs;
  const int64_t block = round_up((layout.k + blocks - 1) / blocks, unit);
  const int64_t part_panels = layout.n_padded() / 16;
  const auto& tasks = cut_inputs(groups, layout, block, table->panels);
  std::optional<SlabSquares> slabs;
  if (squares) slabs.emplace(groups, layout, block, dw, stride);
  run_tasks(*table, tasks, [&](const ProductTask& task) {
    Sweep s;
    s.epilogue = Epilogue::kWeightGradient;
    s.panel_type = table->operand;
    s.pair = static_cast<int>(layout.pair());
    s.rows = task.rows;
    char* a = static_cast<char*>(worker_memory(0, round_up(task.rows, unit) * k_most * width + 64));
    char* panels = static_cast<char*>(worker_memory(2, wide_at_once * k_most * 16 * width));
    float* scratch = sweep_memory(*table, task.rows, k_most);
    s.a = a;
    const int64_t end = groups.first[task.group + 1];
    for (int64_t slot = groups.first[task.group]; slot < end; slot += slots_at_once) {
      const int64_t slots = std::min(slots_at_once, end - slot);
      s.k = round_up(slots, table->k_step);
      table->pack_columns({x, x_gather, slot, slots, s.k, task.first, task.rows}, a);
      for (int64_t p = task.panel, wide; p < task.panel + task.panels; p += wide) {
        const int64_t part = p / part_panels, first = p % part_panels;
        wide = std::min({wide_at_once, task.panel + task.panels - p, part_panels - first});
        const int64_t columns = std::min(layout.n - 16 * first, 16 * wide);
        table->pack_panels({dy, dy_gather, slot, slots, s.k, part * layout.n + 16 * first, columns, dy_tiled},
                           panels);
        for (int64_t q = 0; q < wide; q += table->panels) {
          s.panels = static_cast<int>(std::min<int64_t>(table->panels, wide - q));
          s.columns = columns - 16 * q;
          for (int64_t j = 0; j < s.panels; ++j) {
            s.panel[j] = panels + (q + j) * s.k * 16 * width;
            s.dw[j] = dw + task.group * stride + layout.index(part, 16 * (first + q + j), task.first);
          }
          table->sweep(s, scratch);
          if (slabs && slot + slots == end)
            for (int64_t j = 0; j < s.panels; ++j) slabs->add(task.group, task.first, p + q + j);
        }
      }
    }
  });
  if (squares) *squares = slabs->sum();
}

double squares_of(const Groups& groups, const WeightLayout& layout, const float* dw, int64_t stride) {
  double sum = 0;
  for (int64_t g = 0; g < groups.n; ++g) sum += sum_of_squares(layout.size(), dw + g * stride);
  return sum;
}

}  // namespace

void product_wgrad(const Groups& groups, ConstRows dy, const int32_t* dy_gather, ConstRows x,
                   const int32_t* x_gather, const WeightLayout& layout, float* dw, int64_t stride,
                   double* squares) {
  const ProductTable* table = product_table(x.type, dy.type);
  if (!table) {
    reference::product_wgrad(groups, dy, dy_gather, x, x_gather, layout, dw, stride);
    if (squares) *squares = squares_of(groups, layout, dw, stride);
    return;
  }
  if (!check_due()) return wgrad(table, groups, dy, dy_gather, x, x_gather, layout, dw, stride, squares);
  const Rows all{dw, DType::kF32, stride};
  const RowsCopy wanted(all, groups.n, layout.size());
  wgrad(table, groups, dy, dy_gather, x, x_gather, layout, dw, stride, squares);
  reference::product_wgrad(groups, dy, dy_gather, x, x_gather, layout, static_cast<float*>(wanted.rows.data),
                           layout.size());
  compare_rows("product_wgrad", shape_text(groups, layout), x.type == DType::kBF16, all, wanted.rows,
               groups.n, layout.size());
}

void activation_gradient(int64_t slots, int64_t n, int64_t parts, Activation activation, const float* scale,
                         ConstRows pre, ConstRows dh, Rows dpre, Rows h, float* dscale) {
  const ProductTable* table = product_table(DType::kF32, DType::kF32);
  if (!table) table = product_table(DType::kBF16, DType::kBF16);
  if (!table)
    return reference::activation_gradient(slots, n, parts, activation, scale, pre, dh, dpre, h, dscale);
  parallel_ranges(
      slots, std::max<int64_t>(1, 16384 / std::max<int64_t>(n, 1)), [&](int64_t begin, int64_t end, int) {
        table->activation_gradient(begin, end, n, parts, activation, scale, pre, dh, dpre, h, dscale);
      });
}

void bias_gradient(const Groups& groups, ConstRows dy, int64_t n, float* dbias) {
  reference::bias_gradient(groups, dy, n, dbias);
}

void combine(int64_t tokens, int64_t width, const int32_t* first, const int32_t* slot, ConstRows out,
             ConstRows residual, Rows y) {
  const ProductTable* table = product_table(DType::kF32, DType::kF32);
  if (!table) table = product_table(DType::kBF16, DType::kBF16);
  if (!table) return reference::combine(tokens, width, first, slot, out, residual, y);
  parallel_ranges(tokens, std::max<int64_t>(1, 16384 / std::max<int64_t>(width, 1)),
                  [&](int64_t begin, int64_t end, int) {
                    table->combine(begin, end, width, first, slot, out, residual, y);
                  });
}

PackedRows packed_rows(const ProductTable& table, int64_t columns) {
  const int64_t padded = round_up(round_up(columns, 16), table.k_step);
  // Rows that are not tiled keep off a power of two.
  return {nullptr, table.operand, table.tiled ? padded : padded + 32};
}
int64_t packed_bytes(const PackedRows& rows, int64_t n) {
  return round_up(n, 32) * rows.stride * static_cast<int64_t>(dtype_size(rows.type));
}

void exponential_product(const ProductTable& table, int64_t tokens, ConstRows x, const Weights& w,
                         float exponent, const float* shift, const int32_t* target, PackedRows y,
                         float* row_sums, float* target_value) {
  const int32_t bounds[2] = {0, static_cast<int32_t>(tokens)};
  Sweep form;
  form.epilogue = Epilogue::kExponential;
  form.y_type = y.type, form.y_stride = y.stride;
  form.exponent = exponent, form.shift = shift;
  form.tiled = table.tiled;
  form.row_sums = row_sums;
  form.target = target, form.target_value = target_value;
  forward(table, {1, bounds}, x, nullptr, w, form, {y.data, y.type, y.stride}, {});
}

void transpose_weights(const ProductTable& table, const Weights& w, void* panels) {
  transpose_all(table, w, round_up(w.layout.n_padded(), table.k_step), static_cast<char*>(panels));
}

void packed_dgrad(const ProductTable& table, int64_t tokens, PackedRows e, const void* panels,
                  int64_t columns, Rows dx) {
  const int32_t bounds[2] = {0, static_cast<int32_t>(tokens)};
  const int64_t size = static_cast<int64_t>(dtype_size(e.type)), k = table.tiled ? e.stride : e.stride - 32;
  const auto& tasks = cut_rows({1, bounds}, table.row_block, most_rows(table, e.stride * size),
                               (columns + 15) / 16, table.panels);
  run_tasks(table, tasks, [&](const ProductTask& task) {
    Sweep s;
    s.a = static_cast<char*>(e.data) + task.first * e.stride * size;
    s.rows = task.rows, s.k = k, s.a_stride = e.stride * size / 4;
    sweep_over(table, s, task, static_cast<const char*>(panels), columns, dx);
  });
}

void packed_wgrad(const ProductTable& table, int64_t tokens, PackedRows e, ConstRows x,
                  const WeightLayout& layout, float* dw, double* squares) {
  const int32_t bounds[2] = {0, static_cast<int32_t>(tokens)};
  wgrad(&table, {1, bounds}, {e.data, e.type, e.stride}, nullptr, x, nullptr, layout, dw, layout.size(),
        squares, table.tiled);
}

}  // namespace lyceum::kernels
