#include "nn/rope.h"

#include <cmath>

#include "base/error.h"

namespace lyceum {

std::vector<float> inverse_frequencies(const RopeOptions& o, int64_t rotary) {
  check(rotary > 0 && rotary % 2 == 0, "rope", "the rotated part of a head must be even, found ", rotary);
  check(o.theta > 0, "rope", "theta must be positive, found ", o.theta);
  check(o.scaling == "default" || o.scaling == "linear" || o.scaling == "llama3", "rope",
        "unknown scaling \"", o.scaling, "\"; known: default, linear, llama3");
  std::vector<float> out;
  for (int64_t i = 0; i < rotary / 2; ++i) {
    double f = std::pow(o.theta, -2.0 * static_cast<double>(i) / static_cast<double>(rotary));
    if (o.scaling == "linear") f /= o.factor;
    if (o.scaling == "llama3") {
      const double wavelength = 2 * M_PI / f, original = static_cast<double>(o.original_positions);
      const double low = original / o.low_frequency_factor, high = original / o.high_frequency_factor;
      if (wavelength > low) {
        f /= o.factor;
      } else if (wavelength > high) {
        const double smooth = (original / wavelength - o.low_frequency_factor) /
                              (o.high_frequency_factor - o.low_frequency_factor);
        f = (1 - smooth) * f / o.factor + smooth * f;
      }
    }
    out.push_back(static_cast<float>(f));
  }
  return out;
}

}  // namespace lyceum
