// The threaded drivers of the row functions: checks, cutting into blocks, sums over blocks in a fixed order.
#include "kernels/rowwise.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <type_traits>
#include <vector>

#include "base/error.h"
#include "base/threads.h"
#include "kernels/isa.h"
#include "kernels/row_table.h"
#include "kernels/rows_access.h"
#include "kernels/scores.h"

namespace lyceum::kernels {
namespace {

constexpr int64_t kElementsPerTask = 1 << 15;  // 128 KiB of f32: a task is some microseconds, well above the
                                               // cost of handing it out

int64_t rows_per_task(int64_t width) {
  return std::max<int64_t>(1, kElementsPerTask / std::max<int64_t>(1, width));
}

template <class T>
T* from(T* p, int64_t offset) {
  return p ? p + offset : nullptr;
}

void check_type(const char* where, DType type) {
  check(type == DType::kF32 || type == DType::kBF16, where, "wanted rows of f32 or bf16, found ",
        dtype_name(type));
}

// Sums over all rows (dw, db): each block of rows adds into its own partial, and the partials are added in
// order. The cut depends on the number of rows alone, never on the threads.
constexpr int64_t kPartials = 32;
template <class F>
void with_partials(int64_t rows, int64_t width, float* a, float* b, F&& block) {
  const int64_t step = std::max<int64_t>(8, (rows + kPartials - 1) / kPartials);
  const int64_t blocks = (rows + step - 1) / step;
  static thread_local std::vector<float> scratch;  // [blocks, 2, width]
  const size_t size = static_cast<size_t>(2 * blocks * width);
  if (scratch.size() < size) scratch.resize(size);
  float* partial = scratch.data();
  parallel_ranges(rows, step, [&](int64_t begin, int64_t end, int) {
    float* mine = partial + begin / step * 2 * width;
    std::memset(mine, 0, static_cast<size_t>(2 * width) * sizeof(float));
    block(begin, end, a ? mine : nullptr, b ? mine + width : nullptr);
  });
  for (int64_t i = 0; i < blocks; ++i)
    for (int which = 0; which < 2; ++which) {
      float* sum = which ? b : a;
      const float* part = partial + (2 * i + which) * width;
      if (sum)
        for (int64_t j = 0; j < width; ++j) sum[j] += part[j];
    }
}

}  // namespace

void rms_norm(int64_t rows, int64_t width, Rows x, ConstRows add, const float* w, float eps, Rows y,
              float* inv) {
  check_type("rms_norm", x.type), check_type("rms_norm", y.type), check_type("rms_norm", add.type);
  const RowTable& table = row_table();
  parallel_ranges(rows, rows_per_task(width), [&](int64_t begin, int64_t end, int) {
    table.rms_norm(end - begin, width, rows_from(x, begin), rows_from(add, begin), w, eps,
                   rows_from(y, begin), from(inv, begin));
  });
}

void rms_norm_gradient(int64_t rows, int64_t width, ConstRows x, const float* w, const float* inv,
                       ConstRows dy, Rows dx, bool accumulate, float* dw) {
  check_type("rms_norm_gradient", x.type), check_type("rms_norm_gradient", dy.type);
  check_type("rms_norm_gradient", dx.type);
  const RowTable& table = row_table();
  with_partials(rows, width, dw, nullptr, [&](int64_t begin, int64_t end, float* a, float*) {
    table.rms_norm_gradient(end - begin, width, rows_from(x, begin), w, inv + begin, rows_from(dy, begin),
                            rows_from(dx, begin), accumulate, a);
  });
}

void layer_norm(int64_t rows, int64_t width, ConstRows x, const float* w, const float* b, float eps, Rows y,
                float* mean, float* inv) {
  check_type("layer_norm", x.type), check_type("layer_norm", y.type);
  const RowTable& table = row_table();
  parallel_ranges(rows, rows_per_task(width), [&](int64_t begin, int64_t end, int) {
    table.layer_norm(end - begin, width, rows_from(x, begin), w, b, eps, rows_from(y, begin),
                     from(mean, begin), from(inv, begin));
  });
}

void layer_norm_gradient(int64_t rows, int64_t width, ConstRows x, const float* w, const float* mean,
                         const float* inv, ConstRows dy, Rows dx, bool accumulate, float* dw, float* db) {
  check_type("layer_norm_gradient", x.type), check_type("layer_norm_gradient", dy.type);
  check_type("layer_norm_gradient", dx.type);
  const RowTable& table = row_table();
  with_partials(rows, width, dw, db, [&](int64_t begin, int64_t end, float* a, float* b) {
    table.layer_norm_gradient(end - begin, width, rows_from(x, begin), w, mean + begin, inv + begin,
                              rows_from(dy, begin), rows_from(dx, begin), accumulate, a, b);
  });
}

void rope(int64_t rows, int64_t n_heads, int64_t d_head, int64_t rotary, bool interleaved,
          const int32_t* positions, const float* inverse_frequency, float scale, int sign, Rows x) {
  check_type("rope", x.type);
  check(rotary >= 0 && rotary % 2 == 0 && rotary <= d_head && rotary <= kMaxRotary, "rope",
        "wanted an even number of rotary dims up to d_head ", d_head, " and ", kMaxRotary, ", found ",
        rotary);
  const RowTable& table = row_table();
  parallel_ranges(rows, rows_per_task(n_heads * d_head), [&](int64_t begin, int64_t end, int) {
    table.rope(end - begin, n_heads, d_head, rotary, interleaved, positions + begin, inverse_frequency, scale,
               sign, rows_from(x, begin));
  });
}

void rope_bf16(int64_t rows, int64_t n_heads, int64_t d_head, int64_t rotary, bool interleaved,
               const int32_t* positions, const float* inverse_frequency, float scale, int sign, Rows x) {
  check_type("rope", x.type);
  check(rotary >= 0 && rotary % 2 == 0 && rotary <= d_head, "rope",
        "wanted an even number of rotary dims up to ", d_head, ", found ", rotary);
  const auto rounded = [](float v) { return to_float(to_bf16(v)); };
  const int64_t half = rotary / 2;
  parallel_ranges(rows, rows_per_task(n_heads * d_head), [&](int64_t begin, int64_t end, int) {
    for (int64_t r = begin; r < end; ++r)
      for (int64_t i = 0; i < half; ++i) {
        const float angle =
            rounded(rounded(static_cast<float>(positions[r])) * rounded(inverse_frequency[i]));
        const float c = scale * rounded(std::cos(angle));
        const float s = scale * static_cast<float>(sign) * rounded(std::sin(angle));
        for (int64_t h = 0; h < n_heads; ++h) {
          const int64_t at = h * d_head + (interleaved ? 2 * i : i), to = at + (interleaved ? 1 : half);
          const float a = read(x, r, at), b = read(x, r, to);
          write(x, r, at, a * c - b * s), write(x, r, to, b * c + a * s);
        }
      }
  });
}

void softmax(int64_t rows, int64_t width, const float* x, float* p, float* logsumexp) {
  const RowTable& table = row_table();
  parallel_ranges(rows, rows_per_task(width), [&](int64_t begin, int64_t end, int) {
    table.softmax(end - begin, width, x + begin * width, p + begin * width, from(logsumexp, begin));
  });
}

void softmax_gradient(int64_t rows, int64_t width, const float* p, const float* dp, float* dx,
                      bool accumulate) {
  const RowTable& table = row_table();
  parallel_ranges(rows, rows_per_task(width), [&](int64_t begin, int64_t end, int) {
    table.softmax_gradient(end - begin, width, p + begin * width, dp + begin * width, dx + begin * width,
                           accumulate);
  });
}

void top_k(int64_t rows, int64_t width, int64_t k, const float* x, float* value, int32_t* index) {
  check(k >= 1 && k <= width, "top_k", "wanted 1 to ", width, " of ", width, " values, found ", k);
  const RowTable& table = row_table();
  parallel_ranges(rows, rows_per_task(width), [&](int64_t begin, int64_t end, int) {
    table.top_k(end - begin, width, k, x + begin * width, from(value, begin * k), index + begin * k);
  });
}

void embedding(int64_t tokens, int64_t width, const int32_t* ids, ConstRows table, Rows y) {
  check_type("embedding", table.type), check_type("embedding", y.type);
  const RowTable& rows = row_table();
  parallel_ranges(tokens, rows_per_task(width), [&](int64_t begin, int64_t end, int) {
    for (int64_t t = begin; t < end; ++t) {
      const ConstRows source = rows_from(table, ids[t]);
      const Rows to = rows_from(y, t);
      if (table.type == y.type)
        std::memcpy(to.data, source.data, static_cast<size_t>(width) * dtype_size(y.type));
      else rows.convert(width, source.data, source.type, to.data, to.type);
    }
  });
}

void copy_columns(int64_t rows, int64_t columns, ConstRows x, Rows y) {
  ensure(!x.data || x.type == y.type, "copy_columns", "rows of two types");
  const size_t bytes = static_cast<size_t>(columns) * dtype_size(y.type);
  parallel_ranges(rows, rows_per_task(columns), [&](int64_t begin, int64_t end, int) {
    for (int64_t r = begin; r < end; ++r) {
      if (x.data) std::memcpy(rows_from(y, r).data, rows_from(x, r).data, bytes);
      else std::memset(rows_from(y, r).data, 0, bytes);
    }
  });
}

// Tokens of one id are chained in ascending order, so that each row of the table is summed by one task; only
// rows that occur cost anything.
void embedding_gradient(int64_t tokens, int64_t width, int64_t vocab, const int32_t* ids, ConstRows dy,
                        float* dtable) {
  check_type("embedding_gradient", dy.type);
  static thread_local std::vector<int32_t> last;         // [vocab], -1 between calls
  static thread_local std::vector<int32_t> next, first;  // [tokens]; first token of each id that occurs
  if (last.size() < static_cast<size_t>(vocab)) last.resize(static_cast<size_t>(vocab), -1);
  if (next.size() < static_cast<size_t>(tokens))
    next.resize(static_cast<size_t>(tokens)), first.resize(next.size());
  int64_t distinct = 0;
  for (int32_t t = 0; t < tokens; ++t) {
    int32_t& end = last[static_cast<size_t>(ids[t])];
    if (end < 0) first[static_cast<size_t>(distinct++)] = t;
    else next[static_cast<size_t>(end)] = t;
    next[static_cast<size_t>(t)] = -1;
    end = t;
  }
  for (int64_t i = 0; i < distinct; ++i) last[static_cast<size_t>(ids[first[static_cast<size_t>(i)]])] = -1;
  const RowTable& rows = row_table();
  const int32_t *chain = next.data(), *heads = first.data();
  parallel_ranges(distinct, 8, [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; ++i) {
      float* sum = dtable + static_cast<int64_t>(ids[heads[i]]) * width;
      for (int32_t t = heads[i]; t >= 0; t = chain[t])
        rows.accumulate(width, rows_from(dy, t).data, dy.type, sum, DType::kF32);
    }
  });
}

