// `lyceum bench families`: a step of every family at one shape, beside OLMoE's. What a family has of its own
// (attention, router, activation, biases, an encoder) stays.
#include <cstdio>

#include "base/clock.h"
#include "bench/training_step.h"
#include "cli/bench/results.h"
#include "cli/bench/run.h"
#include "models/families.h"

namespace lyceum::bench {

void run_families(const FamiliesOptions& o) {
  const std::vector<std::string> names = o.names.empty() ? family_names() : o.names;
  for (const std::string& name : names) find_family(name);
  std::vector<Result> results;
  const auto measured = [&](const std::string& name, bool shown, double olmoe) {
    const auto step = std::make_shared<TrainingStep>(family_shape(name, o.recipes));
    const Result r = measure({step_case(step)}, o.seconds)[0];
    if (!shown) return r.share;
    std::printf("%-22s %12.0f %12.1f %% %8.0f %%\n", name.c_str(),
                static_cast<double>(step->tokens()) / r.seconds, 100 * r.share, 100 * r.share / olmoe);
    if (o.ops) {
      Profile profile;
      const double begin = steady_seconds();
      step->run(&profile);
      print_profile(profile, 1, steady_seconds() - begin, profile_flops(profile), probe(Limit::kProducts));
    }
    std::fflush(stdout);
    results.push_back(r);
    return r.share;
  };
  const double olmoe = measured("olmoe", false, 1);
  std::printf("%s; d_model 512, 4 blocks, 4 x 512 tokens, bf16\n", machine_text().c_str());
  std::printf("%-22s %12s %14s %10s\n", "family", "tokens/s", "share of peak", "of OLMoE's");
  for (const std::string& name : names) measured(name, true, olmoe);
  write_results(o.json, results);
}

}  // namespace lyceum::bench
