// The sweep over vector registers: a micro-tile of kRows rows x panels of 16 columns of sums, one broadcast
// per row and depth, aligned loads of the panels. Written over a trait `T`:
//   T::Vec, kLanes    a register of sums and its floats (16, or 8: two registers a panel)
//   kRows, kTile      rows and panels of the micro-tile; kPanels of a sweep, in pieces of kTile
//   kDepth            depth of a block: kPanels of it stay in L1 for all rows of A
//   kPairs            depth counts pairs of k (bf16 dot product) instead of k (f32 multiply-add)
//   zero, load, store, broadcast, multiply_add
// A, of 32-bit units, is strips [rows / kRows][depth][kRows], or with an a_stride [rows][a_stride]; a panel
// is [depth][16]. bf16 panels of an f32 product are widened once per block of depth.
#pragma once

#include "kernels/product_epilogue.h"

namespace lyceum::kernels {
namespace {

template <class T>
struct VectorSums {  // floats of the sums of one micro-tile: [panel][kRows][16]
  static constexpr int64_t kPanel = T::kRows * 16, kBlock = kPanel * T::kPanels;
};

// c (+)= A B for R rows and P panels over `depth`. kStrip: A is a strip, else [row][a_stride].
template <class T, int R, int P, bool kStrip>
static void micro_tile(const float* a, int64_t a_stride, const float* const* panel, int64_t depth, float* c,
                       bool first) {
  constexpr int kVecs = 16 / T::kLanes, kAll = P * kVecs;
  typename T::Vec sum[R][kAll];
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
    for (int v = 0; v < kAll; ++v)
      sum[r][v] =
          first ? T::zero() : T::load(c + v / kVecs * VectorSums<T>::kPanel + r * 16 + v % kVecs * T::kLanes);
  const float* b[P];
#pragma GCC unroll 4
  for (int p = 0; p < P; ++p) b[p] = panel[p];
  const int64_t row = kStrip ? 1 : a_stride, next = kStrip ? T::kRows : 1;
  const float* a3 = a + 3 * row;
#pragma GCC unroll 4
  for (int64_t d = 0; d < depth; ++d) {
    typename T::Vec column[kAll];
#pragma GCC unroll 8
    for (int v = 0; v < kAll; ++v) column[v] = T::load(b[v / kVecs] + d * 16 + v % kVecs * T::kLanes);
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
      const typename T::Vec x = T::broadcast(r < 3 ? a + r * row : a3 + (r - 3) * row);
#pragma GCC unroll 8
      for (int v = 0; v < kAll; ++v) sum[r][v] = T::multiply_add(x, column[v], sum[r][v]);
    }
    a += next, a3 += next;
  }
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
    for (int v = 0; v < kAll; ++v)
      T::store(c + v / kVecs * VectorSums<T>::kPanel + r * 16 + v % kVecs * T::kLanes, sum[r][v]);
}

template <class T, int P, bool kStrip>
static void micro_tile_of(int64_t rows, const float* a, int64_t a_stride, const float* const* panel,
                          int64_t depth, float* c, bool first) {
  if constexpr (T::kRows >= 6)
    if (rows >= 6) return micro_tile<T, 6, P, kStrip>(a, a_stride, panel, depth, c, first);
  switch (rows) {
    case 5:
      return micro_tile<T, 5, P, kStrip>(a, a_stride, panel, depth, c, first);
    case 4:
      return micro_tile<T, 4, P, kStrip>(a, a_stride, panel, depth, c, first);
    case 3:
      return micro_tile<T, 3, P, kStrip>(a, a_stride, panel, depth, c, first);
    case 2:
      return micro_tile<T, 2, P, kStrip>(a, a_stride, panel, depth, c, first);
    default:
      return micro_tile<T, 1, P, kStrip>(a, a_stride, panel, depth, c, first);
  }
}

// All panels of a sweep, kTile at a time.
template <class T, bool kStrip>
static void micro_tiles(int panels, int64_t rows, const float* a, int64_t a_stride, const float* const* panel,
                        int64_t depth, float* c, bool first) {
  for (int p = 0; p < panels; p += T::kTile, panel += T::kTile, c += T::kTile * VectorSums<T>::kPanel) {
    if constexpr (T::kTile >= 4)
      if (panels - p > 2) {
        micro_tile_of<T, 4, kStrip>(rows, a, a_stride, panel, depth, c, first);
        continue;
      }
    if constexpr (T::kTile >= 2)
      if (panels - p == 2) {
        micro_tile_of<T, 2, kStrip>(rows, a, a_stride, panel, depth, c, first);
        continue;
      }
    micro_tile_of<T, 1, kStrip>(rows, a, a_stride, panel, depth, c, first);
  }
}

// Depth begin .. begin + depth of a bf16 panel [k / 2][16][2] as f32 [depth][16]; begin is even.
static void widen_panel(const void* panel, int64_t begin, int64_t depth, float* to) {
  const uint32_t* from = static_cast<const uint32_t*>(panel) + begin / 2 * 16;
  for (int64_t d = 0; d < depth; d += 2, from += 16, to += 32) {
    V even, odd;
    load_pairs(from, &even, &odd);
    store(to, even);
    if (d + 1 < depth) store(to + 16, odd);
  }
}

// dW's lines under a micro-tile, which its epilogue adds to: they come from memory while the tile is summed.
static void prefetch_gradient(const Sweep& s, int64_t row, int64_t rows) {
  for (int p = 0; p < s.panels; ++p)
    for (int64_t r = 0; r < rows; ++r) __builtin_prefetch(s.dw[p] + (row + r) * 16, 1, 3);
}

template <class T>
static void sweep_vectors(const Sweep& s, float* scratch) {
  const int64_t depth_all = T::kPairs ? (s.k + 1) / 2 : s.k;
  const bool widen = !T::kPairs && s.panel_type == DType::kBF16, strips = s.a_stride == 0;
  float* widened = scratch;
  float* sums = scratch + T::kPanels * T::kDepth * 16;
  for (int64_t begin = 0; begin < depth_all || begin == 0; begin += T::kDepth) {
    const int64_t depth = begin + T::kDepth < depth_all ? T::kDepth : depth_all - begin;
    const bool last = begin + depth >= depth_all;
    const float* panel[kMaxPanels];
    for (int p = 0; p < kMaxPanels; ++p) {
      const int source = p < s.panels ? p : s.panels - 1;
      if (!widen) {
        panel[p] = static_cast<const float*>(s.panel[source]) + begin * 16;
      } else {
        panel[p] = widened + source * T::kDepth * 16;
        if (p < s.panels) widen_panel(s.panel[p], begin, depth, widened + p * T::kDepth * 16);
      }
    }
    for (int64_t row = 0; row < s.rows; row += T::kRows) {
      const int64_t rows = s.rows - row < T::kRows ? s.rows - row : T::kRows;
      const float* a = static_cast<const float*>(s.a);
      if (last && s.epilogue == Epilogue::kWeightGradient) prefetch_gradient(s, row, rows);
      float* c = sums + (depth_all <= T::kDepth ? 0 : row / T::kRows * VectorSums<T>::kBlock);
      if (strips)
        micro_tiles<T, true>(s.panels, rows, a + row * depth_all + begin * T::kRows, 0, panel, depth, c,
                             begin == 0);
      else
        micro_tiles<T, false>(s.panels, rows, a + row * s.a_stride + begin, s.a_stride, panel, depth, c,
                              begin == 0);
      if (last) finish_rows(s, Sums{c, VectorSums<T>::kPanel}, row, 0, rows);
    }
  }
}

template <class T>
static int64_t vectors_scratch(int64_t rows, int64_t k) {
  const int64_t depth = T::kPairs ? (k + 1) / 2 : k;
  const int64_t tiles = depth <= T::kDepth ? 1 : (rows + T::kRows - 1) / T::kRows;
  return T::kPanels * T::kDepth * 16 + tiles * VectorSums<T>::kBlock;
}

// 12 independent sums of registers (AVX2 has 16 of them): enough for latency 4 on two or three ports.
template <class T>
static void vector_peak(int64_t turns) {
  typename T::Vec sum[12], x = T::zero(), y = T::zero();
#pragma GCC unroll 12
  for (int i = 0; i < 12; ++i) sum[i] = T::zero();
  for (int64_t turn = 0; turn < turns; ++turn) {
#pragma GCC unroll 8
    for (int again = 0; again < 8; ++again)
#pragma GCC unroll 12
      for (int i = 0; i < 12; ++i) {
        sum[i] = T::multiply_add(x, y, sum[i]);
        __asm__ volatile("" : "+" LYCEUM_REGISTER(sum[i]));
      }
  }
  __asm__ volatile("" ::LYCEUM_REGISTER(sum[0]));
}
template <class T>
constexpr double kVectorPeakFlops = 8 * 12 * T::kLanes * (T::kPairs ? 4 : 2);

static void no_state() {}

}  // namespace
}  // namespace lyceum::kernels
