// The cases of src/bench for Google Benchmark, with its filters and formats. Times are those of the samples,
// probes of the limit stand between them; `share` is the median share of the limit.
//
//   build/lyceum_benchmarks --benchmark_filter=products/small
//   build/lyceum_benchmarks --benchmark_filter='ops/softmax' --benchmark_format=json
#include <benchmark/benchmark.h>

#include <cstdio>
#include <memory>

#include "base/error.h"
#include "bench/ops.h"
#include "bench/products.h"
#include "bench/routers.h"
#include "bench/runner.h"
#include "bench/training_step.h"

namespace lyceum::bench {
namespace {

bool g_failed = false;

// A case is asked for again and again, with more iterations each time: the last one stays open.
Sampler& open_sampler(const BenchCase& c) {
  static std::unique_ptr<Sampler> sampler;
  static const BenchCase* of = nullptr;
  if (of != &c) sampler = std::make_unique<Sampler>(c), of = &c;
  return *sampler;
}

void measure_case(benchmark::State& state, const BenchCase& c) try {
  Sampler& sampler = open_sampler(c);
  for (auto _ : state) state.SetIterationTime(sampler.sample());
  if (sampler.work() > 0)
    state.counters[limit_unit(c.limit)] =
        benchmark::Counter(sampler.work(), benchmark::Counter::kIsIterationInvariantRate);
  state.counters["share"] = sampler.result().share;
} catch (const Error& e) {
  state.SkipWithError(e.what());
  g_failed = true;
}

void add(const std::string& list, const std::vector<BenchCase>& cases) {
  for (const BenchCase& c : cases) {
    const auto kept = std::make_shared<BenchCase>(c);
    benchmark::RegisterBenchmark((list + "/" + c.name).c_str(),
                                 [kept](benchmark::State& state) { measure_case(state, *kept); })
        ->UseManualTime()
        ->Unit(benchmark::kMillisecond);
  }
}

void add_all() {
  for (const std::string& name : layer_shape_names()) add("products/" + name, layer_cases(layer_shape(name)));
  add("products/head", head_cases({}));
  add("ops", op_cases());
  add("routers", router_cases());
  StepShape step = step_shape("small");
  step.sequences = 1;
  add("step", step_cases({step}));
}

}  // namespace
}  // namespace lyceum::bench

int main(int argc, char** argv) try {
  lyceum::bench::add_all();
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  return benchmark::RunSpecifiedBenchmarks() == 0 || lyceum::bench::g_failed;
} catch (const std::exception& e) {
  std::fprintf(stderr, "lyceum_benchmarks: %s\n", e.what());
  return 1;
}
