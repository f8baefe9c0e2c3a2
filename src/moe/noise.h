// Random decisions of routers. A number is a function of the context's key (seed, step and micro-batch), the
// layer, what it is used for, and the element; so any number of threads and a recomputed span see the same.
#pragma once

#include "nn/context.h"

namespace lyceum {

enum class NoiseUse : uint64_t {
  kJitter = 1,
  kLogits,
  kSecondChoice,
  kDrop,
  kSample,
  kMidpoint,
  kGroups,
  kDropout
};

// The key of one use in one layer.
RandomKey noise_key(const Context& context, int64_t layer, NoiseUse use);

class RouterNoise {
 public:
  virtual ~RouterNoise() = default;
  // f32 [rows, width], uniform in [0, 1) or standard normal.
  virtual Tensor uniform(const Context& context, int64_t layer, NoiseUse use, int64_t rows,
                         int64_t width) const;
  virtual Tensor normal(const Context& context, int64_t layer, NoiseUse use, int64_t rows,
                        int64_t width) const;
};
const RouterNoise& random_noise();

}  // namespace lyceum
