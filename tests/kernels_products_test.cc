// kernels/: the reference products against triple loops over logical matrices.
#include <gtest/gtest.h>

#include <cmath>

#include "base/random.h"
#include "kernels/head.h"
#include "kernels/products_reference.h"

namespace lyceum::kernels {
namespace {

using Floats = std::vector<float>;

Floats random_floats(uint64_t seed, int64_t n, double size = 1) {
  const RandomKey key(seed);
  Floats out(static_cast<size_t>(n));
  for (int64_t i = 0; i < n; ++i) out[i] = static_cast<float>(size * key.normal(i));
  return out;
}

Floats packed(const WeightLayout& layout, int64_t groups, const Floats& logical) {
  Floats out(static_cast<size_t>(groups * layout.size()));
  for (int64_t g = 0; g < groups; ++g)
    pack_weight(layout, logical.data() + g * layout.parts * layout.n * layout.k,
                out.data() + g * layout.size(), 4);
  return out;
}

// A small ragged problem in f32 with logical weights.
struct Problem {
  WeightLayout layout{2, 37, 21, DType::kF32};
  std::vector<int32_t> first = {0, 3, 3, 10, 11};
  std::vector<int32_t> gather = {4, 0, 5, 1, 1, 2, 3, 4, 0, 5, 2};
  Floats x = random_floats(1, 6 * 21), logical = random_floats(2, 4 * 74 * 21),
         w = packed(layout, 4, logical);
  Floats bias = random_floats(3, 4 * 74);
  Groups groups{4, first.data()};
  Weights weights{w.data(), layout, layout.size(), bias.data()};
  int64_t group(int64_t s) const { return s < 3 ? 0 : s < 10 ? 2 : 3; }
  double weight(int64_t g, int64_t o, int64_t i) const { return logical[(g * 74 + o) * 21 + i]; }
};

TEST(ReferenceProducts, ForwardEqualsTripleLoop) {
  Problem p;
  Floats y(11 * 74);
  product(p.groups, {p.x.data(), DType::kF32, 21}, p.gather.data(), p.weights, {y.data(), DType::kF32, 74});
  for (int64_t s = 0; s < 11; ++s)
    for (int64_t o = 0; o < 74; ++o) {
      double sum = p.bias[p.group(s) * 74 + o];
      for (int64_t i = 0; i < 21; ++i) sum += p.x[p.gather[s] * 21 + i] * p.weight(p.group(s), o, i);
      EXPECT_NEAR(y[s * 74 + o], sum, 1e-4);
    }
}

TEST(ReferenceProducts, GradientsEqualTripleLoops) {
  Problem p;
  const Floats dy = random_floats(4, 11 * 74);
  Floats dx(11 * 21), dw(p.w.size(), 0.5f);
  const ConstRows g{dy.data(), DType::kF32, 74};
  product_dgrad(p.groups, g, nullptr, p.weights, {dx.data(), DType::kF32, 21});
  for (int64_t s = 0; s < 11; ++s)
    for (int64_t i = 0; i < 21; ++i) {
      double sum = 0;
      for (int64_t o = 0; o < 74; ++o) sum += dy[s * 74 + o] * p.weight(p.group(s), o, i);
      EXPECT_NEAR(dx[s * 21 + i], sum, 1e-4);
    }
  product_wgrad(p.groups, g, nullptr, {p.x.data(), DType::kF32, 21}, p.gather.data(), p.layout, dw.data(),
                p.layout.size());
  for (int64_t e = 0; e < 4; ++e)
    for (int64_t o = 0; o < 74; ++o)
      for (int64_t i = 0; i < 21; ++i) {
        double sum = 0.5;
        for (int64_t s = p.first[e]; s < p.first[e + 1]; ++s)
          sum += dy[s * 74 + o] * p.x[p.gather[s] * 21 + i];
        EXPECT_NEAR(dw[e * p.layout.size() + p.layout.index(o / 37, o % 37, i)], sum, 1e-4);
      }
}

TEST(ReferenceProducts, ActivationGradientEqualsCentralDifferences) {
  const int64_t n = 7;
  for (Activation activation : {Activation::kSilu, Activation::kGelu, Activation::kGeluTanh,
                                Activation::kQuickGelu, Activation::kIdentity})
    for (int64_t o = 0; o < n; ++o) {
      Floats pre = random_floats(5, 2 * n), dh = random_floats(6, n), dpre(2 * n), h(n);
      const float scale = 0.7f;
      float dscale;
      activation_gradient(1, n, 2, activation, &scale, {pre.data(), DType::kF32, 2 * n},
                          {dh.data(), DType::kF32, n}, {dpre.data(), DType::kF32, 2 * n},
                          {h.data(), DType::kF32, n}, &dscale);
      const auto value = [&](double gate, double up) {
        return scale * reference::activate(activation, gate) * up;
      };
      const double e = 1e-5, gate = pre[o], up = pre[n + o];
      EXPECT_NEAR(h[o], value(gate, up), 1e-5);
      EXPECT_NEAR(dpre[o], dh[o] * (value(gate + e, up) - value(gate - e, up)) / (2 * e), 1e-4);
      EXPECT_NEAR(dpre[n + o], dh[o] * value(gate, 1), 1e-4);
      double total = 0;
      for (int64_t j = 0; j < n; ++j) total += dh[j] * value(pre[j], pre[n + j]) / scale;
      EXPECT_NEAR(dscale, total, 1e-4);
    }
}

TEST(ReferenceHead, GradientEqualsCentralDifferences) {
  const int64_t tokens = 3, vocab = 19, k = 5;
  WeightLayout layout{1, vocab, k, DType::kF32};
  Floats x = random_floats(7, tokens * k), w = packed(layout, 1, random_floats(8, vocab * k));
  const std::vector<int32_t> targets = {3, -1, 18};
  const Floats weight = {1, 0, 0.25f}, z_weight = {0.1f, 0.2f, 0};
  Floats log_prob(3), logsumexp(3), dx(x.size()), dw(w.size());
  const Weights weights{w.data(), layout, layout.size(), nullptr};
  const auto loss = [&] {
    linear_log_prob(tokens, {x.data(), DType::kF32, k}, weights, 1.5f, targets.data(), log_prob.data(),
                    logsumexp.data(), nullptr);
    double sum = 0;
    for (int t = 0; t < 3; ++t) sum += -weight[t] * log_prob[t] + z_weight[t] * logsumexp[t] * logsumexp[t];
    return sum;
  };
  linear_cross_entropy(tokens, {x.data(), DType::kF32, k}, weights, 1.5f, targets.data(), weight.data(),
                       z_weight.data(), log_prob.data(), logsumexp.data(), {dx.data(), DType::kF32, k},
                       dw.data());
  const auto slope = [&](float& at) {
    const float keep = at, e = 1e-2f;
    at = keep + e;
    const double up = loss();
    at = keep - e;
    const double down = loss();
    at = keep;
    return (up - down) / (2 * e);
  };
  for (size_t i = 0; i < x.size(); ++i) EXPECT_NEAR(slope(x[i]), dx[i], 1e-3);
  for (int64_t v = 0; v < vocab; ++v)
    for (int64_t i = 0; i < k; ++i)
      EXPECT_NEAR(slope(w[layout.index(0, v, i)]), dw[layout.index(0, v, i)], 1e-3);
}

TEST(Layout, PackingRoundTripsAndPadsWithZeros) {
  for (DType type : {DType::kF32, DType::kBF16}) {
    const WeightLayout layout{2, 19, 35, type};
    const Floats logical = random_floats(9, 2 * 19 * 35);
    Floats physical(layout.size(), 7.0f), back(logical.size());
    pack_weight(layout, logical.data(), physical.data(), 4);
    unpack_weight(layout, physical.data(), back.data(), 4);
    EXPECT_EQ(logical, back);
    EXPECT_EQ(physical.size() - static_cast<size_t>(std::count(physical.begin(), physical.end(), 0.0f)),
              logical.size());
  }
}

}  // namespace
}  // namespace lyceum::kernels
