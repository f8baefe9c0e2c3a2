// The products on AMX bf16 tiles. Compiled with AMX and AVX-512 flags: raw loops only, no weak symbols.
#include <immintrin.h>

#include "kernels/product_pack_avx512.h"
#include "kernels/product_pack_plain.h"
#include "kernels/product_tiles.h"
#ifdef LYCEUM_EMULATED_ISA
#include "kernels/product_tiles_emulated.h"
#endif

namespace lyceum::kernels {
namespace {

#ifdef LYCEUM_EMULATED_ISA  // what is tested then is everything around the tiles
struct AmxTiles : EmulatedTiles {
  LYCEUM_INLINE void transpose(const TransposePiece& p) { transpose_piece_avx512(p); }
};
void configure_tiles() {}
void release_tiles() {}
#else
// GCC's intrinsics want literal tile numbers, hence the instructions themselves.
struct AmxTiles {
  template <int kTarget>
  LYCEUM_INLINE void zero() {
    __asm__ volatile("tilezero %%tmm%c0" ::"i"(kTarget));
  }
  template <int kTarget>
  LYCEUM_INLINE void load(const void* from) {
    __asm__ volatile("tileloadd (%0,%1,1), %%tmm%c2" ::"r"(from), "r"(64l), "i"(kTarget) : "memory");
  }
  template <int kTarget>
  LYCEUM_INLINE void stream(const void* from) {
    __asm__ volatile("tileloaddt1 (%0,%1,1), %%tmm%c2" ::"r"(from), "r"(64l), "i"(kTarget) : "memory");
  }
  template <int kTarget>
  LYCEUM_INLINE void store(void* to) {
    __asm__ volatile("tilestored %%tmm%c2, (%0,%1,1)" ::"r"(to), "r"(64l), "i"(kTarget) : "memory");
  }
  LYCEUM_INLINE void transpose(const TransposePiece& p) { transpose_piece_avx512(p); }
  template <int kC, int kA, int kB>
  LYCEUM_INLINE void dot() {
    __asm__ volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(kC), "i"(kA), "i"(kB));
  }
};

// All eight tiles 16 rows of 64 bytes (palette 1).
void configure_tiles() {
  struct alignas(64) {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
  } config;
  __builtin_memset(&config, 0, sizeof config);
  config.palette = 1;
  for (int i = 0; i < 8; ++i) config.row_bytes[i] = 64, config.rows[i] = 16;
  __asm__ volatile("ldtilecfg %0" ::"m"(config) : "memory");
}
void release_tiles() { _tile_release(); }
#endif

}  // namespace

constinit const ProductTable kProductsAmx = {
    .name = "amx",
    .operand = DType::kBF16,
    .row_block = 32,
    .panels = 2,
    .k_step = 32,
    .tiled = true,
    .begin = configure_tiles,
    .end = release_tiles,
    .pack_rows = pack_rows_tiles,
    .pack_columns = pack_columns_tiles,
    .pack_panels = pack_panels_bf16,
    .transpose = transpose_bf16,
    .overlaps = true,
    .sweep = sweep_tiles<AmxTiles>,
    .scratch_floats = tiles_scratch,
    .peak = tiles_peak<AmxTiles>,
    .peak_flops = kTilesPeakFlops,
    .activation_gradient = activation_gradient_rows,
    .combine = combine_rows,
    .log_sum_exp = log_sum_exp_row,
    .scale_row = scale_row,
};

}  // namespace lyceum::kernels
