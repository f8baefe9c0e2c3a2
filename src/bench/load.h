// Cases of opening a model directory: what stands between a file in memory's cache and a model that answers.
#pragma once

#include "bench/case.h"

namespace lyceum::bench {

// "open": headers and index are read and checked; "load": and every weight is read, put into the order of the
// products and written, so it is held against memory that is updated: bytes read and bytes written.
std::vector<BenchCase> load_cases(const std::string& folder);

}  // namespace lyceum::bench
