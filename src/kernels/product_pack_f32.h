// Packing of operands as f32 (for multiply-add kernels): rows are widened, weights transposed by 16 x 16
// blocks.
#pragma once

#include <immintrin.h>

#include "kernels/product_pack_plain.h"

namespace lyceum::kernels {
namespace {

// to[0 .. padded) = row of x from column `begin`, zeros from `width` on.
LYCEUM_INLINE void widen_row(const ConstRows& x, int64_t row, int64_t begin, int64_t width, int64_t padded,
                             float* to) {
  const int64_t at = row * x.stride + begin;
  int64_t i = 0;
  if (x.type == DType::kBF16)
    for (; i + 16 <= width; i += 16) store(to + i, load(static_cast<const bf16*>(x.data) + at + i));
  else
    for (; i + 16 <= width; i += 16) store(to + i, load(static_cast<const float*>(x.data) + at + i));
  for (; i < width; ++i)
    to[i] = x.type == DType::kBF16 ? to_float(static_cast<const bf16*>(x.data)[at + i])
                                   : static_cast<const float*>(x.data)[at + i];
  for (; i < padded; ++i) to[i] = 0;
}

// to[0 .. 8) = x[at .. at + 8), zeros from `count` on.
LYCEUM_INLINE void widen_eight(const ConstRows& x, int64_t at, int64_t count, float* to) {
  const bool half = x.type == DType::kBF16;
  if (count >= 8) {
    const __m256 v = half ? _mm256_castsi256_ps(_mm256_slli_epi32(
                                _mm256_cvtepu16_epi32(_mm_loadu_si128(
                                    reinterpret_cast<const __m128i*>(static_cast<const bf16*>(x.data) + at))),
                                16))
                          : _mm256_loadu_ps(static_cast<const float*>(x.data) + at);
    _mm256_storeu_ps(to, v);
    return;
  }
  for (int64_t i = 0; i < 8; ++i)
    to[i] = i >= count ? 0
            : half     ? to_float(static_cast<const bf16*>(x.data)[at + i])
                       : static_cast<const float*>(x.data)[at + i];
}

static void pack_rows_f32(const PackRows& p, void* a, int64_t a_stride) {
  for (int64_t r = 0; r < p.rows; ++r) {
    float* to = static_cast<float*>(a) + r * a_stride;
    for (int i = 0; i < p.segments; to += p.segment[i++].padded)
      widen_row(p.x, source_row(p.gather, p.first + r), p.segment[i].begin, p.segment[i].width,
                p.segment[i].padded, to);
  }
}

// Strips [columns / R][k][R]: what a micro-tile of R rows reads stands side by side. Eight columns are stored
// at a time, the ones too many under the next slot's; the last slot has no next.
template <int R>
static void pack_strips_f32(const PackColumns& p, void* a) {
  static_assert(R <= 8);
  constexpr int64_t kSlots = 16;  // whose rows stay in L1 while strip after strip is written
  for (int64_t begin = 0; begin < p.slots; begin += kSlots) {
    const int64_t end = begin + kSlots < p.slots ? begin + kSlots : p.slots;
    for (int64_t c = 0; c < p.columns; c += R) {
      float* to = static_cast<float*>(a) + c * p.k + begin * R;
      for (int64_t s = begin; s < end; ++s, to += R) {
        const int64_t at = source_row(p.gather, p.first + s) * p.x.stride + p.begin + c;
        if (s + 1 < p.k) widen_eight(p.x, at, p.columns - c, to);
        else widen_row(p.x, 0, at, p.columns - c < R ? p.columns - c : R, R, to);
      }
    }
  }
}

static void pack_panels_f32(const PackColumns& p, void* panels) {
  for (int64_t s = 0; s < p.slots; ++s)
    for (int64_t c = 0; c < p.columns; c += 16)
      widen_row(p.x, source_row(p.gather, p.first + s), p.begin + c, p.columns - c < 16 ? p.columns - c : 16,
                16, static_cast<float*>(panels) + c * p.k + s * 16);
}

// Panels [panels][k][16 inputs] f32; k = outputs of all parts. transpose_block: 16 rows of 16 words at `from`
// -> 16 rows at `to`, `stride` words apart.
template <void (*transpose_block)(const uint32_t* from, uint32_t* to)>
static void transpose_f32(const TransposeWeight& t) {
  const WeightLayout& w = t.layout;
  const int64_t k_all = w.parts * t.k_part;
  alignas(64) uint32_t in[256], out[256];
  for (int64_t part = 0; part < w.parts; ++part)
    for (int64_t o = 0; o < w.n_padded(); o += 16) {
      const int64_t base = w.index(part, o, 0), k = part * t.k_part + o;
      for (int p = 0; p < t.panels; ++p) {
        const int64_t i = t.begin + 16 * p;
        float* to = static_cast<float*>(t.to) + (p * k_all + k) * 16;
        if (w.type == DType::kF32) {
          const float* from = static_cast<const float*>(t.weight) + base + i * 16;
          if (i + 16 <= w.k) {
            transpose_block(reinterpret_cast<const uint32_t*>(from), reinterpret_cast<uint32_t*>(to));
          } else {
            __builtin_memset(in, 0, sizeof in);
            __builtin_memcpy(in, from, static_cast<size_t>(w.k - i) * 64);
            transpose_block(in, reinterpret_cast<uint32_t*>(to));
          }
          continue;
        }
        // bf16: rows of 16 outputs x 2 inputs; transposed, a row is one output and 32 inputs in order.
        if (p % 2 == 0) {
          const bf16* from = static_cast<const bf16*>(t.weight) + base + i * 16;
          transpose_block(reinterpret_cast<const uint32_t*>(from), out);
        }
        const bf16* rows = reinterpret_cast<const bf16*>(out) + p % 2 * 16;
        for (int r = 0; r < 16; ++r) store(to + r * 16, load(rows + r * 32));
      }
    }
}

}  // namespace
}  // namespace lyceum::kernels
