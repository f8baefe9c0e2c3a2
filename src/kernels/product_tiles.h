// The sweep over tiles: 32 rows x 32 columns of sums in four tiles, k in steps of 32. Written against a tile
// interface `T` (zero, load, stream, store, dot), which is the AMX instructions or their emulation, so that
// the logic is tested on every machine.
//
// A is packed as [rows / 32][k / 32][2][16 rows][32 k], B as panels [k / 2][16][2]: every tile is 1 KiB of
// contiguous memory. A block stays in L2, panels stream through it once. The whole k runs in registers; while
// the tiles of one block multiply, the sums of the block before are finished by the vector units (unit by
// unit between the k steps), and the panels of the next sweep are prefetched.
//
// The first kResident steps of both panels (32 KiB) stay in L1 for all rows; everything else is loaded with
// the hint that it will not be used again (tileloaddt1), or it would push them out: at k = 512 a sweep
// reaches 97 % of the peak with the hint and 72 % without, at k = 2048 84 and 74 % (Sapphire Rapids, sums not
// stored).
#pragma once

#include "kernels/product_epilogue.h"

namespace lyceum::kernels {
namespace {

constexpr int64_t kTile = 1024;       // bytes
constexpr int64_t kTileRows = 32;     // of a block
constexpr int64_t kUnits = 8;         // pieces of work between the k steps: four rows each
constexpr int64_t kBlockSums = 1024;  // floats
constexpr int64_t kResident = 16;     // steps of the panels that stay in L1

// Walks over memory that a later sweep will read, one line of every two: the hardware fetches its neighbour,
// and the few fill buffers are needed for the tiles.
struct PrefetchWalk {
  const char *at, *end;
  int64_t bytes, gap, left;  // of a piece; from the end of a piece to the next; pieces left
  int per_step;
};

LYCEUM_INLINE PrefetchWalk start_walk(const Prefetch& p, int64_t steps) {
  PrefetchWalk w{p.base, p.base + p.bytes, p.bytes, p.stride - p.bytes, p.count, 0};
  const int64_t lines = p.count * p.bytes / 128;
  if (lines > 0 && steps > 0) w.per_step = static_cast<int>((lines + steps - 1) / steps);
  if (w.per_step > 8) w.per_step = 8;
  return w;
}

LYCEUM_INLINE void walk(PrefetchWalk& w) {
  for (int i = 0; i < w.per_step; ++i) {
    if (w.left <= 0) return;
    __builtin_prefetch(w.at, 0, 2);
    w.at += 128;
    if (w.at >= w.end) {
      w.at = w.end + w.gap;
      w.end = w.at + w.bytes;
      --w.left;
    }
  }
}

// Finished sums that wait for their epilogue.
struct Pending {
  const float* c = nullptr;
  int64_t row = 0, rows = 0;
};

static __attribute__((noinline)) void finish_unit(const Sweep& s, const Pending& pending, int64_t unit) {
  const int64_t begin = 4 * unit, end = begin + 4 < pending.rows ? begin + 4 : pending.rows;
  if (begin < end) finish_rows(s, Sums{pending.c, 512}, pending.row, begin, end);
}

// Sums += A B over 32 k.
template <class T, bool kTall, bool kWide, bool kStays>
LYCEUM_INLINE void multiply_step(const char* a, const char* b0, const char* b1, PrefetchWalk& prefetch) {
  kStays ? T::template load<6>(b0) : T::template stream<6>(b0);
  T::template stream<4>(a);
  T::template dot<0, 4, 6>();
  if (kWide) kStays ? T::template load<7>(b1) : T::template stream<7>(b1);
  walk(prefetch);
  if (kWide) T::template dot<1, 4, 7>();
  if (kTall) T::template stream<5>(a + kTile);
  if (kTall) T::template dot<2, 5, 6>();
  if (kTall && kWide) T::template dot<3, 5, 7>();
}

// One block: kTall 32 rows, else 16; kWide two panels, else one.
template <class T, bool kTall, bool kWide>
static void multiply_block(const Sweep& s, const char* a, int64_t steps, float* c, const Pending& pending,
                           PrefetchWalk& prefetch) {
  const char *b0 = static_cast<const char*>(s.panel[0]), *b1 = static_cast<const char*>(s.panel[1]);
  T::template zero<0>();
  if (kWide) T::template zero<1>();
  if (kTall) T::template zero<2>();
  if (kTall && kWide) T::template zero<3>();
  for (int64_t unit = 0, step = 0; unit < kUnits; ++unit) {
    const int64_t end = (unit + 1) * steps / kUnits, resident = end < kResident ? end : kResident;
    for (; step < resident; ++step, a += 2 * kTile, b0 += kTile, b1 += kTile)
      multiply_step<T, kTall, kWide, true>(a, b0, b1, prefetch);
    for (; step < end; ++step, a += 2 * kTile, b0 += kTile, b1 += kTile)
      multiply_step<T, kTall, kWide, false>(a, b0, b1, prefetch);
    if (pending.rows > 0) finish_unit(s, pending, unit);
  }
  T::template store<0>(c);
  if (kWide) T::template store<1>(c + 512);
  if (kTall) T::template store<2>(c + 256);
  if (kTall && kWide) T::template store<3>(c + 768);
}

template <class T>
static void sweep_tiles(const Sweep& s, float* scratch) {
  const int64_t steps = s.k / 32, blocks = (s.rows + kTileRows - 1) / kTileRows;
  PrefetchWalk prefetch = start_walk(s.prefetch, steps * blocks);
  Pending pending;
  for (int64_t block = 0; block < blocks; ++block) {
    const int64_t row = block * kTileRows, left = s.rows - row;
    const char* a = static_cast<const char*>(s.a) + row * s.k * 2;
    float* c = scratch + (block & 1) * kBlockSums;
    if (s.panels == 2) {
      if (left > 16) multiply_block<T, true, true>(s, a, steps, c, pending, prefetch);
      else multiply_block<T, false, true>(s, a, steps, c, pending, prefetch);
    } else {
      if (left > 16) multiply_block<T, true, false>(s, a, steps, c, pending, prefetch);
      else multiply_block<T, false, false>(s, a, steps, c, pending, prefetch);
    }
    pending = {c, row, left < kTileRows ? left : kTileRows};
  }
  for (int64_t unit = 0; unit < kUnits && pending.rows > 0; ++unit) finish_unit(s, pending, unit);
}

// The loop of multiply_block over 8 KiB that stay in L1, 64 k steps a turn.
template <class T>
static void tiles_peak(int64_t turns) {
  alignas(64) static char memory[8 * kTile];  // zeros, only read
  for (int64_t turn = 0; turn < turns; ++turn)
    for (int step = 0; step < 64; ++step) {
      const char *a = memory + step % 2 * 2 * kTile, *b = memory + 4 * kTile + step % 2 * 2 * kTile;
      T::template load<6>(b);
      T::template load<4>(a);
      T::template dot<0, 4, 6>();
      T::template load<7>(b + kTile);
      T::template dot<1, 4, 7>();
      T::template load<5>(a + kTile);
      T::template dot<2, 5, 6>();
      T::template dot<3, 5, 7>();
    }
}
constexpr double kTilesPeakFlops = 64.0 * 4 * 2 * 16 * 16 * 32;

static int64_t tiles_scratch(int64_t, int64_t) { return 2 * kBlockSums; }

}  // namespace
}  // namespace lyceum::kernels
