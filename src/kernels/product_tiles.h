// The sweep over tiles: 32 rows x 32 columns of sums in four tiles, k in steps of 32. Written against a tile
// interface `T` (zero, load, stream, store, dot), which is the AMX instructions or their emulation, so that
// the logic is tested on every machine.
//
// A is packed as [rows / 32][k / 32][2][16 rows][32 k], B as panels [k / 2][16][2]: every tile is 1 KiB of
// contiguous memory. A block stays in L2, panels stream through it once. The whole k runs in registers; while
// the tiles of one block multiply, the sums of the block before are finished by the vector units (row by row
// between the tile instructions), and the panels of the next sweep are prefetched.
//
// The first kResident steps of both panels (32 KiB) stay in L1 for all rows; everything else is loaded with
// the hint that it will not be used again (tileloaddt1), or it would push them out: at k = 512 a sweep
// reaches 97 % of the peak with the hint and 72 % without, at k = 2048 84 and 74 % (Sapphire Rapids, sums not
// stored).
#pragma once

#include "kernels/product_epilogue.h"
#include "kernels/product_pack_plain.h"

namespace lyceum::kernels {
namespace {

constexpr int64_t kTile = 1024;       // bytes
constexpr int64_t kTileRows = 32;     // of a block
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

// Transposes the weights that the next sweep of a dgrad multiplies, piece by piece between the steps, reading
// a few pieces ahead.
template <class T>
struct Transposer {
  const TransposeWeight* t;
  int64_t done = 0, pieces, due = 0, per_step;

  LYCEUM_METHOD Transposer(const TransposeWeight* weight, int64_t steps)
      : t(weight),
        pieces(weight ? transpose_pieces(*weight) : 0),
        per_step(steps > 0 ? (pieces * 256 + steps - 1) / steps : 0) {}
  LYCEUM_METHOD void piece() {
    constexpr int64_t kAhead = 8;
    if (done + kAhead < pieces) {
      const char* later = transpose_piece(*t, done + kAhead).from;
      for (int i = 0; later && i < 8; ++i) __builtin_prefetch(later + 64 * i, 0, 3);
    }
    T::transpose(transpose_piece(*t, done++));
  }
  LYCEUM_METHOD void step() {
    if (done >= pieces) return;
    due += per_step;
    while (done < pieces && done * 256 < due) piece();
  }
  LYCEUM_METHOD void rest() {
    while (done < pieces) piece();
  }
};

// Finished sums that wait for their epilogue.
struct Pending {
  const float* c = nullptr;
  int64_t row = 0, rows = 0;
};

static __attribute__((noinline)) void finish_block(const Sweep& s, const Pending& p) {
  if (p.rows > 0) finish_rows(s, Sums{p.c, 512}, p.row, 0, p.rows);
}

// What is done with a whole block of sums whose columns are full, cheap enough to stand between the tile
// instructions; kGeneral is everything else.
enum class Finish { kGeneral, kStoreBf16, kStoreF32, kActivate, kExponential, kAdd };

LYCEUM_INLINE Finish finish_of(const Sweep& s) {
  if (s.panels != 2 || s.bias) return Finish::kGeneral;
  switch (s.epilogue) {
    case Epilogue::kStore:
      if (s.columns < 32) return Finish::kGeneral;
      return s.y_type == DType::kBF16 ? Finish::kStoreBf16 : Finish::kStoreF32;
    case Epilogue::kActivate:
      return activates_pairs(s) ? Finish::kActivate : Finish::kGeneral;
    case Epilogue::kExponential:
      return exponential_pairs(s) && s.y_type == DType::kBF16 ? Finish::kExponential : Finish::kGeneral;
    case Epilogue::kWeightGradient:
      return s.pair == 2 && s.columns >= 32 ? Finish::kAdd : Finish::kGeneral;
  }
  return Finish::kGeneral;
}

// Finishes the rows of a pending block one by one (two by two for kAdd), evenly over the slots of the k loop.
// The processor looks only a few tile instructions ahead, so vector work overlaps with tiles only when it is
// mixed in finely.
template <Finish kFinish>
struct Mixer {
  const Sweep& s;
  const Pending& pending;
  int64_t due = 0, per_slot, done;

