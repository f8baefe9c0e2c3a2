#include "kernels/expert_rows.h"

#include <cmath>

#include "base/error.h"
#include "base/threads.h"
#include "kernels/rows_access.h"

namespace lyceum::kernels {
namespace {

constexpr float kSlope = 1.702f;

float sigmoid(float x) { return 1 / (1 + std::exp(-x)); }

struct Clamped {
  float limit;
  static constexpr int64_t kParts = 2;
  bool beyond(float up) const { return limit > 0 && std::abs(up) > limit; }
  float value(const float* z, float* d) const {  // d[i] = d value / d z[i]
    const bool high = limit > 0 && z[0] > limit;
    const float a = high ? limit : z[0], u = beyond(z[1]) ? std::copysign(limit, z[1]) : z[1];
    const float s = sigmoid(kSlope * a);
    if (d) {
      d[0] = high ? 0 : (u + 1) * s * (1 + kSlope * a * (1 - s));
      d[1] = beyond(z[1]) ? 0 : a * s;
    }
    return (u + 1) * a * s;
  }
};

struct DoubleGated {
  static constexpr int64_t kParts = 3;
  float value(const float* z, float* d) const {
    const float s = sigmoid(z[1]), silu = z[1] * s;
    if (d) {
      d[0] = silu * z[2];
      d[1] = z[0] * z[2] * s * (1 + z[1] * (1 - s));
      d[2] = z[0] * silu;
    }
    return z[0] * silu * z[2];
  }
};

template <class F>
void with_form(Activation activation, float limit, F&& f) {
  if (activation == Activation::kClampedSwiglu) return f(Clamped{limit});
  ensure(activation == Activation::kDoubleGated, "composite activation", "asked for one of the products'");
  f(DoubleGated{});
}

int64_t grain(int64_t n) { return std::max<int64_t>(1, 16384 / std::max<int64_t>(n, 1)); }

// f(slot, group) in parallel.
template <class F>
void each_slot(const Groups& groups, int64_t n, F&& f) {
  parallel_ranges(groups.slots(), grain(n), [&](int64_t begin, int64_t end, int) {
    int64_t g = std::upper_bound(groups.first, groups.first + groups.n + 1, begin) - groups.first - 1;
    for (int64_t s = begin; s < end; ++s) {
      while (s >= groups.first[g + 1]) ++g;
      f(s, g);
    }
  });
}

}  // namespace

int64_t composite_parts(Activation activation) {
  if (activation == Activation::kClampedSwiglu) return Clamped::kParts;
  return activation == Activation::kDoubleGated ? DoubleGated::kParts : 0;
}

void composite_activation(int64_t slots, int64_t n, Activation activation, float limit, const float* scale,
                          ConstRows pre, Rows h) {
  with_form(activation, limit, [&](auto form) {
    constexpr int64_t kParts = decltype(form)::kParts;
    parallel_ranges(slots, grain(n), [&](int64_t begin, int64_t end, int) {
      for (int64_t s = begin; s < end; ++s)
        for (int64_t i = 0; i < n; ++i) {
          float z[kParts];
          for (int64_t p = 0; p < kParts; ++p) z[p] = read(pre, s, p * n + i);
          write(h, s, i, (scale ? scale[s] : 1.0f) * form.value(z, nullptr));
        }
    });
  });
}

void composite_gradient(int64_t slots, int64_t n, Activation activation, float limit, const float* scale,
                        ConstRows pre, ConstRows dh, Rows dpre, Rows h, float* dscale) {
  with_form(activation, limit, [&](auto form) {
    constexpr int64_t kParts = decltype(form)::kParts;
    parallel_ranges(slots, grain(n), [&](int64_t begin, int64_t end, int) {
      for (int64_t s = begin; s < end; ++s) {
        const float by = scale ? scale[s] : 1.0f;
        double sum = 0;
        for (int64_t i = 0; i < n; ++i) {
          float z[kParts], d[kParts];
          for (int64_t p = 0; p < kParts; ++p) z[p] = read(pre, s, p * n + i);
          const float value = form.value(z, d), up = read(dh, s, i);
          for (int64_t p = 0; p < kParts; ++p) write(dpre, s, p * n + i, by * up * d[p]);
          if (h.data) write(h, s, i, by * value);
          sum += static_cast<double>(up) * value;
        }
        if (dscale) dscale[s] = static_cast<float>(sum);
      }
    });
  });
}

void add_gated_bias(const Groups& groups, int64_t n, const float* bias, const float* scale, Rows y) {
  each_slot(groups, n, [&](int64_t s, int64_t g) {
    const float by = scale ? scale[s] : 1.0f;
    for (int64_t i = 0; i < n; ++i) write(y, s, i, read(y, s, i) + by * bias[g * n + i]);
  });
}

void gated_bias_gradient(const Groups& groups, int64_t n, const float* bias, const float* scale, ConstRows dy,
                         const int32_t* gather, float* dbias, float* dscale) {
  const auto row = [&](int64_t s) { return gather ? gather[s] : s; };
  if (dscale)
    each_slot(groups, n, [&](int64_t s, int64_t g) {
      double sum = 0;
      for (int64_t i = 0; i < n; ++i) sum += static_cast<double>(read(dy, row(s), i)) * bias[g * n + i];
      dscale[s] += static_cast<float>(sum);
    });
  if (!dbias) return;
  constexpr int64_t kColumns = 64;  // by column: every sum over slots has one order
  const int64_t blocks = (n + kColumns - 1) / kColumns;
  parallel_for(groups.n * blocks, [&](int64_t task, int) {
    const int64_t g = task / blocks, begin = task % blocks * kColumns, end = std::min(n, begin + kColumns);
    double sum[kColumns] = {};
    for (int64_t s = groups.first[g]; s < groups.first[g + 1]; ++s)
      for (int64_t i = begin; i < end; ++i)
        sum[i - begin] += static_cast<double>(scale ? scale[s] : 1.0f) * read(dy, row(s), i);
    for (int64_t i = begin; i < end; ++i) dbias[g * n + i] += static_cast<float>(sum[i - begin]);
  });
}

void drop_elements(int64_t slots, int64_t n, float rate, const RandomKey& key, const int32_t* edge, Rows h) {
  const uint64_t dropped = static_cast<uint64_t>(std::lround(rate * 65536.0f));
  const float factor = 65536.0f / static_cast<float>(65536 - dropped);
  const uint64_t words = static_cast<uint64_t>(n + 3) / 4;  // 16 bits an element
  parallel_ranges(slots, grain(n), [&](int64_t begin, int64_t end, int) {
    for (int64_t s = begin; s < end; ++s)
      for (int64_t i = 0; i < n; i += 4) {
        uint64_t bits = key.bits(static_cast<uint64_t>(edge[s]) * words + static_cast<uint64_t>(i) / 4);
        for (int64_t j = i; j < std::min(n, i + 4); ++j, bits >>= 16)
          write(h, s, j, (bits & 0xffff) < dropped ? 0 : factor * read(h, s, j));
      }
  });
}

}  // namespace lyceum::kernels
