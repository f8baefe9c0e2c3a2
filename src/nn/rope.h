// Inverse frequencies of the rotary embedding, with the scalings that published checkpoints use.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace lyceum {

struct RopeOptions {
  double theta = 10000;
  int64_t rotary = 0;               // rotated dims of a head; 0: its share
  double fraction = 1;              // share of a head that is rotated
  bool interleaved = false;         // pairs (2i, 2i+1) instead of (i, i + rotary/2)
  std::string scaling = "default";  // default, linear, llama3, yarn
  double factor = 1;                // linear, llama3, yarn
  double low_frequency_factor = 1, high_frequency_factor = 4;  // llama3
  int64_t original_positions = 8192;                           // llama3, yarn
  double beta_fast = 32, beta_slow = 1;                        // yarn: turns at the ends of the ramp
  bool truncate = true;                                        // yarn: the ramp's ends in whole dims
  double mscale = 0, mscale_all = 0;                           // yarn: of cos and sin; 0: as in the paper
  // Precision of the table: frequencies rounded to bf16 (what Yuan's training did), or frequencies,
  // positions, angles, cosines and sines (what its published Hugging Face file does).
  bool bf16_frequencies = false, coarse = false;
  double attention_factor = 0;  // yarn: of cos and sin, given outright; 0: from the above
};

// Rotated dims of a head of width d_head.
int64_t rotary_width(const RopeOptions& options, int64_t d_head);

// theta^(-2i / rotary), i in [0, rotary / 2), scaled. f32, computed in double.
// llama3: wavelengths beyond original/low are stretched by the factor, those below original/high kept,
// between them interpolated (Llama 3.1).
// yarn: dims that turn more than beta_fast times in the original length are kept, those below beta_slow
// stretched, a linear ramp between (Peng et al. 2023, arXiv:2309.00071).
std::vector<float> inverse_frequencies(const RopeOptions& options, int64_t rotary);

// The factor of cos and sin: with yarn m(mscale) / m(mscale_all), or m(1) if they are absent,
// m(x) = 0.1 x ln(factor) + 1; else 1.
float rope_amplitude(const RopeOptions& options);
// m(x) above; 1 when nothing is stretched.
double yarn_mscale(double factor, double x);

}  // namespace lyceum
