// The plain row functions: the oracle of the vectorised ones and the last choice of every CPU. Sums are taken
// in double.
#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/row_table.h"

namespace lyceum::kernels {
namespace reference {
namespace {

float half_to_float(uint16_t h) {
  const int exponent = (h >> 10) & 31, mantissa = h & 1023;
  const float sign = h & 0x8000 ? -1.0f : 1.0f;
  if (exponent == 0) return sign * std::ldexp(static_cast<float>(mantissa), -24);
  if (exponent == 31) return mantissa ? std::numeric_limits<float>::quiet_NaN() : sign * INFINITY;
  return sign * std::ldexp(static_cast<float>(mantissa + 1024), exponent - 25);
}

// Round to nearest even, overflow to infinity, NaN stays NaN.
uint16_t float_to_half(float f) {
  uint32_t bits;
  std::memcpy(&bits, &f, 4);
  const uint16_t sign = static_cast<uint16_t>((bits >> 16) & 0x8000);
  const float a = std::fabs(f);
  if (std::isnan(f)) return sign | 0x7e00 | static_cast<uint16_t>((bits >> 13) & 0x1ff);
  if (a >= 65520.0f) return sign | 0x7c00;
  int exponent = 0;
  std::frexp(a, &exponent);                                   // a = m * 2^exponent, m in [0.5, 1)
  const int shift = a < 0x1p-14f ? -24 : exponent - 11;       // weight of the last mantissa bit
  const float units = std::nearbyint(std::ldexp(a, -shift));  // [0, 2048]
  const int n = static_cast<int>(units);
  if (shift == -24 && n < 1024) return sign | static_cast<uint16_t>(n);
  return sign | static_cast<uint16_t>(((shift + 24) << 10) + n);  // a carry of n to 2048 raises the exponent
}

float load(const void* data, DType type, int64_t i) {
  switch (type) {
    case DType::kBF16:
      return to_float(static_cast<const bf16*>(data)[i]);
    case DType::kF16:
      return half_to_float(static_cast<const uint16_t*>(data)[i]);
    default:
      return static_cast<const float*>(data)[i];
  }
}

void store(void* data, DType type, int64_t i, float value) {
  switch (type) {
    case DType::kBF16:
      static_cast<bf16*>(data)[i] = to_bf16(value);
      break;
    case DType::kF16:
      static_cast<uint16_t*>(data)[i] = float_to_half(value);
      break;
    default:
      static_cast<float*>(data)[i] = value;
  }
}

void rms_norm(int64_t rows, int64_t width, const Rows& x, const ConstRows& add, const float* w, float eps,
              const Rows& y, float* inv) {
  for (int64_t r = 0; r < rows; ++r) {
    double sum = 0;
    for (int64_t i = 0; i < width; ++i) {
      const int64_t at = r * x.stride + i;
      if (add.data)
        store(x.data, x.type, at, load(x.data, x.type, at) + load(add.data, add.type, r * add.stride + i));
      const double v = load(x.data, x.type, at);
      sum += v * v;
    }
    const float s = static_cast<float>(1.0 / std::sqrt(sum / static_cast<double>(width) + eps));
    if (inv) inv[r] = s;
    for (int64_t i = 0; i < width; ++i)
      store(y.data, y.type, r * y.stride + i, load(x.data, x.type, r * x.stride + i) * s * (w ? w[i] : 1.0f));
  }
}

void rms_norm_gradient(int64_t rows, int64_t width, const ConstRows& x, const float* w, const float* inv,
                       const ConstRows& dy, const Rows& dx, bool accumulate, float* dw) {
  for (int64_t r = 0; r < rows; ++r) {
    const double s = inv[r];
    double dot = 0;  // mean(w * dy * x)
    for (int64_t i = 0; i < width; ++i)
      dot += static_cast<double>(w ? w[i] : 1.0f) * load(dy.data, dy.type, r * dy.stride + i) *
             load(x.data, x.type, r * x.stride + i);
    dot /= static_cast<double>(width);
    for (int64_t i = 0; i < width; ++i) {
      const double g = load(dy.data, dy.type, r * dy.stride + i), v = load(x.data, x.type, r * x.stride + i);
      if (dw) dw[i] += static_cast<float>(g * v * s);
      const double d = s * ((w ? w[i] : 1.0f) * g - v * s * s * dot);
      const int64_t at = r * dx.stride + i;
      store(dx.data, dx.type, at, static_cast<float>(accumulate ? load(dx.data, dx.type, at) + d : d));
    }
  }
}

void layer_norm(int64_t rows, int64_t width, const ConstRows& x, const float* w, const float* b, float eps,
                const Rows& y, float* mean, float* inv) {
  for (int64_t r = 0; r < rows; ++r) {
    double sum = 0, square = 0;
    for (int64_t i = 0; i < width; ++i) sum += load(x.data, x.type, r * x.stride + i);
    const double m = sum / static_cast<double>(width);
    for (int64_t i = 0; i < width; ++i) {
      const double d = load(x.data, x.type, r * x.stride + i) - m;
      square += d * d;
    }
    const double s = 1.0 / std::sqrt(square / static_cast<double>(width) + eps);
    if (mean) mean[r] = static_cast<float>(m);
    if (inv) inv[r] = static_cast<float>(s);
    for (int64_t i = 0; i < width; ++i) {
      const double n = (load(x.data, x.type, r * x.stride + i) - m) * s;
      store(y.data, y.type, r * y.stride + i, static_cast<float>(n * (w ? w[i] : 1.0f) + (b ? b[i] : 0.0f)));
    }
  }
}

// n = (x - mean) * inv, g = w * dy:   dx = inv * (g - mean(g) - n * mean(g * n)); dw += dy * n; db += dy.
void layer_norm_gradient(int64_t rows, int64_t width, const ConstRows& x, const float* w, const float* mean,
                         const float* inv, const ConstRows& dy, const Rows& dx, bool accumulate, float* dw,
                         float* db) {
  for (int64_t r = 0; r < rows; ++r) {
    const double m = mean[r], s = inv[r];
    double sum = 0, dot = 0;
    for (int64_t i = 0; i < width; ++i) {
      const double g = static_cast<double>(w ? w[i] : 1.0f) * load(dy.data, dy.type, r * dy.stride + i);
      sum += g;
      dot += g * (load(x.data, x.type, r * x.stride + i) - m) * s;
    }
    sum /= static_cast<double>(width), dot /= static_cast<double>(width);
    for (int64_t i = 0; i < width; ++i) {
      const double g = load(dy.data, dy.type, r * dy.stride + i);
      const double n = (load(x.data, x.type, r * x.stride + i) - m) * s;
      if (dw) dw[i] += static_cast<float>(g * n);
      if (db) db[i] += static_cast<float>(g);
      const double d = s * ((w ? w[i] : 1.0f) * g - sum - n * dot);
      const int64_t at = r * dx.stride + i;
      store(dx.data, dx.type, at, static_cast<float>(accumulate ? load(dx.data, dx.type, at) + d : d));
    }
  }
}

void rope(int64_t rows, int64_t n_heads, int64_t d_head, int64_t rotary, bool interleaved,
          const int32_t* positions, const float* inverse_frequency, float scale, int sign, const Rows& x) {
  const int64_t half = rotary / 2;
  float cosine[kMaxRotary / 2], sine[kMaxRotary / 2];
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t i = 0; i < half; ++i) {
      const float angle = static_cast<float>(positions[r]) * inverse_frequency[i];  // f32, as published code
      cosine[i] = static_cast<float>(std::cos(static_cast<double>(angle))) * scale;
      sine[i] = static_cast<float>(std::sin(static_cast<double>(angle))) * scale * static_cast<float>(sign);
    }
    for (int64_t h = 0; h < n_heads; ++h)
      for (int64_t i = 0; i < half; ++i) {
        const int64_t base = r * x.stride + h * d_head;
        const int64_t at = base + (interleaved ? 2 * i : i), to = base + (interleaved ? 2 * i + 1 : i + half);
        const float a = load(x.data, x.type, at), b = load(x.data, x.type, to);
        store(x.data, x.type, at, a * cosine[i] - b * sine[i]);
        store(x.data, x.type, to, b * cosine[i] + a * sine[i]);
      }
  }
}

void softmax(int64_t rows, int64_t width, const float* x, float* p, float* logsumexp) {
  for (int64_t r = 0; r < rows; ++r, x += width, p += width) {
    float largest = -INFINITY;
    for (int64_t i = 0; i < width; ++i) largest = std::max(largest, x[i]);
    if (largest == -INFINITY) largest = 0;  // a row of -infinity: 0/0, every p is NaN
    double sum = 0;
    for (int64_t i = 0; i < width; ++i) sum += std::exp(static_cast<double>(x[i]) - largest);
    const double shift = largest;
    for (int64_t i = 0; i < width; ++i)
      p[i] = static_cast<float>(std::exp(static_cast<double>(x[i]) - shift) / sum);
    if (logsumexp) logsumexp[r] = static_cast<float>(shift + std::log(sum));
  }
}

void softmax_gradient(int64_t rows, int64_t width, const float* p, const float* dp, float* dx,
                      bool accumulate) {
  for (int64_t r = 0; r < rows; ++r, p += width, dp += width, dx += width) {
    double dot = 0;
    for (int64_t i = 0; i < width; ++i) dot += static_cast<double>(p[i]) * dp[i];
    for (int64_t i = 0; i < width; ++i) {
      const double d = p[i] * (dp[i] - dot);
      dx[i] = static_cast<float>(accumulate ? dx[i] + d : d);
    }
  }
}

// Insertion into a short sorted list; NaN sorts below everything.
void top_k(int64_t rows, int64_t width, int64_t k, const float* x, float* value, int32_t* index) {
  for (int64_t r = 0; r < rows; ++r, x += width, index += k) {
    auto key = [&](int32_t i) { return std::isnan(x[i]) ? -INFINITY : x[i]; };
    int64_t held = 0;
    for (int32_t i = 0; i < width; ++i) {
      if (held == k && !(key(i) > key(index[k - 1]))) continue;
      int64_t at = held < k ? held++ : k - 1;
      for (; at > 0 && key(i) > key(index[at - 1]); --at) index[at] = index[at - 1];
      index[at] = i;
    }
    if (value)
      for (int64_t i = 0; i < k; ++i) value[r * k + i] = x[index[i]];
  }
}

void convert(int64_t n, const void* from, DType from_type, void* to, DType to_type) {
  for (int64_t i = 0; i < n; ++i) store(to, to_type, i, load(from, from_type, i));
}
void add(int64_t n, const void* a, const void* b, void* y, DType type) {
  for (int64_t i = 0; i < n; ++i) store(y, type, i, load(a, type, i) + load(b, type, i));
}
void accumulate(int64_t n, const void* x, DType x_type, void* y, DType y_type) {
  for (int64_t i = 0; i < n; ++i) store(y, y_type, i, load(y, y_type, i) + load(x, x_type, i));
}
void scale(int64_t n, float factor, void* x, DType type) {
  for (int64_t i = 0; i < n; ++i) store(x, type, i, load(x, type, i) * factor);
}
void clamp(int64_t n, float bound, void* x, DType type) {
  for (int64_t i = 0; i < n; ++i) {
    const float v = load(x, type, i);  // NaN stays NaN
    store(x, type, i, v > bound ? bound : v < -bound ? -bound : v);
  }
}
void clamp_gradient(int64_t n, float bound, const void* x, void* dx, DType type) {
  for (int64_t i = 0; i < n; ++i)
    if (!(std::fabs(load(x, type, i)) <= bound)) store(dx, type, i, 0.0f);
}

// One element: returns the new weight.
float adam(const AdamStep& s, float w, float g, float* m, float* v) {
  g *= s.gradient_scale;
  *m = s.beta1 * *m + (1 - s.beta1) * g;
  *v = s.beta2 * *v + (1 - s.beta2) * g * g;
  return w * (1 - s.lr * s.weight_decay) -
         s.lr * (*m / s.correction1) / (std::sqrt(*v / s.correction2) + s.eps);
}
void adamw_f32(int64_t n, const AdamStep& step, float* weight, float* gradient, float* m, float* v) {
  for (int64_t i = 0; i < n; ++i) {
    weight[i] = adam(step, weight[i], gradient[i], &m[i], &v[i]);
    if (step.clear_gradient) gradient[i] = 0;
  }
}
void adamw_bf16(int64_t n, const AdamStep& step, bf16* weight, int16_t* residual, float* gradient, float* m,
                float* v) {
  for (int64_t i = 0; i < n; ++i) {
    const float w = adam(step, master_of(weight[i], residual[i]), gradient[i], &m[i], &v[i]);
    split_master(w, &weight[i], &residual[i]);
    if (step.clear_gradient) gradient[i] = 0;
  }
}
void descend(int64_t n, float keep, float step, bf16* weight, int16_t* residual, float* direction) {
  for (int64_t i = 0; i < n; ++i) {
    split_master(keep * master_of(weight[i], residual[i]) - step * direction[i], weight + i, residual + i);
    direction[i] = 0;
  }
}

double sum_of_squares(int64_t n, const float* x) {
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += static_cast<double>(x[i]) * x[i];
  return sum;
}

double mapped(ScoreMap f, double x) {
  switch (f) {
    case ScoreMap::kSigmoid:
      return 1 / (1 + std::exp(-x));
    case ScoreMap::kSoftplus:
      return std::max(x, 0.0) + std::log1p(std::exp(-std::abs(x)));
    case ScoreMap::kNormalShare:
      return 0.5 * std::erfc(-x / std::sqrt(2.0));
    case ScoreMap::kNormalDensity:
      return std::exp(-0.5 * x * x) / std::sqrt(2 * M_PI);
    case ScoreMap::kNormalRadius:
      return std::sqrt(-2 * std::log(std::max(x, 1e-30)));
    case ScoreMap::kSine:
      return std::sin(x);
    case ScoreMap::kCosine:
      return std::cos(x);
    case ScoreMap::kGumbel:
      return -std::log(-std::log(std::clamp<double>(x, 1e-6f, 1 - 1e-6f)));
  }
  return 0;
}

void map(ScoreMap f, int64_t n, const float* x, float* y) {
  for (int64_t i = 0; i < n; ++i) y[i] = static_cast<float>(mapped(f, x[i]));
}

// f(j, A_ij) of one row i
template <class F>
void attend(double q, int64_t n, const float* k, F&& f) {
  double most = -INFINITY, sum = 0;
  for (int64_t j = 0; j < n; ++j) most = std::max(most, q * k[j]);
  for (int64_t j = 0; j < n; ++j) sum += std::exp(q * k[j] - most);
  for (int64_t j = 0; j < n; ++j) f(j, std::exp(q * k[j] - most) / sum);
}

void expert_attention(int64_t rows, int64_t n, const float* q, const float* k, const float* v, float* r) {
  for (int64_t t = 0; t < rows; ++t, q += n, k += n, v += n, r += n)
    for (int64_t i = 0; i < n; ++i) {
      double sum = 0;
      attend(q[i], n, k, [&](int64_t j, double a) { sum += a * v[j]; });
      r[i] = static_cast<float>(sum);
    }
}

void expert_attention_gradient(int64_t rows, int64_t n, const float* q, const float* k, const float* v,
                               const float* r, const float* dr, float* dq, float* dk, float* dv) {
  for (int64_t t = 0; t < rows; ++t, q += n, k += n, v += n, r += n, dr += n, dq += n, dk += n, dv += n) {
    std::fill(dk, dk + n, 0.0f), std::fill(dv, dv + n, 0.0f);
    for (int64_t i = 0; i < n; ++i) {
      double sum = 0;
      attend(q[i], n, k, [&](int64_t j, double a) {
        const double weight = a * dr[i], slope = weight * (v[j] - r[i]);
        dv[j] += static_cast<float>(weight), dk[j] += static_cast<float>(slope * q[i]);
        sum += slope * k[j];
      });
      dq[i] = static_cast<float>(sum);
    }
  }
}

constexpr RowTable kTable = {rms_norm,
                             rms_norm_gradient,
                             layer_norm,
                             layer_norm_gradient,
                             rope,
                             softmax,
                             softmax_gradient,
                             top_k,
                             convert,
                             add,
                             accumulate,
                             scale,
                             clamp,
                             clamp_gradient,
                             adamw_f32,
                             adamw_bf16,
                             descend,
                             sum_of_squares,
                             map,
                             expert_attention,
                             expert_attention_gradient};

}  // namespace
}  // namespace reference

constinit const RowTable kRowsReference = reference::kTable;

}  // namespace lyceum::kernels
