// train/: every family learns, and goes on after an interruption bit for bit. Each
// recipe under recipes/families/ is read as it is, shrunk to a toy and trained for some steps on a row of ids
// whose next one is mostly a function of the two before. Oracles: the loss of the first steps; the run that
// was not interrupted; its log.
#include "analysis/accounting.h"
#include "models/families.h"
#include "models/weights.h"
#include "train/replay.h"
#include "train/span_corruption.h"
#include "train_fixture.h"

namespace lyceum {
namespace {

std::string recipe_of(const std::string& family) {
  return std::string(LYCEUM_SOURCE_DIR) + "/recipes/families/" + family + ".toml";
}

// What every family can be shrunk by, and widths that only some have.
TrainConfig toy(const std::string& family, const std::string& folder) {
  TrainConfig c = read_recipe(recipe_of(family), {});
  ModelConfig& m = c.model;
  m.vocab = 64, m.d_model = 32, m.n_heads = 2, m.n_kv_heads = 0, m.d_ff = 24, m.max_positions = 64;
  if (m.d_head) m.d_head = 16;
  if (m.d_ff_dense) m.d_ff_dense = 48;
  if (m.d_ff_shared) m.d_ff_shared = 24;
  if (m.kv_rank) m.q_rank = 16, m.kv_rank = 16, m.d_nope = 8, m.d_rope = 8, m.d_value = 8;
  if (m.window) m.window = 8;
  if (m.attention_scale > 0) m.attention_scale = 0.25;
  c.data.loader.sequence_length = 24;
  c.optimizer.lr = 5e-3;
  c.schedule.warmup_steps = 5;
  c.train.folder = folder, c.train.steps = 150, c.train.micro_batch = 8, c.train.micro_batches = 1;
  c.train.precision = "f32";
  c.evaluation.every = 0, c.checkpoint.every = 0;
  c.log.tensorboard = c.log.database = false;
  return c;
}

class Losses : public TrainObserver {
 public:
  void on_step(const StepReport& report) override { losses.push_back(report.row.loss); }
  std::vector<double> losses;
  double mean(size_t begin, size_t end) const {
    double sum = 0;
    for (size_t i = begin; i < end; ++i) sum += losses.at(i);
    return sum / static_cast<double>(end - begin);
  }
};

TEST(Families, EachHasARecipeThatLowersTheLoss) {
  for (const std::string& family : family_names()) {
    SCOPED_TRACE(family);
    TrainFolder folder;
    const TrainConfig c = toy(family, folder / "run");
    ASSERT_EQ(c.model.family, family);
    Losses seen;
    MemorySource source = tiny_source(c);
    const TrainResult result = train(c, TrainParts{source}, {&seen});
    ASSERT_EQ(seen.losses.size(), 150u);
    EXPECT_LT(seen.mean(140, 150), seen.mean(0, 5) - 0.15);
    const auto again = open_model(result.checkpoint, DType::kF32);  // and what it wrote is a model
    EXPECT_EQ(again->config().family, family);
  }
}

// Trains four steps whole and in parts, and replays a step from the beginning and one from a checkpoint.
void expect_exact_resume_and_replay(TrainConfig c, const std::string& folder) {
  c.train.steps = 4, c.schedule.warmup_steps = 1, c.checkpoint.every = 2, c.checkpoint.keep_last = 9;
  const auto run = [&](const std::vector<TrainObserver*>& observers) {
    MemorySource source = tiny_source(c);
    return train(c, TrainParts{source}, observers);
  };
  c.train.folder = folder + "/whole";
  const auto whole = checkpoint_tensors(run({}).checkpoint);
  for (const int64_t step : {2, 4}) {
    MemorySource source = tiny_source(c);
    const ReplayedStep replayed = replay_step(config_of_run(c.train.folder), source, step, nullptr);
    EXPECT_EQ(replayed.from_step, step - 2);
    EXPECT_EQ(replayed.differences, std::vector<std::string>()) << "step " << step;
  }
  c.train.folder = folder + "/parts";
  StopAfter none(0), three(3);
  run({&none});  // interrupted before the first step
  run({&three});
  EXPECT_TRUE(checkpoint_tensors(run({}).checkpoint) == whole) << "going on gave other bits";
}

TEST(Families, EachGoesOnAndIsReplayedBitForBit) {
  for (const std::string& family : family_names()) {
    SCOPED_TRACE(family);
    TrainFolder folder;
    TrainConfig c = toy(family, "");
    c.train.precision = "bf16";
    expect_exact_resume_and_replay(c, folder / "runs");
  }
}

// Products leave the squares of the gradients that they complete. Oracle: a sum over the gradients
// afterwards.
TEST(Families, TheNormOfTheGradientIsKnownWithoutReadingIt) {
  for (const std::string& family : family_names()) {
    SCOPED_TRACE(family);
    TrainConfig c = toy(family, "");
    c.model.validate();
    Model model(c.model, DType::kBF16);
    model.initialise(RandomKey(3));
    model.enable_gradients();
    MemorySource source = tiny_source(c);
    auto corrupted = corrupted_source(c.model, source, 1);
    std::vector<Batch> batches(2);
    for (Batch& b : batches) corrupted ? corrupted->next(b) : source.next(b);
    StepGradient gradient;
    step_gradient(model, step_options(c), 1, batches, gradient);
    for (const Parameter* p : model.parameters()) {
      if (!p->grad) continue;
      double plain = 0;
      for (int64_t i = 0; i < p->grad.elements(); ++i) plain += std::pow(p->grad.f32()[i], 2.0);
      const bool of_a_product = p->order == Parameter::Order::kPacked &&
                                p->name != "model.embed_tokens.weight" &&  // tied: tokens add to it last
                                p->name.find(".mlp.gate.") == std::string::npos;
      const bool known = !std::isnan(p->squares);
      EXPECT_TRUE(known || !of_a_product) << p->name;
      EXPECT_NEAR(known ? p->squares : plain, plain, 1e-9 * plain) << p->name;
    }
  }
}

TEST(Families, TheAccountingCountsTheParametersThatExist) {
  for (const std::string& family : family_names()) {
    ModelConfig c = read_recipe(recipe_of(family), {}).model;
    c.vocab = 1000;
    const Model model(c, DType::kF32);
    int64_t elements = 0;
    for (const Parameter* p : model.parameters())
      if (p->trained) elements += p->elements();
    EXPECT_EQ(model_size(write_model_config(model.config(), "float32"), family).total(), elements) << family;
  }
}

TEST(SpanCorruption, SourceAndTargetTogetherAreTheText) {
  const SpanCorruption form{0.15, 3, 1000, 7};
  Batch text;
  text.offsets = {0, 100, 102, 230};
  for (int32_t i = 0; i < 230; ++i) text.ids.push_back(i + 10), text.domains.push_back(i % 3);
  const Batch batch = form.apply(text, RandomKey(3));
  ASSERT_EQ(batch.sequences(), 3);
  const Batch& source = batch.source.at(0);
  ASSERT_EQ(source.sequences(), 3);
  for (size_t s = 0; s < 3; ++s) {
    std::map<int32_t, std::vector<int32_t>> spans;  // what each sentinel stands for
    int32_t sentinel = -1, noisy = 0;
    for (int32_t t = batch.offsets[s]; t < batch.offsets[s + 1]; ++t) {
      const auto i = static_cast<size_t>(t);
      EXPECT_EQ(batch.ids[i], t == batch.offsets[s] ? 7 : batch.targets[i - 1]);  // shifted right
      EXPECT_EQ(batch.weights[i], 1.0f);
      if (batch.targets[i] >= 900) sentinel = batch.targets[i];
      else spans[sentinel].push_back(batch.targets[i]), ++noisy;
    }
    std::vector<int32_t> joined;
    int32_t wanted = 999;
    for (int32_t t = source.offsets[s]; t < source.offsets[s + 1]; ++t) {
      const int32_t id = source.ids[static_cast<size_t>(t)];
      if (id < 900) {
        joined.push_back(id);
        continue;
      }
      EXPECT_EQ(id, wanted--);  // counted down, in order
      joined.insert(joined.end(), spans[id].begin(), spans[id].end());
    }
    const std::vector<int32_t> whole(text.ids.begin() + text.offsets[s],
                                     text.ids.begin() + text.offsets[s + 1]);
    EXPECT_EQ(joined, whole);
    EXPECT_EQ(noisy, std::max(1l, std::lround(0.15 * static_cast<double>(whole.size()))));
  }
  EXPECT_EQ(form.apply(text, RandomKey(3)).ids, batch.ids);
  EXPECT_NE(form.apply(text, RandomKey(4)).ids, batch.ids);
}

TEST(SpanCorruption, ACursorGivesTheSameBatchesAgain) {
  MemorySource one(tiny_ids(), 24, 4, 5), two(tiny_ids(), 24, 4, 5);
  CorruptedSource a(one, {0.15, 3, 64, 0}, 1), b(two, {0.15, 3, 64, 0}, 1);
  Batch first, second;
  a.next(first), a.next(first);
  const std::string here = a.cursor();
  a.next(first);
  b.seek(here);
  b.next(second);
  EXPECT_EQ(first.ids, second.ids);
  EXPECT_EQ(first.source.at(0).ids, second.source.at(0).ids);
  EXPECT_THROW(b.seek("nonsense"), Error);
}

}  // namespace
}  // namespace lyceum
