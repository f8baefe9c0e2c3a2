// The physical order of a weight matrix: what the products read and what the optimiser updates.
//
// A logical matrix is [parts * n, k] = [out, in], as checkpoints have it (parts = 2 for gate over up). Its
// physical order is by panels of 16 outputs: within a panel the inputs come in pairs, so that one 64-byte
// load holds 16 outputs x 2 inputs (bf16) and 16 such loads are one AMX tile:
//
//   bf16:  [parts][n / 16][k / 2][16][2]      n padded to 16, k to 32, padding is zero and stays zero
//   f32:   [parts][n / 16][k][16]             n padded to 16
//
// One layout for all ISA levels: the same memory serves AMX, vdpbf16ps, AVX-512 and AVX2, and files never
// show it. Gradients, moments and the master's residual use the order of their weight (the order is decided
// by the weight's dtype, not by theirs).
#pragma once

#include "kernels/types.h"

namespace lyceum {

struct WeightLayout {
  int64_t parts = 1, n = 0, k = 0;
  DType type = DType::kBF16;  // dtype of the weight; decides the order

  static constexpr int64_t kPanel = 16;
  constexpr int64_t pair() const { return type == DType::kBF16 ? 2 : 1; }
  constexpr int64_t n_padded() const { return (n + kPanel - 1) / kPanel * kPanel; }
  constexpr int64_t k_padded() const { return type == DType::kBF16 ? (k + 31) / 32 * 32 : k; }
  constexpr int64_t panel_size() const { return kPanel * k_padded(); }        // elements
  constexpr int64_t size() const { return parts * n_padded() * k_padded(); }  // elements of one matrix
  // Physical position of logical element [part * n + row, column].
  constexpr int64_t index(int64_t part, int64_t row, int64_t column) const {
    return ((part * n_padded() + row / kPanel * kPanel) * k_padded()) + column / pair() * (kPanel * pair()) +
           row % kPanel * pair() + column % pair();
  }
  constexpr bool operator==(const WeightLayout&) const = default;
};

// Copies one matrix between logical [parts * n, k] row major and physical order; elements of 2 or 4 bytes.
// pack() writes zeros into the padding.
void pack_weight(const WeightLayout& layout, const void* logical, void* physical, size_t element_size);
void unpack_weight(const WeightLayout& layout, const void* physical, void* logical, size_t element_size);

}  // namespace lyceum
