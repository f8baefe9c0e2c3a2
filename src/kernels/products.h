// Products of ragged rows with weight matrices: the dense layers (one group) and the routed FFN (one group
// per expert). Threaded; one parallel region per call; the same bits at any thread count; no allocation after
// warm-up.
//
// Conventions: W[g] is [out = parts * n, in = k], stored in WeightLayout order. Slots (rows) first[g] ..
// first[g + 1] multiply W[g]; a group may be empty. `gather`, where given, names the source row of a slot, so
// that the rows of a token chosen by several experts are read in place. Sums are f32; a bf16 result is
// rounded once.
#pragma once

#include "kernels/layout.h"
#include "kernels/types.h"

namespace lyceum::kernels {

struct Groups {
  int64_t n = 1;
  const int32_t* first = nullptr;  // [n + 1], ascending, first[0] = 0
  int64_t slots() const { return first[n]; }
};

struct Weights {
  const void* data = nullptr;
  WeightLayout layout;
  int64_t stride = 0;           // elements between matrices; layout.size() when contiguous
  const float* bias = nullptr;  // nullable, [groups, parts * n] logical order
};

// y[s, o] (+)= sum_i x[row(s), i] * W[g(s)][o, i] + bias[g(s)][o]            y [slots, parts * n]
void product(const Groups& groups, ConstRows x, const int32_t* gather, const Weights& w, Rows y,
             bool accumulate = false);

// pre[s] = x[row(s)] W[g]^T (+ bias), gate = pre[s, 0:n], up = pre[s, n:2n] (parts = 2);
// h[s] = scale[s] * act(gate) * up      or, with parts = 1, scale[s] * act(pre).
// pre [slots, parts * n] is saved for the gradient when its pointer is set; h [slots, n]; scale [slots]
// nullable (= 1).
void activated_product(const Groups& groups, ConstRows x, const int32_t* gather, const Weights& w,
                       Activation activation, const float* scale, Rows pre, Rows h);

// dx[s, i] (+)= sum_o dy[row(s), o] * W[g(s)][o, i]                         dx [slots, k]
void product_dgrad(const Groups& groups, ConstRows dy, const int32_t* gather, const Weights& w, Rows dx,
                   bool accumulate = false);

// Gradient of activated_product: from dh [slots, n] (gradient of h / scale, that is before scaling) and pre:
//   dpre[s] = scale[s] * d(act(gate) * up),  h[s] = scale[s] * act(gate) * up (again, for the next wgrad),
//   dscale[s] = sum_n dh[s] * act(gate) * up.
// h and dscale are written where their pointers are set. dh may alias dpre only when parts = 1.
void activation_gradient(int64_t slots, int64_t n, int64_t parts, Activation activation, const float* scale,
                         ConstRows pre, ConstRows dh, Rows dpre, Rows h, float* dscale);

// dW[g][o, i] += sum_s dy[dy_row(s), o] * x[x_row(s), i]; f32, in the physical order of `layout`, stride
// elements between groups. Work is cut by output tile, never by slots: the sum over slots has one order.
// squares, where given: the sum of the squares of all groups' dW afterwards, taken while its tiles are in
// cache.
void product_wgrad(const Groups& groups, ConstRows dy, const int32_t* dy_gather, ConstRows x,
                   const int32_t* x_gather, const WeightLayout& layout, float* dw, int64_t stride,
                   double* squares = nullptr);

// dbias[g, o] += sum_s dy[s, o]                                             [groups, parts * n]
void bias_gradient(const Groups& groups, ConstRows dy, int64_t n, float* dbias);

// y[t] = sum of out[slot[e]] over the edges e of token t in ascending order of e, plus residual[t] where
// given. first [tokens + 1] edges of each token; slot [edges] or -1 for an edge that was dropped.       y
// [tokens, width]
void combine(int64_t tokens, int64_t width, const int32_t* first, const int32_t* slot, ConstRows out,
             ConstRows residual, Rows y);

}  // namespace lyceum::kernels