namespace {
// Runs f(begin, count) over blocks of n elements.
template <class F>
void by_elements(int64_t n, F&& f) {
  parallel_ranges(n, kElementsPerTask, [&](int64_t begin, int64_t end, int) { f(begin, end - begin); });
}
template <class T>
T* element(T* data, DType type, int64_t i) {
  using Byte = std::conditional_t<std::is_const_v<T>, const char, char>;
  return static_cast<Byte*>(data) + i * static_cast<int64_t>(dtype_size(type));
}
}  // namespace

void convert(int64_t n, const void* from, DType from_type, void* to, DType to_type) {
  auto known = [](DType t) { return t == DType::kF32 || t == DType::kBF16 || t == DType::kF16; };
  check(known(from_type) && known(to_type), "convert", "wanted f32, bf16 or f16, found ",
        dtype_name(from_type), " to ", dtype_name(to_type));
  const RowTable& table = row_table();
  by_elements(n, [&](int64_t i, int64_t count) {
    if (from_type == to_type)
      std::memcpy(element(to, to_type, i), element(from, from_type, i),
                  static_cast<size_t>(count) * dtype_size(to_type));
    else table.convert(count, element(from, from_type, i), from_type, element(to, to_type, i), to_type);
  });
}

void add(int64_t n, const void* a, const void* b, void* y, DType type) {
  check_type("add", type);
  const RowTable& table = row_table();
  by_elements(n, [&](int64_t i, int64_t count) {
    table.add(count, element(a, type, i), element(b, type, i), element(y, type, i), type);
  });
}

