// The tile interface of product_tiles.h in portable code, with the bits of the AMX instructions.
#pragma once

#include "kernels/product_pack_plain.h"

namespace lyceum::kernels {
namespace {

struct alignas(64) TileMemory {
  uint32_t word[8][16][16];
};
thread_local TileMemory t_tiles;

LYCEUM_INLINE float as_float(uint32_t bits) {
  float f;
  __builtin_memcpy(&f, &bits, 4);
  return f;
}
LYCEUM_INLINE uint32_t as_bits(float f) {
  uint32_t bits;
  __builtin_memcpy(&bits, &f, 4);
  return bits;
}
// The instruction reads denormals as zero and flushes them to zero, keeping the sign.
LYCEUM_INLINE uint32_t flush(uint32_t bits) { return bits & 0x7f800000u ? bits : bits & 0x80000000u; }
LYCEUM_INLINE float flushed(float f) { return as_float(flush(as_bits(f))); }

struct EmulatedTiles {
  template <int kTarget>
  static void zero() {
    __builtin_memset(t_tiles.word[kTarget], 0, 1024);
  }
  template <int kTarget>
  static void load(const void* from) {
    __builtin_memcpy(t_tiles.word[kTarget], from, 1024);
  }
  template <int kTarget>
  static void stream(const void* from) {
    load<kTarget>(from);
  }
  template <int kTarget>
  static void store(void* to) {
    __builtin_memcpy(to, t_tiles.word[kTarget], 1024);
  }
  static void transpose(const TransposePiece& p) { transpose_piece_plain(p); }
  // C[m][n] += sum over even k, plus sum over odd k; each sum by fused multiply-adds from zero.
  template <int kC, int kA, int kB>
  static void dot() {
    for (int m = 0; m < 16; ++m)
      for (int n = 0; n < 16; ++n) {
        float even = 0, odd = 0;
        for (int k = 0; k < 16; ++k) {
          const uint32_t a = t_tiles.word[kA][m][k], b = t_tiles.word[kB][k][n];
          even = flushed(__builtin_fmaf(as_float(flush(a << 16)), as_float(flush(b << 16)), even));
          odd = flushed(
              __builtin_fmaf(as_float(flush(a & 0xffff0000u)), as_float(flush(b & 0xffff0000u)), odd));
        }
        uint32_t& c = t_tiles.word[kC][m][n];
        c = flush(as_bits(as_float(flush(c)) + flushed(even + odd)));
      }
  }
};

}  // namespace
}  // namespace lyceum::kernels
