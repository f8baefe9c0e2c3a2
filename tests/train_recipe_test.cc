// train/: recipes, schedules, Muon, replay. Oracles: hand-written expectations, closed forms, plain loops.
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "base/file.h"
#include "train/compare.h"
#include "train/muon.h"
#include "train/replay.h"
#include "train_fixture.h"

namespace lyceum {
namespace {

std::string error_of(const std::string& toml, const std::vector<std::string>& arguments = {}) {
  TrainFolder folder;
  const std::string path = folder / "r.toml";
  write_file(path, toml);
  std::vector<Setting> overrides;
  try {
    for (const std::string& a : arguments) overrides.push_back(parse_override(a));
    read_recipe(path, overrides).validate();
  } catch (const Error& e) {
    const std::string what = e.what();
    const size_t at = what.find(path);
    return at == std::string::npos ? what : what.substr(0, at) + "r.toml" + what.substr(at + path.size());
  }
  return "";
}

TEST(Recipe, NamesFileAndLineOfWhatIsWrong) {
  const std::string ok = "[train]\nsteps = 5\nfolder = \"x\"\n";
  EXPECT_EQ(error_of(ok), "");
  EXPECT_NE(error_of(ok + "stepz = 1\n").find("r.toml:4: unknown key \"train.stepz\"; did you mean"),
            std::string::npos);
  EXPECT_NE(error_of("[train]\nsteps = = 5\n").find("r.toml:2"), std::string::npos);
  EXPECT_NE(error_of("[train]\nsteps = \"many\"\n").find("r.toml:2"), std::string::npos);
  EXPECT_NE(error_of("[optimizer]\nlr = -1\n").find("r.toml:2: optimizer.lr wants >= 0"), std::string::npos);
  EXPECT_NE(error_of(ok, {"--train.clip=no"}).find("--train.clip"), std::string::npos);
  EXPECT_NE(error_of(ok, {"--clip"}).find("wanted --section.key=value"), std::string::npos);
}

TEST(Recipe, RefusesKeysWithoutEffect) {
  const std::string ok = "[train]\nsteps = 5\nfolder = \"x\"\n";
  for (const char* tail :
       {"[optimizer]\nmomentum = 0.9\n", "[model]\nfamily = \"llama\"\n[balance]\ncoefficient = 0.1\n",
        "[schedule]\nkind = \"constant\"\nfinal = 0.5\n", "[schedule]\ndecay = 0.5\n",
        "[schedule]\nwarmup_steps = 2\nwarmup = 0.5\n", "[model]\nfamily = \"llama\"\ntop_k = 2\n"})
    EXPECT_NE(error_of(ok + tail).find("would have no effect"), std::string::npos) << tail;
  EXPECT_NE(
      error_of("[model]\nd_ff = 3\n[train]\nsteps = 5\nfolder = \"x\"\nfrom = \"y\"\n").find("model.d_ff"),
      std::string::npos);
  EXPECT_NE(error_of("[train]\nfolder = \"x\"\n").find("either train.steps or train.minutes"),
            std::string::npos);
  EXPECT_NE(error_of(ok + "minutes = 5\n").find("either train.steps or train.minutes"), std::string::npos);
}

TEST(Recipe, TheCommittedOnesAreRead) {
  for (const char* name : {"olmoe-small", "llama-small", "olmoe-anneal", "compare-routers"}) {
    const TrainConfig c = read_recipe(std::string(LYCEUM_SOURCE_DIR "/recipes/") + name + ".toml", {});
    EXPECT_NO_THROW(c.validate()) << name;
  }
}

TEST(Recipe, ComparesRoutersOfTheSameActiveSize) {
  const std::string path = LYCEUM_SOURCE_DIR "/recipes/compare-routers.toml";
  const std::vector<ComparedRun> runs = compared_runs(path, {});
  ASSERT_GE(runs.size(), 6u);
  std::set<std::string> routers, folders;
  for (const ComparedRun& r : runs) {
    routers.insert(r.config.model.router), folders.insert(r.config.train.folder);
    EXPECT_EQ(r.config.model.top_k * r.config.model.d_ff, 256);
    EXPECT_NEAR(static_cast<double>(r.active), static_cast<double>(runs[0].active), 0.04 * runs[0].active);
  }
  // All of the table but what looks ahead, what is for benchmarks, and what another variant stands for.
  std::set<std::string> wanted;
  for (const std::string& name : router_names()) wanted.insert(name);
  wanted.erase("expert_choice"), wanted.erase("forced_uniform");
  EXPECT_EQ(routers, wanted);
  EXPECT_EQ(folders.size(), runs.size());
  const auto error = [&](const std::string& variant) -> std::string {
    try {
      compared_runs(
          path, {{"--compare.variants", "compare.variants", "[\"a: model.top_k=2\", \"" + variant + "\"]"}});
    } catch (const Error& e) {
      return e.what();
    }
    return "";
  };
  EXPECT_NE(error("b: model.top_k=4").find("active parameters"), std::string::npos);
  EXPECT_NE(error("b: train.seed=2").find("train.seed"), std::string::npos);
  EXPECT_NE(error("b: model.router=hash model.top_k=1 model.d_ff=256 balance.coefficient=1")
                .find("the router hash has no balance loss"),
            std::string::npos);
}

TEST(Recipe, ComesBackFromTheJsonOfACheckpoint) {
  TrainConfig c = tiny_config("a, b");
  c.data.train = {"x", "y z"};
  c.optimizer.lr = 1.0 / 3;
  TrainConfig again = config_from_json(config_json(c), "test");
  EXPECT_EQ(fields_diff(fields_of(c), fields_of(again)), std::vector<std::string>());
}

TEST(Schedule, FollowsItsClosedForm) {
  ScheduleOptions o;
  o.warmup_steps = 10, o.final = 0.1;
  const auto at = [&](int64_t step) {
    return schedule_factor(o, {step, static_cast<double>(step) / 110}, 110);
  };
  EXPECT_DOUBLE_EQ(at(0), 0.1);
  EXPECT_DOUBLE_EQ(at(9), 1);
  EXPECT_DOUBLE_EQ(at(10), 1);
  EXPECT_NEAR(at(60), 0.55, 1e-12);
  EXPECT_NEAR(at(35), 0.1 + 0.9 * (1 + std::cos(M_PI / 4)) / 2, 1e-12);
  o.kind = "linear", o.final = 0;
  EXPECT_NEAR(at(60), 0.5, 1e-12);
  EXPECT_NEAR(at(109), 0.01, 1e-12);
  o.kind = "inverse_sqrt";
  EXPECT_NEAR(at(40), 0.5, 1e-12);
  o.kind = "wsd", o.decay = 0.2;
  EXPECT_DOUBLE_EQ(at(89), 1);
  EXPECT_NEAR(at(100), 0.5, 1e-12);
  o.kind = "constant";
  EXPECT_DOUBLE_EQ(at(109), 1);
}

TEST(Schedule, ByTimeFollowsTheShareOfIt) {
  ScheduleOptions o;
  o.kind = "linear", o.warmup = 0.1, o.final = 0;
  EXPECT_NEAR(schedule_factor(o, {7, 0.05}, 0), 0.5, 1e-12);
  EXPECT_NEAR(schedule_factor(o, {900, 0.55}, 0), 0.5, 1e-12);
  EXPECT_NEAR(schedule_factor(o, {901, 1.0}, 0), 0, 1e-12);
}

// Singular values of the result by the trace identities of a plain loop: rows must be nearly orthonormal.
TEST(Muon, MakesEveryMatrixOfAStackOrthogonalByItself) {
  for (const auto& [rows, columns] : {std::pair<int64_t, int64_t>{24, 40}, {32, 32}, {16, 100}}) {
    const int64_t count = 3, size = rows * columns;
    std::vector<bf16> x(static_cast<size_t>(count * size));
    for (int64_t m = 0; m < count; ++m) {
      double sum = 0;
      std::vector<double> v;
      for (int64_t i = 0; i < size; ++i)
        v.push_back(RandomKey(5).with(static_cast<uint64_t>(m)).normal(static_cast<uint64_t>(i)));
      for (double e : v) sum += e * e;
      const double scale = m == 1 ? 1 / std::sqrt(sum) : 0.5 / std::sqrt(sum);
      for (int64_t i = 0; i < size; ++i)
        x[static_cast<size_t>(m * size + i)] = to_bf16(static_cast<float>(v[static_cast<size_t>(i)] * scale));
    }
    const std::vector<bf16> before = x;
    newton_schulz(count, rows, columns, 5, x.data());
    for (int64_t m = 0; m < count; ++m) {
      double squares = 0, aligned = 0;
      for (int64_t i = 0; i < rows; ++i)
        for (int64_t j = 0; j < rows; ++j) {
          double dot = 0;
          for (int64_t k = 0; k < columns; ++k)
            dot += static_cast<double>(to_float(x[static_cast<size_t>(m * size + i * columns + k)])) *
                   to_float(x[static_cast<size_t>(m * size + j * columns + k)]);
          if (i == j) {
            EXPECT_GT(dot, 0.4) << rows << "x" << columns;  // the source's coefficients aim at [0.7, 1.2]
            EXPECT_LT(dot, 1.5);
          } else {
            squares += dot * dot;
          }
        }
      EXPECT_LT(std::sqrt(squares / static_cast<double>(rows * rows)), 0.12);
      for (int64_t i = 0; i < size; ++i)
        aligned += static_cast<double>(to_float(x[static_cast<size_t>(m * size + i)])) *
                   to_float(before[static_cast<size_t>(m * size + i)]);
      EXPECT_GT(aligned, 0) << "the polar factor points the way of its matrix";
    }
  }
}

TEST(Replay, GivesEveryLoggedNumberAgainFromACheckpointAndFromTheBeginning) {
  TrainFolder folder;
  TrainConfig c = tiny_config(folder / "run");
  c.checkpoint.every = 3, c.checkpoint.keep_last = 10;
  tiny_train(c);
  const TrainConfig stored = config_of_run(folder / "run");
  class Count : public Taps {
   public:
    void on(const char* station, int64_t, const Tensor&) override { seen += std::string(station) == "final"; }
    int seen = 0;
  };
  for (const auto& [step, from] : {std::pair<int64_t, int64_t>{2, 0}, {4, 3}, {8, 6}}) {
    MemorySource source = tiny_source(c);
    Count taps;
    const ReplayedStep r = replay_step(stored, source, step, &taps);
    EXPECT_EQ(r.differences, std::vector<std::string>());
    EXPECT_EQ(r.from_step, from);
    EXPECT_EQ(taps.seen, 2) << "one final hidden state for each of two micro-batches of this step alone";
  }
  MemorySource source = tiny_source(c);
  EXPECT_THROW(replay_step(stored, source, 9, nullptr), Error);
  TrainConfig other = stored;
  other.balance.coefficient = 0.5;  // no longer what was run: it must be noticed
  MemorySource again = tiny_source(c);
  EXPECT_FALSE(replay_step(other, again, 8, nullptr).differences.empty());
}

TEST(Anneal, GoesOnFromACheckpointWithItsOptimiser) {
  TrainFolder folder;
  TrainConfig c = tiny_config(folder / "run");
  const TrainResult first = tiny_train(c);
  TrainConfig anneal = tiny_config(folder / "annealed");
  anneal.train.from = first.checkpoint;
  anneal.schedule.kind = "linear", anneal.schedule.final = 0, anneal.schedule.warmup = 0;
  anneal.data.loader.seed = 42;
  const TrainResult second = tiny_train(anneal);
  EXPECT_EQ(second.state.step, 8);
  EXPECT_EQ(second.state.optimizer_steps, 16);
  const auto rows = read_metrics((folder / "annealed") + "/metrics.jsonl").rows;
  EXPECT_EQ(rows[0].lr, anneal.optimizer.lr);
  EXPECT_LT(rows[0].loss, read_metrics((folder / "run") + "/metrics.jsonl").rows[0].loss);
}

}  // namespace
}  // namespace lyceum
