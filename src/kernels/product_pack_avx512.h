// Packing of bf16 operands with AVX-512 (BW, VL): rows and columns into tiles, columns into panels, and the
// transposition of weight panels for dgrad. Held against product_pack_plain.h.
#pragma once

#include <immintrin.h>

#include "kernels/product_pack_plain.h"

namespace lyceum::kernels {
namespace {

LYCEUM_INLINE __mmask32 first_words(int64_t count) {
  return count >= 32 ? 0xffffffffu : count <= 0 ? 0u : (1u << count) - 1u;
}

// Eight rows side by side, so that stores fill whole lines of one tile one after the other.
static void pack_rows_tiles(const PackRows& p, void* a, int64_t) {
  constexpr int64_t kRows = 8;
  int64_t k_all = 0;
  for (int i = 0; i < p.segments; ++i) k_all += p.segment[i].padded;
  const bf16* x = static_cast<const bf16*>(p.x.data);
  for (int64_t r = 0; r < (p.rows + 31) / 32 * 32; r += kRows) {
    char* to = static_cast<char*>(a) + (r / 32 * 32 * k_all + r % 32 * 32) * 2;
    const bf16* row[kRows];
    __mmask32 exists[kRows];
    for (int64_t j = 0; j < kRows; ++j) {
      exists[j] = r + j < p.rows ? 0xffffffffu : 0u;
      row[j] = r + j < p.rows ? x + source_row(p.gather, p.first + r + j) * p.x.stride : x;
    }
    for (int i = 0; i < p.segments; ++i) {
      const int64_t begin = p.segment[i].begin, width = p.segment[i].width;
      int64_t k = 0;
      if (r + kRows <= p.rows)
        for (; k + 32 <= width; k += 32, to += 2048)
          for (int64_t j = 0; j < kRows; ++j)
            _mm512_store_si512(to + 64 * j, _mm512_loadu_si512(row[j] + begin + k));
      for (; k < p.segment[i].padded; k += 32, to += 2048)
        for (int64_t j = 0; j < kRows; ++j)
          _mm512_store_si512(
              to + 64 * j, _mm512_maskz_loadu_epi16(first_words(width - k) & exists[j], row[j] + begin + k));
    }
  }
}

// Transposes 16 x 16 words of 32 bits: out[c] word r = v[r] word c.
LYCEUM_INLINE void transpose_words(__m512i v[16]) {
  __m512i t[16], u[16];
  for (int i = 0; i < 16; i += 2) {
    t[i] = _mm512_unpacklo_epi32(v[i], v[i + 1]);
    t[i + 1] = _mm512_unpackhi_epi32(v[i], v[i + 1]);
  }
  for (int i = 0; i < 16; i += 4) {  // u[i + q], lane l: column 4 l + q of rows i .. i + 3
    u[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
    u[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
    u[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
    u[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
  }
  for (int q = 0; q < 4; ++q) {
    const __m512i a = _mm512_shuffle_i32x4(u[q], u[4 + q], 0x88),
                  b = _mm512_shuffle_i32x4(u[q], u[4 + q], 0xdd);
    const __m512i c = _mm512_shuffle_i32x4(u[8 + q], u[12 + q], 0x88),
                  d = _mm512_shuffle_i32x4(u[8 + q], u[12 + q], 0xdd);
    v[q] = _mm512_shuffle_i32x4(a, c, 0x88);
    v[8 + q] = _mm512_shuffle_i32x4(a, c, 0xdd);
    v[4 + q] = _mm512_shuffle_i32x4(b, d, 0x88);
    v[12 + q] = _mm512_shuffle_i32x4(b, d, 0xdd);
  }
}

LYCEUM_INLINE const bf16* slot_row(const PackColumns& p, int64_t s) {
  return static_cast<const bf16*>(p.x.data) + source_row(p.gather, p.first + s) * p.x.stride + p.begin;
}
// 32 columns of a slot from column c of the block; zeros beyond the slots and the columns.
LYCEUM_INLINE __m512i slot_words(const PackColumns& p, int64_t s, int64_t c, __mmask32 mask) {
  if (s >= p.slots) return _mm512_setzero_si512();
  if (p.tiled)
    return _mm512_maskz_loadu_epi16(
        mask, static_cast<const bf16*>(p.x.data) + tile_at(p.first + s, p.begin + c, p.x.stride));
  return _mm512_maskz_loadu_epi16(mask, slot_row(p, s) + c);
}

// 32 slots x 32 columns at a time: words of two slots are interleaved into pairs, which are then transposed.
// unpack works within 128-bit lanes: the low half holds columns 8 l + 0..3, the high one 8 l + 4..7.
static void pack_columns_tiles(const PackColumns& p, void* a) {
  for (int64_t s = 0; s < p.k; s += 32)  // rows are read from left to right, 32 side by side
    for (int64_t c = 0; c < p.columns; c += 32) {
      const __mmask32 mask = first_words(p.columns - c);
      char* to = static_cast<char*>(a) + c * p.k * 2 + s / 32 * 2048;
      __m512i low[16], high[16];
      for (int64_t j = 0; j < 16; ++j) {
        const __m512i x = slot_words(p, s + 2 * j, c, mask), y = slot_words(p, s + 2 * j + 1, c, mask);
        low[j] = _mm512_unpacklo_epi16(x, y);
        high[j] = _mm512_unpackhi_epi16(x, y);
      }
      transpose_words(low);
      transpose_words(high);
      for (int64_t i = 0; i < 16; ++i) {
        const int64_t column = i / 4 * 8 + i % 4;
        _mm512_store_si512(to + column * 64, low[i]);
        _mm512_store_si512(to + (column + 4) * 64, high[i]);
      }
    }
}

static void pack_panels_bf16(const PackColumns& p, void* panels) {
  const __m512i first = _mm512_setr_epi64(0, 1, 8, 9, 2, 3, 10, 11),
                second = _mm512_setr_epi64(4, 5, 12, 13, 6, 7, 14, 15);
  for (int64_t s = 0; s < p.k; s += 2)
    for (int64_t c = 0; c < p.columns; c += 32) {
      const __mmask32 mask = first_words(p.columns - c);
      char* to = static_cast<char*>(panels) + c * p.k * 2 + s * 32;
      const __m512i x = slot_words(p, s, c, mask), y = slot_words(p, s + 1, c, mask);
      const __m512i low = _mm512_unpacklo_epi16(x, y), high = _mm512_unpackhi_epi16(x, y);
      _mm512_store_si512(to, _mm512_permutex2var_epi64(low, first, high));
      if (c + 16 < p.columns) _mm512_store_si512(to + p.k * 32, _mm512_permutex2var_epi64(low, second, high));
    }
}

// A 1 KiB tile of a panel is [16 input pairs][16 outputs][2 inputs]. Eight of its rows are 16 inputs x 8
// output pairs of 2 x 2 words; swapping the middle words of each makes pairs of outputs, and the 8 x 8
// transposition of these 64-bit pieces gives 8 rows [16 inputs][2 outputs] of a dgrad panel.
LYCEUM_INLINE void transpose_half_tile(const char* from, char* to) {
  const __m512i swap =
      _mm512_broadcast_i32x4(_mm_setr_epi8(0, 1, 4, 5, 2, 3, 6, 7, 8, 9, 12, 13, 10, 11, 14, 15));
  __m512i v[8], t[8];
  for (int j = 0; j < 8; ++j) v[j] = _mm512_shuffle_epi8(_mm512_loadu_si512(from + 64 * j), swap);
  for (int j = 0; j < 8; j += 2) {  // t[j + h], lane l: pieces 2 l + h of rows j, j + 1
    t[j] = _mm512_unpacklo_epi64(v[j], v[j + 1]);
    t[j + 1] = _mm512_unpackhi_epi64(v[j], v[j + 1]);
  }
  for (int h = 0; h < 2; ++h) {
    const __m512i a = _mm512_shuffle_i32x4(t[h], t[2 + h], 0x88),
                  b = _mm512_shuffle_i32x4(t[h], t[2 + h], 0xdd);
    const __m512i c = _mm512_shuffle_i32x4(t[4 + h], t[6 + h], 0x88),
                  d = _mm512_shuffle_i32x4(t[4 + h], t[6 + h], 0xdd);
    _mm512_store_si512(to + 64 * (0 + h), _mm512_shuffle_i32x4(a, c, 0x88));
    _mm512_store_si512(to + 64 * (2 + h), _mm512_shuffle_i32x4(b, d, 0x88));
    _mm512_store_si512(to + 64 * (4 + h), _mm512_shuffle_i32x4(a, c, 0xdd));
    _mm512_store_si512(to + 64 * (6 + h), _mm512_shuffle_i32x4(b, d, 0xdd));
  }
}

LYCEUM_INLINE void transpose_piece_avx512(const TransposePiece& p) {
  if (p.from) return transpose_half_tile(p.from, p.to);
  for (int j = 0; j < 8; ++j) _mm512_store_si512(p.to + 64 * j, _mm512_setzero_si512());
}

static void transpose_bf16(const TransposeWeight& t) {
  for (int64_t i = 0; i < transpose_pieces(t); ++i) transpose_piece_avx512(transpose_piece(t, i));
}

}  // namespace
}  // namespace lyceum::kernels
