// train/: resuming, determinism, skipped steps. Oracles: the uninterrupted run, bit for bit; closed forms.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "base/threads.h"
#include "kernels/isa.h"
#include "train_fixture.h"

namespace lyceum {
namespace {

void expect_same_tensors(const std::string& a, const std::string& b) {
  const auto x = checkpoint_tensors(a), y = checkpoint_tensors(b);
  ASSERT_EQ(x.size(), y.size());
  for (const auto& [name, bytes] : x) {
    ASSERT_TRUE(y.count(name)) << name;
    EXPECT_TRUE(bytes == y.at(name)) << name << " differs";
  }
}

std::vector<StepMetrics> rows_of(const std::string& folder) {
  return read_metrics(folder + "/metrics.jsonl").rows;
}

struct Variant {
  const char* precision;
  const char* optimizer;
  const char* family;
  bool recompute;
};
class Resume : public testing::TestWithParam<Variant> {};

TEST_P(Resume, GivesTheBitsOfTheUninterruptedRunAtAnyThreadCount) {
  TrainFolder folder;
  const Variant v = GetParam();
  TrainConfig c = tiny_config(folder / "whole", v.precision);
  c.optimizer.name = v.optimizer;
  c.train.recompute = v.recompute;
  c.model.family = v.family;
  if (!family_is_sparse(v.family)) c.model.n_experts = c.model.top_k = 0;
  const int threads = thread_count();
  set_thread_count(1);
  const TrainResult whole = tiny_train(c);
  EXPECT_EQ(whole.state.step, 8);
  set_thread_count(2);
  c.train.folder = folder / "parts";
  StopAfter first(3), second(2);
  EXPECT_EQ(tiny_train(c, {&first}).status, TrainResult::Status::kStopped);
  EXPECT_EQ(tiny_train(c, {&second}).state.step, 5);
  set_thread_count(1);
  const TrainResult parts = tiny_train(c);
  set_thread_count(threads);
  EXPECT_EQ(parts.status, TrainResult::Status::kFinished);
  EXPECT_EQ(parts.steps_now, 3);
  EXPECT_EQ(parts.state.cursor, whole.state.cursor);
  EXPECT_EQ(parts.state.rates_hash, whole.state.rates_hash);
  expect_same_tensors(whole.checkpoint, parts.checkpoint);
  const auto a = rows_of(folder / "whole"), b = rows_of(folder / "parts");
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].step, b[i].step);
    EXPECT_EQ(a[i].loss, b[i].loss);
    EXPECT_EQ(a[i].lr, b[i].lr);
    EXPECT_EQ(a[i].gradient_norm, b[i].gradient_norm);
    EXPECT_EQ(a[i].layers, b[i].layers);
  }
  EXPECT_EQ(tiny_train(c).steps_now, 0) << "a finished run does nothing";
}
INSTANTIATE_TEST_SUITE_P(Variants, Resume,
                         testing::Values(Variant{"bf16", "adamw", "olmoe", false},
                                         Variant{"f32", "adamw", "olmoe", true},
                                         Variant{"bf16", "muon", "olmoe", true},
                                         Variant{"f32", "muon", "llama", false}));

TEST(Trainer, LearnsASmallTextByHeart) {
  for (const char* precision : {"f32", "bf16"})
    for (const char* optimizer : {"adamw", "muon"}) {
      TrainFolder folder;
      TrainConfig c = tiny_config(folder / "run", precision);
      c.train.steps = 150, c.train.micro_batches = 1, c.train.micro_batch = 4;
      c.optimizer.name = optimizer;
      MemorySource source(tiny_ids(64, 60), 16, 4, 1);
      const TrainResult r = train(c, TrainParts{source});
      // The 60 ids are seen ten times over; what is left is the first id of a window, which nothing predicts.
      EXPECT_LT(r.state.loss, 0.5) << precision << " " << optimizer;
      EXPECT_EQ(r.state.skipped, 0);
    }
}