void accumulate(int64_t n, const void* x, DType x_type, void* y, DType y_type) {
  check_type("accumulate", x_type), check_type("accumulate", y_type);
  const RowTable& table = row_table();
  by_elements(n, [&](int64_t i, int64_t count) {
    table.accumulate(count, element(x, x_type, i), x_type, element(y, y_type, i), y_type);
  });
}

void scale(int64_t n, float factor, void* x, DType type) {
  check_type("scale", type);
  const RowTable& table = row_table();
  by_elements(n, [&](int64_t i, int64_t count) { table.scale(count, factor, element(x, type, i), type); });
}

void clamp(int64_t n, float bound, void* x, DType type) {
  check_type("clamp", type);
  const RowTable& table = row_table();
  by_elements(n, [&](int64_t i, int64_t count) { table.clamp(count, bound, element(x, type, i), type); });
}

void clamp_gradient(int64_t n, float bound, const void* x, void* dx, DType type) {
  check_type("clamp_gradient", type);
  const RowTable& table = row_table();
  by_elements(n, [&](int64_t i, int64_t count) {
    table.clamp_gradient(count, bound, element(x, type, i), element(dx, type, i), type);
  });
}

void fill_zero(int64_t bytes, void* x) {
  parallel_ranges(bytes, 4 * kElementsPerTask, [&](int64_t begin, int64_t end, int) {
    std::memset(static_cast<char*>(x) + begin, 0, static_cast<size_t>(end - begin));
  });
}

