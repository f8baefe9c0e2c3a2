// moe/: dispatch and combine conserve rows, the router chooses what its definition says, balance losses have
// their published values at balance and at collapse. Oracles: plain loops and the closed forms of the papers.
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

Batch batch_of(int64_t tokens) {
  Batch b;
  for (int64_t t = 0; t < tokens; ++t)
    b.ids.push_back(0), b.positions.push_back(static_cast<int32_t>(t)), b.domains.push_back(0);
  b.offsets = {0, static_cast<int32_t>(tokens)};
  return b;
}

Tensor random_rows(int64_t rows, int64_t width, uint64_t seed) {
  Tensor t({rows, width}, DType::kF32);
  for (int64_t i = 0; i < t.elements(); ++i)
    t.f32()[i] = static_cast<float>(RandomKey(seed).normal(static_cast<uint64_t>(i)));
  return t;
}

void randomise(ParameterList& parameters, uint64_t seed) {
  for (Parameter* p : parameters.all()) {
    const Tensor values = random_rows(1, p->elements(), seed++);
    p->write_master(values.f32());
  }
}

// A random routing with a varying number of edges per token, some dropped.
Routing random_routing(int64_t tokens, int64_t n_experts, uint64_t seed) {
  const RandomKey key(seed);
  std::vector<int32_t> first = {0}, expert;
  std::vector<uint8_t> kept;
  for (int64_t t = 0; t < tokens; ++t) {
    std::set<int32_t> chosen;
    for (uint64_t j = 0; j < key.below(static_cast<uint64_t>(100 * t), 4); ++j)
      chosen.insert(static_cast<int32_t>(
          key.below(static_cast<uint64_t>(100 * t) + 1 + j, static_cast<uint64_t>(n_experts))));
    for (int32_t e : chosen) expert.push_back(e), kept.push_back(key.uniform(expert.size()) < 0.8);
    first.push_back(static_cast<int32_t>(expert.size()));
  }
  Routing r;
  r.tokens = tokens, r.n_experts = n_experts;
  r.first = Tensor::of({tokens + 1}, DType::kI32, first.data());
  r.expert = Tensor::of({static_cast<int64_t>(expert.size())}, DType::kI32, expert.data());
  r.kept = Tensor({static_cast<int64_t>(kept.size())}, DType::kU8);
  std::copy(kept.begin(), kept.end(), r.kept.as<uint8_t>());
  return r;
}

TEST(Dispatch, ConservesEveryRowUnderAnyRouting) {
  for (uint64_t seed = 0; seed < 50; ++seed) {
    const Routing r = random_routing(static_cast<int64_t>(seed), 1 + static_cast<int64_t>(seed % 7), seed);
    const ops::Slots s = dispatch(r);
    int64_t kept = 0;
    for (int64_t e = 0; e < r.edges(); ++e) kept += r.kept.as<uint8_t>()[e];
    ASSERT_EQ(s.slots(), kept);
    std::set<int32_t> seen;
    for (int64_t t = 0; t < r.tokens; ++t)
      for (int32_t e = r.first.i32()[t]; e < r.first.i32()[t + 1]; ++e) {
        const int32_t slot = s.edge_slot.i32()[e];
        ASSERT_EQ(slot >= 0, r.kept.as<uint8_t>()[e] != 0);
        if (slot < 0) continue;
        ASSERT_TRUE(seen.insert(slot).second);
        ASSERT_EQ(s.token.i32()[slot], t);
        ASSERT_EQ(s.slot_edge.i32()[slot], e);
        const int32_t expert = r.expert.i32()[e];
        ASSERT_GE(slot, s.group_first.i32()[expert]);
        ASSERT_LT(slot, s.group_first.i32()[expert + 1]);
      }
    const std::vector<int64_t> load = r.load();
    for (int64_t i = 0; i < r.n_experts; ++i)
      ASSERT_EQ(load[static_cast<size_t>(i)], s.group_first.i32()[i + 1] - s.group_first.i32()[i]);
  }
}

