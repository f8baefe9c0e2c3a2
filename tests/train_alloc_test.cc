// train/: a step asks nobody for memory once the pool is warm. Oracle: the C library's malloc, counted.
#include <gtest/gtest.h>

#include <atomic>

#include "base/threads.h"
#include "train_fixture.h"

namespace {
std::atomic<bool> counting{false};
std::atomic<int64_t> calls{0};
}  // namespace

#if defined(__has_feature)  // clang's word for gcc's macro
#if __has_feature(address_sanitizer)
#define __SANITIZE_ADDRESS__ 1
#endif
#endif

#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__)  // the sanitizer's malloc must stay its own
extern "C" {
void* __libc_malloc(size_t);
void* malloc(size_t bytes) {  // operator new, std::vector and std::function all end here
  if (counting.load(std::memory_order_relaxed)) calls.fetch_add(1);
  return __libc_malloc(bytes);
}
}
#endif

namespace lyceum {
namespace {

struct Variant {
  const char *precision, *optimizer, *family;
  bool recompute;
  const char* router = "softmax_top_k";
};
class Step : public testing::TestWithParam<Variant> {};

TEST_P(Step, AllocatesNothingAfterTheSecondOnceItsThreadsAreWarm) {
#if !defined(__GLIBC__) || defined(__SANITIZE_ADDRESS__)
  GTEST_SKIP() << "malloc cannot be counted in this build";
#endif
  const Variant v = GetParam();
  TrainConfig c = tiny_config("unused", v.precision);
  c.optimizer.name = v.optimizer, c.train.recompute = v.recompute, c.model.family = v.family;
  if (!family_is_sparse(v.family)) c.model.n_experts = c.model.top_k = 0;
  else c.model.router = v.router;
  const std::string router = c.model.router;
  if (router == "switch" || router == "base" || router == "hash") c.model.top_k = 1;
  if (router == "hierarchical") c.model.routing.groups = 2;
  if (router == "sigmoid_top_k") c.model.routing.selection_bias = true;
  Model model(c.model, c.precision());
  model.enable_gradients();
  model.initialise(RandomKey(1));
  const auto parameters = model.parameters();
  const auto optimizer = make_optimizer(c.optimizer, parameters);
  MemorySource source = tiny_source(c);
  std::vector<Batch> batches(2);
  StepGradient gradient;
  const StepOptions options = step_options(c);
  const auto step = [&](int64_t i) {
    for (Batch& b : batches) source.next(b);
    step_gradient(model, options, i, batches, gradient);
    apply_gradient(c, gradient, parameters, *optimizer, 1e-3);
  };
  const int threads = thread_count();
  set_thread_count(1);
  for (int64_t i = 0; i < 2; ++i) step(i);
  for (int64_t i = 2; i < 6; ++i) {
    calls = 0, counting = true;
    step(i);
    counting = false;
    EXPECT_EQ(calls.load(), 0) << "step " << i;
  }
  // With more threads a worker's scratch memory grows when a task of that size first falls to it, which the
  // scheduler decides: a few calls in all, and none that comes back every step.
  set_thread_count(2);
  calls = 0, counting = true;
  for (int64_t i = 6; i < 46; ++i) step(i);
  counting = false;
  set_thread_count(threads);
  EXPECT_LT(calls.load(), 40);
  void* volatile p = nullptr;  // the counter counts
  calls = 0, counting = true;
  p = ::operator new(10);
  counting = false;
  ::operator delete(p);
  EXPECT_EQ(calls.load(), 1);
}
INSTANTIATE_TEST_SUITE_P(Variants, Step,
                         testing::Values(Variant{"bf16", "adamw", "olmoe", false},
                                         Variant{"f32", "adamw", "olmoe", true},
                                         Variant{"bf16", "muon", "olmoe", false},
                                         Variant{"bf16", "adamw", "llama", false},
                                         Variant{"bf16", "adamw", "olmoe", true, "noisy_top_k"},
                                         Variant{"bf16", "adamw", "olmoe", false, "gshard"},
                                         Variant{"bf16", "adamw", "olmoe", false, "switch"},
                                         Variant{"bf16", "adamw", "olmoe", false, "sigmoid_top_k"},
                                         Variant{"bf16", "adamw", "olmoe", false, "sparsemixer"},
                                         Variant{"bf16", "adamw", "olmoe", false, "attention"},
                                         Variant{"bf16", "adamw", "olmoe", false, "hierarchical"},
                                         Variant{"bf16", "adamw", "olmoe", true, "expert_choice"},
                                         Variant{"bf16", "adamw", "olmoe", false, "base"},
                                         Variant{"bf16", "adamw", "olmoe", false, "hash"}));

}  // namespace
}  // namespace lyceum