namespace {
const RowTable& attention_table(int64_t n) {
  return n <= kMaxAttentiveExperts ? row_table() : kRowsReference;
}
}  // namespace

void map(ScoreMap f, int64_t n, const float* x, float* y) {
  const RowTable& table = row_table();
  parallel_ranges(n, kElementsPerTask / 8,
                  [&](int64_t begin, int64_t end, int) { table.map(f, end - begin, x + begin, y + begin); });
}

void expert_attention(int64_t rows, int64_t n, const float* q, const float* k, const float* v, float* r) {
  const RowTable& table = attention_table(n);
  parallel_ranges(rows, rows_per_task(n * n), [&](int64_t begin, int64_t end, int) {
    const int64_t at = begin * n;
    table.expert_attention(end - begin, n, q + at, k + at, v + at, r + at);
  });
}

void expert_attention_gradient(int64_t rows, int64_t n, const float* q, const float* k, const float* v,
                               const float* r, const float* dr, float* dq, float* dk, float* dv) {
  const RowTable& table = attention_table(n);
  parallel_ranges(rows, rows_per_task(n * n), [&](int64_t begin, int64_t end, int) {
    const int64_t at = begin * n;
    table.expert_attention_gradient(end - begin, n, q + at, k + at, v + at, r + at, dr + at, dq + at, dk + at,
                                    dv + at);
  });
}

const RowTable& row_table() {
  switch (isa_level()) {
    case Isa::kAvx512:
    case Isa::kAvx512Bf16:
    case Isa::kAmx:
      return kRowsAvx512;
    case Isa::kAvx2:
      return kRowsAvx2;
    default:
      return kRowsReference;
  }
}

}  // namespace lyceum::kernels
