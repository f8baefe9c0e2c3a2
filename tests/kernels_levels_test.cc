// kernels/: the products of every ISA level against the reference at ragged sizes and extreme values; the
// same bits at any thread count; the emulated tiles bit for bit equal to the AMX instruction.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "base/error.h"
#include "base/random.h"
#include "base/threads.h"
#include "kernels/head.h"
#include "kernels/isa.h"
#include "kernels/product_check.h"
#include "kernels/products_reference.h"

namespace lyceum::kernels {
namespace {

// Rows of either type whose values are exact in bf16, so that both types hold the same numbers.
struct Matrix {
  DType type;
  int64_t rows, width, stride;
  std::vector<float> f32;
  std::vector<bf16> half;

  Matrix(DType t, int64_t r, int64_t w, uint64_t seed = 0, int64_t pad = 3)
      : type(t),
        rows(r),
        width(w),
        stride(w + pad),
        f32(static_cast<size_t>((r + 1) * stride)),
        half(f32.size()) {
    const RandomKey key(seed + 1);
    for (size_t i = 0; i < f32.size() && seed; ++i)
      set(static_cast<int64_t>(i), static_cast<float>(key.normal(i)));
  }
  void set(int64_t at, float v) { half[at] = to_bf16(v), f32[at] = to_float(half[at]); }
  float get(int64_t row, int64_t column) const {
    const int64_t at = row * stride + column;
    return type == DType::kBF16 ? to_float(half[at]) : f32[at];
  }
  Rows rows_of() {
    return {type == DType::kBF16 ? static_cast<void*>(half.data()) : f32.data(), type, stride};
  }
};

struct Weight {
  WeightLayout layout;
  int64_t groups;
  std::vector<float> f32, bias;
  std::vector<bf16> half;
  Weight(WeightLayout l, int64_t g, uint64_t seed) : layout(l), groups(g) {
    const RandomKey key(seed);
    std::vector<float> logical(static_cast<size_t>(l.parts * l.n * l.k));
    std::vector<bf16> logical_half(logical.size());
    f32.resize(static_cast<size_t>(g * l.size())), half.resize(f32.size());
    for (int64_t e = 0; e < g; ++e) {
      for (size_t i = 0; i < logical.size(); ++i) {
        logical_half[i] = to_bf16(static_cast<float>(key.with(e).normal(i) / std::sqrt(l.k + 1.0)));
        logical[i] = to_float(logical_half[i]);
      }
      pack_weight(l, logical.data(), f32.data() + e * l.size(), 4);
      pack_weight(l, logical_half.data(), half.data() + e * l.size(), 2);
    }
    for (int64_t i = 0; i < g * l.parts * l.n; ++i)
      bias.push_back(static_cast<float>(key.with(99).normal(i)));
  }
  Weights view(bool with_bias) const {
    const void* data = layout.type == DType::kBF16 ? static_cast<const void*>(half.data()) : f32.data();
    return {data, layout, layout.size(), with_bias ? bias.data() : nullptr};
  }
};

struct Shape {
  std::vector<int32_t> first;
  int64_t n, k, parts;
};

std::vector<Shape> shapes() {
  std::vector<Shape> out = {
      {{0, 0}, 16, 32, 1},           {{0, 1}, 1, 1, 1},         {{0, 1, 1, 1, 40, 40}, 33, 70, 2},
      {{0, 17, 49}, 64, 96, 2},      {{0, 0, 0, 7}, 48, 31, 1}, {{0, 300, 301, 302, 302}, 80, 129, 2},
      {{0, 6, 12, 13}, 100, 300, 1}, {{0, 1100}, 40, 50, 1},    {{0, 64}, 20, 1300, 1},
  };
  Shape many{{0}, 17, 40, 2};
  for (int g = 0; g < 40; ++g) many.first.push_back(many.first.back() + (g % 7 == 3 ? g : 0));
  out.push_back(many);
  return out;
}

std::string text(const Shape& s) {
  return "slots " + std::to_string(s.first.back()) + " groups " + std::to_string(s.first.size() - 1) + " n " +
         std::to_string(s.n) + " k " + std::to_string(s.k) + " parts " + std::to_string(s.parts);
}

// The bound: sums of k products of values near 1, f32 accumulation in another order; a bf16 result is rounded
// once (half a unit of 2^-8) and an f32 result may be off by k units of 2^-24 at the size of the sum.
void expect_close(const Matrix& got, const Matrix& wanted, double size, const std::string& what) {
  const double relative = got.type == DType::kBF16 ? 0x1.0p-7 : 2e-5, absolute = 2e-5 * size;
  for (int64_t r = 0; r < got.rows; ++r)
    for (int64_t c = 0; c < got.width; ++c) {
      const double g = got.get(r, c), w = wanted.get(r, c);
      if (std::isnan(w) ? !std::isnan(g)
                        : !(g == w || std::abs(g - w) <= relative * std::abs(w) + absolute)) {
        ADD_FAILURE() << what << ": row " << r << " column " << c << " wanted " << w << " found " << g;
        return;
      }
    }
}
void expect_close(const std::vector<float>& got, const std::vector<float>& wanted, double size,
                  const std::string& what) {
  for (size_t i = 0; i < got.size(); ++i) {
    const double g = got[i], w = wanted[i];
    if (std::isnan(w) ? !std::isnan(g) : !(g == w || std::abs(g - w) <= 2e-5 * (std::abs(w) + size))) {
      ADD_FAILURE() << what << ": element " << i << " wanted " << w << " found " << g;
      return;
    }
  }
}

struct Level {
  Isa before = isa_level();
  explicit Level(Isa isa) { set_isa_level(isa); }
  ~Level() { set_isa_level(before); }
};

constexpr DType kTypes[] = {DType::kBF16, DType::kF32};

std::vector<int32_t> repeating_gather(int64_t slots, int64_t rows) {
  std::vector<int32_t> out;
  for (int64_t s = 0; s < slots; ++s) out.push_back(static_cast<int32_t>(s * 7 % rows));
  return out;
}

struct Case {
  const Shape& s;
  DType x, w;
  bool gathered;
  Groups groups;
  int64_t slots, source;
  const int32_t* gather;
};
// What a product wrote, all as f32, with the precision it may be held to.
struct Result {
  std::string name;
  Matrix rows;
};

// Computes body(case) -> results by the reference and at every level for every combination of shape, types
// and gathering, and compares.
template <class Body>
void compare_levels(double size, Body&& body) {
  for (const Shape& shape : shapes())
    for (DType x : kTypes)
      for (DType w : kTypes)
        for (bool gathered : {false, true}) {
          const int64_t slots = shape.first.back(), source = gathered ? slots / 2 + 1 : slots;
          const auto gather = repeating_gather(slots, std::max<int64_t>(source, 1));
          const Groups groups{static_cast<int64_t>(shape.first.size()) - 1, shape.first.data()};
          const Case c{shape, x, w, gathered, groups, slots, source, gathered ? gather.data() : nullptr};
          std::vector<Result> wanted;
          for (Isa isa : runnable_isas()) {
            const bool both_bf16 = x == DType::kBF16 && w == DType::kBF16;
            const bool tiles_or_dots =
                isa == Isa::kAmx || isa == Isa::kAmxEmulated || isa == Isa::kAvx512Bf16;
            if (tiles_or_dots && !both_bf16) continue;  // falls back to a level that is compared itself
            const Level level(isa);
            const std::string what = std::string(isa_name(isa)) + " " + text(shape) + " x " + dtype_name(x) +
                                     " w " + dtype_name(w) + (gathered ? " gathered" : "");
            std::vector<Result> got = body(c);
            if (isa == Isa::kReference) {
              wanted = std::move(got);
              continue;
            }
            for (size_t i = 0; i < got.size(); ++i) {
              expect_close(got[i].rows, wanted[i].rows, size * std::sqrt(slots + 1.0),
                           what + " " + got[i].name);
              EXPECT_EQ(got[i].rows.get(got[i].rows.rows, 0), wanted[i].rows.get(got[i].rows.rows, 0))
                  << what << ": wrote past the last row";
            }
          }
        }
}

TEST(Levels, ForwardProductEqualsReference) {
  compare_levels(0.2, [](const Case& c) {
    std::vector<Result> out;
    Matrix x(c.x, c.source, c.s.k, 1);
    const Weight w({c.s.parts, c.s.n, c.s.k, c.w}, c.groups.n, 2);
    for (bool accumulate : {false, true})
      for (DType yt : kTypes) {
        out.push_back({"y", Matrix(yt, c.slots, c.s.parts * c.s.n, 3)});
        product(c.groups, x.rows_of(), c.gather, w.view(accumulate), out.back().rows.rows_of(), accumulate);
      }
    return out;
  });
}

TEST(Levels, ActivatedProductEqualsReference) {
  compare_levels(0.5, [](const Case& c) {
    std::vector<Result> out;
    Matrix x(c.x, c.source, c.s.k, 4);
    const Weight w({c.s.parts, c.s.n, c.s.k, c.w}, c.groups.n, 5);
    std::vector<float> scale;
    for (int64_t i = 0; i < c.slots; ++i) scale.push_back(0.1f * static_cast<float>(i % 17));
    for (Activation a : {Activation::kSilu, Activation::kGelu, Activation::kGeluTanh, Activation::kRelu,
                         Activation::kQuickGelu}) {
      Matrix pre(c.x, c.slots, c.s.parts * c.s.n), h(c.x, c.slots, c.s.n);
      activated_product(c.groups, x.rows_of(), c.gather, w.view(c.gathered), a,
                        a == Activation::kGelu ? nullptr : scale.data(), pre.rows_of(), h.rows_of());
      out.push_back({"pre", pre});
      out.push_back({"h", h});
    }
    return out;
  });
}

TEST(Levels, DgradEqualsReference) {
  compare_levels(0.5, [](const Case& c) {
    std::vector<Result> out;
    Matrix dy(c.x, c.source, c.s.parts * c.s.n, 6);
    const Weight w({c.s.parts, c.s.n, c.s.k, c.w}, c.groups.n, 7);
    for (bool accumulate : {false, true}) {
      out.push_back({"dx", Matrix(c.x, c.slots, c.s.k, 8)});
      product_dgrad(c.groups, dy.rows_of(), c.gather, w.view(false), out.back().rows.rows_of(), accumulate);
    }
    return out;
  });
}

TEST(Levels, WgradEqualsReferenceAndKeepsThePaddingZero) {
  compare_levels(1, [](const Case& c) {
    Matrix dy(c.x, c.source, c.s.parts * c.s.n, 9), x(c.x, c.source, c.s.k, 10);
    const WeightLayout layout{c.s.parts, c.s.n, c.s.k, c.w};
    Matrix dw(DType::kF32, c.groups.n, layout.size(), 0, 0);
    const std::vector<float> ones(static_cast<size_t>(c.s.parts * c.s.n * c.s.k), 1.0f);
    for (int64_t g = 0; g < c.groups.n; ++g)
      pack_weight(layout, ones.data(), dw.f32.data() + g * layout.size(), 4);
    if (c.slots > 0 && !c.gathered) x.set(0, std::numeric_limits<float>::infinity());  // not into the padding
    double squares = 0, plain = 0;
    product_wgrad(c.groups, dy.rows_of(), c.gather, x.rows_of(), c.gather, layout, dw.f32.data(),
                  layout.size(), &squares);
    for (int64_t i = 0; i < c.groups.n * layout.size(); ++i)
      plain += std::pow(static_cast<double>(dw.f32[static_cast<size_t>(i)]), 2);
    EXPECT_EQ(std::isfinite(squares), std::isfinite(plain)) << text(c.s);
    EXPECT_NEAR(std::isfinite(plain) ? squares : 0, std::isfinite(plain) ? plain : 0, 1e-9 * plain)
        << text(c.s);
    return std::vector<Result>{{"dw", dw}};
  });
}

TEST(Levels, RowFunctionsEqualReference) {
  for (Isa isa : runnable_isas()) {
    const Level level(isa);
    for (DType type : kTypes)
      for (int64_t n : {1, 16, 37, 64}) {
        const int64_t slots = 23;
        const std::string what =
            std::string(isa_name(isa)) + " " + dtype_name(type) + " n " + std::to_string(n);
        std::vector<float> scale, got_scale(slots), wanted_scale(slots);
        for (int64_t i = 0; i < slots; ++i) scale.push_back(0.1f * static_cast<float>(i));
        for (int64_t parts : {1, 2})
          for (Activation a : {Activation::kSilu, Activation::kGelu, Activation::kGeluTanh, Activation::kRelu,
                               Activation::kQuickGelu, Activation::kIdentity}) {
            Matrix pre(type, slots, parts * n, 11), dh(type, slots, n, 12), dpre(type, slots, parts * n),
                h(type, slots, n), dpre2 = dpre, h2 = h;
            activation_gradient(slots, n, parts, a, scale.data(), pre.rows_of(), dh.rows_of(), dpre.rows_of(),
                                h.rows_of(), got_scale.data());
            reference::activation_gradient(slots, n, parts, a, scale.data(), pre.rows_of(), dh.rows_of(),
                                           dpre2.rows_of(), h2.rows_of(), wanted_scale.data());
            expect_close(dpre, dpre2, 1, what);
            expect_close(h, h2, 1, what);
            expect_close(got_scale, wanted_scale, 1, what);
          }
        Matrix out(type, slots, n, 13), residual(type, 5, n, 14), y(type, 5, n), y2 = y;
        const std::vector<int32_t> first = {0, 3, 3, 9, 10, 12},
                                   slot = {0, 22, -1, 4, 4, 5, 6, -1, 8, 9, 1, 2};
        for (bool with : {false, true}) {
          const ConstRows r = with ? ConstRows(residual.rows_of()) : ConstRows();
          combine(5, n, first.data(), slot.data(), out.rows_of(), r, y.rows_of());
          reference::combine(5, n, first.data(), slot.data(), out.rows_of(), r, y2.rows_of());
          expect_close(y, y2, 1, what);
        }
      }
  }
}

double largest_of(const std::vector<float>& x) {
  double most = 0;
  for (float v : x) most = std::max<double>(most, std::abs(v));
  return most;
}

// A scale of 400 makes logits whose exponentials f32 does not hold.
void expect_head_equals_reference(float scale) {
  for (DType xt : kTypes)
    for (DType wt : kTypes)
      for (auto [tokens, vocab, k] :
           {std::tuple<int64_t, int64_t, int64_t>{1, 17, 8}, {70, 1000, 40}, {33, 64, 70}}) {
        Matrix x(xt, tokens, k, 40);
        const Weight w({1, vocab, k, wt}, 1, 41);
        std::vector<int32_t> targets;
        std::vector<float> weight, z_weight;
        for (int64_t t = 0; t < tokens; ++t) {
          targets.push_back(t % 5 == 4 ? -1 : static_cast<int32_t>(t * 7 % vocab));
          weight.push_back(0.5f + 0.1f * static_cast<float>(t % 3));
          z_weight.push_back(t % 2 ? 0.01f : 0.0f);
        }
        std::vector<std::vector<float>> wanted;
        for (Isa isa : runnable_isas()) {
          const Level level(isa);
          std::vector<float> log_prob(tokens), logsumexp(tokens), dw(w.f32.size(), 0.25f), dw2(dw),
              again(tokens);
          std::vector<int32_t> argmax(tokens);
          Matrix dx(DType::kF32, tokens, k), dx2 = dx;
          linear_log_prob(tokens, x.rows_of(), w.view(false), scale, targets.data(), log_prob.data(),
                          logsumexp.data(), argmax.data());
          linear_cross_entropy(tokens, x.rows_of(), w.view(false), scale, targets.data(), weight.data(),
                               z_weight.data(), again.data(), logsumexp.data(), dx.rows_of(), dw.data());
          expect_close(again, log_prob, 1, "log_prob in one pass");
          linear_log_prob(tokens, x.rows_of(), w.view(false), scale, targets.data(), again.data(),
                          logsumexp.data(), nullptr);
          expect_close(again, log_prob, 1, "log_prob without argmax");
          linear_log_prob_gradient(tokens, x.rows_of(), w.view(false), scale, targets.data(),
                                   logsumexp.data(), weight.data(), nullptr, dx2.rows_of(), dw2.data());
          const std::vector<std::vector<float>> got = {
              log_prob, logsumexp, std::vector<float>(argmax.begin(), argmax.end()), dx.f32, dw,
              dx2.f32,  dw2};
          if (isa == Isa::kReference) wanted = got;
          // Both factors of dW are rounded to bf16 where the operands are: twice 2^-9 of the sizes of its
          // terms.
          const bool rounded = xt == DType::kBF16 && wt == DType::kBF16;
          for (size_t i = 0; i < got.size(); ++i)
            expect_close(got[i], wanted[i],
                         i < 3 ? 1 : (rounded ? 400 : std::max(1.0f, scale / 10)) * largest_of(wanted[i]),
                         std::string(isa_name(isa)) + " head output " + std::to_string(i) + " x " +
                             dtype_name(xt) + " w " + dtype_name(wt) + " vocab " + std::to_string(vocab));
        }
      }
}

TEST(Levels, HeadEqualsReference) { expect_head_equals_reference(1.3f); }
TEST(Levels, HeadEqualsReferenceWhereExponentialsOverflow) { expect_head_equals_reference(400); }

TEST(Levels, HeadGivesTheSameBitsAtAnyThreadCount) {
  const int64_t tokens = 300, vocab = 3000, k = 96;
  Matrix x(DType::kBF16, tokens, k, 50);
  const Weight w({1, vocab, k, DType::kBF16}, 1, 51);
  std::vector<int32_t> targets;
  for (int64_t t = 0; t < tokens; ++t) targets.push_back(static_cast<int32_t>(t * 7 % vocab));
  const std::vector<float> weight(tokens, 0.01f);
  for (Isa isa : runnable_isas()) {
    const Level level(isa);
    std::vector<std::vector<float>> results;
    for (int threads : {1, 2}) {
      set_thread_count(threads);
      std::vector<float> log_prob(tokens), logsumexp(tokens), dw(w.f32.size());
      Matrix dx(DType::kF32, tokens, k);
      linear_cross_entropy(tokens, x.rows_of(), w.view(false), 1, targets.data(), weight.data(), nullptr,
                           log_prob.data(), logsumexp.data(), dx.rows_of(), dw.data());
      results.push_back(log_prob);
      results.push_back(dx.f32);
      results.push_back(dw);
    }
    for (size_t i = 0; i < 3; ++i) EXPECT_TRUE(results[i] == results[i + 3]) << isa_name(isa) << " " << i;
  }
}

// Runs forward, dgrad and wgrad of one ragged problem and returns all bits.
std::vector<float> all_bits(uint64_t seed, bool extreme, DType type, DType weight_type,
                            double* squares = nullptr) {
  const std::vector<int32_t> first = {0, 33, 33, 150, 151, 400};
  const Groups groups{5, first.data()};
  const int64_t slots = 400, n = 100, k = 130;
  Matrix x(type, slots, k, seed), dy(type, slots, 2 * n, seed + 1);
  Weight w({2, n, k, weight_type}, 5, seed + 2);
  if (extreme) {
    const float values[] = {std::numeric_limits<float>::infinity(),
                            -std::numeric_limits<float>::infinity(),
                            0x1.0p-130f,
                            -0x1.8p-128f,
                            std::numeric_limits<float>::quiet_NaN(),
                            3e38f,
                            0x1.0p-63f,
                            0x1.0p-70f};
    for (int64_t i = 0; i < 4000; ++i) {
      x.set(RandomKey(seed).below(i, x.f32.size()), values[i % 60 < 6 ? i % 8 : 2 + (i & 1)]);
      dy.set(RandomKey(seed + 5).below(i, dy.f32.size()), values[2 + (i & 1)]);
      w.half[RandomKey(seed + 6).below(i, w.half.size())] = to_bf16(values[6 + (i & 1)]);
    }
  }
  Matrix y(DType::kF32, slots, 2 * n), dx(DType::kF32, slots, k);
  std::vector<float> dw(static_cast<size_t>(5 * w.layout.size()));
  product(groups, x.rows_of(), nullptr, w.view(false), y.rows_of());
  product_dgrad(groups, dy.rows_of(), nullptr, w.view(false), dx.rows_of());
  product_wgrad(groups, dy.rows_of(), nullptr, x.rows_of(), nullptr, w.layout, dw.data(), w.layout.size(),
                squares);
  std::vector<float> out = y.f32;
  out.insert(out.end(), dx.f32.begin(), dx.f32.end());
  out.insert(out.end(), dw.begin(), dw.end());
  return out;
}

TEST(Levels, SameBitsAtAnyThreadCount) {
  const int before = thread_count();
  for (Isa isa : runnable_isas())
    for (DType type : kTypes)
      for (DType weight : kTypes) {
        const Level level(isa);
        set_thread_count(1);
        double squares = 0, again = 0;
        const auto one = all_bits(20, false, type, weight, &squares);
        for (int threads : {2, 3}) {
          set_thread_count(threads);
          const auto more = all_bits(20, false, type, weight, &again);
          EXPECT_EQ(std::memcmp(one.data(), more.data(), one.size() * 4), 0)
              << isa_name(isa) << " " << threads;
          EXPECT_EQ(squares, again) << isa_name(isa) << " " << threads;
        }
      }
  set_thread_count(before);
}

TEST(Check, PassesOnGoodKernelsAndNamesABadElement) {
  set_check_interval(1);
  EXPECT_NO_THROW(all_bits(50, false, DType::kBF16, DType::kBF16));
  set_check_interval(0);
  Matrix got(DType::kF32, 4, 8, 1), wanted = got;
  got.f32[2 * got.stride + 5] += 0.5f;
  try {
    compare_rows("product", "4 slots", false, got.rows_of(), wanted.rows_of(), 4, 8);
    ADD_FAILURE() << "a wrong element passed";
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("product at level"), std::string::npos) << e.what();
    EXPECT_NE(std::string(e.what()).find("row 2 column 5"), std::string::npos) << e.what();
  }
}

TEST(Levels, EmulatedTilesEqualTheAmxInstructionBitForBit) {
  if (!isa_runs(Isa::kAmx))
    GTEST_SKIP() << "this CPU has no AMX: the emulation is compared with the reference only";
  for (uint64_t seed = 30; seed < 36; ++seed) {
    std::vector<float> real, emulated;
    {
      const Level level(Isa::kAmx);
      real = all_bits(seed, seed & 1, DType::kBF16, DType::kBF16);
    }
    {
      const Level level(Isa::kAmxEmulated);
      emulated = all_bits(seed, seed & 1, DType::kBF16, DType::kBF16);
    }
    ASSERT_EQ(real.size(), emulated.size());
    for (size_t i = 0; i < real.size(); ++i) {
      uint32_t a, b;
      std::memcpy(&a, &real[i], 4), std::memcpy(&b, &emulated[i], 4);
      if (std::isnan(real[i]) && std::isnan(emulated[i])) continue;  // which NaN carries no meaning
      ASSERT_EQ(a, b) << "element " << i << ": the instruction gives " << real[i] << ", the emulation "
                      << emulated[i];
    }
  }
}

}  // namespace
}  // namespace lyceum::kernels
