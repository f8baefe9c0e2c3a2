// Properties that every row of the router table has. Oracles: the definition of a routing, a second run on
// another number of threads, chi-square tests of what is random, and a toy task on which routers collapse
// without a balance loss and recover with one.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "base/threads.h"
#include "moe/balance.h"
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

Batch batch_of(int64_t tokens, int64_t sequences) {
  Batch b;
  const RandomKey key(91);
  for (int64_t t = 0; t < tokens; ++t) {
    b.ids.push_back(static_cast<int32_t>(key.below(static_cast<uint64_t>(t), kVocab)));
    b.positions.push_back(static_cast<int32_t>(t)), b.domains.push_back(static_cast<int32_t>(t % 2));
  }
  for (int64_t s = 0; s <= sequences; ++s) b.offsets.push_back(static_cast<int32_t>(tokens * s / sequences));
  return b;
}

// Small but complete options under which the router works.
RouterOptions options_of(const RouterKind& kind) {
  RouterOptions o;
  o.router = kind.name, o.d_model = kModel, o.n_experts = kExperts, o.vocab = kVocab;
  const std::set<std::string> one = {"switch", "base", "hash", "random_routed"};
  o.top_k = one.count(o.router) ? 1 : 2;
  if (o.router == "random_routed") o.n_domains = 2;
  if (o.router == "hierarchical") o.groups = 4, o.kept_groups = 2, o.top_k = 4;
  if (kind.uses & kUsesCapacity) o.capacity = "ceil", o.capacity_factor = 0.7, o.capacity_minimum = 1;
  if (kind.uses & kUsesJitter) o.jitter = 0.05;
  if (o.router == "sigmoid_top_k") o.selection_bias = true;
  return o;
}

struct Made {
  explicit Made(const RouterOptions& o, uint64_t seed = 3, double spread = 0.4) : parameters(DType::kF32) {
    router = make_router(o, "mlp", parameters);
    for (Parameter* p : parameters.all()) {
      if (!p->trained) continue;
      const Tensor values = random_rows(1, p->elements(), ++seed, spread);
      p->write_master(values.f32());
      p->enable_gradient();
    }
  }
  ParameterList parameters;
  std::unique_ptr<Router> router;
};

class EveryRouter : public testing::TestWithParam<size_t> {
 protected:
  const RouterKind& kind() const { return router_table()[GetParam()]; }
};

TEST_P(EveryRouter, GivesDistinctExpertsInRangeFiniteGatesAndAPlanThatConservesRows) {
  Made m(options_of(kind()));
  for (const int64_t tokens : {0, 1, 5, 64, 333})
    for (const Phase phase : {Phase::kTraining, Phase::kEvaluation}) {
      const Batch batch = batch_of(tokens, tokens > 8 ? 3 : 1);
      const Tensor x = random_rows(tokens, kModel, static_cast<uint64_t>(tokens));
      Tape tape(false);
      Context c{tape, batch};
      c.phase = phase, c.key = RandomKey(5);
      const Routing r = m.router->route(c, x, 1);
      ASSERT_EQ(r.tokens, tokens);
      ASSERT_EQ(r.first.i32()[0], 0);
      ASSERT_EQ(r.first.i32()[tokens], r.edges());
      for (int64_t t = 0; t < tokens; ++t) {
        std::set<int32_t> seen;
        for (int32_t e = r.first.i32()[t]; e < r.first.i32()[t + 1]; ++e) {
          const int32_t expert = r.expert.i32()[e];
          ASSERT_TRUE(expert >= 0 && expert < kExperts) << expert;
          ASSERT_TRUE(seen.insert(expert).second) << "token " << t << " twice to expert " << expert;
          ASSERT_TRUE(std::isfinite(r.gate.f32()[e])) << "token " << t;
          ASSERT_TRUE(r.gate.f32()[e] >= 0);
        }
        if (r.top_k) {
          ASSERT_EQ(static_cast<int64_t>(seen.size()), r.top_k);
        }
      }
      const ops::Slots plan = dispatch(r);
      int64_t kept = 0, dropped = 0;
      for (int64_t e = 0; e < r.edges(); ++e) {
        const bool stays = !r.kept || r.kept.as<uint8_t>()[e] != 0;
        ++(stays ? kept : dropped);
        ASSERT_EQ(plan.edge_slot.i32()[e] >= 0, stays);
      }
      ASSERT_EQ(plan.slots(), kept);
      ASSERT_EQ(kept + dropped, r.edges());
      int64_t loaded = 0;
      for (int64_t n : r.load()) loaded += n;
      ASSERT_EQ(loaded, kept);
    }
}

