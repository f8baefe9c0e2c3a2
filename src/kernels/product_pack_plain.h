// Packing in plain loops: for the emulated tiles, and what the packing of the other levels is tested against.
#pragma once

#include "kernels/product_simd.h"
#include "kernels/product_table.h"

namespace lyceum::kernels {
namespace {

LYCEUM_INLINE int64_t source_row(const int32_t* gather, int64_t slot) { return gather ? gather[slot] : slot; }

static void pack_rows_tiles_plain(const PackRows& p, void* a, int64_t) {
  bf16* to = static_cast<bf16*>(a);
  int64_t k_all = 0;
  for (int i = 0; i < p.segments; ++i) k_all += p.segment[i].padded;
  for (int64_t r = 0; r < (p.rows + 31) / 32 * 32; ++r) {
    const bf16* from = static_cast<const bf16*>(p.x.data);
    if (r < p.rows) from += source_row(p.gather, p.first + r) * p.x.stride;
    int64_t k = 0;
    for (int i = 0; i < p.segments; ++i)
      for (int64_t j = 0; j < p.segment[i].padded; ++j, ++k)
        to[tile_at(r, k, k_all)] =
            r < p.rows && j < p.segment[i].width ? from[p.segment[i].begin + j] : bf16{0};
  }
}

static void pack_columns_tiles_plain(const PackColumns& p, void* a) {
  bf16* to = static_cast<bf16*>(a);
  for (int64_t s = 0; s < p.k; ++s) {
    const bf16* from = static_cast<const bf16*>(p.x.data) + p.begin;
    if (s < p.slots) from += source_row(p.gather, p.first + s) * p.x.stride;
    for (int64_t i = 0; i < (p.columns + 31) / 32 * 32; ++i)
      to[tile_at(i, s, p.k)] = s < p.slots && i < p.columns ? from[i] : bf16{0};
  }
}

// Panels [columns / 16][k / 2][16][2] bf16.
static void pack_panels_plain(const PackColumns& p, void* panels) {
  bf16* to = static_cast<bf16*>(panels);
  for (int64_t s = 0; s < p.k; ++s) {
    const bf16* x = static_cast<const bf16*>(p.x.data);
    const int64_t row = s < p.slots ? source_row(p.gather, p.first + s) : 0;
    for (int64_t c = 0; c < (p.columns + 15) / 16 * 16; ++c) {
      const int64_t at = p.tiled ? tile_at(row, p.begin + c, p.x.stride) : row * p.x.stride + p.begin + c;
      to[c / 16 * 16 * p.k + s / 2 * 32 + c % 16 * 2 + s % 2] =
          s < p.slots && c < p.columns ? x[at] : bf16{0};
    }
  }
}

// The transposition of a bf16 weight into panels [panels][k / 2][16 inputs][2 outputs] falls into pieces of
// 16 outputs x 16 inputs, inputs fastest.
LYCEUM_INLINE int64_t transpose_pieces(const TransposeWeight& t) {
  return t.layout.parts * (t.k_part / 16) * t.panels;
}
struct TransposePiece {
  const char* from;  // eight rows [16 outputs][2 inputs] of a panel; null: zeros
  char* to;          // eight rows [16 inputs][2 outputs]
};
LYCEUM_INLINE TransposePiece transpose_piece(const TransposeWeight& t, int64_t index) {
  const WeightLayout& w = t.layout;
  const int64_t panel = index % t.panels, block = index / t.panels, blocks = t.k_part / 16;
  const int64_t part = block / blocks, o = block % blocks * 16, i = t.begin + 16 * panel;
  const char* from = static_cast<const char*>(t.weight) +
                     ((part * w.n_padded() + o) * w.k_padded() + i * 16) * static_cast<int64_t>(sizeof(bf16));
  char* to = static_cast<char*>(t.to) + panel * w.parts * t.k_part * 32 + (part * t.k_part + o) * 32;
  return {o < w.n_padded() && i < w.k_padded() ? from : nullptr, to};
}
static void transpose_piece_plain(const TransposePiece& p) {
  bf16* to = reinterpret_cast<bf16*>(p.to);
  const bf16* from = reinterpret_cast<const bf16*>(p.from);
  for (int i = 0; i < 16; ++i)
    for (int o = 0; o < 16; ++o)
      to[o / 2 * 32 + i * 2 + o % 2] = from ? from[i / 2 * 32 + o * 2 + i % 2] : bf16{0};
}
static void transpose_plain(const TransposeWeight& t) {
  for (int64_t i = 0; i < transpose_pieces(t); ++i) transpose_piece_plain(transpose_piece(t, i));
}

}  // namespace
}  // namespace lyceum::kernels
