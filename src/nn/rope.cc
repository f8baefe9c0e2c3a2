#include "nn/rope.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "kernels/types.h"

namespace lyceum {
namespace {

double llama3(const RopeOptions& o, double f) {
  const double wavelength = 2 * M_PI / f, original = static_cast<double>(o.original_positions);
  const double low = original / o.low_frequency_factor, high = original / o.high_frequency_factor;
  if (wavelength > low) return f / o.factor;
  if (wavelength <= high) return f;
  const double smooth =
      (original / wavelength - o.low_frequency_factor) / (o.high_frequency_factor - o.low_frequency_factor);
  return (1 - smooth) * f / o.factor + smooth * f;
}

// Where between "kept" (0) and "stretched" (1) dim pair i stands.
double yarn_ramp(const RopeOptions& o, int64_t i, int64_t rotary) {
  const double d = static_cast<double>(rotary), original = static_cast<double>(o.original_positions);
  const auto dim_of = [&](double turns) {
    return d * std::log(original / (turns * 2 * M_PI)) / (2 * std::log(o.theta));
  };
  double low = dim_of(o.beta_fast), high = dim_of(o.beta_slow);
  if (o.truncate) low = std::floor(low), high = std::ceil(high);
  low = std::max(low, 0.0), high = std::min(high, d - 1);
  if (low == high) high += 0.001;
  return std::clamp((static_cast<double>(i) - low) / (high - low), 0.0, 1.0);
}

}  // namespace

int64_t rotary_width(const RopeOptions& o, int64_t d_head) {
  if (o.rotary) return o.rotary;
  return static_cast<int64_t>(static_cast<double>(d_head) * o.fraction);
}

std::vector<float> inverse_frequencies(const RopeOptions& o, int64_t rotary) {
  check(rotary > 0 && rotary % 2 == 0, "rope", "the rotated part of a head must be even, found ", rotary);
  check(o.theta > 0, "rope", "theta must be positive, found ", o.theta);
  check(o.scaling == "default" || o.scaling == "linear" || o.scaling == "llama3" || o.scaling == "yarn",
        "rope", "unknown scaling \"", o.scaling, "\"; known: default, linear, llama3, yarn");
  check(o.scaling == "default" || o.factor > 0, "rope", "the factor of ", o.scaling,
        " must be positive, found ", o.factor);
  std::vector<float> out;
  for (int64_t i = 0; i < rotary / 2; ++i) {
    double f = std::pow(o.theta, -2.0 * static_cast<double>(i) / static_cast<double>(rotary));
    if (o.scaling == "linear") f /= o.factor;
    if (o.scaling == "llama3") f = llama3(o, f);
    if (o.scaling == "yarn") {
      const double ramp = yarn_ramp(o, i, rotary);
      f = f / o.factor * ramp + f * (1 - ramp);
    }
    const float rounded = static_cast<float>(f);
    out.push_back(o.bf16_frequencies || o.coarse ? to_float(to_bf16(rounded)) : rounded);
  }
  return out;
}

double yarn_mscale(double factor, double x) { return factor <= 1 ? 1 : 0.1 * x * std::log(factor) + 1; }

float rope_amplitude(const RopeOptions& o) {
  if (o.scaling != "yarn") return 1;
  if (o.attention_factor > 0) return static_cast<float>(o.attention_factor);
  if (o.mscale != 0 && o.mscale_all != 0)
    return static_cast<float>(yarn_mscale(o.factor, o.mscale) / yarn_mscale(o.factor, o.mscale_all));
  return static_cast<float>(yarn_mscale(o.factor, 1));
}

}  // namespace lyceum