TEST(Layer, EqualsAPlainLoopOverTokensAndExperts) {
  const int64_t tokens = 13, d_model = 6, d_ff = 5, n_experts = 4, k = 2;
  for (const bool renormalise : {false, true}) {
    ParameterList parameters(DType::kF32);
    MoeOptions o;
    o.router = {"softmax_top_k", d_model, n_experts, k, renormalise, 1.5};
    o.d_ff = d_ff;
    const MoeLayer layer(o, "mlp", parameters);
    randomise(parameters, 7);
    const Tensor x = random_rows(tokens, d_model, 3);
    const Batch batch = batch_of(tokens);
    Tape tape(false);
    Context c{tape, batch};
    std::vector<Routing> routings;
    const Tensor y = layer.forward(c, x, 0, routings);

    const std::vector<float> gate = parameters.find("mlp.gate.weight")->read_master();
    const std::vector<float> up = parameters.find("mlp.experts.gate_up_proj")->read_master();
    const std::vector<float> down = parameters.find("mlp.experts.down_proj")->read_master();
    for (int64_t t = 0; t < tokens; ++t) {
      std::vector<double> p(n_experts), out(d_model);
      double total = 0;
      for (int64_t e = 0; e < n_experts; ++e) {
        double l = 0;
        for (int64_t i = 0; i < d_model; ++i) l += double(gate[e * d_model + i]) * x.f32()[t * d_model + i];
        total += p[e] = std::exp(l);
      }
      for (double& v : p) v /= total;
      std::vector<int64_t> order = {0, 1, 2, 3};
      std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return p[a] > p[b]; });
      const double sum = renormalise ? p[order[0]] + p[order[1]] : 1;
      for (int64_t j = 0; j < k; ++j) {
        const int64_t e = order[j];
        ASSERT_EQ(routings[0].expert.i32()[t * k + j], e);
        for (int64_t f = 0; f < d_ff; ++f) {
          double g = 0, u = 0;
          for (int64_t i = 0; i < d_model; ++i) {
            g += double(up[(e * 2 * d_ff + f) * d_model + i]) * x.f32()[t * d_model + i];
            u += double(up[(e * 2 * d_ff + d_ff + f) * d_model + i]) * x.f32()[t * d_model + i];
          }
          const double h = g / (1 + std::exp(-g)) * u * 1.5 * p[e] / sum;
          for (int64_t i = 0; i < d_model; ++i) out[i] += h * down[(e * d_model + i) * d_ff + f];
        }
      }
      for (int64_t i = 0; i < d_model; ++i)
        ASSERT_NEAR(y.f32()[t * d_model + i], out[i], 2e-5 * (1 + std::abs(out[i])));
    }
  }
}

TEST(Layer, GivesTheSameBitsAtAnyThreadCount) {
  ParameterList parameters(DType::kBF16);
  MoeOptions o;
  o.router = {"softmax_top_k", 32, 8, 3, false, 1};
  o.d_ff = 48;
  const MoeLayer layer(o, "mlp", parameters);
  randomise(parameters, 7);
  for (Parameter* p : parameters.all()) p->enable_gradient();
  const Tensor x = random_rows(333, 32, 3).to(DType::kBF16), g = random_rows(333, 32, 4).to(DType::kBF16);
  const Batch batch = batch_of(333);
  std::vector<std::vector<float>> results[2];
  for (int round = 0; round < 2; ++round) {
    set_thread_count(round == 0 ? 1 : 3);
    for (Parameter* p : parameters.all()) p->grad.set_zero();
    Tape tape(true);
    Context c{tape, batch};
    std::vector<Routing> routings;
    const Tensor y = layer.forward(c, x, 0, routings);
    balance_losses(tape, routings, {}, 1);
    ops::inner_product(tape, y, g);
    tape.backward();
    results[round].push_back(y.to_floats());
    results[round].push_back(tape.take(x).to_floats());
    for (Parameter* p : parameters.all()) results[round].push_back(p->grad.to_floats());
  }
  set_thread_count(2);
  EXPECT_EQ(results[0], results[1]);
}

