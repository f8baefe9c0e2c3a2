// Balanced assignment by auction (Bertsekas 1992), for BASE layers.
#pragma once

#include "tensor/tensor.h"

namespace lyceum {

// Gives every row of score [tokens, n_experts] f32 one expert so that each gets tokens / n_experts rows (the
// remainder adds at most one row to an expert) and the sum of scores is within tokens * epsilon of the
// largest possible one. Tokens without an expert bid for the one that is worth most to them, raising its
// price by what it is worth more than the second best, plus epsilon; an expert that is full drops its lowest
// bid. epsilon = (largest - smallest score) / 200, at least 1e-4 and 1e-6 of the largest score. Sequential,
// so the same on any number of threads.
void balanced_assignment(const Tensor& score, int32_t* expert);

}  // namespace lyceum