// A step that diverges must end as a step that is skipped, not in a sort that runs out of its row or an
// auction without an end.
TEST_P(EveryRouter, StillGivesAPlanWhereScoresAreNotFinite) {
  const Batch batch = batch_of(400, 3);
  Tensor x = random_rows(400, kModel, 9);
  for (int64_t t = 0; t < 400; t += 3) {
    const float bad[] = {NAN, INFINITY, -INFINITY, 3e38f};
    x.f32()[t * kModel + t % kModel] = bad[t / 3 % 4];
  }
  for (const char* drop : {"position", "token", "priority", "probability", "random"}) {
    RouterOptions o = options_of(kind());
    if (kind().uses & kUsesCapacity) o.drop = drop;
    Made m(o);
    for (const Phase phase : {Phase::kTraining, Phase::kEvaluation}) {
      Tape tape(false);
      Context c{tape, batch};
      c.phase = phase, c.key = RandomKey(5);
      const Routing r = m.router->route(c, x, 1);
      for (int64_t t = 0; t < 400; ++t) {
        std::set<int32_t> seen;
        for (int32_t e = r.first.i32()[t]; e < r.first.i32()[t + 1]; ++e) {
          ASSERT_TRUE(r.expert.i32()[e] >= 0 && r.expert.i32()[e] < kExperts);
          ASSERT_TRUE(seen.insert(r.expert.i32()[e]).second) << "token " << t;
        }
      }
      EXPECT_NO_THROW(dispatch(r));
    }
    if (!(kind().uses & kUsesCapacity)) break;
  }
}

TEST_P(EveryRouter, GivesTheSameBitsOnOneThreadAndOnMore) {
  const Batch batch = batch_of(700, 3);
  const Tensor x = random_rows(700, kModel, 9);
  std::vector<std::vector<float>> found[3];
  for (int round = 0; round < 3; ++round) {
    set_thread_count(round == 0 ? 1 : round == 1 ? 2 : 5);
    Made m(options_of(kind()));
    Tape tape(true);
    Context c{tape, batch};
    c.phase = Phase::kTraining, c.key = RandomKey(5);
    const Routing r = m.router->route(c, x, 1);
    BalanceOptions o;
    o.importance_coefficient = o.load_coefficient = 0.1;
    const BalanceLosses losses = balance_losses(tape, {r}, o, 1);
    ops::inner_product(tape, r.gate, random_rows(r.edges(), 1, 4));
    tape.backward();
    found[round].emplace_back(r.expert.i32(), r.expert.i32() + r.edges());
    found[round].push_back(r.gate.to_floats());
    found[round].push_back({static_cast<float>(losses.balance), static_cast<float>(losses.z),
                            static_cast<float>(losses.importance), static_cast<float>(losses.load)});
    if (r.kept) found[round].emplace_back(r.kept.as<uint8_t>(), r.kept.as<uint8_t>() + r.edges());
    if (const Tensor d = tape.take(x)) found[round].push_back(d.to_floats());
    for (const Parameter* p : m.parameters.all())
      if (p->grad) found[round].push_back(p->grad.to_floats());
  }
  set_thread_count(2);
  EXPECT_EQ(found[0], found[1]);
  EXPECT_EQ(found[0], found[2]);
}

INSTANTIATE_TEST_SUITE_P(Table, EveryRouter, testing::Range<size_t>(0, router_table().size()),
                         [](const auto& row) { return router_table()[row.param].name; });

// Chi-square of counts against equal shares.
double chi_square(const std::vector<double>& counts) {
  double sum = 0, chi = 0;
  for (double n : counts) sum += n;
  const double wanted = sum / static_cast<double>(counts.size());
  for (double n : counts) chi += (n - wanted) * (n - wanted) / wanted;
  return chi;
}
constexpr double kSevenFreedoms = 24.3;  // p = 0.001 with seven degrees of freedom

std::vector<double> load_of(const RouterOptions& o, double spread, Phase phase) {
  Made m(o, 3, spread);
  const Batch batch = batch_of(8000, 1);
  const Tensor x = random_rows(8000, kModel, 9);
  Tape tape(false);
  Context c{tape, batch};
  c.phase = phase, c.key = RandomKey(6);
  const Routing r = m.router->route(c, x, 0);
  std::vector<double> out;
  for (int64_t n : r.load()) out.push_back(static_cast<double>(n));
  return out;
}

