// Cases of routers: route(), its losses and the plan of the dispatch, and the experts that they stand beside.
#pragma once

#include "bench/case.h"

namespace lyceum::bench {

struct RouterShape {
  int64_t tokens = 4096, d_model = 512, d_ff = 256, n_experts = 32, top_k = 4;
};

// "experts forward" and "experts backward" (one routed feed-forward of softmax_top_k's choices), then the
// same two of every router of the table, or of the `names` asked for. Routers of one choice take one. Throws
// kInvalidArgument for a name or a shape that cannot be.
std::vector<BenchCase> router_cases(const RouterShape& shape = {},
                                    const std::vector<std::string>& names = {});

}  // namespace lyceum::bench
