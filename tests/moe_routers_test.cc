// moe/routers: each router chooses and weighs what its published definition says. Oracles: plain loops over
// tokens written from the papers' equations and the reference classes.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "moe/layer.h"

namespace lyceum {

Tensor sparsemixer_gates(Tape& tape, const Tensor& l, const Tensor& uniform, const Tensor& midpoint,
                         float threshold, const Tensor& expert);

namespace {

Tensor random_rows(int64_t rows, int64_t width, uint64_t seed, double spread = 1) {
  Tensor t({rows, width}, DType::kF32);
  for (int64_t i = 0; i < t.elements(); ++i)
    t.f32()[i] = static_cast<float>(spread * RandomKey(seed).normal(static_cast<uint64_t>(i)));
  return t;
}

Batch batch_of(std::vector<int32_t> offsets) {
  Batch b;
  for (int32_t t = 0; t < offsets.back(); ++t) {
    b.ids.push_back(t * 7 % 31), b.positions.push_back(t), b.domains.push_back(t % 3);
  }
  b.offsets = std::move(offsets);
  return b;
}

// A router with random parameters, and the logits of its matrix in double.
struct Case {
  explicit Case(RouterOptions o, int64_t tokens = 40, uint64_t seed = 5)
      : options(o), parameters(DType::kF32), x(random_rows(tokens, o.d_model, seed)) {
    router = make_router(o, "mlp", parameters);
    for (Parameter* p : parameters.all())
      if (p->type() == DType::kF32) {
        const Tensor values = random_rows(1, p->elements(), ++seed, p->trained ? 0.7 : 0.2);
        p->write_master(values.f32());
      }
    batch = batch_of({0, static_cast<int32_t>(tokens / 4), static_cast<int32_t>(tokens)});
  }
  Routing route(Phase phase = Phase::kEvaluation, SequenceState* state = nullptr) {
    Context c{tape, batch};
    c.phase = phase, c.state = state, c.key = RandomKey(3);
    return router->route(c, x, 0);
  }
  std::vector<double> product(const char* name, int64_t t) {
    const std::vector<float> w = parameters.find(std::string("mlp.gate") + name + ".weight")->read_master();
    std::vector<double> l(static_cast<size_t>(options.n_experts));
    const Parameter* bias = parameters.find("mlp.gate.bias");
    for (size_t e = 0; e < l.size(); ++e) {
      l[e] = bias ? bias->value.f32()[e] : 0;
      for (int64_t i = 0; i < options.d_model; ++i)
        l[e] += double(w[e * static_cast<size_t>(options.d_model) + static_cast<size_t>(i)]) *
                x.f32()[t * options.d_model + i];
    }
    return l;
  }
  RouterOptions options;
  ParameterList parameters;
  Tensor x;
  std::unique_ptr<Router> router;
  Batch batch;
  Tape tape{false};
};

RouterOptions options_of(const char* name, int64_t n_experts, int64_t k) {
  RouterOptions o;
  o.router = name, o.d_model = 6, o.n_experts = n_experts, o.top_k = k, o.vocab = 31;
  return o;
}

std::vector<size_t> falling(const std::vector<double>& v) {
  std::vector<size_t> order(v.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return v[a] > v[b]; });
  return order;
}

void softmax(std::vector<double>& v) {
  const double top = *std::max_element(v.begin(), v.end());
  double sum = 0;
  for (double& x : v) sum += x = std::exp(x - top);
  for (double& x : v) x /= sum;
}

void expect_edges(const Routing& r, int64_t t, const std::vector<size_t>& experts,
                  const std::vector<double>& gates) {
  for (size_t j = 0; j < experts.size(); ++j) {
    const int64_t edge = t * r.top_k + static_cast<int64_t>(j);
    ASSERT_EQ(r.expert.i32()[edge], static_cast<int32_t>(experts[j])) << "token " << t << " choice " << j;
    ASSERT_NEAR(r.gate.f32()[edge], gates[j], 2e-6 * std::max(1.0, gates[j]))
        << "token " << t << " choice " << j;
  }
}

TEST(SoftmaxTopK, RenormalisedEqualsASoftmaxOverTheChosenLogitsWithBias) {  // gpt-oss, Granite, Mixtral
  RouterOptions o = options_of("softmax_top_k", 8, 3);
  o.renormalise = true, o.bias = true, o.gate_scale = 1.5;
  Case c(o);
  const Routing r = c.route();
  for (int64_t t = 0; t < r.tokens; ++t) {
    const std::vector<double> l = c.product("", t);
    std::vector<size_t> chosen = falling(l);
    chosen.resize(3);
    std::vector<double> gates = {l[chosen[0]], l[chosen[1]], l[chosen[2]]};
    softmax(gates);
    for (double& g : gates) g *= 1.5;
    expect_edges(r, t, chosen, gates);
  }
}

TEST(SoftmaxTopK, LimitedToGroupsIsDeepSeekV2sGreedyChoice) {
  RouterOptions o = options_of("softmax_top_k", 12, 3);
  o.groups = 4, o.kept_groups = 2, o.gate_scale = 16;
  Case c(o);
  const Routing r = c.route();
  for (int64_t t = 0; t < r.tokens; ++t) {
    std::vector<double> p = c.product("", t);
    softmax(p);
    std::vector<double> group(4), masked = p;
    for (size_t g = 0; g < 4; ++g) group[g] = *std::max_element(&p[g * 3], &p[g * 3] + 3);
    const std::vector<size_t> order = falling(group);
    for (size_t g = 2; g < 4; ++g) std::fill(&masked[order[g] * 3], &masked[order[g] * 3] + 3, 0);
    std::vector<size_t> chosen = falling(masked);
    chosen.resize(3);
    expect_edges(r, t, chosen, {16 * p[chosen[0]], 16 * p[chosen[1]], 16 * p[chosen[2]]});
  }
}

TEST(SigmoidTopK, ChoosesWithTheBiasAndWeighsWithoutIt) {  // DeepSeek-V3
  for (const bool renormalise : {true, false}) {
    RouterOptions o = options_of("sigmoid_top_k", 12, 3);
    o.groups = 4, o.kept_groups = 2, o.group_score = "top2_sum", o.selection_bias = true;
    o.gate_scale = 2.5, o.renormalise = renormalise;
    Case c(o);
    const float* bias = c.router->selection_bias()->value.f32();
    const Routing r = c.route();
    int moved = 0;
    for (int64_t t = 0; t < r.tokens; ++t) {
      std::vector<double> s = c.product("", t), by(12), group(4);
      for (size_t e = 0; e < 12; ++e) s[e] = 1 / (1 + std::exp(-s[e])), by[e] = s[e] + bias[e];
      for (size_t g = 0; g < 4; ++g) {
        std::vector<double> inside(&by[g * 3], &by[g * 3] + 3);
        std::sort(inside.rbegin(), inside.rend());
        group[g] = inside[0] + inside[1];
      }
      const std::vector<size_t> order = falling(group);
      for (size_t g = 2; g < 4; ++g)
        std::fill(&by[order[g] * 3], &by[order[g] * 3] + 3, -std::numeric_limits<double>::infinity());
      std::vector<size_t> chosen = falling(by);
      chosen.resize(3);
      std::sort(chosen.begin(), chosen.end(), [&](size_t a, size_t b) { return s[a] > s[b]; });
      moved += chosen[0] != falling(s)[0];
      const double sum = renormalise ? s[chosen[0]] + s[chosen[1]] + s[chosen[2]] : 1;
      expect_edges(r, t, chosen,
                   {2.5 * s[chosen[0]] / sum, 2.5 * s[chosen[1]] / sum, 2.5 * s[chosen[2]] / sum});
    }
    EXPECT_GT(moved, 0);  // bias and groups mattered
  }
}

// One round of transformers' sparsemixer in evaluation.
size_t mixer_round(const std::vector<double>& l, std::vector<bool>& taken, double jitter, double* gate) {
  double top = -1e300;
  size_t best = 0;
  for (size_t e = 0; e < l.size(); ++e)
    if (!taken[e] && l[e] > top) top = l[e], best = e;
  double sum = 0;
  for (size_t e = 0; e < l.size(); ++e)
    if (!taken[e] && !((top - l[e]) / std::max(std::abs(l[e]), top) > 2 * jitter))
      sum += std::exp(l[e] - top);
  *gate = 1 / sum;
  taken[best] = true;
  return best;
}

TEST(SparseMixer, TakesTheBestOfTwoMaskedRoundsInEvaluation) {  // PhiMoE
  RouterOptions o = options_of("sparsemixer", 6, 2);
  o.threshold = 0.4;
  Case c(o);
  const Routing r = c.route();
  int swapped = 0;
  for (int64_t t = 0; t < r.tokens; ++t) {
    const std::vector<double> l = c.product("", t);
    std::vector<bool> taken(6);
    double a, b;
    size_t first = mixer_round(l, taken, 0.4, &a), second = mixer_round(l, taken, 0.4, &b);
    if (b > a) std::swap(a, b), std::swap(first, second), ++swapped;
    expect_edges(r, t, {first, second}, {a, b});
  }
  EXPECT_GT(swapped, 0);
}

TEST(SparseMixer, InTrainingDrawsFromTheMaskedSoftmaxAndScalesByAThird) {
  RouterOptions o = options_of("sparsemixer", 6, 2);
  o.threshold = 0.4;
  Case c(o, 4000);
  for (int64_t t = 1; t < 4000; ++t) std::copy_n(c.x.f32(), 6, c.x.f32() + t * 6);  // one token, many draws
  const Routing r = c.route(Phase::kTraining);
  std::vector<double> l = c.product("", 0), p(6);
  const double top = *std::max_element(l.begin(), l.end());
  double sum = 0;
  for (size_t e = 0; e < 6; ++e)
    sum += p[e] = (top - l[e]) / std::max(std::abs(l[e]), top) > 0.8 ? 0 : std::exp(l[e] - top);
  std::vector<double> whole(6), third(6);
  for (int64_t i = 0; i < r.edges(); ++i) {
    const size_t e = static_cast<size_t>(r.expert.i32()[i]);
    whole[e] += std::abs(r.gate.f32()[i] - p[e] / sum) < 1e-5;
    third[e] += std::abs(r.gate.f32()[i] - 0.3333 * p[e] / sum) < 1e-5;
  }
  const size_t best = falling(l)[0];
  double chi = 0;
  for (size_t e = 0; e < 6; ++e) {
    if (p[e] == 0) continue;
    const double wanted = 4000 * p[e] / sum, found = whole[e] + third[e];
    chi += (found - wanted) * (found - wanted) / wanted;
    if (e == best) EXPECT_EQ(third[e], 0);
    else EXPECT_NEAR(third[e] / found, 0.75, 0.08);
  }
  EXPECT_LT(chi, 20.5);  // five degrees of freedom at most, p = 0.001
}

TEST(SparseMixer, TheGradientOfADrawDoesNotKnowOfTheThird) {
  const int64_t tokens = 200, n = 6;
  const Tensor l = random_rows(tokens, n, 5), uniform({tokens, n}, DType::kF32),
               midpoint({tokens, 1}, DType::kF32), expert({tokens, 1}, DType::kI32),
               slope = random_rows(tokens, 1, 9);
  for (int64_t i = 0; i < tokens * n; ++i)
    uniform.f32()[i] = static_cast<float>(RandomKey(1).uniform(static_cast<uint64_t>(i)));
  for (int64_t t = 0; t < tokens; ++t)
    midpoint.f32()[t] = static_cast<float>(RandomKey(2).uniform(static_cast<uint64_t>(t)));
  Tape tape(true);
  const Tensor gate = sparsemixer_gates(tape, l, uniform, midpoint, 0.4f, expert);
  ops::inner_product(tape, gate, slope);
  tape.backward();
  const Tensor d = tape.take(l);
  int thirds = 0;
  for (int64_t t = 0; t < tokens; ++t) {
    const float* row = l.f32() + t * n;
    const double top = *std::max_element(row, row + n);
    std::vector<double> p(6);
    double sum = 0;
    for (size_t e = 0; e < 6; ++e)
      sum += p[e] =
          (top - row[e]) / std::max(std::abs(double{row[e]}), top) > 0.8 ? 0 : std::exp(row[e] - top);
    for (double& x : p) x /= sum;
    const size_t chosen = static_cast<size_t>(expert.i32()[t]);
    const bool third = row[chosen] < top && midpoint.f32()[t] <= 0.75f;
    thirds += third;
    EXPECT_NEAR(gate.f32()[t], (third ? 0.3333 : 1) * p[chosen], 1e-6);
    for (size_t e = 0; e < 6; ++e)
      EXPECT_NEAR(d.f32()[t * n + static_cast<int64_t>(e)],
                  slope.f32()[t] * p[chosen] * ((e == chosen) - p[e]), 1e-6);
  }
  EXPECT_GT(thirds, 20);
}

TEST(AttentionRouter, LetsExpertsAttendToEachOther) {  // Yuan 2.0-M32
  RouterOptions o = options_of("attention", 7, 2);
  o.renormalise = true;
  Case c(o);
  const Routing r = c.route();
  for (int64_t t = 0; t < r.tokens; ++t) {
    const std::vector<double> q = c.product(".query", t), k = c.product(".key", t),
                              v = c.product(".value", t);
    std::vector<double> score(7);
    for (size_t i = 0; i < 7; ++i) {
      std::vector<double> a(7);
      for (size_t j = 0; j < 7; ++j) a[j] = q[i] * k[j];
      softmax(a);
      for (size_t j = 0; j < 7; ++j) score[i] += a[j] * v[j];
      ASSERT_NEAR(r.logits.f32()[t * 7 + static_cast<int64_t>(i)], score[i], 1e-5);
    }
    const std::vector<size_t> order = falling(score);
    std::vector<double> gates = {score[order[0]], score[order[1]]};
    softmax(gates);
    expect_edges(r, t, {order[0], order[1]}, gates);
  }
}

TEST(Switch, DropsWhoComesLateInItsSequenceAndKeepsTheProbability) {  // transformers' expert_capacity
  RouterOptions o = options_of("switch", 4, 1);
  o.capacity = "fixed", o.capacity_tokens = 3, o.group = "sequence";
  Case c(o);
  const Routing r = c.route();
  int dropped = 0;
  for (size_t s = 0; s < 2; ++s) {
    std::vector<int> taken(4);
    for (int64_t t = c.batch.offsets[s]; t < c.batch.offsets[s + 1]; ++t) {
      std::vector<double> p = c.product("", t);
      softmax(p);
      const size_t best = falling(p)[0];
      expect_edges(r, t, {best}, {p[best]});
      ASSERT_EQ(r.kept.as<uint8_t>()[t], ++taken[best] <= 3);
      dropped += taken[best] > 3;
    }
  }
  EXPECT_GT(dropped, 5);
}

TEST(Switch, ADecoderThatCarriesItsPlacesDropsWhatAFullPassDrops) {
  RouterOptions o = options_of("switch", 4, 1);
  o.capacity = "fixed", o.capacity_tokens = 3, o.group = "sequence";
  Case c(o);
  c.batch = batch_of({0, 40});
  const Routing full = c.route();
  const Tensor all = c.x;
  SequenceState state;
  for (int64_t t = 0; t < 40; ++t) {
    c.x = Tensor::of({1, 6}, DType::kF32, all.f32() + t * 6);
    c.batch = batch_of({0, 1});
    const Routing one = c.route(Phase::kEvaluation, &state);
    ASSERT_EQ(one.kept.as<uint8_t>()[0], full.kept.as<uint8_t>()[t]) << t;
  }
}

TEST(StMoe, PlacesAllFirstChoicesBeforeAnySecondOne) {
  for (const char* rule : {"round", "even"}) {
    RouterOptions o = options_of("st_moe", 5, 2);
    o.capacity = rule, o.capacity_factor = 0.85, o.capacity_minimum = 2;
    Case c(o, 44);
    const Routing r = c.route(Phase::kTraining);
    // round(0.85 * 44 / 5) = 7;  floor(2 * 0.85 * 44 / 5) = 14, even
    const int places = std::string(rule) == "round" ? 7 : 14;
    std::vector<int> taken(5);
    int dropped = 0;
    for (int64_t j = 0; j < 2; ++j)
      for (int64_t t = 0; t < 44; ++t) {
        std::vector<double> p = c.product("", t);
        softmax(p);
        const std::vector<size_t> order = falling(p);
        const size_t e = order[static_cast<size_t>(j)];
        ASSERT_EQ(r.expert.i32()[t * 2 + j], static_cast<int32_t>(e));
        ASSERT_NEAR(r.gate.f32()[t * 2 + j], p[e], 2e-6);
        ASSERT_EQ(r.kept.as<uint8_t>()[t * 2 + j], taken[e]++ < places);
        dropped += taken[e] > places;
      }
    EXPECT_GT(dropped, 0);
  }
}

// Of 31 ids a domain with `size` experts gives each 31 / size or one more, other domains' experts none.
void expect_even(const Parameter& table, const std::vector<int64_t>& sizes) {
  int64_t begin = 0;
  for (size_t d = 0; d < sizes.size(); begin += sizes[d++]) {
    std::vector<int64_t> ids(12);
    for (size_t v = 0; v < 31; ++v) ++ids[static_cast<size_t>(table.value.i32()[d * 31 + v])];
    for (int64_t e = 0; e < 12; ++e) {
      const bool own = e >= begin && e < begin + sizes[d];
      EXPECT_GE(ids[static_cast<size_t>(e)], own ? 31 / sizes[d] : 0) << "domain " << d << " expert " << e;
      EXPECT_LE(ids[static_cast<size_t>(e)], own ? 31 / sizes[d] + 1 : 0)
          << "domain " << d << " expert " << e;
    }
  }
}

TEST(RandomRouted, GivesEachDomainAsManyExpertsAsItIsTold) {
  RouterOptions o = options_of("random_routed", 12, 1);
  o.n_domains = 3, o.domain_experts = {1, 4, 7};
  Case c(o);
  expect_even(*c.parameters.find("mlp.route_table"), {1, 4, 7});
}

TEST(RandomRouted, SpreadsTheIdsOfADomainEvenlyOverItsOwnExperts) {  // PanGu-Sigma
  RouterOptions o = options_of("random_routed", 12, 1);
  o.n_domains = 3;
  Case c(o);
  const Parameter* table = c.parameters.find("mlp.route_table");
  expect_even(*table, {4, 4, 4});
  const Routing r = c.route();
  for (int64_t t = 0; t < r.tokens; ++t)
    expect_edges(r, t,
                 {static_cast<size_t>(table->value.i32()[c.batch.domains[static_cast<size_t>(t)] * 31 +
                                                         c.batch.ids[static_cast<size_t>(t)]])},
                 {1});
  ParameterList other(DType::kF32);
  o.layer = 1;
  const auto second = make_router(o, "mlp", other);
  EXPECT_NE(other.find("mlp.route_table")->read_master(), table->read_master());  // tables differ by layer
  c.batch.domains[5] = 3;
  try {
    c.route();
    FAIL();
  } catch (const Error& e) {
    EXPECT_STREQ(
        e.what(),
        "router: token 5 has domain 3; random_routed was built for domains 0 to 2 and cannot route a "
        "token without one");
  }
}

TEST(RouterOptions, WhatMeansNothingUnderARouterIsRefusedByName) {
  const auto refusal = [](RouterOptions o) -> std::string {
    try {
      check_router(o);
    } catch (const Error& e) {
      return e.what();
    }
    return "";
  };
  RouterOptions o = options_of("random_routed", 4, 1);
  EXPECT_EQ(refusal(o), "");
  o.jitter = 0.01;
  EXPECT_NE(refusal(o).find("the router random_routed has no jitter"), std::string::npos) << refusal(o);
  o = options_of("softmax_top_k", 4, 1);
  o.capacity_factor = 1;
  EXPECT_NE(refusal(o).find("capacity_factor"), std::string::npos) << refusal(o);
  EXPECT_NE(refusal(o).find("capacity is \"none\""), std::string::npos) << refusal(o);
  o = options_of("switch", 4, 1);
  o.renormalise = true;
  EXPECT_NE(refusal(o).find("renormalise"), std::string::npos) << refusal(o);
  o = options_of("sigmoid_top_k", 8, 3);
  o.groups = 4, o.kept_groups = 1;
  EXPECT_EQ(refusal(o), "router: top_k = 3 experts cannot come from 1 groups of 2");
}

TEST(Layer, AddsSharedExpertsPlainOrBehindASigmoid) {
  for (const bool gated : {false, true}) {
    MoeOptions o;
    o.router = options_of("softmax_top_k", 4, 2);
    o.d_ff = 5, o.shared_d_ff = 7, o.shared_gate = gated, o.expert_bias = true;
    ParameterList parameters(DType::kF32), plain(DType::kF32);
    const MoeLayer layer(o, "mlp", parameters);
    o.shared_d_ff = 0, o.shared_gate = false;
    const MoeLayer without(o, "mlp", plain);
    uint64_t seed = 30;
    for (Parameter* p : parameters.all()) {
      const Tensor values = random_rows(1, p->elements(), ++seed, 0.5);
      p->write_master(values.f32());
      if (Parameter* same = plain.find(p->name)) same->write_master(values.f32());
    }
    const Tensor x = random_rows(9, 6, 77);
    const Batch batch = batch_of({0, 9});
    Tape tape(false);
    Context c{tape, batch};
    std::vector<Routing> routings;
    const Tensor y = layer.forward(c, x, 0, routings), base = without.forward(c, x, 0, routings);
    const std::vector<float> up = parameters.find("mlp.shared_expert.gate_up_proj.weight")->read_master();
    const std::vector<float> down = parameters.find("mlp.shared_expert.down_proj.weight")->read_master();
    for (int64_t t = 0; t < 9; ++t) {
      double factor = 1;
      if (gated) {
        const std::vector<float> w = parameters.find("mlp.shared_expert_gate.weight")->read_master();
        double l = 0;
        for (size_t i = 0; i < 6; ++i) l += double(w[i]) * x.f32()[t * 6 + static_cast<int64_t>(i)];
        factor = 1 / (1 + std::exp(-l));
      }
      for (size_t i = 0; i < 6; ++i) {
        double wanted = base.f32()[t * 6 + static_cast<int64_t>(i)];
        for (size_t f = 0; f < 7; ++f) {
          double g = 0, u = 0;
          for (size_t m = 0; m < 6; ++m) {
            g += double(up[f * 6 + m]) * x.f32()[t * 6 + static_cast<int64_t>(m)];
            u += double(up[(7 + f) * 6 + m]) * x.f32()[t * 6 + static_cast<int64_t>(m)];
          }
          wanted += factor * g / (1 + std::exp(-g)) * u * down[i * 7 + f];
        }
        ASSERT_NEAR(y.f32()[t * 6 + static_cast<int64_t>(i)], wanted, 2e-5);
      }
    }
  }
}

}  // namespace
}  // namespace lyceum
