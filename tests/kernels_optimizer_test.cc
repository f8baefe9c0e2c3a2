// Optimiser steps against AdamW in double; the pair of weight and residual as an exact f32 master.
#include "kernels/optimizer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "base/threads.h"
#include "kernels/isa.h"

namespace lyceum {
namespace {

using kernels::AdamStep;

float noise(uint64_t i) {
  uint64_t z = (i + 1) * 0x9e3779b97f4a7c15ull;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull, z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
  return static_cast<float>(static_cast<double>((z ^ (z >> 31)) >> 11) * 0x1p-52 - 1.0);
}

AdamStep step_at(int t) {
  AdamStep s{};
  s.lr = 1e-2f / static_cast<float>(1 + t % 5), s.beta1 = 0.9f, s.beta2 = 0.95f, s.eps = 1e-8f,
  s.weight_decay = 0.1f;
  s.correction1 = static_cast<float>(1 - std::pow(0.9, t + 1));
  s.correction2 = static_cast<float>(1 - std::pow(0.95, t + 1));
  s.gradient_scale = 0.37f;
  s.clear_gradient = t % 2 == 0;
  return s;
}

class Optimizer : public ::testing::Test {
 protected:
  Isa before_ = isa_level();
  void TearDown() override { set_isa_level(before_), set_thread_count(2); }
};

TEST_F(Optimizer, DescendingKeepsTheExactMaster) {
  for (Isa isa : runnable_isas()) {
    set_isa_level(isa);
    for (size_t n : {1u, 15u, 16u, 100u}) {
      std::vector<bf16> weight(n);
      std::vector<int16_t> residual(n);
      std::vector<float> direction(n), wanted(n);
      for (size_t i = 0; i < n; ++i) {
        kernels::split_master(noise(i), &weight[i], &residual[i]);
        direction[i] = noise(i + 500);
        wanted[i] = static_cast<float>(0.99 * static_cast<double>(noise(i)) -
                                       0.003 * static_cast<double>(direction[i]));
      }
      kernels::descend(static_cast<int64_t>(n), 0.99f, 0.003f, weight.data(), residual.data(),
                       direction.data());
      for (size_t i = 0; i < n; ++i) {
        EXPECT_NEAR(kernels::master_of(weight[i], residual[i]), wanted[i], 2e-7) << isa_name(isa) << " " << i;
        EXPECT_EQ(direction[i], 0);
      }
    }
  }
}

TEST_F(Optimizer, ManyStepsFollowAdamWInDouble) {
  for (Isa isa : runnable_isas()) {
    set_isa_level(isa);
    for (size_t n : {1u, 7u, 16u, 33u, 1000u}) {
      std::vector<float> w(n + 1), m(n + 1), v(n + 1), g(n + 1), w2, m2, v2, g2;
      for (size_t i = 1; i <= n; ++i) w[i] = noise(i);
      std::vector<double> dw(w.begin(), w.end()), dm(n + 1), dv(n + 1);
      w2 = w, m2 = m, v2 = v, g2 = g;
      std::vector<bf16> high(n + 1);
      std::vector<int16_t> low(n + 1);
      for (size_t i = 0; i <= n; ++i) kernels::split_master(w[i], &high[i], &low[i]);
      for (int t = 0; t < 60; ++t) {
        const AdamStep s = step_at(t);
        for (size_t i = 1; i <= n; ++i) {
          g[i] = g2[i] =
              i % 11 == 3 ? 0.0f : noise(i * 100 + static_cast<uint64_t>(t)) * (i % 7 == 0 ? 1e-12f : 3.0f);
          const double x = static_cast<double>(g[i]) * s.gradient_scale;
          dm[i] = s.beta1 * dm[i] + (1 - s.beta1) * x, dv[i] = s.beta2 * dv[i] + (1 - s.beta2) * x * x;
          dw[i] = dw[i] * (1 - static_cast<double>(s.lr) * s.weight_decay) -
                  s.lr * (dm[i] / s.correction1) / (std::sqrt(dv[i] / s.correction2) + s.eps);
        }
        const int64_t count = static_cast<int64_t>(n);
        kernels::adamw(count, s, w.data() + 1, g.data() + 1, m.data() + 1, v.data() + 1);
        kernels::adamw(count, s, high.data() + 1, low.data() + 1, g2.data() + 1, m2.data() + 1,
                       v2.data() + 1);
        for (size_t i = 1; i <= n; ++i)
          if (s.clear_gradient) {
            ASSERT_EQ(g[i], 0);
            ASSERT_EQ(g2[i], 0);
          } else {
            ASSERT_NE(g[i] == 0, i % 11 != 3);
          }
        ASSERT_EQ(w[0], 0);  // the element before the range
      }
      for (size_t i = 1; i <= n; ++i) {
        EXPECT_NEAR(w[i], dw[i], 2e-5) << isa_name(isa) << " n " << n << " at " << i;
        EXPECT_NEAR(v[i], dv[i], 1e-5 * dv[i]) << isa_name(isa);
        // The pair of halves lost nothing: its master is the f32 weight, bit for bit.
        EXPECT_EQ(kernels::master_of(high[i], low[i]), w[i]) << isa_name(isa) << " n " << n << " at " << i;
        EXPECT_EQ(m2[i], m[i]);
      }
    }
  }
}

TEST_F(Optimizer, SplittingAMasterIsExactForEveryKindOfFloat) {
  for (uint64_t i = 0; i < 2000000; ++i) {
    const uint32_t bits = static_cast<uint32_t>(i * 2654435761u);
    float x;
    std::memcpy(&x, &bits, 4);
    bf16 high;
    int16_t low;
    kernels::split_master(x, &high, &low);
    const float back = kernels::master_of(high, low);
    uint32_t got;
    std::memcpy(&got, &back, 4);
    ASSERT_EQ(got, bits);
    if (std::isfinite(x) && std::fabs(x) < 1e38f) {
      ASSERT_LE(std::fabs(static_cast<double>(to_float(high)) - x), std::fabs(x) / 256 + 1e-40);
    }
  }
}

TEST_F(Optimizer, AGradientThatIsNotFiniteReachesTheWeight) {
  for (Isa isa : runnable_isas()) {
    set_isa_level(isa);
    std::vector<float> w(20, 1.0f), g(20, 0.0f), m(20), v(20);
    g[3] = NAN, g[17] = INFINITY;
    kernels::adamw(20, step_at(0), w.data(), g.data(), m.data(), v.data());
    EXPECT_TRUE(std::isnan(w[3]) && std::isnan(w[17]) && std::isfinite(w[4])) << isa_name(isa);
  }
}

TEST_F(Optimizer, SumsOfSquaresAreThoseOfDoubleAndKeepTheirBitsAtAnyThreadCount) {
  for (Isa isa : runnable_isas()) {
    set_isa_level(isa);
    for (size_t n : {0u, 1u, 15u, 16u, 33u, 1000u, 200001u}) {
      std::vector<float> x(n + 1);
      double want = 0;
      for (size_t i = 0; i < n; ++i)
        x[i] = noise(i) * (i % 9 ? 1.0f : 1e25f), want += static_cast<double>(x[i]) * x[i];
      set_thread_count(1);
      const double got = kernels::sum_of_squares(static_cast<int64_t>(n), x.data());
      EXPECT_NEAR(got, want, 1e-12 * want) << isa_name(isa) << " n " << n;
      for (int threads : {2, 3}) {
        set_thread_count(threads);
        EXPECT_EQ(kernels::sum_of_squares(static_cast<int64_t>(n), x.data()), got);
      }
      if (n > 1) {
        x[n - 1] = NAN;
        EXPECT_TRUE(std::isnan(kernels::sum_of_squares(static_cast<int64_t>(n), x.data())));
        x[n - 1] = -INFINITY;
        EXPECT_EQ(kernels::sum_of_squares(static_cast<int64_t>(n), x.data()), INFINITY);
      }
    }
  }
}

}  // namespace
}  // namespace lyceum
