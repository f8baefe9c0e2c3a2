// Kernels of routers that no other layer wants: elementary functions over scores, and the attention of
// experts to each other. f32, threaded, the same bits at any thread count.
#pragma once

#include <cstdint>

namespace lyceum::kernels {

enum class ScoreMap {
  kSigmoid,        // 1 / (1 + e^-x)
  kSoftplus,       // ln(1 + e^x)
  kNormalShare,    // of a standard normal below x
  kNormalDensity,  // e^(-x^2 / 2) / sqrt(2 pi)
  kNormalRadius,   // sqrt(-2 ln x), x in (0, 1]: Box & Muller's
  kSine,
  kCosine,
  kGumbel  // -ln(-ln x), x cut to [1e-6, 1 - 1e-6]: adding it to logits and taking the largest draws from
           // their softmax
};
// y[i] = f(x[i]); y may be x.
void map(ScoreMap f, int64_t n, const float* x, float* y);

// Per row, in rows of n:  A[i, j] = softmax over j of q_i k_j,  r_i = sum_j A[i, j] v_j
void expert_attention(int64_t rows, int64_t n, const float* q, const float* k, const float* v, float* r);
// dv_j = sum_i A_ij dr_i,  dS_ij = A_ij dr_i (v_j - r_i),  dq_i = sum_j dS_ij k_j,  dk_j = sum_i dS_ij q_i
void expert_attention_gradient(int64_t rows, int64_t n, const float* q, const float* k, const float* v,
                               const float* r, const float* dr, float* dq, float* dk, float* dv);

}  // namespace lyceum::kernels
