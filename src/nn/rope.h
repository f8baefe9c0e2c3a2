// The rotary embedding of attention heads, with the scalings that published checkpoints use.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "tensor/ops.h"

namespace lyceum {

struct RopeOptions {
  double theta = 10000;
  int64_t rotary = 0;               // rotated dims of a head; 0: its share
  double fraction = 1;              // share of a head that is rotated
  bool interleaved = false;         // pairs (2i, 2i+1) instead of (i, i + rotary/2)
  std::string scaling = "default";  // default, linear, dynamic, llama3, yarn, longrope
  double factor = 1;                // of all but longrope
  double low_frequency_factor = 1, high_frequency_factor = 4;  // llama3
  int64_t original_positions = 8192;                           // dynamic, llama3, yarn, longrope
  double beta_fast = 32, beta_slow = 1;                        // yarn: turns at the ends of the ramp
  bool truncate = true;                                        // yarn: the ramp's ends in whole dims
  double mscale = 0, mscale_all = 0;                           // yarn: of cos and sin; 0: as in the paper
  std::vector<double> short_factors, long_factors;             // longrope: [rotary / 2]
  double short_amplitude = 0, long_amplitude = 0;  // longrope: of cos and sin (Phi-3.5-MoE); 0: one for both
  double attention_factor = 0;  // yarn, longrope: of cos and sin, given outright; 0: from the above
  // Precision of the table: frequencies rounded to bf16 (what Yuan's training did), or frequencies,
  // positions, angles, cosines and sines (what its published Hugging Face file does).
  bool bf16_frequencies = false, coarse = false;
};

// Throws kUnsupported for another than the scalings above.
void check_rope_scaling(const char* where, const std::string& scaling);

// Rotated dims of a head of width d_head.
int64_t rotary_width(const RopeOptions& options, int64_t d_head);

// m(x) = 0.1 x ln(factor) + 1; 1 when nothing is stretched.
double yarn_mscale(double factor, double x);

// What turns the heads of one layer. Inverse frequencies are theta^(-2i / rotary), i in [0, rotary / 2), f32
// computed in double, then
//   linear    divided by the factor
//   dynamic   of a base that grows with the length L of the text beyond the original one (NTK):
//             theta (factor L / original - factor + 1)^(rotary / (rotary - 2))
//   llama3    wavelengths beyond original/low are stretched by the factor, those below original/high kept,
//             between them interpolated (Llama 3.1)
//   yarn      dims that turn more than beta_fast times in the original length are kept, those below beta_slow
//             stretched, a linear ramp between; cos and sin times m(mscale) / m(mscale_all), or m(1) where
//             those are absent (Peng et al. 2023, arXiv:2309.00071)
//   longrope  divided by short_factors, or by long_factors where the text is longer than the original length
//             (Ding et al. 2024, arXiv:2402.13753); cos and sin times sqrt(1 + ln(factor) / ln(original))
// As in transformers the length is that of the text so far: keys that a sequence keeps were turned by what
// the length was then.
class Rotary {
 public:
  Rotary() = default;
  Rotary(const RopeOptions& options, int64_t rotary);
  explicit operator bool() const { return short_.frequencies != nullptr; }
  // For rows at these positions, [rows, n_heads * d_head].
  ops::RopeSpec spec(int64_t n_heads, int64_t d_head, const std::vector<int32_t>& positions) const;

 private:
  struct Table {
    std::shared_ptr<const std::vector<float>> frequencies;
    float amplitude = 1;
  };
  Table table_of(int64_t length) const;
  RopeOptions options_;
  int64_t rotary_ = 0;
  Table short_, long_;  // up to the original length, and beyond it (longrope)
};

}  // namespace lyceum
