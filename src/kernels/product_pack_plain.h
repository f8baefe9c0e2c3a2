// Packing in plain loops: for the emulated tiles, and what the packing of the other levels is tested against.
#pragma once

#include "kernels/product_simd.h"
#include "kernels/product_table.h"

namespace lyceum::kernels {
namespace {

LYCEUM_INLINE int64_t source_row(const int32_t* gather, int64_t slot) { return gather ? gather[slot] : slot; }

// Tiles of A: [rows / 32][k / 32][2][16][32] bf16; position of (row, k) in elements.
LYCEUM_INLINE int64_t tile_at(int64_t row, int64_t k, int64_t k_all) {
  return row / 32 * 32 * k_all + k / 32 * 1024 + row % 32 * 32 + k % 32;
}

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

static void pack_columns_tiles_plain(const PackColumns& p, void* a, int64_t) {
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
    const bf16* from = static_cast<const bf16*>(p.x.data) + p.begin;
    if (s < p.slots) from += source_row(p.gather, p.first + s) * p.x.stride;
    for (int64_t c = 0; c < (p.columns + 15) / 16 * 16; ++c)
      to[c / 16 * 16 * p.k + s / 2 * 32 + c % 16 * 2 + s % 2] =
          s < p.slots && c < p.columns ? from[c] : bf16{0};
  }
}

// Panels [panels][k / 2][16 inputs][2 outputs] bf16 of a bf16 weight.
static void transpose_plain(const TransposeWeight& t, void* panels) {
  bf16* to = static_cast<bf16*>(panels);
  const bf16* from = static_cast<const bf16*>(t.weight);
  const WeightLayout& w = t.layout;
  const int64_t k_all = w.parts * t.k_part;
  for (int panel = 0; panel < t.panels; ++panel)
    for (int64_t part = 0; part < w.parts; ++part)
      for (int64_t o = 0; o < t.k_part; ++o)
        for (int64_t i = 0; i < 16; ++i) {
          const int64_t k = part * t.k_part + o, input = t.begin + 16 * panel + i;
          to[panel * 16 * k_all + k / 2 * 32 + i * 2 + k % 2] =
              o < w.n_padded() && input < w.k_padded() ? from[w.index(part, o, input)] : bf16{0};
        }
}

}  // namespace
}  // namespace lyceum::kernels
