// The AVX-512 intrinsics of src/kernels as functions in AVX2, so that the kernels of those levels run, and
// are tested, on every CPU with AVX2. This folder stands first among the include paths of
// lyceum_kernels_emulated (tests/CMakeLists.txt), a second copy of the kernels in which -mavx512f and
// -mavx512bf16 became the two definitions below; files of other levels get the compiler's header and nothing
// else.
//
// An intrinsic that a kernel newly uses needs its function in avx512_*.h, its name here and its row in
// tests/emulated/cases_avx512.cc, which is held against the instruction where the CPU has it.
#pragma once

#include_next <immintrin.h>

#ifdef LYCEUM_AVX512F_EMULATED
#include "avx512_floats.h"

#define __AVX512F__ 1
#undef _mm512_loadu_ps
#define _mm512_loadu_ps lyceum_emulated::loadu_ps
#undef _mm512_storeu_ps
#define _mm512_storeu_ps lyceum_emulated::storeu_ps
#undef _mm512_store_pd
#define _mm512_store_pd lyceum_emulated::store_pd
#undef _mm512_loadu_si512
#define _mm512_loadu_si512 lyceum_emulated::loadu_si512
#undef _mm512_storeu_si512
#define _mm512_storeu_si512 lyceum_emulated::storeu_si512
#undef _mm512_store_si512
#define _mm512_store_si512 lyceum_emulated::store_si512
#undef _mm512_maskz_loadu_ps
#define _mm512_maskz_loadu_ps lyceum_emulated::maskz_loadu_ps
#undef _mm512_maskz_loadu_epi16
#define _mm512_maskz_loadu_epi16 lyceum_emulated::maskz_loadu_epi16
#undef _mm512_mask_storeu_ps
#define _mm512_mask_storeu_ps lyceum_emulated::mask_storeu_ps
#undef _mm512_mask_storeu_epi16
#define _mm512_mask_storeu_epi16 lyceum_emulated::mask_storeu_epi16
#undef _mm512_mask_storeu_epi32
#define _mm512_mask_storeu_epi32 lyceum_emulated::mask_storeu_epi32
#undef _mm512_setzero_si512
#define _mm512_setzero_si512 lyceum_emulated::setzero_si512
#undef _mm512_set1_epi32
#define _mm512_set1_epi32 lyceum_emulated::set1_epi32
#undef _mm512_setr_epi32
#define _mm512_setr_epi32 lyceum_emulated::setr_epi32
#undef _mm512_setr_epi64
#define _mm512_setr_epi64 lyceum_emulated::setr_epi64
#undef _mm512_broadcast_i32x4
#define _mm512_broadcast_i32x4 lyceum_emulated::broadcast_i32x4
#undef _mm512_mask_mov_epi32
#define _mm512_mask_mov_epi32 lyceum_emulated::mask_mov_epi32
#undef _mm512_mask_blend_ps
#define _mm512_mask_blend_ps lyceum_emulated::mask_blend_ps
#undef _mm512_mask_blend_epi16
#define _mm512_mask_blend_epi16 lyceum_emulated::mask_blend_epi16
#undef _mm512_add_epi32
#define _mm512_add_epi32 lyceum_emulated::add_epi32
#undef _mm512_sub_epi32
#define _mm512_sub_epi32 lyceum_emulated::sub_epi32
#undef _mm512_max_epi32
#define _mm512_max_epi32 lyceum_emulated::max_epi32
#undef _mm512_and_si512
#define _mm512_and_si512 lyceum_emulated::and_si512
#undef _mm512_or_si512
#define _mm512_or_si512 lyceum_emulated::or_si512
#undef _mm512_xor_si512
#define _mm512_xor_si512 lyceum_emulated::xor_si512
#undef _mm512_mask_or_epi32
#define _mm512_mask_or_epi32 lyceum_emulated::mask_or_epi32
#undef _mm512_slli_epi32
#define _mm512_slli_epi32 lyceum_emulated::slli_epi32
#undef _mm512_srli_epi32
#define _mm512_srli_epi32 lyceum_emulated::srli_epi32
#undef _mm512_srai_epi32
#define _mm512_srai_epi32 lyceum_emulated::srai_epi32
#undef _mm512_cmpeq_epi32_mask
#define _mm512_cmpeq_epi32_mask lyceum_emulated::cmpeq_epi32_mask
#undef _mm512_cmpgt_epi32_mask
#define _mm512_cmpgt_epi32_mask lyceum_emulated::cmpgt_epi32_mask
#undef _mm512_test_epi32_mask
#define _mm512_test_epi32_mask lyceum_emulated::test_epi32_mask
#undef _mm512_cvtepu16_epi32
#define _mm512_cvtepu16_epi32 lyceum_emulated::cvtepu16_epi32
#undef _mm512_cvtepi16_epi32
#define _mm512_cvtepi16_epi32 lyceum_emulated::cvtepi16_epi32
#undef _mm512_cvtepi32_epi16
#define _mm512_cvtepi32_epi16 lyceum_emulated::cvtepi32_epi16
#undef _mm512_unpacklo_epi16
#define _mm512_unpacklo_epi16 lyceum_emulated::unpacklo_epi16
#undef _mm512_unpackhi_epi16
#define _mm512_unpackhi_epi16 lyceum_emulated::unpackhi_epi16
#undef _mm512_unpacklo_epi32
#define _mm512_unpacklo_epi32 lyceum_emulated::unpacklo_epi32
#undef _mm512_unpackhi_epi32
#define _mm512_unpackhi_epi32 lyceum_emulated::unpackhi_epi32
#undef _mm512_unpacklo_epi64
#define _mm512_unpacklo_epi64 lyceum_emulated::unpacklo_epi64
#undef _mm512_unpackhi_epi64
#define _mm512_unpackhi_epi64 lyceum_emulated::unpackhi_epi64
#undef _mm512_shuffle_epi8
#define _mm512_shuffle_epi8 lyceum_emulated::shuffle_epi8
#undef _mm512_permutex2var_epi64
#define _mm512_permutex2var_epi64 lyceum_emulated::permutex2var_epi64
#undef _mm512_permutex2var_ps
#define _mm512_permutex2var_ps lyceum_emulated::permutex2var_ps
#undef _mm512_setzero_ps
#define _mm512_setzero_ps lyceum_emulated::setzero_ps
#undef _mm512_setzero_pd
#define _mm512_setzero_pd lyceum_emulated::setzero_pd
#undef _mm512_set1_ps
#define _mm512_set1_ps lyceum_emulated::set1_ps
#undef _mm512_add_ps
#define _mm512_add_ps lyceum_emulated::add_ps
#undef _mm512_min_ps
#define _mm512_min_ps lyceum_emulated::min_ps
#undef _mm512_max_ps
#define _mm512_max_ps lyceum_emulated::max_ps
#undef _mm512_sqrt_ps
#define _mm512_sqrt_ps lyceum_emulated::sqrt_ps
#undef _mm512_fmadd_ps
#define _mm512_fmadd_ps lyceum_emulated::fmadd_ps
#undef _mm512_fnmadd_ps
#define _mm512_fnmadd_ps lyceum_emulated::fnmadd_ps
#undef _mm512_fmadd_pd
#define _mm512_fmadd_pd lyceum_emulated::fmadd_pd
#undef _mm512_xor_ps
#define _mm512_xor_ps lyceum_emulated::xor_ps
#undef _mm512_unpacklo_ps
#define _mm512_unpacklo_ps lyceum_emulated::unpacklo_ps
#undef _mm512_unpackhi_ps
#define _mm512_unpackhi_ps lyceum_emulated::unpackhi_ps
#undef _mm512_unpacklo_pd
#define _mm512_unpacklo_pd lyceum_emulated::unpacklo_pd
#undef _mm512_unpackhi_pd
#define _mm512_unpackhi_pd lyceum_emulated::unpackhi_pd
#undef _mm512_cvtps_epi32
#define _mm512_cvtps_epi32 lyceum_emulated::cvtps_epi32
#undef _mm512_cvtepi32_ps
#define _mm512_cvtepi32_ps lyceum_emulated::cvtepi32_ps
#undef _mm512_cvtps_pd
#define _mm512_cvtps_pd lyceum_emulated::cvtps_pd
#undef _mm512_cvtph_ps
#define _mm512_cvtph_ps lyceum_emulated::cvtph_ps
#undef _mm512_scalef_ps
#define _mm512_scalef_ps lyceum_emulated::scalef_ps
#undef _mm512_rcp14_ps
#define _mm512_rcp14_ps lyceum_emulated::rcp14_ps
#undef _mm512_castps_si512
#define _mm512_castps_si512 lyceum_emulated::castps_si512
#undef _mm512_castsi512_ps
#define _mm512_castsi512_ps lyceum_emulated::castsi512_ps
#undef _mm512_castps_pd
#define _mm512_castps_pd lyceum_emulated::castps_pd
#undef _mm512_castpd_ps
#define _mm512_castpd_ps lyceum_emulated::castpd_ps
#undef _mm512_castps512_ps256
#define _mm512_castps512_ps256 lyceum_emulated::castps512_ps256
#undef _mm512_castsi512_si256
#define _mm512_castsi512_si256 lyceum_emulated::castsi512_si256
#undef _mm256_maskz_loadu_epi16
#define _mm256_maskz_loadu_epi16 lyceum_emulated::maskz_loadu_epi16_256
#undef _mm_maskz_loadu_epi16
#define _mm_maskz_loadu_epi16 lyceum_emulated::maskz_loadu_epi16_128
#undef _mm256_mask_storeu_epi32
#define _mm256_mask_storeu_epi32 lyceum_emulated::mask_storeu_epi32_256
#undef _mm256_mask_storeu_epi16
#define _mm256_mask_storeu_epi16 lyceum_emulated::mask_storeu_epi16_256
// What an instruction holds in itself is a constant.
#undef _mm512_cmp_ps_mask
#define _mm512_cmp_ps_mask(a, b, how) lyceum_emulated::cmp_ps_mask<(how)>(a, b)
#undef _mm512_shuffle_i32x4
#define _mm512_shuffle_i32x4(a, b, how) lyceum_emulated::shuffle_i32x4<(how)>(a, b)
#undef _mm512_shuffle_f32x4
#define _mm512_shuffle_f32x4(a, b, how) lyceum_emulated::shuffle_f32x4<(how)>(a, b)
#undef _mm512_extractf32x8_ps
#define _mm512_extractf32x8_ps(a, how) lyceum_emulated::extractf32x8_ps<(how)>(a)
#undef _mm512_extracti32x8_epi32
#define _mm512_extracti32x8_epi32(a, how) lyceum_emulated::extracti32x8_epi32<(how)>(a)
#undef _mm512_roundscale_ps
#define _mm512_roundscale_ps(a, how) lyceum_emulated::roundscale_ps<(how)>(a)
#undef _mm512_reduce_ps
#define _mm512_reduce_ps(a, how) lyceum_emulated::reduce_ps<(how)>(a)
#undef _mm512_cvtps_ph
#define _mm512_cvtps_ph(a, how) lyceum_emulated::cvtps_ph<(how)>(a)
#endif

#ifdef LYCEUM_AVX512BF16_EMULATED
#define __AVX512BF16__ 1
#undef _mm512_dpbf16_ps
#define _mm512_dpbf16_ps lyceum_emulated::dpbf16_ps
#undef _mm512_cvtneps_pbh
#define _mm512_cvtneps_pbh lyceum_emulated::cvtneps_pbh
#undef _mm512_cvtne2ps_pbh
#define _mm512_cvtne2ps_pbh lyceum_emulated::cvtne2ps_pbh
#endif
