// Packing of operands as f32 (for multiply-add kernels): rows are widened, weights transposed by 16 x 16
// blocks.
#pragma once

#include <immintrin.h>

#include <type_traits>

#include "kernels/product_pack_plain.h"

namespace lyceum::kernels {
namespace {

// The operand's type is looked up once a call.
template <class Body>
LYCEUM_INLINE void with_type(const ConstRows& x, Body&& body) {
  if (x.type == DType::kBF16) body(static_cast<const bf16*>(x.data));
  else body(static_cast<const float*>(x.data));
}

LYCEUM_INLINE float widened(bf16 x) { return to_float(x); }
LYCEUM_INLINE float widened(float x) { return x; }
LYCEUM_INLINE __m256 load_eight(const float* p) { return _mm256_loadu_ps(p); }
LYCEUM_INLINE __m256 load_eight(const bf16* p) {
  const __m128i half = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(half), 16));
}

// to[0 .. padded) = from[0 .. width), then zeros.
template <class E>
LYCEUM_INLINE void widen_row(const E* from, int64_t width, int64_t padded, float* to) {
  int64_t i = 0;
  for (; i + 16 <= width; i += 16) store(to + i, load(from + i));
  for (; i < width; ++i) to[i] = widened(from[i]);
  for (; i < padded; ++i) to[i] = 0;
}

// Rows that stand anywhere in memory are asked for while the one before is packed.
template <class E>
LYCEUM_INLINE void prefetch_row(const E* from, int64_t width) {
  for (int64_t i = 0; i < width; i += 64 / static_cast<int64_t>(sizeof(E)))
    _mm_prefetch(reinterpret_cast<const char*>(from + i), _MM_HINT_T1);
}

static void pack_rows_f32(const PackRows& p, void* a, int64_t a_stride) {
  with_type(p.x, [&](auto* x) {
    for (int64_t r = 0; r < p.rows; ++r) {
      float* to = static_cast<float*>(a) + r * a_stride;
      for (int i = 0; i < p.segments; to += p.segment[i++].padded) {
        const Segment& s = p.segment[i];
        if (r + 1 < p.rows)
          prefetch_row(x + source_row(p.gather, p.first + r + 1) * p.x.stride + s.begin, s.width);
        widen_row(x + source_row(p.gather, p.first + r) * p.x.stride + s.begin, s.width, s.padded, to);
      }
    }
  });
}

// Strips [columns / R][k][R]: what a micro-tile of R rows reads stands side by side. Eight columns are stored
// at a time, the ones too many under the next slot's; the last slot has no next.
template <int R>
static void pack_strips_f32(const PackColumns& p, void* a) {
  static_assert(R <= 8);
  constexpr int64_t kSlots = 16;  // whose rows stay in L1 while strip after strip is written
  with_type(p.x, [&](auto* x) {
    using E = std::remove_pointer_t<decltype(x)>;
    constexpr int64_t kLine = 64 / static_cast<int64_t>(sizeof(E));
    E *row[kSlots], *next[kSlots];
    for (int64_t begin = 0; begin < p.slots; begin += kSlots) {
      const int64_t n = begin + kSlots < p.slots ? kSlots : p.slots - begin;
      const int64_t more = begin + n + kSlots < p.slots ? kSlots : p.slots - begin - n;
      for (int64_t i = 0; i < n; ++i)
        row[i] = x + source_row(p.gather, p.first + begin + i) * p.x.stride + p.begin;
      for (int64_t i = 0; i < more; ++i)
        next[i] = x + source_row(p.gather, p.first + begin + n + i) * p.x.stride + p.begin;
      const int64_t eights = begin + n < p.k ? n : n - 1;
      for (int64_t c = 0, fetched = 0; c < p.columns; c += R) {
        for (; fetched <= c; fetched += kLine)
          for (int64_t i = 0; i < more; ++i)
            _mm_prefetch(reinterpret_cast<const char*>(next[i] + fetched), _MM_HINT_T1);
        float* to = static_cast<float*>(a) + c * p.k + begin * R;
        int64_t i = 0;
        if (c + 8 <= p.columns)
          for (; i < eights; ++i, to += R) _mm256_storeu_ps(to, load_eight(row[i] + c));
        for (; i < n; ++i, to += R) widen_row(row[i] + c, p.columns - c < R ? p.columns - c : R, R, to);
      }
    }
  });
}

static void pack_panels_f32(const PackColumns& p, void* panels) {
  constexpr int64_t kAhead = 4;
  with_type(p.x, [&](auto* x) {
    for (int64_t s = 0; s < p.slots; ++s) {
      auto* from = x + source_row(p.gather, p.first + s) * p.x.stride + p.begin;
      if (s + kAhead < p.slots)
        prefetch_row(x + source_row(p.gather, p.first + s + kAhead) * p.x.stride + p.begin, p.columns);
      float* to = static_cast<float*>(panels) + s * 16;
      int64_t c = 0;
      for (; c + 16 <= p.columns; c += 16, to += 16 * p.k) store(to, load(from + c));
      if (c < p.columns) widen_row(from + c, p.columns - c, 16, to);
    }
  });
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
