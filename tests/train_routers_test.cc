// Routers inside the trainer: what a step counts, what it moves afterwards, what is saved. Oracles: the same
// tokens as one micro-batch, listeners at the layer's taps, counts of the training text, the uninterrupted
// run.
#include <gtest/gtest.h>

#include <cstring>
#include <set>

#include "models/weights.h"
#include "train/replay.h"
#include "train/step.h"
#include "train_fixture.h"

namespace lyceum {
namespace {

TrainConfig config_of(const std::string& router, const std::string& folder,
                      const std::string& precision = "f32") {
  TrainConfig c = tiny_config(folder, precision);
  c.model.router = router;
  const std::set<std::string> one = {"switch", "base", "hash", "random_routed"};
  if (one.count(router)) c.model.top_k = 1;
  if (router == "random_routed") c.model.routing.n_domains = 2;
  if (router == "hierarchical") c.model.routing.groups = 2;
  if (router == "hash") c.model.routing.hash = "balanced";  // built from the counts of the text
  if (router == "sigmoid_top_k") c.model.routing.selection_bias = true;
  return c;
}

std::vector<float> floats_of(const std::string& checkpoint, const std::string& suffix) {
  for (const auto& [name, bytes] : checkpoint_tensors(checkpoint))
    if (name.ends_with(suffix)) {
      std::vector<float> out(bytes.size() / 4);
      std::memcpy(out.data(), bytes.data(), bytes.size());
      return out;
    }
  ADD_FAILURE() << checkpoint << " has no " << suffix;
  return {};
}

// The same 24 tokens a step, in one micro-batch or in two.
class Halves : public BatchSource {
 public:
  explicit Halves(bool split) : split_(split) {}
  void next(Batch& b) override {
    b = Batch();
    b.offsets.push_back(0);
    for (int s = 0; s < (split_ ? 1 : 2); ++s) {
      const int which = split_ ? n_++ : s;
      for (int t = 0; t < 12; ++t) {
        const int32_t id = which % 2 ? 40 + t % 3 : (t * 7) % 30;  // the halves want different experts
        b.ids.push_back(id), b.targets.push_back((id + 1) % 64), b.weights.push_back(1);
        b.positions.push_back(t), b.domains.push_back(0);
      }
      b.offsets.push_back(static_cast<int32_t>(b.ids.size()));
    }
  }
  std::string cursor() const override { return ""; }
  void seek(const std::string&) override {}

