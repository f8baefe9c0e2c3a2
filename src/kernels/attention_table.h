// What the attention kernels of the instruction sets share: one function pair per level, called by
// attention.cc after the checks. The functions do their own threading.
#pragma once

#include "kernels/attention.h"

namespace lyceum::kernels {

void attention_reference(const AttentionShape& shape, const ConstRows& q, const ConstRows& k,
                         const ConstRows& v, const Rows& out, float* logsumexp);
// dsinks_of [sequences, n_heads] or nullptr: each sequence's share, written.
void attention_gradient_reference(const AttentionShape& shape, const ConstRows& q, const ConstRows& k,
                                  const ConstRows& v, const ConstRows& out, const float* logsumexp,
                                  const ConstRows& dout, const Rows& dq, const Rows& dk, const Rows& dv,
                                  float* dsinks_of);

}  // namespace lyceum::kernels
