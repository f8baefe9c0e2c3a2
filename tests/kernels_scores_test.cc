// kernels/scores.h: every level at ragged sizes. Oracles: the functions of the C library in double, the
// reference kernels, and what an average over experts must be.
#include "kernels/scores.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "base/random.h"
#include "base/threads.h"
#include "kernels/isa.h"

namespace lyceum {
namespace {

using kernels::ScoreMap;

template <class F>
void each_level(F&& f) {
  const Isa before = isa_level();
  for (const Isa level : runnable_isas()) {
    set_isa_level(level);
    f(std::string(isa_name(level)));
  }
  set_isa_level(before);
}

double wanted(ScoreMap f, double x) {
  switch (f) {
    case ScoreMap::kSigmoid:
      return 1 / (1 + std::exp(-x));
    case ScoreMap::kSoftplus:
      return x > 30 ? x : std::log1p(std::exp(x));
    case ScoreMap::kNormalShare:
      return 0.5 * std::erfc(-x / std::sqrt(2.0));
    case ScoreMap::kNormalDensity:
      return std::exp(-0.5 * x * x) / std::sqrt(2 * M_PI);
    case ScoreMap::kNormalRadius:
      return std::sqrt(-2 * std::log(x));
    case ScoreMap::kSine:
      return std::sin(x);
    case ScoreMap::kCosine:
      return std::cos(x);
    case ScoreMap::kGumbel:
      return -std::log(-std::log(std::clamp<double>(x, 1e-6f, 1 - 1e-6f)));
  }
  return 0;
}

TEST(ScoreMaps, AreTheFunctionsOfTheirNames) {
  struct Row {
    ScoreMap f;
    double low, high, bound;  // absolute error, relative above 1
  };
  for (const Row& row : {Row{ScoreMap::kSigmoid, -90, 90, 2e-7},
                         {ScoreMap::kSoftplus, -80, 80, 3e-7},
                         {ScoreMap::kNormalShare, -6, 6, 3e-7},
                         {ScoreMap::kNormalDensity, -12, 12, 1e-7},
                         {ScoreMap::kNormalRadius, 1e-8, 1, 2e-6},
                         {ScoreMap::kSine, -7, 7, 3e-7},
                         {ScoreMap::kCosine, -7, 7, 3e-7},
                         {ScoreMap::kGumbel, 0, 1, 3e-5}})
    for (const size_t n : {1, 5, 8, 16, 63, 9001}) {
      std::vector<float> x(n);
      for (size_t i = 0; i < n; ++i)
        x[i] = static_cast<float>(row.low + (row.high - row.low) * RandomKey(n).uniform(i));
      x[0] = static_cast<float>(row.high), x[n - 1] = static_cast<float>(row.low);
      each_level([&](const std::string& level) {
        std::vector<float> y(n + 1, 77), in_place = x;
        kernels::map(row.f, static_cast<int64_t>(n), x.data(), y.data());
        EXPECT_EQ(y[n], 77);
        kernels::map(row.f, static_cast<int64_t>(n), in_place.data(), in_place.data());
        for (size_t i = 0; i < n; ++i) {
          const double want = wanted(row.f, x[i]);
          ASSERT_NEAR(y[i], want, row.bound * std::max(1.0, std::abs(want)))
              << level << " function " << static_cast<int>(row.f) << " of " << x[i];
          ASSERT_EQ(y[i], in_place[i]);
        }
      });
    }
}

TEST(ScoreMaps, SoftplusOfVeryNegativeNumbersKeepsItsDigits) {  // a deviation that noise is divided by
  each_level([](const std::string& level) {
    for (const float x : {-5.0f, -12.0f, -20.0f, -40.0f}) {
      float y;
      kernels::map(ScoreMap::kSoftplus, 1, &x, &y);
      EXPECT_NEAR(y / std::log1p(std::exp(double{x})), 1, 2e-6) << level << " " << x;
    }
  });
}

std::vector<float> numbers(size_t n, uint64_t seed, double spread) {
  std::vector<float> x(n);
  for (size_t i = 0; i < n; ++i) x[i] = static_cast<float>(spread * RandomKey(seed).normal(i));
  return x;
}

TEST(ExpertAttention, EqualsThePlainSumsAndItsGradientTheDifferences) {
  for (const size_t n : {1, 2, 7, 8, 9, 32, 33, 64})
    for (const double spread : {0.5, 4.0}) {
      const size_t rows = 5, all = rows * n;
      const auto q = numbers(all, 1, spread), k = numbers(all, 2, spread), v = numbers(all, 3, 1),
                 dr = numbers(all, 4, 1);
      std::vector<double> want(all), dq(all), dk(all), dv(all);
      for (size_t t = 0; t < rows; ++t)
        for (size_t i = 0; i < n; ++i) {
          std::vector<double> a(n);
          double top = -INFINITY, sum = 0, mean = 0;
          for (size_t j = 0; j < n; ++j) top = std::max(top, double{q[t * n + i]} * k[t * n + j]);
          for (size_t j = 0; j < n; ++j) sum += a[j] = std::exp(double{q[t * n + i]} * k[t * n + j] - top);
          for (size_t j = 0; j < n; ++j) mean += (a[j] /= sum) * v[t * n + j];
          want[t * n + i] = mean;
          for (size_t j = 0; j < n; ++j) {
            const double slope = a[j] * dr[t * n + i] * (v[t * n + j] - mean);
            dv[t * n + j] += a[j] * dr[t * n + i];
            dk[t * n + j] += slope * q[t * n + i], dq[t * n + i] += slope * k[t * n + j];
          }
        }
      each_level([&](const std::string& level) {
        std::vector<float> r(all), gq(all), gk(all), gv(all);
        const auto rows_n = static_cast<int64_t>(rows), width = static_cast<int64_t>(n);
        kernels::expert_attention(rows_n, width, q.data(), k.data(), v.data(), r.data());
        kernels::expert_attention_gradient(rows_n, width, q.data(), k.data(), v.data(), r.data(), dr.data(),
                                           gq.data(), gk.data(), gv.data());
        for (size_t i = 0; i < all; ++i) {
          ASSERT_NEAR(r[i], want[i], 2e-5) << level << " n " << n;
          ASSERT_NEAR(gq[i], dq[i], 1e-4 * spread) << level << " n " << n;
          ASSERT_NEAR(gk[i], dk[i], 1e-4 * spread) << level << " n " << n;
          ASSERT_NEAR(gv[i], dv[i], 5e-5) << level << " n " << n;
        }
      });
    }
}

TEST(ExpertAttention, GivesTheSameBitsAtAnyThreadCount) {
  const size_t n = 24, rows = 300;
  const auto q = numbers(rows * n, 1, 1), k = numbers(rows * n, 2, 1), v = numbers(rows * n, 3, 1);
  std::vector<float> found[2];
  for (int i = 0; i < 2; ++i) {
    set_thread_count(i ? 3 : 1);
    found[i].resize(rows * n);
    kernels::expert_attention(300, 24, q.data(), k.data(), v.data(), found[i].data());
  }
  set_thread_count(2);
  EXPECT_EQ(found[0], found[1]);
}

}  // namespace
}  // namespace lyceum
