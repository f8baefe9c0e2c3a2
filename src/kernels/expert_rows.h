// Row passes of the routed feed-forward network that the fused products do not hold: activations of more than
// a gate and an up row, and the biases of the second product.
#pragma once

#include "base/random.h"
#include "kernels/products.h"

namespace lyceum::kernels {

// How many rows of width n stand in `pre` for these activations; 0 for those that the products hold.
//   kClampedSwiglu (gpt-oss)  a = min(gate, limit), u = clamp(up, limit):  h = (u + 1) a sigmoid(1.702 a)
//   kDoubleGated (OpenMoE)    h = z1 silu(z2) z3
int64_t composite_parts(Activation activation);

// h[s] = scale[s] * act(pre[s]);  scale [slots] nullable. pre [slots, parts * n], h [slots, n]
void composite_activation(int64_t slots, int64_t n, Activation activation, float limit, const float* scale,
                          ConstRows pre, Rows h);
// From dh (of h / scale): dpre, h again, dscale[s] = sum dh act(pre). h and dscale where their pointers are
// set. No gradient beyond the limit.
void composite_gradient(int64_t slots, int64_t n, Activation activation, float limit, const float* scale,
                        ConstRows pre, ConstRows dh, Rows dpre, Rows h, float* dscale);

// y[s] += scale[s] * bias[g(s)];  bias [groups, n], scale nullable (1).
void add_gated_bias(const Groups& groups, int64_t n, const float* bias, const float* scale, Rows y);
// dbias[g] += sum_s scale[s] dy[row(s)], dscale[s] += dy[row(s)] . bias[g(s)]; both nullable.
void gated_bias_gradient(const Groups& groups, int64_t n, const float* bias, const float* scale, ConstRows dy,
                         const int32_t* gather, float* dbias, float* dscale);

// Dropout of hidden rows: element i of slot s becomes 0, or is divided by the share that stays, as `key` says
// for (edge[s], i). The rate is taken to the nearest 1 / 65536.                          h [slots, n]
void drop_elements(int64_t slots, int64_t n, float rate, const RandomKey& key, const int32_t* edge, Rows h);

}  // namespace lyceum::kernels
