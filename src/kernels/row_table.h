// The table of single-threaded row functions, one per instruction set; rowwise.cc and optimizer.cc cut the
// work into blocks and call the entries of the level in force. Included by files compiled with ISA flags:
// pointers and plain structs only. Arguments mean what they mean in rowwise.h and optimizer.h; rows are those
// of one block, and dw, db are the block's own partial sums, added to.
#pragma once

#include "kernels/optimizer.h"
#include "kernels/scores.h"
#include "kernels/types.h"

namespace lyceum::kernels {

constexpr int64_t kMaxRotary = 1024;
constexpr int64_t kMaxAttentiveExperts = 1024;  // of the vector levels; the reference has no limit

struct RowTable {
  void (*rms_norm)(int64_t rows, int64_t width, const Rows& x, const ConstRows& add, const float* w,
                   float eps, const Rows& y, float* inv);
  void (*rms_norm_gradient)(int64_t rows, int64_t width, const ConstRows& x, const float* w, const float* inv,
                            const ConstRows& dy, const Rows& dx, bool accumulate, float* dw);
  void (*layer_norm)(int64_t rows, int64_t width, const ConstRows& x, const float* w, const float* b,
                     float eps, const Rows& y, float* mean, float* inv);
  void (*layer_norm_gradient)(int64_t rows, int64_t width, const ConstRows& x, const float* w,
                              const float* mean, const float* inv, const ConstRows& dy, const Rows& dx,
                              bool accumulate, float* dw, float* db);
  void (*rope)(int64_t rows, int64_t n_heads, int64_t d_head, int64_t rotary, bool interleaved,
               const int32_t* positions, const float* inverse_frequency, float scale, int sign,
               const Rows& x);  // rotary <= kMaxRotary
  void (*softmax)(int64_t rows, int64_t width, const float* x, float* p, float* logsumexp);
  void (*softmax_gradient)(int64_t rows, int64_t width, const float* p, const float* dp, float* dx,
                           bool accumulate);
  void (*top_k)(int64_t rows, int64_t width, int64_t k, const float* x, float* value, int32_t* index);
  void (*convert)(int64_t n, const void* from, DType from_type, void* to, DType to_type);  // f32, bf16, f16
  void (*add)(int64_t n, const void* a, const void* b, void* y, DType type);
  void (*accumulate)(int64_t n, const void* x, DType x_type, void* y, DType y_type);
  void (*scale)(int64_t n, float factor, void* x, DType type);
  void (*clamp)(int64_t n, float bound, void* x, DType type);
  void (*clamp_gradient)(int64_t n, float bound, const void* x, void* dx, DType type);
  void (*adamw_f32)(int64_t n, const AdamStep& step, float* weight, float* gradient, float* m, float* v);
  void (*adamw_bf16)(int64_t n, const AdamStep& step, bf16* weight, int16_t* residual, float* gradient,
                     float* m, float* v);
  void (*descend)(int64_t n, float keep, float step, bf16* weight, int16_t* residual, float* direction);
  double (*sum_of_squares)(int64_t n, const float* x);
  void (*map)(ScoreMap f, int64_t n, const float* x, float* y);
  void (*expert_attention)(int64_t rows, int64_t n, const float* q, const float* k, const float* v, float* r);
  void (*expert_attention_gradient)(int64_t rows, int64_t n, const float* q, const float* k, const float* v,
                                    const float* r, const float* dr, float* dq, float* dk, float* dv);
};

extern const RowTable kRowsReference, kRowsAvx2, kRowsAvx512;

// The table of the level in force (isa.h). Look it up once per op, outside loops.
const RowTable& row_table();

}  // namespace lyceum::kernels
