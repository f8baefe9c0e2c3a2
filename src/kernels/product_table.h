// What one ISA level offers to the products: single-threaded functions over packed blocks. The portable
// macro-kernel (products.cc) blocks, packs, threads and calls them; a level's file holds raw loops only.
//
// Every product is the same sweep  C[r, c] = sum_k A[r, k] * B[k, c]  with another epilogue:
//   forward   A = rows of x          B = panels of the weight as stored         epilogue: y, or activation
//   dgrad     A = rows of dy         B = panels transposed into thread scratch  epilogue: dx
//   wgrad     A = columns of x       B = columns of dy, packed as panels        epilogue: dW += C
#pragma once

#include "kernels/layout.h"
#include "kernels/types.h"

namespace lyceum::kernels {

constexpr int kMaxPanels = 4;  // panels (16 columns each) of one sweep, at most

// A piece of a row: `width` elements from column `begin` stand at k = 0.. of the block, zeros up to `padded`.
struct Segment {
  int64_t begin, width, padded;
};

// Rows first .. first + rows of x (through gather where given) become a packed block A.
struct PackRows {
  ConstRows x;
  const int32_t* gather;
  int64_t first, rows;
  Segment segment[2];
  int segments;
};

// Columns begin .. begin + columns of the slots first .. first + slots, slots padded with zeros to k: the A
// of a weight gradient (its rows are the columns of x) or, `columns` at most 16 * kMaxPanels, its B.
struct PackColumns {
  ConstRows x;
  const int32_t* gather;
  int64_t first, slots, k;
  int64_t begin, columns;
  bool tiled = false;  // x stands as tiles of A, x.stride columns wide (no gather, begin a multiple of 32)
};

// B of dgrad: inputs begin .. begin + 16 * panels of one matrix, outputs as k.
struct TransposeWeight {
  const void* weight;  // physical order
  WeightLayout layout;
  int64_t begin;
  int panels;
  int64_t k_part;  // outputs of one part, padded
  void* to;        // [panels][k][16]
};

// Memory that a later sweep reads: `count` pieces of `bytes`, `stride` apart.
struct Prefetch {
  const char* base = nullptr;
  int64_t bytes = 0, stride = 0, count = 0;
};

enum class Epilogue : uint8_t { kStore, kActivate, kExponential, kWeightGradient };

// Panels of 16 columns whose exponentials one sum of a row collects: a fixed number, so that no cut of the
// work changes the order of a sum.
constexpr int64_t kSumPanels = 32;

struct Sweep {
  const void* a = nullptr;
  int64_t rows = 0, k = 0;  // k as packed
  int64_t a_stride = 0;     // 32-bit units between rows; 0: A stands as tiles, or as strips
  const void* panel[kMaxPanels] = {};
  int panels = 0;
  DType panel_type = DType::kBF16;  // bf16: [k/2][16][2], f32: [k][16]
  Prefetch prefetch;
  const TransposeWeight* next = nullptr;  // done during the sweep, where the level overlaps

  Epilogue epilogue = Epilogue::kStore;
  // kStore: y[r, 16 p + c] (+)= C + bias. kActivate: panels [0, panels / parts) are gates, the others ups.
  void* y = nullptr;  // also h
  DType y_type = DType::kF32;
  int64_t y_stride = 0;
  int64_t columns = 0;  // valid columns of y from its first one
  bool accumulate = false;
  const float* bias = nullptr;     // of the first column
  const float* bias_up = nullptr;  // of the first column of the second part
  Activation activation = Activation::kSilu;
  int parts = 1;
  const float* scale = nullptr;  // of the first row
  void* pre = nullptr;
  DType pre_type = DType::kF32;
  int64_t pre_stride = 0, pre_part = 0;  // pre_part: elements from a gate to its up
  // kExponential: y = exp(exponent * C - shift), lane by lane also added to row_sums [rows][16] (or begun
  // there); C of each row's target is copied out. y null: sums only.
  float exponent = 1;
  bool tiled = false;
  const float* shift = nullptr;  // of the first row; null: 0
  float* row_sums = nullptr;
  bool begins = false;
  const int32_t* target = nullptr;  // column of the matrix for the first row; negative: none
  float* target_value = nullptr;
  int64_t first_column = 0;  // of the sweep
  // kWeightGradient: rows of C are inputs. dw[p] at (row 0, column 0), pair as in WeightLayout.
  float* dw[kMaxPanels] = {};
  int pair = 2;
};

struct ProductTable {
  const char* name;
  DType operand;    // bf16: both factors are bf16; f32: A is widened, B may be either
  int row_block;    // rows of a micro-tile
  int panels;       // panels of a sweep
  int64_t k_step;   // A and B are padded to multiples of this
  bool tiled;       // A is packed as tiles; otherwise as rows, for a weight gradient as strips of its columns
                    // [columns / row_block][k][row_block] (pairs of k where operands are bf16)
  void (*begin)();  // once per task, e.g. the tile configuration
  void (*end)();
  void (*pack_rows)(const PackRows&, void* a, int64_t a_stride);
  void (*pack_columns)(const PackColumns&, void* a);
  void (*pack_panels)(const PackColumns&, void* panels);  // [panels][k][16]
  void (*transpose)(const TransposeWeight&);
  bool overlaps;  // a sweep does Sweep::next beside its own work
  void (*sweep)(const Sweep&, float* scratch);
  int64_t (*scratch_floats)(int64_t rows, int64_t k);
  void (*peak)(int64_t turns);  // nothing but the product instruction (AMX: and its loads from L1)
  double peak_flops;            // of one turn

  // Row functions, single-threaded over [begin, end).
  void (*activation_gradient)(int64_t begin, int64_t end, int64_t n, int64_t parts, Activation activation,
                              const float* scale, ConstRows pre, ConstRows dh, Rows dpre, Rows h,
                              float* dscale);
  void (*combine)(int64_t begin, int64_t end, int64_t width, const int32_t* first, const int32_t* slot,
                  ConstRows out, ConstRows residual, Rows y);
  // log sum exp(scale * z) of a row.
  double (*log_sum_exp)(const float* z, int64_t n, float scale);
  // y[i] = factor * x[i] of a row.
  void (*scale_row)(int64_t n, float factor, ConstRows x, int64_t x_row, Rows y, int64_t y_row);
};

extern const ProductTable kProductsAvx2, kProductsAvx512, kProductsAvx512Bf16, kProductsAmx,
    kProductsAmxEmulated;

}  // namespace lyceum::kernels