  LYCEUM_METHOD Mixer(const Sweep& sweep, const Pending& p, int64_t slots)
      : s(sweep),
        pending(p),
        per_slot(slots > 0 ? kTileRows * 256 / slots + 1 : 0),
        done(p.rows == kTileRows ? 0 : kTileRows) {}
  LYCEUM_METHOD void row() {
    const Sums sums{pending.c, 512};
    if (kFinish == Finish::kStoreBf16) store_pairs<bf16>(s, sums, pending.row, done, done + 1);
    if (kFinish == Finish::kStoreF32) store_pairs<float>(s, sums, pending.row, done, done + 1);
    if (kFinish == Finish::kActivate) activate_pair(s, sums, pending.row, done, done + 1);
    if (kFinish == Finish::kExponential) exponential_pair<bf16>(s, sums, pending.row, done, done + 1);
    if (kFinish == Finish::kAdd) {
      add_pairs(s, sums, pending.row, done, 0);
      add_pairs(s, sums, pending.row, done, 1);
      ++done;
    }
    ++done;
  }
  LYCEUM_METHOD void slot() {
    if (kFinish == Finish::kGeneral) return;
    due += per_slot;
    while (done < kTileRows && done * 256 < due) row();
  }
  LYCEUM_METHOD void rest() {
    while (kFinish != Finish::kGeneral && done < kTileRows) row();
  }
};

// What goes on beside the products of a whole sweep.
template <class T>
struct Beside {
  PrefetchWalk prefetch;
  Transposer<T> transposer;
};

// Sums += A B over 32 k.
template <class T, bool kTall, bool kWide, bool kStays, class Work>
LYCEUM_INLINE void multiply_step(const char* a, const char* b0, const char* b1, Beside<T>& beside,
                                 Work& work) {
  kStays ? T::template load<6>(b0) : T::template stream<6>(b0);
  T::template stream<4>(a);
  T::template dot<0, 4, 6>();
  work.slot();
  if (kWide) kStays ? T::template load<7>(b1) : T::template stream<7>(b1);
  walk(beside.prefetch);
  if (kWide) T::template dot<1, 4, 7>();
  if (kTall) T::template stream<5>(a + kTile);
  if (kTall) T::template dot<2, 5, 6>();
  work.slot();
  if (kTall && kWide) T::template dot<3, 5, 7>();
  beside.transposer.step();
}

// One block: kTall 32 rows, else 16; kWide two panels, else one.
template <class T, bool kTall, bool kWide, Finish kFinish>
static void multiply_block(const Sweep& s, const char* a, int64_t steps, float* c, const Pending& pending,
                           Beside<T>& beside) {
  const char* b0 = static_cast<const char*>(s.panel[0]);
  const char* b1 = kWide ? static_cast<const char*>(s.panel[1]) : b0;
  T::template zero<0>();
  if (kWide) T::template zero<1>();
  if (kTall) T::template zero<2>();
  if (kTall && kWide) T::template zero<3>();
  Mixer<kFinish> work(s, pending, 2 * steps);
  const int64_t resident = steps < kResident ? steps : kResident;
  int64_t step = 0;
  for (; step < resident; ++step, a += 2 * kTile, b0 += kTile, b1 += kTile)
    multiply_step<T, kTall, kWide, true>(a, b0, b1, beside, work);
  for (; step < steps; ++step, a += 2 * kTile, b0 += kTile, b1 += kTile)
    multiply_step<T, kTall, kWide, false>(a, b0, b1, beside, work);
  T::template store<0>(c);
  if (kWide) T::template store<1>(c + 512);
  if (kTall) T::template store<2>(c + 256);
  if (kTall && kWide) T::template store<3>(c + 768);
  work.rest();
}

template <class T, Finish kFinish>
static void sweep_tiles_as(const Sweep& s, float* scratch) {
  const int64_t steps = s.k / 32;
  const int64_t all_steps = steps * ((s.rows + kTileRows - 1) / kTileRows);
  Beside<T> beside{start_walk(s.prefetch, all_steps), Transposer<T>(s.next, all_steps)};
  const char* a = static_cast<const char*>(s.a);
  const Pending none;
  Pending pending;
  int64_t row = 0;
  for (; kFinish != Finish::kGeneral && row + kTileRows <= s.rows; row += kTileRows) {
    float* c = scratch + row / kTileRows % 2 * kBlockSums;
    multiply_block<T, true, true, kFinish>(s, a + row * s.k * 2, steps, c, pending, beside);
    pending = {c, row, kTileRows};
  }
  finish_block(s, pending);
  for (; row < s.rows; row += kTileRows) {
    const int64_t left = s.rows - row;
    const char* block = a + row * s.k * 2;
    if (s.panels == 2 && left > 16)
      multiply_block<T, true, true, Finish::kGeneral>(s, block, steps, scratch, none, beside);
    else if (s.panels == 2)
      multiply_block<T, false, true, Finish::kGeneral>(s, block, steps, scratch, none, beside);
    else if (left > 16)
      multiply_block<T, true, false, Finish::kGeneral>(s, block, steps, scratch, none, beside);
    else multiply_block<T, false, false, Finish::kGeneral>(s, block, steps, scratch, none, beside);
    finish_block(s, {scratch, row, left < kTileRows ? left : kTileRows});
  }
  beside.transposer.rest();
}

template <class T>
static void sweep_tiles(const Sweep& s, float* scratch) {
  switch (finish_of(s)) {
    case Finish::kStoreBf16:
      return sweep_tiles_as<T, Finish::kStoreBf16>(s, scratch);
    case Finish::kStoreF32:
      return sweep_tiles_as<T, Finish::kStoreF32>(s, scratch);
    case Finish::kActivate:
      return sweep_tiles_as<T, Finish::kActivate>(s, scratch);
    case Finish::kExponential:
      return sweep_tiles_as<T, Finish::kExponential>(s, scratch);
    case Finish::kAdd:
      return sweep_tiles_as<T, Finish::kAdd>(s, scratch);
    case Finish::kGeneral:
      return sweep_tiles_as<T, Finish::kGeneral>(s, scratch);
  }
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
