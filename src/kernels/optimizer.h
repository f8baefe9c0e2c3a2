// Optimiser steps over contiguous memory in physical order, clipping and rounding in the same pass.
//
// A bf16 weight and an int16 residual together are the exact f32 master:  bits(master) = (weight << 16) +
// residual, the weight being the master rounded to nearest (halves up). 2 + 2 + 8 (moments) + 4 (gradient) =
// 16 bytes each.
#pragma once

#include "kernels/types.h"

namespace lyceum::kernels {

static inline float master_of(bf16 weight, int16_t residual) {
  const uint32_t bits =
      (static_cast<uint32_t>(weight.bits) << 16) + static_cast<uint32_t>(static_cast<int32_t>(residual));
  float f;
  std::memcpy(&f, &bits, 4);
  return f;
}
static inline void split_master(float master, bf16* weight, int16_t* residual) {
  uint32_t bits;
  std::memcpy(&bits, &master, 4);
  weight->bits = static_cast<uint16_t>((bits + 0x8000u) >> 16);
  *residual = static_cast<int16_t>(bits - (static_cast<uint32_t>(weight->bits) << 16));
}

struct AdamStep {
  float lr, beta1, beta2, eps, weight_decay;
  float correction1, correction2;  // 1 - beta1^step, 1 - beta2^step
  float gradient_scale;            // clipping and loss scaling, multiplied into each gradient
  bool clear_gradient = true;      // leaves zeros for the next accumulation
};

// AdamW (Loshchilov & Hutter 2019): m = b1 m + (1-b1) g; v = b2 v + (1-b2) g^2;
// w = w (1 - lr wd) - lr (m / c1) / (sqrt(v / c2) + eps).
void adamw(int64_t n, const AdamStep& step, float* weight, float* gradient, float* m, float* v);
void adamw(int64_t n, const AdamStep& step, bf16* weight, int16_t* residual, float* gradient, float* m,
           float* v);

// w = keep w - step direction; the direction is left zero.
void descend(int64_t n, float keep, float step, bf16* weight, int16_t* residual, float* direction);

// Sum of squares in double, in fixed blocks added in order; infinite or NaN if any element is.
double sum_of_squares(int64_t n, const float* x);

}  // namespace lyceum::kernels
