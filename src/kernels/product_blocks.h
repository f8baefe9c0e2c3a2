// The work of one product call cut into tasks, and the memory a worker keeps between tasks.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/product_table.h"
#include "kernels/products.h"

namespace lyceum::kernels {

// Rows first .. first + rows of a group times panels panel .. panel + panels (of 16 columns, all parts
// counted one after the other where the product walks parts).
struct ProductTask {
  int64_t group, first, rows, panel, panels;
};

// The table for operands of these types at the level in force, or null for the reference.
const ProductTable* product_table(DType x, DType w);

// Bytes of L2 that a packed block of rows may take.
int64_t packed_budget();

// Cuts groups into blocks of at most max_rows rows and enough pieces of columns to keep every thread busy.
// Results never depend on the cut. The vector is kept by the calling thread.
const std::vector<ProductTask>& cut_rows(const Groups& groups, int64_t row_block, int64_t max_rows,
                                         int64_t panels, int64_t panel_step);

// The products of the head. Between them E [tokens, outputs] stands as the level's sweeps read their A, so
// that it is never packed: tiles where the level is tiled, else rows.
struct PackedRows {
  void* data = nullptr;
  DType type = DType::kBF16;  // the level's operand
  int64_t stride = 0;         // columns of a row, padding included
};
PackedRows packed_rows(const ProductTable& table, int64_t columns);  // data still null
int64_t packed_bytes(const PackedRows& rows, int64_t n);

// y[t, v] = exp(exponent * x[t] . W[v] - shift[t]) (shift null: 0; y.data null: not stored), where
// row_sums[(piece * tokens + t) * 16 .. + 16] together hold the sum over the columns of piece v / (16
// kSumPanels), and target_value[t] = x[t] . W[target[t]] where target[t] >= 0.
void exponential_product(const ProductTable& table, int64_t tokens, ConstRows x, const Weights& w,
                         float exponent, const float* shift, const int32_t* target, PackedRows y,
                         float* row_sums, float* target_value);
// W as the panels of a dgrad.
void transpose_weights(const ProductTable& table, const Weights& w, void* panels);
// dx = E W.
void packed_dgrad(const ProductTable& table, int64_t tokens, PackedRows e, const void* panels, int64_t k,
                  Rows dx);
// dW += E^T x; squares as product_wgrad has it.
void packed_wgrad(const ProductTable& table, int64_t tokens, PackedRows e, ConstRows x,
                  const WeightLayout& layout, float* dw, double* squares);

// 64-byte aligned memory of the calling thread, at least `bytes`, kept; `use` 0..3 separates buffers.
void* worker_memory(int use, int64_t bytes);

}  // namespace lyceum::kernels
