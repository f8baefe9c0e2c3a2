#include "bench/runner.h"

#include <algorithm>

#include "base/clock.h"
#include "base/median.h"

namespace lyceum::bench {
Sampler::Sampler(const BenchCase& c) : name_(c.name), limit_(c.limit), open_(c.open()) {
  if (open_.prepare) open_.prepare();
  open_.run();
  probe(limit_);
}

double Sampler::sample() {
  if (open_.prepare) open_.prepare();
  const double before = probe(limit_), begin = work_seconds();
  open_.run();
  const double seconds = work_seconds() - begin, limit = 0.5 * (before + probe(limit_));
  seconds_.push_back(seconds);
  shares_.push_back(limit > 0 ? open_.work / seconds / limit : 0);
  return seconds;
}

Result Sampler::result() const {
  Result r{name_, limit_};
  r.seconds = median(seconds_), r.share = median(shares_), r.samples = seconds_.size();
  if (r.samples == 0) return r;
  r.rate = open_.work / r.seconds;
  r.best = open_.work / *std::min_element(seconds_.begin(), seconds_.end());
  return r;
}

std::vector<Result> measure(const std::vector<BenchCase>& cases, double seconds,
                            const std::function<void(const Result&)>& seen) {
  std::vector<Result> results;
  std::unique_ptr<Sampler> sampler;
  for (const BenchCase& c : cases) {
    sampler = std::make_unique<Sampler>(c);
    const double begin = steady_seconds();
    do sampler->sample();
    while (steady_seconds() - begin < seconds);
    results.push_back(sampler->result());
    if (seen) seen(results.back());
  }
  return results;
}

}  // namespace lyceum::bench
