#include "moe/noise.h"

#include "base/threads.h"
#include "kernels/scores.h"

namespace lyceum {
namespace {

using kernels::ScoreMap;

constexpr int64_t kGrain = 8192, kPairs = 1024;

}  // namespace

RandomKey noise_key(const Context& c, int64_t layer, NoiseUse use) {
  return c.key.with(static_cast<uint64_t>(layer)).with(static_cast<uint64_t>(use));
}

Tensor RouterNoise::uniform(const Context& c, int64_t layer, NoiseUse use, int64_t rows,
                            int64_t width) const {
  const RandomKey key = noise_key(c, layer, use);
  Tensor out({rows, width}, DType::kF32);
  parallel_ranges(out.elements(), kGrain, [&, to = out.f32()](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; ++i)  // 24 bits: a float below 1
      to[i] = static_cast<float>(static_cast<int32_t>(key.bits(static_cast<uint64_t>(i)) >> 40)) * 0x1.0p-24f;
  });
  return out;
}

// Box & Muller's pair from the two halves of one word: elements 2 i and 2 i + 1.
Tensor RouterNoise::normal(const Context& c, int64_t layer, NoiseUse use, int64_t rows, int64_t width) const {
  const RandomKey key = noise_key(c, layer, use);
  Tensor out({rows, width}, DType::kF32);
  const int64_t n = out.elements();
  parallel_ranges((n + 1) / 2, kPairs, [&](int64_t begin, int64_t end, int) {
    float radius[kPairs] = {}, angle[kPairs], cosine[kPairs];
    for (int64_t i = begin; i < end; ++i) {
      const uint64_t bits = key.bits(static_cast<uint64_t>(i));
      radius[i - begin] = (static_cast<float>(static_cast<int32_t>(bits >> 40)) + 0.5f) * 0x1.0p-24f;
      angle[i - begin] =
          static_cast<float>(static_cast<int32_t>(bits & 0xffffff)) * (6.2831853f * 0x1.0p-24f);
    }
    kernels::map(ScoreMap::kNormalRadius, end - begin, radius, radius);
    kernels::map(ScoreMap::kCosine, end - begin, angle, cosine);
    kernels::map(ScoreMap::kSine, end - begin, angle, angle);
    for (int64_t i = begin; i < end; ++i) {
      out.f32()[2 * i] = radius[i - begin] * cosine[i - begin];
      if (2 * i + 1 < n) out.f32()[2 * i + 1] = radius[i - begin] * angle[i - begin];
    }
  });
  return out;
}

const RouterNoise& random_noise() {
  static const RouterNoise noise;
  return noise;
}

}  // namespace lyceum
