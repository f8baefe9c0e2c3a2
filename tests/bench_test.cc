// Benchmarks: that every case of every list runs, at tiny sizes, and the loads that experts get. Never their
// times. Oracles: the recorded counts themselves; the least that a result can be.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.h"
#include "bench/expert_loads.h"
#include "bench/ops.h"
#include "bench/products.h"
#include "bench/routers.h"
#include "bench/runner.h"
#include "bench/training_step.h"
#include "kernels/isa.h"
#include "moe/router.h"

namespace lyceum::bench {
namespace {

std::vector<int64_t> loads_of(int64_t n_experts, int64_t slots) {
  const std::vector<int32_t> offsets = recorded_offsets(n_experts, slots);
  EXPECT_EQ(offsets.size(), static_cast<size_t>(n_experts) + 1);
  EXPECT_EQ(offsets.front(), 0);
  EXPECT_EQ(offsets.back(), slots);
  std::vector<int64_t> loads;
  for (size_t e = 0; e + 1 < offsets.size(); ++e) loads.push_back(offsets[e + 1] - offsets[e]);
  for (int64_t load : loads) EXPECT_GE(load, 0);
  return loads;
}

void expect_all_run(const std::vector<BenchCase>& cases, size_t least) {
  EXPECT_GE(cases.size(), least);
  const std::vector<Result> results = measure(cases, 0);
  ASSERT_EQ(results.size(), cases.size());
  for (size_t i = 0; i < cases.size(); ++i) {
    EXPECT_EQ(results[i].name, cases[i].name);
    EXPECT_EQ(results[i].samples, 1u) << cases[i].name;
    EXPECT_GT(results[i].seconds, 0) << cases[i].name;
  }
}

TEST(BenchLoads, KeepTheRecordedSharesAtAnyNumberOfSlots) {
  for (const int64_t slots : {100, 17784, 4096 * 32}) {
    const std::vector<int64_t> loads = loads_of(32, slots);
    const double all = static_cast<double>(std::accumulate(std::begin(kLoadsOf32), std::end(kLoadsOf32), 0));
    for (size_t e = 0; e < loads.size(); ++e)
      EXPECT_NEAR(static_cast<double>(loads[e]), kLoadsOf32[e] / all * static_cast<double>(slots), 1.0);
  }
}

TEST(BenchLoads, TheSpreadIsThatOfTheComment) {
  const auto spread = [](const std::vector<int64_t>& loads) {
    const double sum = static_cast<double>(std::accumulate(loads.begin(), loads.end(), int64_t{0}));
    return static_cast<double>(*std::max_element(loads.begin(), loads.end())) *
           static_cast<double>(loads.size()) / sum;
  };
  EXPECT_NEAR(spread(loads_of(32, 1 << 20)), 2.81, 0.01);
  EXPECT_NEAR(spread(loads_of(64, 1 << 20)), 2.55, 0.01);
}

TEST(BenchLoads, OtherNumbersOfExpertsShareOutEverySlot) {
  EXPECT_EQ(loads_of(1, 777), std::vector<int64_t>{777});
  for (const int64_t n_experts : {2, 8, 45, 46, 100, 256}) loads_of(n_experts, 4096);
  const std::vector<int64_t> twice = loads_of(128, 2 * 35568);
  for (size_t e = 0; e < 64; ++e) EXPECT_EQ(twice[e], twice[e + 64]);
}

TEST(BenchCases, EveryProductRuns) {
  expect_all_run(layer_cases({24, 32, 16, 4, 2}), 7);
  expect_all_run(layer_cases({24, 32, 16, 1, 1, DType::kF32}), 7);
  if (isa_level() != Isa::kReference) expect_all_run(head_cases({8, 32, 64}), 3);
}

TEST(BenchCases, EveryOpRuns) { expect_all_run(op_cases({1024, 16, 8}), 20); }

TEST(BenchCases, EveryRouterRuns) {
  expect_all_run(router_cases({32, 32, 16, 8, 2}), 2 * (1 + router_table().size()));
  expect_all_run(router_cases({32, 32, 16, 8, 2}, {"gshard"}), 4);
}

TEST(BenchCases, AStepOfADecoderAndOfAModelWithAnEncoderRun) {
  StepShape tiny = step_shape("small");
  tiny.sequences = 1, tiny.length = 8, tiny.micro_batches = 2;
  tiny.model.vocab = 64, tiny.model.d_model = 32, tiny.model.n_layers = 1, tiny.model.n_heads = 2;
  tiny.model.d_ff = 16, tiny.model.n_experts = 4, tiny.model.top_k = 2;
  StepShape two = family_shape("t5", LYCEUM_SOURCE_DIR "/recipes/families");
  two.sequences = 1, two.length = 32;
  two.model.vocab = 256, two.model.d_model = 32, two.model.n_layers = two.model.n_encoder_layers = 1;
  two.model.d_ff = 16, two.model.n_heads = 2, two.model.d_head = 16;
  expect_all_run(step_cases({tiny, two}), 2);
}

TEST(BenchCases, WhatCannotFitIsRefusedBeforeItIsTaken) {
  StepShape long_step = step_shape("small");
  long_step.length = 1 << 24;
  for (const BenchCase& c :
       {layer_cases(layer_shape("olmoe", 1 << 18))[0], head_cases({1 << 24, 4096, 1 << 24})[0],
        router_cases({1 << 30, 4096, 4096, 64, 8})[0], step_cases({long_step})[0]}) {
    try {
      c.open();
      FAIL() << c.name;
    } catch (const Error& e) {
      EXPECT_EQ(e.kind(), ErrorKind::kOutOfMemory) << e.what();
    }
  }
}

TEST(BenchCases, UnknownNamesAreRefused) {
  EXPECT_THROW(layer_shape("nonsense"), Error);
  EXPECT_THROW(step_shape("nonsense"), Error);
  EXPECT_THROW(family_shape("nonsense"), Error);
  EXPECT_THROW(router_cases({}, {"nonsense"}), Error);
}

}  // namespace
}  // namespace lyceum::bench
