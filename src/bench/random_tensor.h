// Memory for kernels to work on, filled as activations and weights are: numbers of both signs around 0.
#pragma once

#include "base/random.h"
#include "base/threads.h"
#include "tensor/tensor.h"

namespace lyceum::bench {

// Uniform in [-size / 2, size / 2); f32 or bf16.
inline Tensor random_tensor(Shape shape, DType type, uint64_t seed, float size = 1) {
  const Tensor t(shape, type);
  const RandomKey key(seed);
  parallel_ranges(t.elements(), 1 << 16, [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; ++i) {
      const float v = size * static_cast<float>(key.uniform(static_cast<uint64_t>(i)) - 0.5);
      if (type == DType::kBF16) t.as<bf16>()[i] = to_bf16(v);
      else t.f32()[i] = v;
    }
  });
  return t;
}

}  // namespace lyceum::bench
