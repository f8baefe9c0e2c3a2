// The output matrix and what stands on it, by blocks of rows and vocabulary: all logits never exist at once.
#pragma once

#include "kernels/products.h"

namespace lyceum::kernels {

// logsumexp[t] = log sum_v exp(scale * x[t] . W[v]);  log_prob[t] = scale * x[t] . W[targets[t]] -
// logsumexp[t]; argmax[t] (nullable) the id of the largest logit, ties to the lower id. Rows with targets[t]
// < 0 get log_prob 0.
void linear_log_prob(int64_t tokens, ConstRows x, const Weights& w, float scale, const int32_t* targets,
                     float* log_prob, float* logsumexp, int32_t* argmax);

// A bias in `w` is added before the scale; db [vocab] += scale * sum_t dlogit (nullable).
// Gradient of sum_t (dlog_prob[t] * log_prob[t] + dlogsumexp[t] * logsumexp[t]); dlogsumexp nullable. Logits
// are computed again block by block:
//   dlogit[t, v] = dlog_prob[t] * ([v = target] - p) + dlogsumexp[t] * p,   p = exp(logit - logsumexp)
//   dx = scale * dlogit W (written),   dW += scale * dlogit^T x (f32, physical order of w).
// squares (nullable): the sum of the squares of dW afterwards.
void linear_log_prob_gradient(int64_t tokens, ConstRows x, const Weights& w, float scale,
                              const int32_t* targets, const float* logsumexp, const float* dlog_prob,
                              const float* dlogsumexp, Rows dx, float* dw, float* db = nullptr,
                              double* squares = nullptr);

// Training's cross-entropy in one pass (each block of logits is computed once and used for loss, dx and dW):
// forward of linear_log_prob and gradient of  -sum_t weight[t] * log_prob[t] + z_weight[t] * logsumexp[t]^2.
void linear_cross_entropy(int64_t tokens, ConstRows x, const Weights& w, float scale, const int32_t* targets,
                          const float* weight, const float* z_weight, float* log_prob, float* logsumexp,
                          Rows dx, float* dw, float* db = nullptr, double* squares = nullptr);

}  // namespace lyceum::kernels
