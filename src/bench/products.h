// Cases of products: those of an expert layer, of a dense layer (one expert that takes all) and of the head.
#pragma once

#include "bench/case.h"
#include "kernels/types.h"

namespace lyceum::bench {

// tokens * top_k slots over experts of [2 * d_ff, d_model] and [d_model, d_ff], loaded as a trained router
// loads them (bench/expert_loads.h).
struct LayerShape {
  int64_t tokens = 0, d_model = 0, d_ff = 0, n_experts = 1, top_k = 1;
  DType type = DType::kBF16;
};
// The three products of one block of tokens; see kernels/head.cc.
struct HeadShape {
  int64_t tokens = 256, d_model = 512, vocab = 16384;
};

std::vector<std::string> layer_shape_names();
// `n_experts` above 0 takes so many, and tokens in proportion. Throws kInvalidArgument naming the shapes,
// "head" with them.
LayerShape layer_shape(const std::string& name, int64_t n_experts = 0);

std::vector<BenchCase> layer_cases(const LayerShape& shape);
std::vector<BenchCase> head_cases(const HeadShape& shape);

}  // namespace lyceum::bench
