// The plain implementation of products.h and head.h: always built, the oracle of every other level, the last
// choice where no other runs. Sums are double; a result is rounded once.
#pragma once

#include "kernels/head.h"
#include "kernels/products.h"

namespace lyceum::kernels::reference {

void product(const Groups& groups, ConstRows x, const int32_t* gather, const Weights& w, Rows y,
             bool accumulate);
void activated_product(const Groups& groups, ConstRows x, const int32_t* gather, const Weights& w,
                       Activation activation, const float* scale, Rows pre, Rows h);
void product_dgrad(const Groups& groups, ConstRows dy, const int32_t* gather, const Weights& w, Rows dx,
                   bool accumulate);
void activation_gradient(int64_t slots, int64_t n, int64_t parts, Activation activation, const float* scale,
                         ConstRows pre, ConstRows dh, Rows dpre, Rows h, float* dscale);
void product_wgrad(const Groups& groups, ConstRows dy, const int32_t* dy_gather, ConstRows x,
                   const int32_t* x_gather, const WeightLayout& layout, float* dw, int64_t stride);
void bias_gradient(const Groups& groups, ConstRows dy, int64_t n, float* dbias);
void combine(int64_t tokens, int64_t width, const int32_t* first, const int32_t* slot, ConstRows out,
             ConstRows residual, Rows y);

void linear_log_prob(int64_t tokens, ConstRows x, const Weights& w, float scale, const int32_t* targets,
                     float* log_prob, float* logsumexp, int32_t* argmax);
void linear_log_prob_gradient(int64_t tokens, ConstRows x, const Weights& w, float scale,
                              const int32_t* targets, const float* logsumexp, const float* dlog_prob,
                              const float* dlogsumexp, Rows dx, float* dw, float* db = nullptr);

double activate(Activation activation, double x);
double activate_slope(Activation activation, double x);

}  // namespace lyceum::kernels::reference