TEST(Trainer, MicroBatchesOfOneStepAreOneBatch) {
  TrainFolder folder;
  TrainConfig c = tiny_config(folder / "a", "f32");
  c.balance.coefficient = c.balance.z_coefficient = 0;  // these are means over micro-batches by definition
  c.train.steps = 1, c.optimizer.lr = 0;
  // Batches of unequal weight: a mean of means would differ.
  class Source : public BatchSource {
   public:
    explicit Source(bool split) : split_(split) {}
    void next(Batch& b) override {
      b = Batch();
      b.offsets.push_back(0);
      for (int s = 0; s < (split_ ? 1 : 2); ++s) add(b, split_ ? n_++ : s);
    }
    std::string cursor() const override { return ""; }
    void seek(const std::string&) override {}

   private:
    static void add(Batch& b, int which) {
      for (int t = 0; t < 12; ++t) {
        b.ids.push_back((which * 31 + t * 7) % 64), b.targets.push_back((which * 31 + t * 7 + 7) % 64);
        b.positions.push_back(t), b.domains.push_back(0);
        b.weights.push_back(which == 0 && t < 9 ? 0.0f : 1.0f);
      }
      b.offsets.push_back(static_cast<int32_t>(b.ids.size()));
    }
    bool split_;
    int n_ = 0;
  };
  c.train.micro_batches = 1;
  Source one(false), two(true);
  train(c, TrainParts{one});
  c.train.micro_batches = 2, c.train.folder = folder / "b";
  train(c, TrainParts{two});
  const StepMetrics a = rows_of(folder / "a")[0], b = rows_of(folder / "b")[0];
  EXPECT_NEAR(a.loss, b.loss, 1e-6);
  EXPECT_NEAR(a.gradient_norm, b.gradient_norm, 1e-5 * a.gradient_norm);
}

// Hands out a batch whose weights are not finite at chosen steps.
class PoisonedSource : public MemorySource {
 public:
  PoisonedSource(const TrainConfig& c, int64_t at, int64_t until)
      : MemorySource(tiny_ids(), c.data.loader.sequence_length, c.train.micro_batch,
                     static_cast<uint64_t>(c.data.loader.seed)),
        at_(at),
        until_(until) {}
  void next(Batch& b) override {
    MemorySource::next(b);
    const int64_t i = std::stoll(cursor());
    if (i > at_ && i <= until_) b.weights[3] = std::numeric_limits<float>::infinity();
  }

 private:
  int64_t at_, until_;
};

TEST(Trainer, SkipsCountsAndNamesAStepThatIsNotFinite) {
  TrainFolder folder;
  TrainConfig c = tiny_config(folder / "run");
  c.train.micro_batches = 1;
  PoisonedSource source(c, 2, 4);
  const TrainResult r = train(c, TrainParts{source});
  EXPECT_EQ(r.state.skipped, 2);
  EXPECT_EQ(r.state.step, 8);
  EXPECT_EQ(r.state.optimizer_steps, 6);
  const auto rows = rows_of(folder / "run");
  EXPECT_FALSE(rows[1].skipped);
  EXPECT_TRUE(rows[2].skipped && rows[3].skipped);
  EXPECT_NE(rows[2].skip_reason.find("not finite"), std::string::npos);
  EXPECT_TRUE(std::isfinite(rows[4].loss)) << "no weight was harmed";
}

TEST(Trainer, NamesTheParameterWhoseGradientIsNotFinite) {
  TrainConfig c = tiny_config("unused", "f32");
  Model model(c.model, DType::kF32);
  model.enable_gradients();
  const auto parameters = model.parameters();
  parameters[5]->grad.f32()[1] = std::numeric_limits<float>::quiet_NaN();
  const auto optimizer = make_optimizer(c.optimizer, parameters);
  StepGradient gradient;
  gradient.loss = 1;
  const std::vector<float> before = parameters[5]->read_master();
  const StepUpdate update = apply_gradient(c, gradient, parameters, *optimizer, 0.1);
  EXPECT_EQ(update.skip_reason, "the gradient of " + parameters[5]->name + " is not finite");
  EXPECT_EQ(parameters[5]->read_master(), before);
  EXPECT_EQ(parameters[5]->grad.f32()[1], 0);
  EXPECT_EQ(optimizer->steps(), 0);
}

TEST(Trainer, GivesUpAfterManySkippedStepsAndSavesFirst) {
  TrainFolder folder;
  TrainConfig c = tiny_config(folder / "run");
  c.train.micro_batches = 1, c.train.max_skipped = 3;
  PoisonedSource source(c, 2, 100);
  EXPECT_THROW(train(c, TrainParts{source}), Error);
  const auto found = latest_complete((folder / "run") + "/checkpoints");
  ASSERT_TRUE(found);
  EXPECT_EQ(found->step, 5);
}

TEST(Trainer, SavesTheStateBeforeAStepThatFails) {
  TrainFolder folder;
  TrainConfig c = tiny_config(folder / "run");
  c.train.micro_batches = 1;
  class Failing : public PoisonedSource {
   public:
    using PoisonedSource::PoisonedSource;
    void next(Batch& b) override {
      if (fail && cursor() == "4") lyceum::fail(ErrorKind::kCorruptData, "shard", "damaged");
      PoisonedSource::next(b);
    }
    bool fail = true;
  };
  Failing source(c, 1000, 1000);
  EXPECT_THROW(train(c, TrainParts{source}), Error);
  EXPECT_EQ(latest_complete((folder / "run") + "/checkpoints")->step, 4);
  source.fail = false;
  const TrainResult r = train(c, TrainParts{source});
  EXPECT_EQ(r.steps_now, 4);
  c.train.folder = folder / "whole";
  expect_same_tensors(r.checkpoint, tiny_train(c).checkpoint);
}