 private:
  bool split_;
  int n_ = 0;
};

TEST(Routers, LossFreeBalancingMovesOncePerStepByTheLoadOfAllItsMicroBatches) {
  TrainFolder folder;
  std::vector<float> found[3];
  for (int split = 0; split < 3; ++split) {  // whole, in two, and the first half alone
    TrainConfig c = config_of("sigmoid_top_k", folder / std::to_string(split));
    c.balance.coefficient = c.balance.z_coefficient = 0;
    c.balance.bias_rate = 0.25, c.train.steps = 1, c.optimizer.lr = 0;
    c.train.micro_batches = split == 1 ? 2 : 1;
    Halves source(split > 0);
    const TrainResult r = train(c, TrainParts{source});
    for (const char* layer :
         {"layers.0.mlp.gate.e_score_correction_bias", "layers.1.mlp.gate.e_score_correction_bias"})
      for (const float b : floats_of(r.checkpoint, layer)) found[split].push_back(b);
  }
  ASSERT_EQ(found[0].size(), 8u);
  for (const float b : found[0]) EXPECT_TRUE(b == 0 || b == 0.25f || b == -0.25f) << b;
  EXPECT_EQ(found[1], found[0]);
  EXPECT_NE(found[2], found[0]) << "the halves must differ, or this test sees nothing";
}

class KeptEdges : public Taps {
 public:
  std::map<int64_t, double> edges, dropped;
  void on(const char* station, int64_t layer, const Tensor& value) override {
    if (std::string(station) != "router_kept") return;
    for (int64_t e = 0; e < value.elements(); ++e) ++edges[layer], dropped[layer] += !value.as<uint8_t>()[e];
  }
};

TEST(Routers, AStepCountsEveryEdgeThatCapacityDropped) {
  for (const char* router : {"switch", "st_moe", "gshard", "softmax_top_k"}) {
    SCOPED_TRACE(router);
    TrainConfig c = config_of(router, "unused");
    c.model.routing.capacity = "ceil", c.model.routing.capacity_factor = 0.5;
    c.model.routing.capacity_minimum = 1;
    Model model(c.model, c.precision());
    model.enable_gradients();
    model.initialise(RandomKey(1));
    MemorySource source = tiny_source(c);
    std::vector<Batch> batches(3);
    for (Batch& b : batches) source.next(b);
    StepGradient gradient;
    KeptEdges taps;
    step_gradient(model, step_options(c), 0, batches, gradient, &taps);
    ASSERT_EQ(gradient.layers.size(), 2u);
    for (int64_t l = 0; l < 2; ++l) {
      const LayerLoad& layer = gradient.layers[static_cast<size_t>(l)];
      EXPECT_GT(taps.dropped[l], 5);
      EXPECT_EQ(layer.edges, taps.edges[l]);
      EXPECT_NEAR(layer.dropped(), taps.dropped[l] / taps.edges[l], 1e-12);
      double load = 0, chosen = 0;
      for (double n : layer.load) load += n;
      for (double n : layer.chosen) chosen += n;
      EXPECT_EQ(load, taps.edges[l] - taps.dropped[l]);
      EXPECT_EQ(chosen, taps.edges[l]);
    }
  }
}

TEST(Routers, EveryOneResumesAndIsReplayedWithItsBitsAndComesBackFromItsCheckpoint) {
  for (const std::string& router : router_names())
    for (const char* precision : {"f32", "bf16"}) {
      SCOPED_TRACE(router + " " + precision);
      TrainFolder folder;
      TrainConfig c = config_of(router, folder / "whole", precision);
      const unsigned uses = find_router(router).uses;
      c.train.steps = 4;
      c.model.routing.expert_dropout = 0.2;
      if (uses & kUsesPrecision) c.model.routing.precision = "bf16";
      if (uses & kUsesJitter) c.model.routing.jitter = 0.1;
      if (uses & kUsesCapacity) c.model.routing.capacity = "ceil", c.model.routing.capacity_factor = 0.75;
      const TrainResult whole = tiny_train(c);
      EXPECT_EQ(whole.state.skipped, 0);
      MemorySource source = tiny_source(c);
      EXPECT_EQ(replay_step(config_of_run(c.train.folder), source, 3, nullptr).differences,
                std::vector<std::string>());
      c.train.folder = folder / "parts", c.train.recompute = true;
      StopAfter two(2);
      TrainConfig again = c;
      EXPECT_EQ(tiny_train(again, {&two}).state.step, 2);
      const TrainResult parts = tiny_train(again);
      EXPECT_EQ(parts.state.step, 4);
      const auto a = checkpoint_tensors(whole.checkpoint), b = checkpoint_tensors(parts.checkpoint);
      ASSERT_EQ(a.size(), b.size());
      for (const auto& [name, bytes] : a) EXPECT_TRUE(bytes == b.at(name)) << name;
      const auto model = open_model(whole.checkpoint, c.precision());
      RouterOptions wanted = c.model.routing, found = model->config().routing;
      wanted.router = found.router = router;
      EXPECT_EQ(fields_diff(fields_of(wanted), fields_of(found)), std::vector<std::string>());
    }
}

TEST(Routers, TablesDifferByLayerStayAsTheyWereBuiltAndSayHowEvenTheirLoadIs) {
  for (const bool balanced : {false, true}) {
    TrainFolder folder;
    TrainConfig c = config_of(balanced ? "hash" : "random_routed", folder / "run");
    if (balanced) c.model.routing.hash = "balanced";
    else c.model.routing.n_domains = 1;
    c.train.steps = 2;
    testing::internal::CaptureStderr();
    const TrainResult r = tiny_train(c);
    const std::string log = testing::internal::GetCapturedStderr();
    std::vector<double> counts(64);
    for (const int32_t id : tiny_ids()) ++counts[static_cast<size_t>(id)];
    std::vector<std::vector<float>> tables;
    const auto model = open_model(r.checkpoint, c.precision());
    for (const Parameter* p : model->parameters())
      if (p->name.ends_with("route_table")) {
        tables.push_back(p->read_master());
        std::vector<double> load(4);
        double sum = 0;
        for (size_t id = 0; id < 64; ++id)
          load[static_cast<size_t>(tables.back()[id])] += counts[id], sum += counts[id];
        const double busiest = 4 * *std::max_element(load.begin(), load.end()) / sum;
        const size_t at = log.find(p->name + ": busiest expert of a group ");
        ASSERT_NE(at, std::string::npos) << log;
        EXPECT_NEAR(std::stod(log.substr(log.find("group ", at) + 6)), busiest, 0.03) << log;
        EXPECT_LT(busiest, balanced ? 1.02 : 4);
      }
    ASSERT_EQ(tables.size(), 2u);
    EXPECT_EQ(tables[0] != tables[1], !balanced);
  }
}

}  // namespace
}  // namespace lyceum
