// What noisy routers share (Shazeer et al. 2017, arXiv:1701.06538): noisy logits and the losses that need the
// noise. Everything is f32 and differentiable.
#pragma once

#include "moe/router.h"

namespace lyceum {

// H = clean + normal * (softplus(raw) + floor); `normal` is noise, no input.       all [tokens, n_experts]
Tensor noisy_logits(Tape& tape, const Tensor& clean, const Tensor& raw, const Tensor& normal, float floor);

// Load_e = sum over tokens of P(x, e), the probability that expert e would be among the k largest of its
// group if only its own noise were drawn again:
//   P(x, e) = Phi((clean_e - limit) / (softplus(raw_e) + floor)),  limit = the k-th largest H without e
// Experts stand in `groups` groups of n_experts / groups, each with a choice of its own; member [tokens,
// groups] u8 says which tokens went to which group (empty: all). With k = all of a group the hard count,
// without gradient.                                                                                  ->
// [n_experts]
struct SmoothLoad {
  int64_t k = 1, groups = 1;
  float floor = 0;
  Tensor member;
};
Tensor smooth_load(Tape& tape, const Tensor& clean, const Tensor& raw, const Tensor& noisy,
                   const SmoothLoad& s);

// Importance_e = sum of the gates of e's edges                                     gate, expert ->
// [n_experts]
Tensor importance_of(Tape& tape, const Tensor& gate, const Tensor& expert, int64_t n_experts);

// CV^2 = variance / (mean^2 + 1e-10), the variance over n - 1; 0 for a single expert.             x [n] ->
// [1]
Tensor cv_squared(Tape& tape, const Tensor& x);

// y[i] = a[j] * b[i] * scale[j], j = i / (n / m); scale [m] f32 or empty (all 1)                a of m, b of
// n elements, scale not differentiated
Tensor spread_multiply(Tape& tape, const Tensor& a, const Tensor& b, const Tensor& scale = {});

}  // namespace lyceum