TEST(Trainer, FollowsAClockWhenMinutesAreGiven) {
  TrainFolder folder;
  TrainConfig c = tiny_config(folder / "run");
  c.train.steps = 0, c.train.minutes = 1, c.checkpoint.minutes = 0;
  c.schedule.kind = "linear", c.schedule.final = 0, c.schedule.warmup = 0.1;
  double time = 0;
  MemorySource source = tiny_source(c);
  TrainParts parts{source};
  parts.clock = [&time] { return time += 0.5; };
  const TrainResult r = train(c, parts);
  const auto rows = rows_of(folder / "run");
  EXPECT_GE(r.state.seconds, 60);
  EXPECT_LT(rows.front().lr, 0.3 * c.optimizer.lr);
  EXPECT_LT(rows.back().lr, 0.06 * c.optimizer.lr);
  double top = 0;
  for (const StepMetrics& row : rows) top = std::max(top, row.lr);
  EXPECT_GT(top, 0.9 * c.optimizer.lr);
}

TEST(Trainer, RefusesARunOfAnotherRecipeInItsFolder) {
  TrainFolder folder;
  TrainConfig c = tiny_config(folder / "run");
  tiny_train(c);
  c.model.d_ff = 32;
  try {
    tiny_train(c);
    FAIL() << "another model was resumed";
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("model.d_ff: 16 -> 32"), std::string::npos) << e.what();
  }
}

TEST(Trainer, RefusesWhatCannotFitBeforeItAllocates) {
  TrainFolder folder;
  TrainConfig c = tiny_config(folder / "run");
  c.model.d_model = 65536, c.model.n_layers = 100, c.model.d_ff = 65536;
  try {
    tiny_train(c);
    FAIL() << "four trillion parameters were begun";
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::kOutOfMemory) << e.what();
  }
}

TEST(Forecast, ReckonsARunFromAStepAndLeavesNothingBehind) {
  TrainFolder folder;
  TrainConfig c = tiny_config(folder / "run");
  c.train.steps = 500;
  const Forecast f = forecast(c);
  EXPECT_GT(f.step_seconds, 0);
  EXPECT_EQ(f.step_tokens, 2 * 2 * 16);  // micro-batches of sequences
  EXPECT_EQ(f.steps, 500);
  EXPECT_DOUBLE_EQ(f.seconds, 500 * f.step_seconds);
  EXPECT_FALSE(std::filesystem::exists(folder / "run"));

  c.train.steps = 0, c.train.minutes = 3;
  const Forecast by_time = forecast(c);
  EXPECT_EQ(by_time.seconds, 180);
  EXPECT_DOUBLE_EQ(by_time.steps, 180 / by_time.step_seconds);
}

TEST(Forecast, IsRecordedWithTheFirstStepAndComesBackWithTheResult) {
  TrainFolder folder;
  const TrainConfig c = tiny_config(folder / "run");
  MemorySource source = tiny_source(c);
  TrainParts parts{source};
  parts.forecast.step_seconds = 0.25;
  const TrainResult r = train(c, parts);
  EXPECT_EQ(r.forecast.step_seconds, 0.25);
  EXPECT_GT(r.step_seconds, 0);
  const auto rows = rows_of(folder / "run");
  EXPECT_EQ(metric_value(rows[0], "extra.step_forecast"), 0.25);
  EXPECT_TRUE(std::isnan(metric_value(rows[1], "extra.step_forecast")));
}

TEST(Memory, NeedIsCloseToWhatARunTakes) {
  TrainFolder folder;
  TrainConfig c = tiny_config(folder / "run");
  c.model.d_model = 128, c.model.n_layers = 4, c.model.n_heads = 4, c.model.d_ff = 64, c.model.n_experts = 8;
  c.model.vocab = 512;
  c.data.loader.sequence_length = 128, c.train.micro_batch = 4, c.train.steps = 2, c.train.micro_batches = 1;
  for (const bool recompute : {false, true}) {
    c.train.recompute = recompute;
    c.train.folder = folder / (recompute ? "r" : "p");
    reset_pool_peak();
    const double before = static_cast<double>(pool_statistics().in_use_bytes);
    MemorySource source(tiny_ids(512), 128, 4, 1);
    train(c, TrainParts{source});
    const double taken = static_cast<double>(pool_statistics().peak_bytes) - before;
    const MemoryNeed need = memory_need(c);
    EXPECT_GT(need.total(), 0.75 * taken) << need.text() << ", taken " << taken;
    EXPECT_LT(need.total(), 1.6 * taken) << need.text() << ", taken " << taken;
    EXPECT_NEAR(need.state / need.parameters, 16, 1e-9);
  }
}

}  // namespace
}  // namespace lyceum
