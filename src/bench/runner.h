// The one way in which cases are measured: each sample of the time between two probes of the limit it is held
// against. The share of the limit is taken sample by sample, so that it stays what it is when the machine
// gets faster or slower.
#pragma once

#include "bench/case.h"

namespace lyceum::bench {

struct Result {
  std::string name;
  Limit limit = Limit::kProducts;
  double seconds = 0;         // of a run, median
  double rate = 0, best = 0;  // FLOP/s or bytes/s, median and best; 0 where there is no work to count
  double share = 0;           // of the limit, median; 0 where one of the two is not known
  size_t samples = 0;
};

class Sampler {
 public:
  explicit Sampler(const BenchCase& c);  // opens it and runs it once
  double sample();                       // seconds of one run
  double work() const { return open_.work; }
  Result result() const;

 private:
  std::string name_;
  Limit limit_;
  OpenCase open_;
  std::vector<double> seconds_, shares_;
};

// Samples each case for so many seconds, at least once. A case is opened before the one before it is closed.
// `seen` hears of each result as soon as there is one.
std::vector<Result> measure(const std::vector<BenchCase>& cases, double seconds,
                            const std::function<void(const Result&)>& seen = {});

}  // namespace lyceum::bench
