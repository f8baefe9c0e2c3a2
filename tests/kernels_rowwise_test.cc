// Row kernels: every instruction set against the plain reference, the plain reference against equations in
// double and against central differences; the same bits at any thread count.
#include "kernels/rowwise.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <functional>
#include <numeric>
#include <vector>

#include "base/error.h"
#include "base/random.h"
#include "base/threads.h"
#include "kernels/isa.h"

namespace lyceum {
namespace {

constexpr int64_t kWidths[] = {1, 2, 7, 8, 15, 16, 17, 31, 33, 64, 100, 129, 512};

// A pseudo-random number in [-1, 1) from a counter.
float noise(uint64_t i) {
  uint64_t z = (i + 1) * 0x9e3779b97f4a7c15ull;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull, z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
  return static_cast<float>(static_cast<double>((z ^ (z >> 31)) >> 11) * 0x1p-52 - 1.0);
}

// Rows with a ragged stride that start off alignment, in f32 or bf16, surrounded by marks that must survive.
struct Matrix {
  int64_t rows, width, stride;
  DType type;
  std::vector<unsigned char> bytes;
  Matrix(int64_t r, int64_t w, DType t, uint64_t seed = 0, float size = 1)
      : rows(r),
        width(w),
        stride(w + 3),
        type(t),
        bytes(static_cast<size_t>(r * stride + 8) * dtype_size(t), 0xee) {
    for (int64_t i = 0; i < r; ++i)
      for (int64_t j = 0; j < w; ++j)
        set(i, j, size * noise(seed * 1000003 + static_cast<uint64_t>(i * w + j)));
  }
  void* data() { return bytes.data() + dtype_size(type); }
  Rows view() { return Rows{data(), type, stride}; }
  float get(int64_t i, int64_t j) {
    const int64_t at = i * stride + j;
    return type == DType::kBF16 ? to_float(static_cast<bf16*>(data())[at]) : static_cast<float*>(data())[at];
  }
  void set(int64_t i, int64_t j, float x) {
    const int64_t at = i * stride + j;
    if (type == DType::kBF16) static_cast<bf16*>(data())[at] = to_bf16(x);
    else static_cast<float*>(data())[at] = x;
  }
};

std::vector<float> numbers(int64_t n, uint64_t seed, float size = 1, float shift = 0) {
  std::vector<float> v(static_cast<size_t>(n));
  for (size_t i = 0; i < v.size(); ++i) v[i] = shift + size * noise(seed * 7777777 + i);
  return v;
}

// Near: bf16 may round to the neighbour (2^-8 relative), f32 within `f32` of the size of the row.
void expect_near(float want, float got, DType type, double f32, const std::string& where) {
  if (std::isnan(want)) {
    EXPECT_TRUE(std::isnan(got)) << where << ": wanted NaN, got " << got;
    return;
  }
  if (std::isinf(want)) {
    EXPECT_EQ(want, got) << where;
    return;
  }
  const double bound = f32 + (type == DType::kBF16 ? std::fabs(want) / 128 : std::fabs(want) * 1e-5);
  EXPECT_LE(std::fabs(static_cast<double>(want) - got), bound)
      << where << ": wanted " << want << ", got " << got;
}
void expect_near(Matrix& want, Matrix& got, double f32, const std::string& where) {
  for (int64_t i = 0; i < want.rows; ++i)
    for (int64_t j = 0; j < want.width; ++j)
      expect_near(want.get(i, j), got.get(i, j), want.type, f32,
                  where + " at " + std::to_string(i) + "," + std::to_string(j));
  // Bytes outside the rows keep their mark.
  const size_t size = dtype_size(got.type);
  EXPECT_EQ(got.bytes[0], 0xee) << where;
  for (int64_t i = 0; i < got.rows; ++i)
    for (size_t b = 0; b < 3 * size; ++b)
      ASSERT_EQ(got.bytes[size + static_cast<size_t>(i * got.stride + got.width) * size + b], 0xee) << where;
}
void expect_near(const std::vector<float>& want, const std::vector<float>& got, double f32,
                 const std::string& where) {
  for (size_t i = 0; i < want.size(); ++i)
    expect_near(want[i], got[i], DType::kF32, f32, where + " at " + std::to_string(i));
}

class Levels : public ::testing::Test {
 protected:
  Isa before_ = isa_level();
  void TearDown() override { set_isa_level(before_), set_thread_count(2); }
  static void SetUpTestSuite() {  // ./test shows it beside its counts
    std::printf("levels of kernels:");
    for (Isa isa : runnable_isas()) std::printf(" %s", isa_name(isa));
    std::printf("\n");
  }
  // f(level name) under every level that runs here.
  void each_level(const std::function<void(const std::string&)>& f) {
    for (Isa isa : runnable_isas()) {
      set_isa_level(isa);
      f(isa_name(isa));
    }
    set_isa_level(before_);
  }
  template <class Run>
  auto reference(Run&& run) {
    set_isa_level(Isa::kReference);
    return run();
  }
};
using RowKernels = Levels;

const std::pair<DType, DType> kTypes[] = {
    {DType::kF32, DType::kF32}, {DType::kBF16, DType::kBF16}, {DType::kF32, DType::kBF16}};

TEST_F(RowKernels, TheReferenceRmsNormFollowsItsEquation) {
  set_isa_level(Isa::kReference);
  const int64_t width = 19;
  Matrix x(3, width, DType::kF32, 1), more(3, width, DType::kF32, 2), y(3, width, DType::kF32), start = x;
  const auto w = numbers(width, 3);
  std::vector<float> inv(3);
  kernels::rms_norm(3, width, x.view(), more.view(), w.data(), 1e-5f, y.view(), inv.data());
  for (int64_t r = 0; r < 3; ++r) {
    double square = 0;
    for (int64_t i = 0; i < width; ++i) {
      EXPECT_EQ(x.get(r, i), start.get(r, i) + more.get(r, i));
      square += static_cast<double>(x.get(r, i)) * x.get(r, i);
    }
    const double s = 1 / std::sqrt(square / width + 1e-5);
    EXPECT_NEAR(inv[static_cast<size_t>(r)], s, 1e-6);
    for (int64_t i = 0; i < width; ++i)
      EXPECT_NEAR(y.get(r, i), x.get(r, i) * s * w[static_cast<size_t>(i)], 1e-6);
  }
}

TEST_F(RowKernels, EveryLevelsNormsEqualTheReference) {
  for (auto [x_type, y_type] : kTypes)
    for (int64_t width : kWidths)
      for (bool weighted : {true, false}) {
        const int64_t rows = 5;
        const auto w = numbers(width, 3, 1, 1), b = numbers(width, 4);
        struct Result {
          Matrix x, rms, layer;
          std::vector<float> inv = std::vector<float>(5), mean = inv, layer_inv = inv;
        };
        auto run = [&] {
          Result r{{rows, width, x_type, 1, 3}, {rows, width, y_type}, {rows, width, y_type}};
          Matrix more(rows, width, y_type, 2);
          kernels::layer_norm(rows, width, r.x.view(), weighted ? w.data() : nullptr,
                              weighted ? b.data() : nullptr, 1e-5f, r.layer.view(), r.mean.data(),
                              r.layer_inv.data());
          kernels::rms_norm(rows, width, r.x.view(), more.view(), weighted ? w.data() : nullptr, 1e-6f,
                            r.rms.view(), r.inv.data());
          return r;
        };
        Result want = reference(run);
        each_level([&](const std::string& level) {
          Result got = run();
          const std::string where = level + " width " + std::to_string(width);
          expect_near(want.x, got.x, 0, where + " x");
          expect_near(want.rms, got.rms, 2e-6, where + " rms_norm");
          expect_near(want.inv, got.inv, 2e-6, where + " inv");
          // A row of one element has no spread: inv is 1/sqrt(eps) and magnifies rounding.
          expect_near(want.layer, got.layer, width == 1 ? 1e-3 : 1e-4, where + " layer_norm");
          expect_near(want.mean, got.mean, 2e-6, where + " mean");
        });
      }
}

// Central differences of sum(dy * norm(x)) in the reference, f32 rows.
TEST_F(RowKernels, GradientsOfNormsEqualCentralDifferences) {
  const int64_t rows = 4, width = 21;
  Matrix x(rows, width, DType::kF32, 1, 2), dy(rows, width, DType::kF32, 5);
  auto w = numbers(width, 3, 1, 1), b = numbers(width, 4);
  std::vector<float> inv(rows), mean(rows), layer_inv(rows);
  auto loss = [&](bool layer) {
    Matrix y(rows, width, DType::kF32);
    set_isa_level(Isa::kReference);
    if (layer)
      kernels::layer_norm(rows, width, x.view(), w.data(), b.data(), 1e-5f, y.view(), mean.data(),
                          layer_inv.data());
    else kernels::rms_norm(rows, width, x.view(), {}, w.data(), 1e-5f, y.view(), inv.data());
    double sum = 0;
    for (int64_t i = 0; i < rows; ++i)
      for (int64_t j = 0; j < width; ++j) sum += static_cast<double>(y.get(i, j)) * dy.get(i, j);
    return sum;
  };
  auto slope = [&](bool layer, const std::function<void(float)>& move) {
    move(1e-2f);
    const double up = loss(layer);
    move(-2e-2f);
    const double down = loss(layer);
    move(1e-2f);
    return (up - down) / 2e-2;
  };
  loss(false), loss(true);
  const auto inv0 = inv, mean0 = mean, layer_inv0 = layer_inv;
  for (bool layer : {false, true}) {
    Matrix want(rows, width, DType::kF32);
    std::vector<float> want_w, want_b;
    for (int64_t i = 0; i < rows; ++i)
      for (int64_t j = 0; j < width; ++j)
        want.set(i, j, static_cast<float>(slope(layer, [&](float by) { x.set(i, j, x.get(i, j) + by); })));
    for (int64_t j = 0; j < width; ++j) {
      const size_t at = static_cast<size_t>(j);
      want_w.push_back(static_cast<float>(slope(layer, [&](float by) { w[at] += by; })));
      want_b.push_back(layer ? static_cast<float>(slope(layer, [&](float by) { b[at] += by; })) : 0.0f);
    }
    each_level([&](const std::string& level) {
      Matrix dx(rows, width, DType::kF32, 9);
      Matrix start = dx;
      std::vector<float> dw(static_cast<size_t>(width)), db = dw;
      if (layer)
        kernels::layer_norm_gradient(rows, width, x.view(), w.data(), mean0.data(), layer_inv0.data(),
                                     dy.view(), dx.view(), true, dw.data(), db.data());
      else
        kernels::rms_norm_gradient(rows, width, x.view(), w.data(), inv0.data(), dy.view(), dx.view(), true,
                                   dw.data());
      for (int64_t i = 0; i < rows; ++i)  // accumulated onto what was there
        for (int64_t j = 0; j < width; ++j) dx.set(i, j, dx.get(i, j) - start.get(i, j));
      expect_near(want, dx, 1e-3, level + " dx");
      expect_near(want_w, dw, 1e-3, level + " dw");
      expect_near(want_b, db, 1e-3, level + " db");
    });
  }
}

TEST_F(RowKernels, EveryLevelsGradientsOfNormsEqualTheReference) {
  for (auto [x_type, y_type] : kTypes)
    for (int64_t width : kWidths)
      for (bool accumulate : {true, false}) {
        const int64_t rows = 37;
        Matrix x(rows, width, x_type, 1, 2), dy(rows, width, y_type, 2);
        const auto w = numbers(width, 3, 1, 1), inv = numbers(rows, 5, 0.2f, 1),
                   mean = numbers(rows, 6, 0.1f);
        struct Result {
          Matrix rms, layer;
          std::vector<float> dw, dw2, db;
        };
        auto run = [&] {
          const std::vector<float> start = numbers(width, 8);
          Result r{{rows, width, x_type, 7}, {rows, width, x_type, 7}, start, start, start};
          kernels::rms_norm_gradient(rows, width, x.view(), accumulate ? w.data() : nullptr, inv.data(),
                                     dy.view(), r.rms.view(), accumulate, r.dw.data());
          kernels::layer_norm_gradient(rows, width, x.view(), accumulate ? w.data() : nullptr, mean.data(),
                                       inv.data(), dy.view(), r.layer.view(), accumulate, r.dw2.data(),
                                       r.db.data());
          return r;
        };
        Result want = reference(run);
        each_level([&](const std::string& level) {
          Result got = run();
          const std::string where = level + " width " + std::to_string(width);
          expect_near(want.rms, got.rms, 5e-5, where + " rms dx");
          expect_near(want.layer, got.layer, 5e-5, where + " layer dx");
          expect_near(want.dw, got.dw, 5e-5, where + " dw");
          expect_near(want.dw2, got.dw2, 5e-5, where + " layer dw");
          expect_near(want.db, got.db, 5e-5, where + " db");
        });
      }
}

TEST_F(RowKernels, RopeTurnsPairsByTheirAngleAndBack) {
  for (DType type : {DType::kF32, DType::kBF16})
    for (bool interleaved : {false, true})
      for (auto [d_head, rotary] :
           {std::pair<int64_t, int64_t>{64, 64}, {80, 32}, {10, 6}, {256, 256}, {48, 34}}) {
        const int64_t rows = 6, heads = 3;
        const int32_t positions[] = {0, 1, 511, 8191, 131071, 77};
        std::vector<float> frequency;
        for (int64_t i = 0; i < rotary / 2; ++i)
          frequency.push_back(static_cast<float>(
              std::pow(10000.0, -2.0 * static_cast<double>(i) / static_cast<double>(rotary))));
        Matrix start(rows, heads * d_head, type, 1), want = start;
        for (int64_t r = 0; r < rows; ++r)
          for (int64_t h = 0; h < heads; ++h)
            for (int64_t i = 0; i < rotary / 2; ++i) {
              const int64_t at = h * d_head + (interleaved ? 2 * i : i),
                            to = at + (interleaved ? 1 : rotary / 2);
              const float angle = static_cast<float>(positions[r]) * frequency[static_cast<size_t>(i)];
              const double c = 1.5 * std::cos(static_cast<double>(angle)),
                           s = 1.5 * std::sin(static_cast<double>(angle));
              const double a = start.get(r, at), b = start.get(r, to);
              want.set(r, at, static_cast<float>(a * c - b * s)),
                  want.set(r, to, static_cast<float>(b * c + a * s));
            }
        each_level([&](const std::string& level) {
          Matrix x = start;
          kernels::rope(rows, heads, d_head, rotary, interleaved, positions, frequency.data(), 1.5f, 1,
                        x.view());
          const double bound = type == DType::kBF16 ? 4e-3 : 2e-6;
          expect_near(want, x, bound, level + " rope");
          kernels::rope(rows, heads, d_head, rotary, interleaved, positions, frequency.data(), 1 / 1.5f, -1,
                        x.view());
          expect_near(start, x, type == DType::kBF16 ? 2e-2 : 2e-6, level + " rope back");
        });
      }
}

TEST_F(RowKernels, SoftmaxStandsExtremeLogits) {
  const float inf = INFINITY;
  std::vector<std::vector<float>> rows;
  for (int64_t width : kWidths) rows.push_back(numbers(width, 11, 20));
  rows.push_back({3e38f, -3e38f, 3e38f, 0});
  rows.push_back({-inf, 1, -inf, 2, -inf, -inf, -inf, -inf, -inf, -inf, 0.5f});
  rows.push_back({-100, 0, -103, -87.5f, -1e-45f, 1e-45f, -0.0f, 0, -90});
  rows.push_back({-inf, -inf, -inf});
  rows.push_back({1, NAN, 2});
  for (const auto& x : rows) {
    const int64_t width = static_cast<int64_t>(x.size());
    double largest = -inf, sum = 0;
    for (float v : x) largest = std::max<double>(largest, v);
    for (float v : x) sum += std::exp(v - largest);
    each_level([&](const std::string& level) {
      std::vector<float> p(x.size()), lse(1);
      kernels::softmax(1, width, x.data(), p.data(), lse.data());
      for (size_t i = 0; i < x.size(); ++i) {
        const double want = std::exp(x[i] - largest) / sum;
        EXPECT_EQ(std::isnan(p[i]), std::isnan(want)) << level;
        if (!std::isnan(want)) {
          // x - largest is rounded to f32, which exp magnifies by its size
          const double bound = 5e-7 + std::fabs(x[i] - largest) * 6e-8;
          EXPECT_NEAR(p[i], want, 1e-45 + (want > 0 ? want * bound : 0)) << level << " x " << x[i];
        }
      }
      if (std::isfinite(largest) && !std::isnan(sum)) {
        EXPECT_NEAR(lse[0], largest + std::log(sum), 1e-6 * (1 + std::fabs(largest))) << level;
      }
    });
  }
}

TEST_F(RowKernels, SoftmaxGradientEqualsTheReference) {
  for (int64_t width : kWidths)
    for (bool accumulate : {false, true}) {
      const auto p = numbers(3 * width, 1, 0.1f, 0.1f), dp = numbers(3 * width, 2);
      auto run = [&] {
        auto dx = numbers(3 * width, 3);
        kernels::softmax_gradient(3, width, p.data(), dp.data(), dx.data(), accumulate);
        return dx;
      };
      const auto want = reference(run);
      each_level([&](const std::string& level) { expect_near(want, run(), 1e-6, level); });
    }
}

TEST_F(RowKernels, TopKFallsAndBreaksTiesToTheLowerIndexLikeAStableSort) {
  for (int64_t width : {1, 5, 8, 16, 33, 64, 256, 511, 513, 2000})
    for (int64_t k : {1, 2, 7, 40}) {
      if (k > width) continue;
      std::vector<float> x = numbers(4 * width, 21);
      for (float& v : x) v = std::round(v * 8) / 8;  // many ties, both zeros
      for (int64_t i = 0; i < width; ++i) x[static_cast<size_t>(3 * width + i)] = -INFINITY;
      if (width > 3) x[0] = INFINITY, x[2] = -0.0f, x[3] = -INFINITY;
      std::vector<int32_t> want;
      for (int64_t r = 0; r < 4; ++r) {
        std::vector<int32_t> order(static_cast<size_t>(width));
        std::iota(order.begin(), order.end(), 0);
        const float* row = x.data() + r * width;
        std::stable_sort(order.begin(), order.end(), [&](int32_t a, int32_t b) { return row[a] > row[b]; });
        want.insert(want.end(), order.begin(), order.begin() + k);
      }
      each_level([&](const std::string& level) {
        std::vector<int32_t> index(static_cast<size_t>(4 * k), -1);
        std::vector<float> value(static_cast<size_t>(4 * k));
        kernels::top_k(4, width, k, x.data(), value.data(), index.data());
        EXPECT_EQ(index, want) << level << " width " << width << " k " << k;
        for (size_t i = 0; i < index.size(); ++i)
          EXPECT_EQ(
              value[i],
              x[i / static_cast<size_t>(k) * static_cast<size_t>(width) + static_cast<size_t>(index[i])]);
      });
    }
}

TEST_F(RowKernels, TopKTakesNaNLastAndNeverTwice) {
  const std::vector<float> x = {NAN, 1, -INFINITY, NAN, 3, NAN};
  each_level([&](const std::string& level) {
    std::vector<int32_t> index(6);
    kernels::top_k(1, 6, 6, x.data(), nullptr, index.data());
    EXPECT_EQ(index, (std::vector<int32_t>{4, 1, 0, 2, 3, 5})) << level;
  });
}

TEST_F(RowKernels, EmbeddingAndItsGradientTouchOnlyTheRowsNamed) {
  const int64_t tokens = 300, vocab = 1000;
  std::vector<int32_t> ids(static_cast<size_t>(tokens));
  for (size_t i = 0; i < ids.size(); ++i) ids[i] = i % 3 ? static_cast<int32_t>(i * 37 % 50) : 7;
  for (auto [table_type, y_type] : kTypes)
    for (int64_t width : {1, 17, 64}) {
      Matrix table(vocab, width, table_type, 1), dy(tokens, width, y_type, 2);
      each_level([&](const std::string& level) {
        Matrix y(tokens, width, y_type);
        kernels::embedding(tokens, width, ids.data(), table.view(), y.view());
        for (int64_t t = 0; t < tokens; ++t)
          for (int64_t i = 0; i < width; ++i)
            expect_near(table.get(ids[static_cast<size_t>(t)], i), y.get(t, i), y_type, 0, level);
        std::vector<float> got = numbers(vocab * width, 5), want = got;
        for (int64_t t = 0; t < tokens; ++t)
          for (int64_t i = 0; i < width; ++i)
            want[static_cast<size_t>(ids[static_cast<size_t>(t)] * width + i)] += dy.get(t, i);
        kernels::embedding_gradient(tokens, width, vocab, ids.data(), dy.view(), got.data());
        EXPECT_EQ(got, want) << level;  // ascending order: the same bits
        kernels::embedding_gradient(1, width, vocab, ids.data() + 1, dy.view(), got.data());
        for (int64_t i = 0; i < width; ++i) want[static_cast<size_t>(ids[1] * width + i)] += dy.get(0, i);
        EXPECT_EQ(got, want) << level << ": a second call starts clean";
      });
    }
}

TEST_F(RowKernels, CopyColumnsTouchesNoOthersAndClearsWithoutASource) {
  for (DType type : {DType::kF32, DType::kBF16})
    for (int64_t rows : {0, 1, 700})
      for (int64_t width : {1, 40, 129})
        for (int threads : {1, 3}) {
          set_thread_count(threads);
          const int64_t first = width / 3, to = width / 4, columns = width / 2;
          Matrix x(rows, width, type, 1), y(rows, width, type, 2), want = y;
          for (int64_t i = 0; i < rows; ++i)
            for (int64_t j = 0; j < columns; ++j) want.set(i, to + j, x.get(i, first + j));
          kernels::copy_columns(rows, columns, columns_from(x.view(), first), columns_from(y.view(), to));
          EXPECT_TRUE(y.bytes == want.bytes) << rows << " x " << width;
          for (int64_t i = 0; i < rows; ++i)
            for (int64_t j = 0; j < columns; ++j) want.set(i, to + j, 0);
          kernels::copy_columns(rows, columns, {}, columns_from(y.view(), to));
          EXPECT_TRUE(y.bytes == want.bytes) << rows << " x " << width << ", cleared";
        }
  Matrix a(2, 4, DType::kF32), b(2, 4, DType::kBF16);
  EXPECT_THROW(kernels::copy_columns(2, 4, a.view(), b.view()), Error);
}

TEST_F(RowKernels, ConversionsRoundToNearestEvenOverAllHalvesAndHardCases) {
  std::vector<uint16_t> halves(65536);
  std::iota(halves.begin(), halves.end(), 0);
  std::vector<float> values = numbers(1000, 1, 70000);
  for (float x :
       {0.0f, -0.0f, 1e-45f, 1e-40f, 5.9604645e-8f, 2.9802322e-8f, 6.1e-5f, 65504.0f, 65519.9f, 65520.0f,
        INFINITY, -INFINITY, NAN, 1.00390625f, 1.01171875f, 3.4e38f, 1.0009765625f, 1.00048828125f})
    values.push_back(x), values.push_back(-x);
  const int64_t n = static_cast<int64_t>(values.size());
  auto run = [&] {
    std::vector<float> wide(65536);
    kernels::convert(65536, halves.data(), DType::kF16, wide.data(), DType::kF32);
    std::vector<uint16_t> back(65536), f16(values.size()), b16(values.size());
    kernels::convert(65536, wide.data(), DType::kF32, back.data(), DType::kF16);
    kernels::convert(n - 1, values.data() + 1, DType::kF32, f16.data() + 1, DType::kF16);
    kernels::convert(n - 1, values.data() + 1, DType::kF32, b16.data() + 1, DType::kBF16);
    for (uint32_t i = 0; i < 65536; ++i) {
      const bool nan = (i & 0x7c00) == 0x7c00 && (i & 0x3ff);
      EXPECT_EQ(nan, std::isnan(wide[i]));
      if (!nan) {
        EXPECT_EQ(back[i], halves[i]);
      }
    }
    EXPECT_EQ(wide[0x3c00], 1.0f);
    EXPECT_EQ(wide[0x0001], 0x1p-24f);
    EXPECT_EQ(wide[0xfbff], -65504.0f);
    f16.insert(f16.end(), b16.begin(), b16.end());
    return f16;
  };
  const auto want = reference(run);
  for (size_t i = 1; i < values.size(); ++i) EXPECT_EQ(want[values.size() + i], to_bf16(values[i]).bits);
  each_level([&](const std::string& level) { EXPECT_EQ(want, run()) << level; });
}

TEST_F(RowKernels, ElementwiseKernelsGiveTheReferencesBits) {
  for (DType type : {DType::kF32, DType::kBF16})
    for (int64_t n : {0, 1, 7, 8, 16, 31, 100, 70001}) {
      auto run = [&] {
        std::vector<std::vector<unsigned char>> out;
        Matrix a(1, n + 1, type, 1, 2), b(1, n + 1, type, 2, 2), y(1, n + 1, type, 3);
        if (n > 6)
          a.set(0, 2, NAN), a.set(0, 3, INFINITY), a.set(0, 4, -INFINITY), a.set(0, 5, 1e-42f),
              a.set(0, 6, -0.0f);
        kernels::add(n, a.data(), b.data(), y.data(), type), out.push_back(y.bytes);
        kernels::accumulate(n, a.data(), type, y.data(), type), out.push_back(y.bytes);
        std::vector<float> sum(static_cast<size_t>(n + 1), 0.5f);
        kernels::accumulate(n, b.data(), type, sum.data(), DType::kF32);
        out.emplace_back(reinterpret_cast<unsigned char*>(sum.data()),
                         reinterpret_cast<unsigned char*>(sum.data() + n));
        kernels::scale(n, 0.3f, b.data(), type), out.push_back(b.bytes);
        kernels::clamp_gradient(n, 1, a.data(), b.data(), type), out.push_back(b.bytes);
        kernels::clamp(n, 1, a.data(), type), out.push_back(a.bytes);
        EXPECT_TRUE(n <= 6 || (std::isnan(a.get(0, 2)) && a.get(0, 3) == 1 && a.get(0, 4) == -1));
        return out;
      };
      const auto want = reference(run);
      each_level([&](const std::string& level) { EXPECT_EQ(want, run()) << level << " n " << n; });
    }
}

TEST_F(RowKernels, AnyThreadCountGivesTheSameBits) {
  const int64_t rows = 1000, width = 96;
  Matrix x(rows, width, DType::kBF16, 1), dy(rows, width, DType::kBF16, 2);
  const auto w = numbers(width, 3, 1, 1), inv = numbers(rows, 4, 0.1f, 1);
  std::vector<int32_t> ids(static_cast<size_t>(rows));
  for (size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<int32_t>(i * i % 97);
  auto run = [&] {
    Matrix dx(rows, width, DType::kBF16);
    std::vector<float> dw(static_cast<size_t>(width)), db = dw, table(static_cast<size_t>(97 * width));
    kernels::rms_norm_gradient(rows, width, x.view(), w.data(), inv.data(), dy.view(), dx.view(), false,
                               dw.data());
    kernels::layer_norm_gradient(rows, width, x.view(), w.data(), inv.data(), inv.data(), dy.view(),
                                 dx.view(), true, dw.data(), db.data());
    kernels::embedding_gradient(rows, width, 97, ids.data(), dy.view(), table.data());
    dw.insert(dw.end(), db.begin(), db.end()), dw.insert(dw.end(), table.begin(), table.end());
    return std::pair(dx.bytes, dw);
  };
  each_level([&](const std::string& level) {
    set_thread_count(1);
    const auto want = run();
    for (int threads : {2, 3}) {
      set_thread_count(threads);
      EXPECT_TRUE(run() == want) << level << " with " << threads << " threads";
    }
  });
}

TEST_F(RowKernels, NoRowsAreNoWorkAndBadArgumentsAreRefused) {
  float x = 1;
  int32_t index = 0;
  kernels::rms_norm(0, 16, {}, {}, nullptr, 1e-5f, {}, nullptr);
  kernels::embedding_gradient(0, 16, 10, nullptr, {}, nullptr);
  kernels::softmax(0, 8, nullptr, nullptr, nullptr);
  EXPECT_THROW(kernels::top_k(1, 1, 2, &x, nullptr, &index), Error);
  EXPECT_THROW(kernels::rope(1, 1, 8, 3, false, &index, &x, 1, 1, Rows{&x, DType::kF32, 1}), Error);
  EXPECT_THROW(kernels::add(1, &x, &x, &x, DType::kI32), Error);
}

}  // namespace
}  // namespace lyceum