TEST(Chance, NoisyGatesWithZeroWeightsSpreadTheLoadEvenly) {
  RouterOptions o;
  o.router = "noisy_top_k", o.d_model = kModel, o.n_experts = kExperts, o.top_k = 1;
  EXPECT_LT(chi_square(load_of(o, 0, Phase::kTraining)), kSevenFreedoms);
  o.router = "switch", o.capacity = "none", o.sample = true;
  EXPECT_LT(chi_square(load_of(o, 0, Phase::kTraining)), kSevenFreedoms);
}

// Every pair of 90 ids once: what is found is the hash's doing alone, by id, by the id before it, and in all.
TEST(Chance, BigramsHashEvenly) {
  RouterOptions o;
  o.router = "hash", o.d_model = kModel, o.n_experts = kExperts, o.top_k = 1, o.vocab = kVocab,
  o.hash = "bigram";
  Batch b;
  b.offsets.push_back(0);
  for (int32_t before = 0; before < 90; ++before)
    for (int32_t id = 0; id < 90; ++id) {
      for (int32_t i : {before, id}) b.ids.push_back(i), b.positions.push_back(0), b.domains.push_back(0);
      b.offsets.push_back(static_cast<int32_t>(b.ids.size()));
    }
  Made m(o);
  Tape tape(false);
  Context c{tape, b};
  const Routing r = m.router->route(c, random_rows(b.tokens(), kModel, 9), 0);
  std::vector<double> all(kExperts);
  double by_id = 0, by_before = 0;
  for (int64_t i = 0; i < 90; ++i) {
    std::vector<double> after(kExperts), of(kExperts);
    for (int64_t j = 0; j < 90; ++j) {
      const auto expert = [&](int64_t before, int64_t id) {
        return static_cast<size_t>(r.expert.i32()[2 * (before * 90 + id) + 1]);
      };
      ++after[expert(i, j)], ++of[expert(j, i)], ++all[expert(i, j)];
    }
    by_before += chi_square(after), by_id += chi_square(of);
  }
  EXPECT_LT(chi_square(all), kSevenFreedoms);
  EXPECT_LT(std::max(by_id, by_before), 745);  // 630 degrees of freedom, p = 0.001
  EXPECT_GT(std::min(by_id, by_before), 525);  // nor dealt out
}

TEST(Chance, TablesOfTwoLayersAndOfTwoDomainsHaveNothingToDoWithEachOther) {
  for (const char* router : {"hash", "random_routed"}) {
    RouterOptions o;
    o.router = router, o.d_model = kModel, o.n_experts = 16, o.top_k = 1, o.vocab = 8192;
    if (o.router == "random_routed") o.n_domains = 2;
    const int64_t size = o.router == "hash" ? 16 : 8;
    std::vector<std::vector<float>> tables;  // of one layer and domain
    for (int64_t layer = 0; layer < 2; ++layer) {
      ParameterList parameters(DType::kF32);
      o.layer = layer;
      const auto made = make_router(o, "mlp", parameters);
      const std::vector<float> table = parameters.find("mlp.route_table")->read_master();
      for (size_t at = 0; at < table.size(); at += 8192)
        tables.emplace_back(table.begin() + static_cast<int64_t>(at),
                            table.begin() + static_cast<int64_t>(at) + 8192);
    }
    for (size_t a = 0; a < tables.size(); ++a)
      for (size_t b = 0; b < a; ++b) {
        std::vector<double> pairs(static_cast<size_t>(size * size));
        for (size_t id = 0; id < 8192; ++id)
          ++pairs[static_cast<size_t>(static_cast<int64_t>(tables[a][id]) % size * size +
                                      static_cast<int64_t>(tables[b][id]) % size)];
        const double freedoms = static_cast<double>((size - 1) * (size - 1)), chi = chi_square(pairs);
        EXPECT_LT(std::abs(chi - freedoms), 3.5 * std::sqrt(2 * freedoms)) << router << " " << a << " " << b;
      }
  }
}

TEST(Chance, TheSecondExpertIsTakenWithTwiceItsGate) {
  RouterOptions o;
  o.router = "gshard", o.d_model = kModel, o.n_experts = kExperts, o.top_k = 2, o.capacity = "none";
  Made m(o);
  const Batch batch = batch_of(6000, 1);
  const Tensor x = random_rows(6000, kModel, 9);
  Tape tape(false);
  Context c{tape, batch};
  c.phase = Phase::kTraining, c.key = RandomKey(6);
  const Routing r = m.router->route(c, x, 0);
  double wanted = 0, variance = 0, found = 0;
  for (int64_t t = 0; t < 6000; ++t) {
    ASSERT_EQ(r.kept.as<uint8_t>()[2 * t], 1);
    const double p = std::min(1.0, 2.0 * r.gate.f32()[2 * t + 1]);
    wanted += p, variance += p * (1 - p), found += r.kept.as<uint8_t>()[2 * t + 1];
  }
  EXPECT_LT(std::abs(found - wanted), 3.3 * std::sqrt(variance));
}

