// An output matrix with a bias (Phi-MoE): head.h's functions by blocks of plain logits. One published family
// has it, so the three products of head.cc stay free of it.
#pragma once

#include "kernels/head.h"

namespace lyceum::kernels::biased {

void linear_log_prob(int64_t tokens, ConstRows x, const Weights& w, float scale, const int32_t* targets,
                     float* log_prob, float* logsumexp, int32_t* argmax);
void linear_log_prob_gradient(int64_t tokens, ConstRows x, const Weights& w, float scale,
                              const int32_t* targets, const float* logsumexp, const float* dlog_prob,
                              const float* dlogsumexp, Rows dx, float* dw, float* db, double* squares);

}  // namespace lyceum::kernels::biased
