// Counter-based random numbers: a value is a function of (seed, stream, index) and of nothing else, so any
// thread may draw any element in any order and a recomputed step sees the same numbers.
#pragma once

#include <cmath>
#include <cstdint>

namespace lyceum {

// Mixes one 64-bit word (the finaliser of SplitMix64; Steele, Lea & Flood 2014).
inline uint64_t mix64(uint64_t z) {
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
  return z ^ (z >> 31);
}

// A named family of random numbers. Streams separate uses (initialisation of tensor 7, shuffle of epoch 2).
struct RandomKey {
  uint64_t value = 0;

  RandomKey() = default;
  explicit RandomKey(uint64_t seed) : value(mix64(seed + 0x9e3779b97f4a7c15ull)) {}
  // A key for a part of this one; the order of the calls matters: key.with(step).with(layer).
  RandomKey with(uint64_t part) const {
    RandomKey k;
    k.value = mix64(value ^ mix64(part + 0x9e3779b97f4a7c15ull)) + 0x632be59bd9b4e019ull;
    return k;
  }
  // 64 uniform bits for element `index`.
  uint64_t bits(uint64_t index) const { return mix64(value + (index + 1) * 0x9e3779b97f4a7c15ull); }
  // Uniform in [0, 1), 53 bits.
  double uniform(uint64_t index) const { return static_cast<double>(bits(index) >> 11) * 0x1.0p-53; }
  // Uniform integer in [0, n), without bias that matters for n < 2^32.
  uint64_t below(uint64_t index, uint64_t n) const {
    return static_cast<uint64_t>((static_cast<unsigned __int128>(bits(index)) * n) >> 64);
  }
  // Standard normal (Box & Muller 1958).
  double normal(uint64_t index) const {
    const double u = uniform(2 * index), v = uniform(2 * index + 1);
    return std::sqrt(-2.0 * std::log(1.0 - u)) * std::cos(6.283185307179586 * v);
  }
  // Standard normal cut at +-bound by drawing again.
  double truncated_normal(uint64_t index, double bound) const {
    for (uint64_t attempt = 0;; ++attempt) {
      const double x = with(attempt).normal(index);
      if (std::abs(x) <= bound) return x;
    }
  }
};

}  // namespace lyceum