TEST(Hash, BalancedTablesFollowTheCountsOfTheText) {
  RouterOptions o;
  o.router = "hash", o.d_model = kModel, o.n_experts = kExperts, o.top_k = 1, o.vocab = kVocab,
  o.hash = "balanced";
  Made m(o);
  std::vector<double> counts(kVocab);  // Zipf
  for (size_t i = 0; i < counts.size(); ++i) counts[i] = std::floor(10000.0 / static_cast<double>(8 + i));
  EXPECT_NE(m.router->build_table(counts).find("1.0"), std::string::npos);
  const int32_t* table = m.parameters.find("mlp.route_table")->value.i32();
  std::vector<double> load(kExperts);
  for (size_t i = 0; i < counts.size(); ++i) load[static_cast<size_t>(table[i])] += counts[i];
  const double most = *std::max_element(load.begin(), load.end()),
               least = *std::min_element(load.begin(), load.end());
  EXPECT_LT(most / least, 1.05);
}

TEST(ForcedUniform, LoadsEveryExpertEquallyWhateverTheInputAndSaysSoInTheLog) {
  RouterOptions o;
  o.router = "forced_uniform", o.d_model = kModel, o.n_experts = kExperts, o.top_k = 3;
  testing::internal::CaptureStderr();
  Made m(o);
  EXPECT_NE(testing::internal::GetCapturedStderr().find("FORCED UNIFORM ROUTING in mlp"), std::string::npos);
  const Batch batch = batch_of(64, 1);
  Tensor x({64, kModel}, DType::kF32);
  std::fill_n(x.f32(), x.elements(), 1.0f);  // all tokens alike
  Tape tape(false);
  Context c{tape, batch};
  EXPECT_EQ(m.router->route(c, x, 0).load(), std::vector<int64_t>(kExperts, 24));
}

TEST(ExpertChoice, LoadsEveryExpertEquallyAndRefusesToGenerate) {
  RouterOptions o;
  o.router = "expert_choice", o.d_model = kModel, o.n_experts = kExperts, o.top_k = 2;
  Made m(o);
  const Batch batch = batch_of(64, 1);
  Tape tape(false);
  Context c{tape, batch};
  const Routing r = m.router->route(c, random_rows(64, kModel, 9), 0);
  EXPECT_EQ(r.load(), std::vector<int64_t>(kExperts, 16));
  SequenceState state;
  c.state = &state;
  try {
    m.router->route(c, random_rows(64, kModel, 9), 0);
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::kUnsupported);
    EXPECT_NE(std::string(e.what()).find("expert_choice cannot generate"), std::string::npos);
  }
}

TEST(ExpertChoice, TakesNoTokenWithoutAScoreWhileThereAreOthers) {
  RouterOptions o;
  o.router = "expert_choice", o.d_model = kModel, o.n_experts = kExperts, o.top_k = 2;
  Made m(o);
  const Batch batch = batch_of(200, 1);
  const Tensor x = random_rows(200, kModel, 9);
  for (int64_t t = 0; t < 200; t += 2) x.f32()[t * kModel] = NAN;
  Tape tape(false);
  Context c{tape, batch};
  const Routing r = m.router->route(c, x, 0);
  EXPECT_EQ(r.load(), std::vector<int64_t>(kExperts, 50));
  for (int64_t t = 0; t < 200; t += 2) EXPECT_EQ(r.first.i32()[t], r.first.i32()[t + 1]) << t;
}

TEST(Base, GivesEveryExpertTheSameNumberOfTokensAndTheRemainderOneEach) {
  RouterOptions o;
  o.router = "base", o.d_model = kModel, o.n_experts = kExperts, o.top_k = 1;
  Made m(o);
  for (const int64_t tokens : {64, 61, 3}) {
    const Batch batch = batch_of(tokens, 1);
    Tape tape(false);
    Context c{tape, batch};
    c.phase = Phase::kTraining;
    for (const int64_t n : m.router->route(c, random_rows(tokens, kModel, 9), 0).load()) {
      EXPECT_GE(n, tokens / kExperts);
      EXPECT_LE(n, (tokens + kExperts - 1) / kExperts);
    }
  }
}

