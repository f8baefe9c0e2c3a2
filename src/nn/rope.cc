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

double dynamic_base(const RopeOptions& o, int64_t length, int64_t rotary) {
  const double stretch =
      static_cast<double>(std::max(length, o.original_positions)) / static_cast<double>(o.original_positions);
  const double d = static_cast<double>(rotary);
  return o.theta * std::pow(o.factor * stretch - o.factor + 1, d / (d - 2));
}

void check_options(const RopeOptions& o, int64_t rotary) {
  check(rotary > 0 && rotary % 2 == 0, "rope", "the rotated part of a head must be even, found ", rotary);
  check(o.theta > 0, "rope", "theta must be positive, found ", o.theta);
  check_rope_scaling("rope", o.scaling);
  check(o.scaling == "default" || o.factor > 0, "rope", "the factor of ", o.scaling,
        " must be positive, found ", o.factor);
  check(o.scaling != "dynamic" || rotary > 2, "rope", "dynamic scaling wants more than 2 rotated dims");
  if (o.scaling != "longrope") return;
  for (const auto* factors : {&o.short_factors, &o.long_factors}) {
    check(static_cast<int64_t>(factors->size()) == rotary / 2, "rope", "longrope wants ", rotary / 2,
          " numbers in short_factor and long_factor, half the rotated width, found ", factors->size());
    for (double f : *factors) check(f > 0, "rope", "a factor of longrope must be positive, found ", f);
  }
}

float amplitude(const RopeOptions& o, bool beyond) {
  if (o.scaling != "yarn" && o.scaling != "longrope") return 1;
  const double own = beyond ? o.long_amplitude : o.short_amplitude;
  if (own > 0) return static_cast<float>(own);
  if (o.attention_factor > 0) return static_cast<float>(o.attention_factor);
  if (o.scaling == "longrope")
    return static_cast<float>(
        o.factor <= 1
            ? 1
            : std::sqrt(1 + std::log(o.factor) / std::log(static_cast<double>(o.original_positions))));
  if (o.mscale != 0 && o.mscale_all != 0)
    return static_cast<float>(yarn_mscale(o.factor, o.mscale) / yarn_mscale(o.factor, o.mscale_all));
  return static_cast<float>(yarn_mscale(o.factor, 1));
}

}  // namespace

void check_rope_scaling(const char* where, const std::string& scaling) {
  const std::vector<std::string> known = {"default", "linear", "dynamic", "llama3", "yarn", "longrope"};
  if (std::find(known.begin(), known.end(), scaling) == known.end())
    fail(ErrorKind::kUnsupported, where, "rope type ", quote(scaling), "; known: ", listed(known));
}

int64_t rotary_width(const RopeOptions& o, int64_t d_head) {
  if (o.rotary) return o.rotary;
  return static_cast<int64_t>(static_cast<double>(d_head) * o.fraction);
}

double yarn_mscale(double factor, double x) { return factor <= 1 ? 1 : 0.1 * x * std::log(factor) + 1; }

Rotary::Rotary(const RopeOptions& options, int64_t rotary) : options_(options), rotary_(rotary) {
  check_options(options_, rotary);
  short_ = table_of(0);
  if (options_.scaling == "longrope") long_ = table_of(options_.original_positions + 1);
}

Rotary::Table Rotary::table_of(int64_t length) const {
  const RopeOptions& o = options_;
  const bool beyond = length > o.original_positions;
  const double base = o.scaling == "dynamic" ? dynamic_base(o, length, rotary_) : o.theta;
  std::vector<float> out;
  for (int64_t i = 0; i < rotary_ / 2; ++i) {
    double f = std::pow(base, -2.0 * static_cast<double>(i) / static_cast<double>(rotary_));
    if (o.scaling == "linear") f /= o.factor;
    if (o.scaling == "llama3") f = llama3(o, f);
    if (o.scaling == "longrope") f /= (beyond ? o.long_factors : o.short_factors)[static_cast<size_t>(i)];
    if (o.scaling == "yarn") {
      const double ramp = yarn_ramp(o, i, rotary_);
      f = f / o.factor * ramp + f * (1 - ramp);
    }
    const float rounded = static_cast<float>(f);
    out.push_back(o.bf16_frequencies || o.coarse ? to_float(to_bf16(rounded)) : rounded);
  }
  return {std::make_shared<const std::vector<float>>(std::move(out)), amplitude(o, beyond)};
}

ops::RopeSpec Rotary::spec(int64_t n_heads, int64_t d_head, const std::vector<int32_t>& positions) const {
  const bool by_length = options_.scaling == "longrope" || options_.scaling == "dynamic";
  int64_t length = 0;
  if (by_length && !positions.empty()) length = *std::max_element(positions.begin(), positions.end()) + 1;
  const bool beyond = by_length && length > options_.original_positions;
  const Table table = !beyond ? short_ : long_.frequencies ? long_ : table_of(length);
  return {n_heads,           d_head,         rotary_, options_.interleaved, table.amplitude,
          table.frequencies, options_.coarse};
}

}  // namespace lyceum
