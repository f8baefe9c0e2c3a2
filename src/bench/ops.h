// Cases of what stands between the products: rows, the optimiser, attention.
#pragma once

#include "bench/case.h"

namespace lyceum::bench {

struct OpSizes {
  int64_t weights = 16 << 20;  // of the optimiser
  int64_t rows = 32768;        // of activations
  int64_t length = 512;        // of attention's sequences
};

std::vector<BenchCase> row_cases(const OpSizes& sizes = {});
std::vector<BenchCase> attention_cases(const OpSizes& sizes = {});
// Both.
std::vector<BenchCase> op_cases(const OpSizes& sizes = {});

}  // namespace lyceum::bench
