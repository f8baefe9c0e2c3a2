// Inverse frequencies of the rotary embedding, with the scalings that published checkpoints use.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace lyceum {

struct RopeOptions {
  double theta = 10000;
  int64_t rotary = 0;               // rotated dims of a head; 0: all
  bool interleaved = false;         // pairs (2i, 2i+1) instead of (i, i + rotary/2)
  std::string scaling = "default";  // default, linear, llama3
  double factor = 1;                // linear, llama3
  double low_frequency_factor = 1, high_frequency_factor = 4;  // llama3
  int64_t original_positions = 8192;                           // llama3
};

// theta^(-2i / rotary), i in [0, rotary / 2), scaled. f32, computed in double.
// llama3: wavelengths beyond original/low are stretched by the factor, those below original/high kept,
// between them interpolated (Llama 3.1).
std::vector<float> inverse_frequencies(const RopeOptions& options, int64_t rotary);

}  // namespace lyceum