// A toy task: y = A_c x, where c is one of four classes that shows in x. One expert begins as the favourite
// of all tokens. Returns the share of the busiest expert after so many steps of plain gradient descent.
double busiest_share(RouterOptions o, const BalanceOptions& losses, double bias_rate) {
  constexpr int64_t kTokens = 128, kSmall = 4;
  ParameterList parameters(DType::kF32);
  MoeOptions options;
  o.d_model = kModel, o.n_experts = kSmall;
  options.router = o, options.d_ff = 16;
  const MoeLayer layer(options, "mlp", parameters);
  uint64_t seed = 40;
  for (Parameter* p : parameters.all()) {
    if (!p->trained) continue;
    Tensor values = random_rows(1, p->elements(), ++seed, 0.3);
    if (p->name.ends_with("gate.weight"))
      for (int64_t i = 0; i < p->elements(); ++i)
        values.f32()[i] =
            0.05f * values.f32()[i] + (i == kModel - 1 ? 4.0f : 0);  // the last input is always 1
    p->write_master(values.f32());
    p->enable_gradient();
  }
  const Tensor maps = random_rows(kSmall * kModel, kModel, 77, 0.3);
  const Batch batch = batch_of(kTokens, 1);
  std::vector<double> load;
  for (uint64_t step = 0; step < 400; ++step) {
    const Tensor x = random_rows(kTokens, kModel, 1000 + step), wanted({kTokens, kModel}, DType::kF32);
    for (int64_t t = 0; t < kTokens; ++t) {
      const int64_t c = t % kSmall;
      for (int64_t i = 0; i < kSmall; ++i) x.f32()[t * kModel + i] = i == c ? 2 : 0;
      x.f32()[t * kModel + kModel - 1] = 1;
      for (int64_t i = 0; i < kModel; ++i) {
        float sum = 0;
        for (int64_t j = 0; j < kModel; ++j)
          sum += maps.f32()[(c * kModel + i) * kModel + j] * x.f32()[t * kModel + j];
        wanted.f32()[t * kModel + i] = sum;
      }
    }
    Tape tape(true);
    Context c{tape, batch};
    c.phase = Phase::kTraining, c.key = RandomKey(8).with(step);
    std::vector<Routing> routings;
    const Tensor y = layer.forward(c, x, 0, routings), slope({kTokens, kModel}, DType::kF32);
    for (int64_t i = 0; i < y.elements(); ++i) slope.f32()[i] = (y.f32()[i] - wanted.f32()[i]) / kTokens;
    balance_losses(tape, routings, losses, 1);
    ops::inner_product(tape, y, slope);
    tape.backward();
    load.assign(kSmall, 0);
    for (size_t e = 0; e < kSmall; ++e) load[e] = static_cast<double>(routings[0].load()[e]);
    for (Parameter* p : parameters.all()) {
      if (!p->grad) continue;
      for (int64_t i = 0; i < p->grad.elements(); ++i) p->value.f32()[i] -= 0.1f * p->grad.f32()[i];
      p->grad.set_zero();
    }
    if (Parameter* bias = layer.router().selection_bias()) update_selection_bias(*bias, load, bias_rate);
  }
  double sum = 0;
  for (double n : load) sum += n;
  return *std::max_element(load.begin(), load.end()) / sum;
}

TEST(Balance, WithoutItRoutersCollapseOnAToyTaskAndWithItTheyRecover) {
  set_thread_count(1);  // the layer is too small for two
  RouterOptions o;
  o.router = "softmax_top_k", o.top_k = 1;
  const BalanceOptions none{BalanceForm::kPaper, 0, 0};
  EXPECT_GT(busiest_share(o, none, 0), 0.9);
  for (const char* form :
       {"paper", "megablocks", "huggingface", "switch", "gshard", "kept", "sequence", "global"}) {
    SCOPED_TRACE(form);
    EXPECT_LT(busiest_share(o, {balance_form(form), 0.5, 0}, 0), 0.5);
  }
  o.router = "sigmoid_top_k", o.selection_bias = true;
  EXPECT_GT(busiest_share(o, none, 0), 0.9);
  EXPECT_LT(busiest_share(o, none, 0.01), 0.5);
  o = RouterOptions();
  o.router = "noisy_top_k", o.top_k = 1;
  EXPECT_GT(busiest_share(o, none, 0), 0.9);
  BalanceOptions shazeer = none;
  shazeer.load_coefficient = 0.5;  // with one choice a token importance is constant
  EXPECT_LT(busiest_share(o, shazeer, 0), 0.5);
}

}  // namespace
}  // namespace lyceum