TEST(Layer, RefusesAnImpossibleTopKAndAnUnknownRouterByName) {
  ParameterList parameters(DType::kF32);
  MoeOptions o;
  o.router = {"softmax_top_k", 8, 4, 5, false, 1};
  o.d_ff = 8;
  try {
    MoeLayer layer(o, "mlp", parameters);
    FAIL();
  } catch (const Error& e) {
    EXPECT_STREQ(e.what(), "moe: top_k must be 1 to the number of experts (4), found 5");
  }
  o.router.top_k = 1, o.router.router = "softmax_topk", o.router.renormalise = false;
  try {
    MoeLayer layer(o, "mlp2", parameters);
    FAIL();
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("unknown router \"softmax_topk\"; known: softmax_top_k"),
              std::string::npos);
  }
}

// `layers` routings of n_experts with k edges a token; `collapsed`: everyone to expert 0.
std::vector<Routing> synthetic(int64_t layers, int64_t tokens, int64_t n_experts, int64_t k, bool collapsed) {
  std::vector<Routing> out;
  for (int64_t l = 0; l < layers; ++l) {
    Routing r;
    r.layer = l, r.tokens = tokens, r.n_experts = n_experts, r.top_k = k;
    r.logits = Tensor::zeros({tokens, n_experts}, DType::kF32);
    std::vector<int32_t> expert;
    for (int64_t t = 0; t < tokens; ++t) {
      if (collapsed) r.logits.f32()[t * n_experts] = 60;
      for (int64_t j = 0; j < k; ++j)
        expert.push_back(collapsed ? static_cast<int32_t>(j) : static_cast<int32_t>((t * k + j) % n_experts));
    }
    Tape silent(false);
    r.probs = ops::softmax(silent, r.logits, &r.logsumexp);
    r.expert = Tensor::of({tokens * k}, DType::kI32, expert.data());
    r.first = uniform_first(tokens, k);
    out.push_back(r);
  }
  return out;
}

TEST(Balance, HasThePublishedValuesAtBalanceAndAtCollapse) {
  struct Row {
    BalanceForm form;
    double balanced, collapsed;  // k = 2 of 8
  };
  for (const Row& row : {Row{BalanceForm::kHuggingFace, 2, 8}, Row{BalanceForm::kMegaBlocks, 1, 4},
                         Row{BalanceForm::kPaper, 2, 8}, Row{BalanceForm::kSwitch, 2, 8},
                         Row{BalanceForm::kGShard, 1, 8}, Row{BalanceForm::kKept, 0.5, 2},
                         Row{BalanceForm::kSequence, 1, 4}, Row{BalanceForm::kGlobal, 1, 4}}) {
    Tape tape(false);
    EXPECT_NEAR(balance_losses(tape, synthetic(3, 16, 8, 2, false), {row.form, 1, 1}, 1).balance,
                row.balanced, 1e-6);
    EXPECT_NEAR(balance_losses(tape, synthetic(3, 16, 8, 2, true), {row.form, 1, 1}, 1).balance,
                row.collapsed, 1e-6);
  }
}

TEST(Balance, RouterZLossOfZeroLogitsIsTheSquaredLogOfTheExpertCount) {
  Tape tape(false);
  EXPECT_NEAR(balance_losses(tape, synthetic(2, 4, 64, 8, false), {BalanceForm::kPaper, 1, 1}, 1).z, 17.30,
              5e-3);
  EXPECT_NEAR(balance_losses(tape, synthetic(2, 4, 64, 8, false), {BalanceForm::kMegaBlocks, 1, 1}, 1).z,
              17.30 / 8, 1e-3);
  EXPECT_NEAR(balance_losses(tape, synthetic(1, 4, 8, 2, false), {BalanceForm::kHuggingFace, 1, 1}, 1).z,
              4.324, 1e-3);
}

}  // namespace
}  // namespace lyceum
