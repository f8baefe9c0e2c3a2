#include "kernels/head.h"

#include "kernels/products_reference.h"
#include "kernels/rows_access.h"

namespace lyceum::kernels {

void linear_log_prob(int64_t tokens, ConstRows x, const Weights& w, float scale, const int32_t* targets,
                     float* log_prob, float* logsumexp, int32_t* argmax) {
  reference::linear_log_prob(tokens, x, w, scale, targets, log_prob, logsumexp, argmax);
}

void linear_log_prob_gradient(int64_t tokens, ConstRows x, const Weights& w, float scale,
                              const int32_t* targets, const float* logsumexp, const float* dlog_prob,
                              const float* dlogsumexp, Rows dx, float* dw) {
  reference::linear_log_prob_gradient(tokens, x, w, scale, targets, logsumexp, dlog_prob, dlogsumexp, dx, dw);
}

void linear_cross_entropy(int64_t tokens, ConstRows x, const Weights& w, float scale, const int32_t* targets,
                          const float* weight, const float* z_weight, float* log_prob, float* logsumexp,
                          Rows dx, float* dw) {
  linear_log_prob(tokens, x, w, scale, targets, log_prob, logsumexp, nullptr);
  std::vector<float>&dlog_prob = scratch<float, 3>(tokens), &dlogsumexp = scratch<float, 4>(tokens);
  for (int64_t t = 0; t < tokens; ++t) {
    dlog_prob[t] = -weight[t];
    dlogsumexp[t] = z_weight ? 2 * z_weight[t] * logsumexp[t] : 0;
  }
  linear_log_prob_gradient(tokens, x, w, scale, targets, logsumexp, dlog_prob.data(), dlogsumexp.data(), dx,
                           dw);
}

}  // namespace lyceum::kernels
