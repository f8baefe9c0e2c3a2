#include "moe/noise.h"

#include <algorithm>
#include <cmath>

#include "base/threads.h"

namespace lyceum {
namespace {

constexpr int64_t kGrain = 8192;

RandomKey key_of(const Context& c, int64_t layer, NoiseUse use) {
  return c.key.with(static_cast<uint64_t>(layer)).with(static_cast<uint64_t>(use));
}

}  // namespace

Tensor RouterNoise::uniform(const Context& c, int64_t layer, NoiseUse use, int64_t rows,
                            int64_t width) const {
  const RandomKey key = key_of(c, layer, use);
  Tensor out({rows, width}, DType::kF32);
  parallel_ranges(out.elements(), kGrain, [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; ++i)  // 24 bits: a float below 1
      out.f32()[i] = static_cast<float>(key.bits(static_cast<uint64_t>(i)) >> 40) * 0x1.0p-24f;
  });
  return out;
}

// Box & Muller's pair from the two halves of one word: elements 2 i and 2 i + 1.
Tensor RouterNoise::normal(const Context& c, int64_t layer, NoiseUse use, int64_t rows, int64_t width) const {
  const RandomKey key = key_of(c, layer, use);
  Tensor out({rows, width}, DType::kF32);
  const int64_t n = out.elements();
  parallel_ranges((n + 1) / 2, kGrain / 2, [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; ++i) {
      const uint64_t bits = key.bits(static_cast<uint64_t>(i));
      const float u = (static_cast<float>(bits >> 40) + 0.5f) * 0x1.0p-24f,
                  angle = static_cast<float>((bits & 0xffffff)) * (6.2831853f * 0x1.0p-24f);
      const float radius = std::sqrt(-2 * std::log(u));
      out.f32()[2 * i] = radius * std::cos(angle);
      if (2 * i + 1 < n) out.f32()[2 * i + 1] = radius * std::sin(angle);
    }
  });
  return out;
}

const RouterNoise& random_noise() {
  static const RouterNoise noise;
  return noise;
}

float gumbel(float u) {
  const double inside = std::clamp<double>(u, 1e-6, 1 - 1e-6);
  return static_cast<float>(-std::log(-std::log(inside)));
}

}  // namespace lyceum
