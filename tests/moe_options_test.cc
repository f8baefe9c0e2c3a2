// Options that routers share: each is refused where it means nothing, and does what it says where it means
// something. Oracles: a table written from the papers, plain loops in double, closed forms of probability.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "base/threads.h"
#include "kernels/expert_rows.h"
#include "moe/balance.h"
#include "moe/capacity.h"
#include "moe/dispatch.h"
#include "moe/layer.h"

namespace lyceum {
namespace {

constexpr int64_t kModel = 12, kExperts = 8, kVocab = 97;

Tensor random_rows(int64_t rows, int64_t width, uint64_t seed, double spread = 1) {
  Tensor t({rows, width}, DType::kF32);
  for (int64_t i = 0; i < t.elements(); ++i)
    t.f32()[i] = static_cast<float>(spread * RandomKey(seed).normal(static_cast<uint64_t>(i)));
  return t;
}

Batch batch_of(std::vector<int32_t> offsets) {
  Batch b;
  for (int32_t t = 0; t < offsets.back(); ++t)
    b.ids.push_back(t * 7 % kVocab), b.positions.push_back(t), b.domains.push_back(t % 2);
  b.offsets = std::move(offsets);
  return b;
}

bool one_choice(const std::string& router) {
  return router == "switch" || router == "base" || router == "hash" || router == "random_routed";
}

// The least options under which a router can be made.
RouterOptions plain_options(const std::string& router) {
  RouterOptions o;
  o.router = router, o.d_model = kModel, o.n_experts = kExperts, o.vocab = kVocab;
  o.top_k = one_choice(router) ? 1 : 2;
  if (router == "random_routed") o.n_domains = 2;
  if (router == "hierarchical") o.groups = 4, o.kept_groups = 2;
  return o;
}

void randomise(ParameterList& parameters, uint64_t seed) {
  for (Parameter* p : parameters.all())
    if (p->trained) p->write_master(random_rows(1, p->elements(), ++seed, 0.4).f32());
}

Routing route(const RouterOptions& o, const Tensor& x, const Batch& batch, Phase phase, uint64_t key = 5) {
  ParameterList parameters(DType::kF32);
  const auto router = make_router(o, "mlp", parameters);
  randomise(parameters, 3);
  Tape tape(false);
  Context c{tape, batch};
  c.phase = phase, c.key = RandomKey(key);
  return router->route(c, x, 1);
}

// ---- what is refused

const std::set<std::string> kEvery = {
    "softmax_top_k", "sigmoid_top_k", "switch",        "st_moe", "gshard", "noisy_top_k",   "hierarchical",
    "sparsemixer",   "attention",     "expert_choice", "base",   "hash",   "random_routed", "forced_uniform"};

std::set<std::string> all_but(std::set<std::string> names) {
  std::set<std::string> out;
  std::set_difference(kEvery.begin(), kEvery.end(), names.begin(), names.end(),
                      std::inserter(out, out.end()));
  return out;
}

struct OptionRow {
  const char* value;  // another than the default
  std::set<std::string> routers;
  std::map<std::string, std::string> with = {};  // without which it would have no effect anywhere
};

std::map<std::string, OptionRow> option_table() {
  const std::set<std::string> limited = {"softmax_top_k", "sigmoid_top_k", "switch",   "st_moe",
                                         "gshard",        "noisy_top_k",   "attention"};
  std::set<std::string> grouped = limited;
  grouped.insert("expert_choice");
  const std::set<std::string> tables = {"hash", "random_routed"}, top_k = {"softmax_top_k", "sigmoid_top_k"},
                              matrix = all_but(
                                  {"noisy_top_k", "hierarchical", "attention", "hash", "random_routed"});
  std::set<std::string> product = matrix, by_groups = top_k;
  product.insert("attention"), by_groups.insert("hierarchical");
  const std::map<std::string, std::string> ceil = {{"capacity", "ceil"}};
  return {
      {"gate_scale",
       {"2", all_but({"hierarchical", "sparsemixer", "hash", "random_routed", "forced_uniform"})}},
      {"bias", {"true", matrix}},
      {"precision", {"bf16", product}},
      {"jitter", {"0.1", matrix}},
      {"expert_dropout", {"0.1", kEvery}},
      {"selection_bias", {"true", top_k}},
      {"groups", {"2", by_groups}},
      {"kept_groups", {"3", by_groups, {{"groups", "4"}}}},
      {"group_score", {"top2_sum", by_groups, {{"groups", "4"}, {"kept_groups", "2"}}}},
      {"threshold", {"0.1", {"sparsemixer"}}},
      {"n_domains", {"4", {"random_routed"}}},
      {"domain_experts", {"[3, 5]", {"random_routed"}}},
      {"table_seed", {"7", tables}},
      {"hash", {"bigram", {"hash"}}},
      {"sample", {"true", {"switch", "gshard"}}},
      {"second", {"always", {"gshard"}}},
      {"gates", {"kept", {"gshard"}}},
      {"noise_floor", {"0.1", {"noisy_top_k", "hierarchical"}}},
      {"experts_per_token", {"1.5", {"expert_choice"}}},
      {"capacity", {"even", limited}},
      {"capacity_factor", {"3", limited, ceil}},
      {"evaluation_capacity_factor", {"3", limited, ceil}},
      {"capacity_minimum", {"1", limited, ceil}},
      {"capacity_tokens", {"9", limited, {{"capacity", "fixed"}}}},
      {"group", {"sequence", grouped, ceil}},
      {"group_size", {"64", grouped, {{"capacity", "ceil"}, {"group", "tokens"}}}},
      {"drop", {"random", limited, ceil}},
  };
}

TEST(Options, EachIsTakenByTheRoutersItMeansSomethingToAndRefusedByNameByAllOthers) {
  std::set<std::string> known;
  for (const std::string& name : router_names()) known.insert(name);
  ASSERT_EQ(known, kEvery) << "a new router wants its name in this table";
  const std::map<std::string, OptionRow> table = option_table();
  for (const std::string& name : kEvery) {
    RouterOptions o = plain_options(name);
    std::set<std::string> keys;
    for (const Field& f : fields_of(o)) keys.insert(f.key);
    for (const auto& [key, row] : table) keys.erase(key);
    ASSERT_TRUE(keys.empty()) << *keys.begin() << ": a new option wants a row in this table";
    for (const auto& [key, row] : table) {
      SCOPED_TRACE(name + " with " + key + " = " + row.value);
      const bool taken = row.routers.count(name) > 0;
      o = plain_options(name);
      std::vector<Setting> settings;
      for (const auto& [other, value] : row.with)  // only what this router understands
        if (table.at(other).routers.count(name)) settings.push_back({"", other, value});
      settings.push_back({"", key, row.value});
      detail::apply_settings(fields_of(o), settings);
      std::string refusal;
      try {
        check_router(o);
      } catch (const Error& e) {
        refusal = e.what();
      }
      EXPECT_EQ(refusal.empty(), taken) << refusal;
      if (!taken) {
        EXPECT_NE(refusal.find(key), std::string::npos) << refusal;
      }
    }
  }
}

TEST(Options, NumbersThatContradictEachOtherAreRefused) {
  const auto refusal = [](RouterOptions o) -> std::string {
    ParameterList parameters(DType::kF32);
    try {
      make_router(o, "mlp", parameters);
    } catch (const Error& e) {
      return e.what();
    }
    return "";
  };
  struct Row {
    const char* router;
    std::function<void(RouterOptions&)> change;
    const char* wanted;
  };
  for (const Row& row : std::vector<Row>{
           {"switch", [](RouterOptions& o) { o.top_k = 2; }, "switch routes each token to one expert"},
           {"gshard", [](RouterOptions& o) { o.top_k = 1; }, "gshard wants a second expert"},
           {"base", [](RouterOptions& o) { o.top_k = 2; }, "base gives each token one expert"},
           {"hash", [](RouterOptions& o) { o.top_k = 2; }, "hash gives each token one expert"},
           {"hash", [](RouterOptions& o) { o.vocab = 0; }, "hash wants the size of the vocabulary"},
           {"random_routed", [](RouterOptions& o) { o.top_k = 2; }, "random_routed gives each token one"},
           {"random_routed", [](RouterOptions& o) { o.n_domains = 3; }, "n_domains = 3 does not divide 8"},
           {"random_routed",
            [](RouterOptions& o) {
              o.domain_experts = {3, 4};
            },
            "that add up to 8 experts"},
           {"random_routed", [](RouterOptions& o) { o.domain_experts = {8}; }, "wants 2 numbers from 1"},
           {"random_routed",
            [](RouterOptions& o) {
              o.domain_experts = {0, 8};
            },
            "wants 2 numbers from 1"},
           {"hierarchical", [](RouterOptions& o) { o.groups = 1, o.kept_groups = 1; }, "set groups"},
           {"hierarchical", [](RouterOptions& o) { o.top_k = 3; }, "cannot come evenly from 2 groups"},
           {"softmax_top_k", [](RouterOptions& o) { o.groups = 3; }, "groups = 3 does not divide 8"},
           {"softmax_top_k", [](RouterOptions& o) { o.groups = 4, o.kept_groups = 5; }, "kept_groups"},
           {"sigmoid_top_k",
            [](RouterOptions& o) { o.groups = 8, o.kept_groups = 4, o.group_score = "top2_sum"; },
            "top2_sum wants groups of two"},
           {"expert_choice", [](RouterOptions& o) { o.experts_per_token = 9; }, "experts_per_token = 9 of 8"},
           {"switch", [](RouterOptions& o) { o.capacity = "fixed"; }, "wants capacity_tokens above 0"},
           {"switch", [](RouterOptions& o) { o.capacity = "most"; }, "capacity"},
           {"switch", [](RouterOptions& o) { o.drop = "last"; }, "drop"},
           {"switch", [](RouterOptions& o) { o.group = "tokens", o.group_size = 0; }, "group_size"},
           {"switch", [](RouterOptions& o) { o.expert_dropout = 1; }, "expert_dropout"},
       }) {
    RouterOptions o = plain_options(row.router);
    EXPECT_EQ(refusal(o), "") << row.router;
    row.change(o);
    EXPECT_NE(refusal(o).find(row.wanted), std::string::npos) << row.wanted << ": " << refusal(o);
  }
}

// ---- capacity

TEST(Capacity, HasThePlacesOfThePublishedRulesInBothPhases) {
  struct Row {
    const char* rule;
    int64_t training, evaluation;
  };
  // 8 experts, k = 2, groups of 51 tokens, factors 0.7 and 2.1, at least 5 places.
  for (const Row& row : std::vector<Row>{{"none", 102, 102},
                                         {"fixed", 11, 11},
                                         {"switch", 5, 13},    // floor(35.7 / 8), floor(107.1 / 8)
                                         {"round", 5, 13},     // 4.46, 13.39
                                         {"ceil", 9, 27},      // 8.93, 26.78
                                         {"even", 8, 26},      // 8.93, 26.78: 8 and 26 are even
                                         {"fastmoe", 9, 27},   // 36 * 2 / 8, 108 * 2 / 8
                                         {"tutel", 8, 28}}) {  // 2 floor(0.7 * 7), 2 floor(2.1 * 7)
    RouterOptions o = plain_options("softmax_top_k");
    o.capacity = row.rule;
    if (o.capacity == "fixed") o.capacity_tokens = 11;
    else o.capacity_factor = 0.7, o.evaluation_capacity_factor = 2.1, o.capacity_minimum = 5;
    const Capacity capacity(o);
    EXPECT_EQ(capacity.places(51, Phase::kTraining), row.training) << row.rule;
    EXPECT_EQ(capacity.places(51, Phase::kEvaluation), row.evaluation) << row.rule;
    EXPECT_EQ(capacity.limited(), o.capacity != "none");
    if (o.capacity == "fixed" || o.capacity == "none") continue;
    o.evaluation_capacity_factor = 0;  // dropless
    EXPECT_EQ(Capacity(o).places(51, Phase::kEvaluation), 102) << row.rule;
    EXPECT_EQ(Capacity(o).places(3, Phase::kTraining), 5) << row.rule;  // the minimum
  }
}

// Whoever is dropped: no expert of a group takes more than its places, and nobody is dropped while a place is
// free. Who is preferred: by position, token by token, by the best gate, by the own probability.
TEST(Capacity, FillsEveryPlaceBeforeItDropsAnybodyAndInTheOrderOfThePolicy) {
  const Batch batch = batch_of({0, 9, 40, 41, 120});
  const Tensor x = random_rows(120, kModel, 8);
  for (const std::string& drop : Capacity::drops())
    for (const std::string& group : Capacity::groups()) {
      SCOPED_TRACE(drop + " by " + group);
      RouterOptions o = plain_options("softmax_top_k");
      o.capacity = "ceil", o.capacity_factor = 0.6, o.capacity_minimum = 1, o.drop = drop, o.group = group;
      if (group == "tokens") o.group_size = 32;
      const Routing r = route(o, x, batch, Phase::kTraining);
      std::vector<int32_t> groups = {0, 120};
      if (group == "sequence") groups = batch.offsets;
      if (group == "tokens") groups = {0, 32, 64, 96, 120};
      int dropped = 0;
      for (size_t g = 0; g + 1 < groups.size(); ++g) {
        const int64_t n = groups[g + 1] - groups[g];
        const int64_t places = std::max<int64_t>(1, static_cast<int64_t>(std::ceil(2.0 * n / 8 * 0.6)));
        for (int32_t expert = 0; expert < kExperts; ++expert) {
          std::vector<int64_t> mine;  // edges to this expert in the order in which places are given
          for (int64_t e = 2 * groups[g]; e < 2 * groups[g + 1]; ++e)
            if (r.expert.i32()[e] == expert) mine.push_back(e);
          const auto p = [&](int64_t e, bool first) {
            return r.probs.f32()[e / 2 * kExperts + r.expert.i32()[first ? e / 2 * 2 : e]];
          };
          std::stable_sort(mine.begin(), mine.end(), [&](int64_t a, int64_t b) {
            if (drop == "probability") return p(a, false) > p(b, false);
            if (drop == "token" || drop == "random") return false;
            if (a % 2 != b % 2) return a % 2 < b % 2;
            return drop == "priority" && p(a, true) > p(b, true);
          });
          int64_t taken = 0;
          for (size_t i = 0; i < mine.size(); ++i) {
            const bool kept = r.kept.as<uint8_t>()[mine[i]] != 0;
            taken += kept, dropped += !kept;
            if (drop != "random") {
              ASSERT_EQ(kept, static_cast<int64_t>(i) < places) << "edge " << mine[i];
            }
          }
          ASSERT_EQ(taken, std::min<int64_t>(places, static_cast<int64_t>(mine.size())));
        }
      }
      EXPECT_GT(dropped, 10);
    }
}

TEST(Capacity, DropsAtRandomWithoutRegardToPosition) {
  RouterOptions o = plain_options("switch");
  o.capacity = "switch", o.capacity_factor = 0.5, o.capacity_minimum = 1, o.drop = "random";
  const Batch batch = batch_of({0, 8000});
  std::vector<double> kept(8);
  const Tensor x({8000, kModel}, DType::kF32);  // all tokens alike: one expert, 500 places
  std::fill_n(x.f32(), x.elements(), 0.5f);
  double all = 0, chi = 0;
  for (uint64_t key = 0; key < 10; ++key) {
    const Routing r = route(o, x, batch, Phase::kTraining, key);
    for (int64_t t = 0; t < 8000; ++t)
      if (r.kept.as<uint8_t>()[t]) ++kept[static_cast<size_t>(t / 1000)], ++all;
  }
  EXPECT_EQ(all, 5000);
  for (const double n : kept) chi += (n - all / 8) * (n - all / 8) / (all / 8);
  EXPECT_LT(chi, 24.3);  // p = 0.001, seven degrees of freedom
  EXPECT_GT(chi, 0.6);   // and not dealt out evenly either
}

// ---- precision

float bf16_of(double x) { return to_float(to_bf16(static_cast<float>(x))); }

TEST(Precision, IsF32WhateverTheModelIsAndBf16ThroughoutWhereAsked) {
  const Batch batch = batch_of({0, 40});
  const Tensor x = random_rows(40, kModel, 8).to(DType::kBF16);
  for (const bool narrow : {false, true})
    for (const bool sigmoid : {false, true}) {
      RouterOptions o = plain_options(sigmoid ? "sigmoid_top_k" : "softmax_top_k");
      o.renormalise = true;
      if (narrow) o.precision = "bf16";
      ParameterList parameters(DType::kBF16);
      const auto router = make_router(o, "mlp", parameters);
      randomise(parameters, 3);
      const Parameter* weight = parameters.find("mlp.gate.weight");
      EXPECT_EQ(weight->type(), narrow ? DType::kBF16 : DType::kF32);
      const std::vector<float> w = weight->read_master();
      Tape tape(false);
      Context c{tape, batch};
      const Routing r = router->route(c, x, 0);
      int differ = 0;
      for (int64_t t = 0; t < 40; ++t) {
        std::vector<double> p(kExperts);
        double sum = 0;
        for (size_t e = 0; e < kExperts; ++e) {
          double l = 0;
          for (size_t i = 0; i < kModel; ++i) {
            const float in = to_float(x.as<bf16>()[t * kModel + static_cast<int64_t>(i)]);
            l += static_cast<double>(w[e * kModel + i]) * in;
          }
          const float found = r.logits.f32()[t * kExperts + static_cast<int64_t>(e)];
          if (narrow) {
            EXPECT_EQ(found, bf16_of(found));
            EXPECT_NEAR(found, l, std::abs(l) * 0x1p-7 + 0x1p-7);
          } else {
            EXPECT_NEAR(found, l, 2e-6 * (1 + std::abs(l)));
            differ += found != bf16_of(found);
          }
          sum += p[e] = sigmoid ? 1 / (1 + std::exp(-double{found})) : std::exp(double{found});
        }
        double chosen = 0;
        for (double& v : p) {
          if (!sigmoid) v /= sum;
          if (narrow) v = bf16_of(v);
        }
        for (int64_t j = 0; j < 2; ++j) chosen += p[static_cast<size_t>(r.expert.i32()[t * 2 + j])];
        for (int64_t j = 0; j < 2; ++j) {
          const double wanted = p[static_cast<size_t>(r.expert.i32()[t * 2 + j])] / chosen;
          const float gate = r.gate.f32()[t * 2 + j];
          if (narrow) {
            EXPECT_EQ(gate, bf16_of(gate));
            EXPECT_NEAR(gate, wanted, 0x1p-8);
          } else {
            EXPECT_NEAR(gate, wanted, 2e-6);
          }
        }
      }
      EXPECT_EQ(differ > 0, !narrow);
    }
}

// ---- dropout inside the experts

struct DropoutLayer {
  explicit DropoutLayer(double rate) : parameters(DType::kF32) {
    MoeOptions o;
    o.router = plain_options("softmax_top_k"), o.router.expert_dropout = rate, o.d_ff = 10;
    layer = std::make_unique<MoeLayer>(o, "mlp", parameters);
    randomise(parameters, 3);
  }
  Tensor forward(const Tensor& x, Phase phase, uint64_t key) {
    const Batch batch = batch_of({0, static_cast<int32_t>(x.rows())});
    Tape tape(false);
    Context c{tape, batch};
    c.phase = phase, c.key = RandomKey(key);
    std::vector<Routing> routings;
    return layer->forward(c, x, 0, routings);
  }
  ParameterList parameters;
  std::unique_ptr<MoeLayer> layer;
};

TEST(ExpertDropout, LeavesEvaluationAloneAndTheMeanOfTraining) {
  const Tensor x = random_rows(6, kModel, 8);
  DropoutLayer with(0.4), without(0);
  const std::vector<float> plain = without.forward(x, Phase::kTraining, 0).to_floats();
  EXPECT_EQ(with.forward(x, Phase::kEvaluation, 0).to_floats(), plain);
  const auto first = with.forward(x, Phase::kTraining, 1).to_floats();
  EXPECT_NE(first, plain);
  EXPECT_EQ(first, with.forward(x, Phase::kTraining, 1).to_floats());
  EXPECT_NE(first, with.forward(x, Phase::kTraining, 2).to_floats());
  std::vector<double> sum(plain.size()), squares(plain.size());
  constexpr int kDraws = 2000;
  for (int i = 0; i < kDraws; ++i) {
    const auto y = with.forward(x, Phase::kTraining, 100 + static_cast<uint64_t>(i)).to_floats();
    for (size_t j = 0; j < y.size(); ++j) sum[j] += y[j], squares[j] += double{y[j]} * y[j];
  }
  double chi = 0;
  for (size_t j = 0; j < sum.size(); ++j) {
    const double mean = sum[j] / kDraws, variance = squares[j] / kDraws - mean * mean;
    EXPECT_GT(variance, 0);
    chi += (mean - plain[j]) * (mean - plain[j]) / (variance / kDraws);
  }
  EXPECT_LT(chi / static_cast<double>(sum.size()), 2);  // 72 correlated sums, 1 is expected
}

TEST(ExpertDropout, DropsTheShareItIsToldUnderAnyWidthAndNumberOfThreads) {
  for (const int64_t width : {1, 3, 16, 57}) {
    Tensor h({3000, width}, DType::kF32), again({3000, width}, DType::kF32);
    std::vector<int32_t> edge(3000);
    for (size_t i = 0; i < edge.size(); ++i) edge[i] = static_cast<int32_t>((i * 7) % 3000);
    std::fill_n(h.f32(), h.elements(), 1.0f), std::fill_n(again.f32(), again.elements(), 1.0f);
    set_thread_count(1);
    kernels::drop_elements(3000, width, 0.3f, RandomKey(4), edge.data(), h.as_rows());
    set_thread_count(3);
    kernels::drop_elements(3000, width, 0.3f, RandomKey(4), edge.data(), again.as_rows());
    set_thread_count(2);
    EXPECT_EQ(h.to_floats(), again.to_floats());
    double dropped = 0;
    for (const float v : h.to_floats()) {
      dropped += v == 0;
      EXPECT_TRUE(v == 0 || std::abs(v - 1 / 0.7) < 1e-4) << v;
    }
    const double n = static_cast<double>(h.elements());
    EXPECT_LT(std::abs(dropped - 0.3 * n), 3.5 * std::sqrt(n * 0.21)) << width;
  }
}

}  // namespace
}  // namespace lyceum
