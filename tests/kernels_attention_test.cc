// Attention: the reference against full matrices in double and central differences, every instruction set
// against the reference, and what serving leans on: a query's bits depend on no other query.
#include "kernels/attention.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/threads.h"
#include "kernels/isa.h"

namespace lyceum {
namespace {

using kernels::AttentionShape;

float noise(uint64_t i) {
  uint64_t z = (i + 1) * 0x9e3779b97f4a7c15ull;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull, z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
  return static_cast<float>(static_cast<double>((z ^ (z >> 31)) >> 11) * 0x1p-52 - 1.0);
}

// A matrix with room between its rows, f32 or bf16.
struct Matrix {
  int64_t rows, width, stride;
  DType type;
  std::vector<float> wide;
  std::vector<bf16> narrow;
  Matrix(int64_t r, int64_t w, DType t, uint64_t seed = 0, float size = 0)
      : rows(r), width(w), stride(w + 6), type(t) {
    if (t == DType::kF32) wide.assign(static_cast<size_t>(r * stride), 77.0f);
    else narrow.assign(static_cast<size_t>(r * stride), to_bf16(77.0f));
    for (int64_t i = 0; i < r; ++i)
      for (int64_t j = 0; j < w; ++j)
        set(i, j, size * noise(seed * 1000003 + static_cast<uint64_t>(i * w + j)));
  }
  float get(int64_t i, int64_t j) const {
    const size_t at = static_cast<size_t>(i * stride + j);
    return type == DType::kF32 ? wide[at] : to_float(narrow[at]);
  }
  void set(int64_t i, int64_t j, float x) {
    const size_t at = static_cast<size_t>(i * stride + j);
    if (type == DType::kF32) wide[at] = x;
    else narrow[at] = to_bf16(x);
  }
  Rows view() {
    return {type == DType::kF32 ? static_cast<void*>(wide.data()) : narrow.data(), type, stride};
  }
  bool operator==(const Matrix& o) const {
    return wide == o.wide && narrow.size() == o.narrow.size() &&
           !std::memcmp(narrow.data(), o.narrow.data(), narrow.size() * sizeof(bf16));
  }
};

struct Case {
  const char* name;
  int64_t heads, kv_heads, d, dv;
  std::vector<std::pair<int32_t, int32_t>> lengths;  // queries, keys
  bool causal = true;
  int64_t window = 0;
  bool sinks = false;
  float size = 1;  // of q and k: how peaked the softmax is
  // Distances that have a bias: -bias_zero .. bias_span - bias_zero - 1; a span of 0: none.
  int64_t bias_span = 0, bias_zero = 0;
};

const Case kCases[] = {
    {"one token", 1, 1, 16, 16, {{1, 1}}},
    {"ragged sequences", 2, 2, 64, 64, {{5, 5}, {33, 33}, {0, 0}, {1, 1}, {70, 70}}},
    {"a long one", 1, 1, 64, 64, {{300, 300}}},
    {"grouped heads", 6, 2, 32, 32, {{40, 40}, {9, 9}}},
    {"odd widths", 2, 1, 18, 40, {{37, 37}, {130, 130}}},
    {"odd odd widths", 2, 1, 17, 9, {{37, 37}}},
    {"wide heads", 2, 1, 256, 128, {{45, 45}}},
    {"narrow values", 1, 1, 192, 128, {{67, 67}}},
    {"decoding", 4, 2, 64, 64, {{1, 200}, {1, 1}, {1, 129}, {3, 31}}},
    {"a chunk of a prompt", 2, 2, 64, 64, {{20, 150}, {64, 128}, {100, 260}}},
    {"more queries than keys", 2, 1, 32, 32, {{10, 4}, {40, 0}}},
    {"both directions", 2, 2, 64, 64, {{50, 50}, {10, 140}, {140, 10}}, false},
    {"a window", 2, 2, 32, 32, {{200, 200}, {30, 90}}, true, 17},
    {"a window of one", 1, 1, 32, 32, {{50, 50}}, true, 1},
    {"a wide window", 1, 1, 64, 64, {{300, 300}}, true, 140},
    {"sinks", 4, 2, 64, 64, {{60, 60}, {1, 77}, {7, 3}}, true, 0, true},
    {"sinks and a window", 2, 1, 64, 64, {{150, 150}}, true, 40, true},
    {"peaked", 2, 1, 64, 64, {{140, 140}}, true, 0, false, 8},
    {"bias by distance", 4, 2, 32, 32, {{100, 100}, {1, 77}, {40, 90}}, true, 0, false, 1, 100, 0},
    {"bias in both directions", 2, 2, 64, 64, {{150, 150}, {33, 33}}, false, 0, false, 1, 299, 149},
    {"bias of some distances, sinks and a window", 2, 1, 32, 32, {{90, 90}}, true, 50, true, 1, 30, 3},
};

struct Problem {
  Case c;
  std::vector<int32_t> q_offsets{0}, k_offsets{0};
  std::vector<float> sinks, bias;
  AttentionShape shape;
  Matrix q, k, v, dout;
  static int64_t count(const Case& c, bool keys) {
    int64_t n = 0;
    for (auto [a, b] : c.lengths) n += keys ? b : a;
    return n;
  }
  Problem(const Case& from, DType type)
      : c(from),
        q(count(from, false), from.heads * from.d, type, 1, from.size),
        k(count(from, true), from.kv_heads * from.d, type, 2, from.size),
        v(count(from, true), from.kv_heads * from.dv, type, 3, 1),
        dout(count(from, false), from.heads * from.dv, type, 4, 1) {
    for (auto [a, b] : c.lengths)
      q_offsets.push_back(q_offsets.back() + a), k_offsets.push_back(k_offsets.back() + b);
    for (int64_t i = 0; i < c.heads * c.bias_span; ++i)
      bias.push_back(noise(static_cast<uint64_t>(5000 + i)));
    for (int64_t h = 0; h < c.heads; ++h) sinks.push_back(2 * noise(static_cast<uint64_t>(900 + h)));
    shape.n_heads = c.heads, shape.n_kv_heads = c.kv_heads, shape.d_head = c.d, shape.d_value = c.dv;
    shape.scale = 1 / std::sqrt(static_cast<float>(c.d));
    shape.window = c.window, shape.causal = c.causal,
    shape.sequences = static_cast<int64_t>(c.lengths.size());
  }
  const AttentionShape& view() {
    shape.sinks = c.sinks ? sinks.data() : nullptr;
    shape.bias = c.bias_span ? bias.data() : nullptr;
    shape.bias_span = c.bias_span, shape.bias_zero = c.bias_zero;
    shape.q_offsets = q_offsets.data(), shape.k_offsets = k_offsets.data();
    return shape;
  }
};

struct Result {
  Matrix out;
  std::vector<float> lse;
  Matrix dq, dk, dv;
  std::vector<float> dsinks, dbias;
};

Result run(Problem& p, DType out_type, bool gradient = true) {
  Result r{
      {p.q.rows, p.c.heads * p.c.dv, out_type}, std::vector<float>(static_cast<size_t>(p.q.rows * p.c.heads)),
      {p.q.rows, p.q.width, out_type},          {p.k.rows, p.k.width, out_type},
      {p.v.rows, p.v.width, out_type},          std::vector<float>(static_cast<size_t>(p.c.heads), 0.25f),
      std::vector<float>(p.bias.size(), 0.5f)};
  kernels::attention(p.view(), p.q.view(), p.k.view(), p.v.view(), r.out.view(), r.lse.data());
  if (gradient)
    kernels::attention_gradient(p.view(), p.q.view(), p.k.view(), p.v.view(), r.out.view(), r.lse.data(),
                                p.dout.view(), r.dq.view(), r.dk.view(), r.dv.view(),
                                p.c.sinks ? r.dsinks.data() : nullptr,
                                p.c.bias_span ? r.dbias.data() : nullptr);
  return r;
}

// Full score matrices in double: out and logsumexp; returns sum(out * dout).
double by_matrices(Problem& p, std::vector<double>* out, std::vector<double>* lse) {
  double loss = 0;
  out->assign(static_cast<size_t>(p.q.rows * p.c.heads * p.c.dv), 0.0);
  lse->assign(static_cast<size_t>(p.q.rows * p.c.heads), -INFINITY);
  for (size_t s = 0; s < p.c.lengths.size(); ++s) {
    const auto [nq, nk] = p.c.lengths[s];
    for (int64_t h = 0; h < p.c.heads; ++h)
      for (int64_t i = 0; i < nq; ++i) {
        const int64_t row = p.q_offsets[s] + i, g = h / (p.c.heads / p.c.kv_heads), own = i + nk - nq;
        double sum = p.c.sinks ? std::exp(static_cast<double>(p.sinks[static_cast<size_t>(h)])) : 0;
        std::vector<double> e(static_cast<size_t>(nk), 0.0);
        for (int64_t j = 0; j < nk; ++j) {
          if (p.c.causal && j > own) continue;
          if (p.c.window && j < own - p.c.window + 1) continue;
          double x = 0;
          for (int64_t d = 0; d < p.c.d; ++d)
            x +=
                static_cast<double>(p.q.get(row, h * p.c.d + d)) * p.k.get(p.k_offsets[s] + j, g * p.c.d + d);
          x *= p.shape.scale;
          const int64_t far = p.c.bias_zero + own - j;
          if (far >= 0 && far < p.c.bias_span) x += p.bias[static_cast<size_t>(h * p.c.bias_span + far)];
          sum += e[static_cast<size_t>(j)] = std::exp(x);
        }
        if (sum > 0) (*lse)[static_cast<size_t>(row * p.c.heads + h)] = std::log(sum);
        for (int64_t d = 0; d < p.c.dv; ++d) {
          double x = 0;
          for (int64_t j = 0; j < nk; ++j)
            x += e[static_cast<size_t>(j)] * p.v.get(p.k_offsets[s] + j, g * p.c.dv + d);
          if (sum > 0) x /= sum;
          (*out)[static_cast<size_t>((row * p.c.heads + h) * p.c.dv + d)] = x;
          loss += x * p.dout.get(row, h * p.c.dv + d);
        }
      }
  }
  return loss;
}

// Root mean square of the difference against that of the wanted values.
double distance(const Matrix& want, const Matrix& got) {
  double difference = 0, size = 1e-4 * static_cast<double>(want.rows * want.width);  // of values of about 1
  for (int64_t i = 0; i < want.rows; ++i) {
    for (int64_t j = 0; j < want.width; ++j) {
      const double d = static_cast<double>(want.get(i, j)) - got.get(i, j);
      difference += d * d, size += static_cast<double>(want.get(i, j)) * want.get(i, j);
    }
    for (int64_t j = want.width; j < want.stride; ++j) {  // between the rows nothing was written
      const size_t at = static_cast<size_t>(i * want.stride + j);
      if ((got.type == DType::kF32 ? got.wide[at] : to_float(got.narrow[at])) != 77.0f) return INFINITY;
    }
  }
  return std::sqrt(difference / size);
}

void expect_close(double want, double got, double bound, const std::string& where) {
  if (want == got) return;  // infinities
  EXPECT_NEAR(want, got, bound) << where;
}

class Attention : public ::testing::Test {
 protected:
  Isa before_ = isa_level();
  void TearDown() override { set_isa_level(before_), set_thread_count(2); }
};

TEST_F(Attention, TheReferenceEqualsFullMatricesInDouble) {
  set_isa_level(Isa::kReference);
  for (const Case& c : kCases) {
    if (c.size > 1) continue;  // by_matrices does not shift its exponents
    Problem p(c, DType::kF32);
    p.view();
    std::vector<double> out, lse;
    by_matrices(p, &out, &lse);
    const Result r = run(p, DType::kF32);
    for (int64_t i = 0; i < r.out.rows; ++i)
      for (int64_t j = 0; j < r.out.width; ++j)
        ASSERT_NEAR(r.out.get(i, j), out[static_cast<size_t>(i * r.out.width + j)], 1e-6) << c.name;
    for (size_t i = 0; i < lse.size(); ++i) expect_close(lse[i], r.lse[i], 1e-5, c.name);
  }
}

TEST_F(Attention, TheReferencesGradientEqualsCentralDifferences) {
  set_isa_level(Isa::kReference);
  const Case small[] = {{"causal", 2, 1, 6, 4, {{5, 5}, {2, 4}}},
                        {"window and sinks", 2, 2, 4, 4, {{7, 7}, {1, 3}}, true, 3, true},
                        {"both directions", 1, 1, 4, 4, {{3, 5}}, false},
                        {"bias", 2, 1, 4, 4, {{4, 4}, {2, 5}}, true, 0, true, 1, 3, 0},
                        {"bias both ways", 1, 1, 4, 4, {{4, 4}}, false, 0, false, 1, 6, 3}};
  for (const Case& c : small) {
    Problem p(c, DType::kF32);
    p.view();
    const Result r = run(p, DType::kF32);
    std::vector<double> out, lse;
    auto slope = [&](float* x) {
      const float start = *x;
      *x = start + 1e-2f;
      const double up = by_matrices(p, &out, &lse), high = *x;
      *x = start - 1e-2f;
      const double down = by_matrices(p, &out, &lse), low = *x;
      *x = start;
      return (up - down) / (high - low);
    };
    auto compare = [&](Matrix& x, const Matrix& dx, const char* name) {
      for (int64_t i = 0; i < x.rows; ++i)
        for (int64_t j = 0; j < x.width; ++j)
          ASSERT_NEAR(slope(&x.wide[static_cast<size_t>(i * x.stride + j)]), dx.get(i, j), 2e-4)
              << c.name << " " << name;
    };
    compare(p.q, r.dq, "dq"), compare(p.k, r.dk, "dk"), compare(p.v, r.dv, "dv");
    for (size_t i = 0; i < p.bias.size(); ++i)
      ASSERT_NEAR(slope(&p.bias[i]), r.dbias[i] - 0.5f, 2e-4) << c.name << " dbias";
    for (size_t h = 0; c.sinks && h < p.sinks.size(); ++h) {  // accumulated onto what was there
      ASSERT_NEAR(slope(&p.sinks[h]), r.dsinks[h] - 0.25f, 2e-4) << c.name;
    }
  }
}

TEST_F(Attention, EveryLevelEqualsTheReference) {
  for (const Case& c : kCases)
    for (auto [type, out_type] :
         {std::pair{DType::kF32, DType::kF32}, {DType::kBF16, DType::kBF16}, {DType::kBF16, DType::kF32}}) {
      Problem p(c, type);
      set_isa_level(Isa::kReference);
      const Result want = run(p, out_type);
      for (Isa isa : runnable_isas()) {
        set_isa_level(isa);
        const Result got = run(p, out_type);
        const std::string where = std::string(isa_name(isa)) + ", " + c.name + ", " + dtype_name(type);
        // bf16: probabilities and their gradients are rounded to bf16 for the products (2^-9 each, at
        // random), and the gradient sees the rounded out.
        const double bound = type == DType::kF32 ? 3e-6 * c.size * c.size : 6e-3;
        EXPECT_LE(distance(want.out, got.out), bound) << where << " out";
        EXPECT_LE(distance(want.dq, got.dq), 2 * bound) << where << " dq";
        EXPECT_LE(distance(want.dk, got.dk), 2 * bound) << where << " dk";
        EXPECT_LE(distance(want.dv, got.dv), bound) << where << " dv";
        for (size_t i = 0; i < want.lse.size(); ++i)
          expect_close(want.lse[i], got.lse[i], 2e-5 * c.size * c.size, where);
        for (size_t i = 0; i < want.dbias.size(); ++i)
          EXPECT_NEAR(want.dbias[i], got.dbias[i], type == DType::kF32 ? 1e-4 : 3e-2) << where << " dbias";
        for (size_t h = 0; h < want.dsinks.size(); ++h)
          EXPECT_NEAR(want.dsinks[h], got.dsinks[h], type == DType::kF32 ? 1e-4 : 3e-2) << where << " dsinks";
      }
    }
}

TEST_F(Attention, EmulatedTilesGiveTheBitsOfTheInstruction) {
  if (!isa_runs(Isa::kAmx)) GTEST_SKIP() << "this CPU has no AMX: only the emulation was tested";
  for (const Case& c : kCases) {
    Problem p(c, DType::kBF16);
    if (c.d % 2 || c.dv % 2) continue;
    set_isa_level(Isa::kAmx);
    const Result want = run(p, DType::kF32);
    set_isa_level(Isa::kAmxEmulated);
    const Result got = run(p, DType::kF32);
    EXPECT_TRUE(want.out == got.out) << c.name << " out";
    EXPECT_TRUE(want.lse == got.lse) << c.name << " logsumexp";
    EXPECT_TRUE(want.dq == got.dq) << c.name << " dq";
    EXPECT_TRUE(want.dk == got.dk) << c.name << " dk";
    EXPECT_TRUE(want.dv == got.dv) << c.name << " dv";
  }
}

TEST_F(Attention, AnyThreadCountGivesTheSameBits) {
  for (Isa isa : runnable_isas()) {
    set_isa_level(isa);
    for (const Case& c : kCases) {
      const bool slow = isa == Isa::kReference || isa == Isa::kAmxEmulated;  // and cut no differently
      if (slow && c.lengths[0].first > 64) continue;
      Problem p(c, DType::kBF16);
      set_thread_count(1);
      const Result want = run(p, DType::kBF16);
      for (int threads : {2, 3}) {
        set_thread_count(threads);
        const Result got = run(p, DType::kBF16);
        EXPECT_TRUE(want.out == got.out && want.lse == got.lse && want.dq == got.dq && want.dk == got.dk &&
                    want.dv == got.dv && want.dsinks == got.dsinks && want.dbias == got.dbias)
            << isa_name(isa) << ", " << c.name << ", " << threads << " threads";
      }
    }
  }
}

// A prompt in one call, in chunks of any size and token by token: the same bits for each query.
TEST_F(Attention, AQuerysBitsDoNotDependOnTheQueriesBesideIt) {
  for (const int64_t span : {0, 150})
    for (DType type : {DType::kBF16, DType::kF32})
      for (Isa isa : runnable_isas()) {
        const Case whole{"whole", 4, 2, 64, 64, {{170, 170}}, true, 0, true, 3, span, 0};
        set_isa_level(isa);
        Problem p(whole, type);
        const Result want = run(p, type, false);
        for (int32_t chunk : {1, 2, 7, 40, 64}) {
          for (int32_t begin = 0; begin < 170; begin += chunk) {
            const int32_t n = std::min(chunk, 170 - begin);
            if ((isa == Isa::kReference || isa == Isa::kAmxEmulated) && begin % 5) continue;  // slow
            AttentionShape shape = p.view();
            const int32_t q_offsets[] = {0, n}, k_offsets[] = {0, begin + n};
            shape.q_offsets = q_offsets, shape.k_offsets = k_offsets;
            Matrix out(n, want.out.width, type);
            std::vector<float> lse(static_cast<size_t>(n) * 4);
            ConstRows q = p.q.view();
            q.data =
                static_cast<const char*>(q.data) + begin * q.stride * static_cast<int64_t>(dtype_size(type));
            kernels::attention(shape, q, p.k.view(), p.v.view(), out.view(), lse.data());
            for (int64_t i = 0; i < n; ++i)
              for (int64_t j = 0; j < out.width; ++j)
                ASSERT_EQ(out.get(i, j), want.out.get(begin + i, j))
                    << isa_name(isa) << " " << dtype_name(type) << " chunk " << chunk << " query "
                    << begin + i;
            for (size_t i = 0; i < lse.size(); ++i)
              ASSERT_EQ(lse[i], want.lse[static_cast<size_t>(begin) * 4 + i]);
          }
        }
      }
}

TEST_F(Attention, LargeAndSmallScoresNeitherOverflowNorVanish) {
  const Case c{"extreme", 1, 1, 32, 32, {{40, 40}}};
  for (DType type : {DType::kBF16, DType::kF32})
    for (float size : {1e-30f, 1e4f}) {
      Problem p(c, type);
      p.q = Matrix(40, 32, type, 1, size), p.k = Matrix(40, 32, type, 2, size);
      set_isa_level(Isa::kReference);
      const Result want = run(p, DType::kF32);
      for (Isa isa : runnable_isas()) {
        set_isa_level(isa);
        const Result got = run(p, DType::kF32);
        // At 1e8 the softmax picks one key; f32 scores decide which, as in double.
        EXPECT_LE(distance(want.out, got.out), type == DType::kF32 ? 1e-5 : 6e-3)
            << isa_name(isa) << " " << size;
        for (float x : got.lse) EXPECT_TRUE(std::isfinite(x));
        for (float x : got.dk.wide) EXPECT_TRUE(std::isfinite(x));
      }
    }
}

TEST_F(Attention, ANaNReachesTheQueriesThatSeeItAndNoOther) {
  const Case c{"nan", 2, 1, 32, 32, {{50, 50}}};
  for (DType type : {DType::kBF16, DType::kF32})
    for (Isa isa : runnable_isas()) {
      set_isa_level(isa);
      Problem p(c, type);
      p.k.set(20, 3, NAN);
      const Result r = run(p, type, false);
      for (int64_t i = 0; i < 50; ++i)
        EXPECT_EQ(std::isnan(r.out.get(i, 5)), i >= 20) << isa_name(isa) << " " << i;
    }
}

TEST_F(Attention, ImpossibleShapesAreRefusedInOneLine) {
  Case c{"bad", 3, 2, 16, 16, {{4, 4}}};
  Problem p(c, DType::kF32);
  EXPECT_THROW(run(p, DType::kF32), Error);
  c.heads = 2, c.causal = false, c.window = 4;
  Problem q(c, DType::kF32);
  EXPECT_THROW(run(q, DType::kF32), Error);
}

}  // namespace
}  // namespace lyceum
