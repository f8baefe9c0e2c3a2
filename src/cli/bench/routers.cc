// `lyceum bench routers`: what each router costs of its layer. Routers of one choice are held against the
// same experts as the others: their own would be as wide as top_k of these.
#include <cstdio>

#include "base/log.h"
#include "cli/bench/results.h"
#include "cli/bench/run.h"

namespace lyceum::bench {

void run_routers(const RoutersOptions& o) {
  const std::vector<BenchCase> cases = router_cases(o.shape, o.names);
  const QuietLog quiet;  // what a router has to say is not about the run
  double experts = 0, forward = 0;
  bool backward = false;
  const std::vector<Result> results = measure(cases, o.seconds, [&](const Result& r) {
    if (experts == 0 && !backward) {
      std::printf("%s; %lld tokens, d_model %lld, %lld experts of %lld, top %lld, bf16\n",
                  machine_text().c_str(), static_cast<long long>(o.shape.tokens),
                  static_cast<long long>(o.shape.d_model), static_cast<long long>(o.shape.n_experts),
                  static_cast<long long>(o.shape.d_ff), static_cast<long long>(o.shape.top_k));
      std::printf("%-16s %12s %13s %18s\n", "", "forward ms", "backward ms", "share of the layer");
    }
    if (backward) {
      const double both = forward + r.seconds;
      std::printf("%-16s %12.2f %13.2f", r.name.substr(0, r.name.find(' ')).c_str(), 1e3 * forward,
                  1e3 * r.seconds);
      if (experts == 0) experts = both, std::printf("\n");
      else std::printf(" %16.2f %%\n", 100 * both / (both + experts));
      std::fflush(stdout);
    }
    forward = r.seconds, backward = !backward;
  });
  write_results(o.json, results);
}

}  // namespace lyceum::bench
