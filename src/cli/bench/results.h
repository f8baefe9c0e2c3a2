// How results of benchmarks are shown and written.
#pragma once

#include "bench/runner.h"
#include "tensor/tape.h"

namespace lyceum::bench {

// "AMD EPYC, level avx2, 2 threads": the beginning of a first line.
std::string machine_text();

void print_head();
void print_result(const Result& result);

// {"cpu", "level", "threads", "cases": [{"name", "limit", "unit", "seconds", "median", "best", "share",
// "samples"}]} into the file; nothing where there is no path.
void write_results(const std::string& path, const std::vector<Result>& results);

// Where `total` seconds of so many steps of `flops` went, op by op; `peak`: FLOP/s.
void print_profile(const Profile& profile, double steps, double total, double flops, double peak);
// TFLOP/s and share of the peak, "0.312  41%".
std::string rate_text(double flops, double seconds, double peak);

}  // namespace lyceum::bench
