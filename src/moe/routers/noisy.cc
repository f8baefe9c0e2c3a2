#include "moe/routers/noisy.h"

#include <algorithm>
#include <cmath>

#include "base/threads.h"
#include "kernels/scores.h"

namespace lyceum {
namespace {

constexpr int64_t kPiece = 256;  // tokens of a task and of a partial sum

using kernels::ScoreMap;

Tensor mapped(ScoreMap f, const Tensor& x) {
  const Tensor y(x.shape(), DType::kF32);
  kernels::map(f, x.elements(), x.f32(), y.f32());
  return y;
}

// Positions in h of the k-th and (k + 1)-th largest, ties to the lower. k < n.
void limits(const float* h, int64_t n, int64_t k, int32_t* order) {
  int64_t filled = 0;
  for (int64_t e = 0; e < n; ++e) {  // insertion into the best k + 1
    int64_t at = filled < k + 1 ? filled++ : (h[e] > h[order[k]] ? k : -1);
    if (at < 0) continue;
    for (; at > 0 && h[order[at - 1]] < h[e]; --at) order[at] = order[at - 1];
    order[at] = static_cast<int32_t>(e);
  }
}

}  // namespace

// dclean = dH,  draw = dH normal sigmoid(raw)
Tensor noisy_logits(Tape& tape, const Tensor& clean, const Tensor& raw, const Tensor& normal, float floor) {
  const Tape::Span span(tape, "noisy_logits");
  const Tensor h = mapped(ScoreMap::kSoftplus, raw);
  const int64_t n = h.elements();
  parallel_ranges(n, 8192,
                  [&, y = h.f32(), x = clean.f32(), z = normal.f32()](int64_t begin, int64_t end, int) {
                    for (int64_t i = begin; i < end; ++i) y[i] = x[i] + z[i] * (y[i] + floor);
                  });
  if (tape.recording())
    tape.record("noisy_logits", [&tape, clean, raw, normal, h, n] {
      const Tensor dh = tape.take(h);
      if (!dh) return;
      const Tape::Target draw = tape.accumulating(raw);
      const Tensor slope = mapped(ScoreMap::kSigmoid, raw);
      parallel_ranges(n, 8192,
                      [&, d = draw.buffer.f32(), s = slope.f32(), g = dh.f32(), z = normal.f32()](
                          int64_t begin, int64_t end, int) {
                        for (int64_t i = begin; i < end; ++i)
                          d[i] = (draw.add ? d[i] : 0) + g[i] * z[i] * s[i];
                      });
      tape.pass(clean, dh);
    });
  return h;
}

// With a = (clean - limit) / sigma and phi the normal density:
//   dclean += dLoad phi(a) / sigma,  dH[limit] -= the same,  draw -= dLoad phi(a) a / sigma sigmoid(raw)
Tensor smooth_load(Tape& tape, const Tensor& clean, const Tensor& raw, const Tensor& noisy,
                   const SmoothLoad& s) {
  const Tape::Span span(tape, "smooth_load");
  const int64_t tokens = clean.rows(), n = clean.width(), size = n / s.groups,
                pieces = (tokens + kPiece - 1) / kPiece;
  const bool soft = s.k < size;
  const Tensor load = Tensor::zeros({n}, DType::kF32), sigma = mapped(ScoreMap::kSoftplus, raw),
               a(clean.shape(), DType::kF32), limit(clean.shape(), DType::kI32);  // -1: not of its groups
  const Tensor partial = Tensor::zeros({pieces, n}, DType::kF32);
  parallel_ranges(tokens, kPiece, [&](int64_t begin, int64_t end, int) {
    PoolVector<int32_t> order(static_cast<size_t>(s.k + 1));
    for (int64_t t = begin; t < end; ++t)
      for (int64_t g = 0; g < s.groups; ++g) {
        const int64_t row = t * n + g * size;
        const float *h = noisy.f32() + row, *x = clean.f32() + row;
        float *deviation = sigma.f32() + row, *margin = a.f32() + row;
        int32_t* bound = limit.i32() + row;
        const bool member = !s.member || s.member.as<uint8_t>()[t * s.groups + g] != 0;
        if (member && soft) limits(h, size, s.k, order.data());
        for (int64_t e = 0; e < size; ++e) {
          deviation[e] += s.floor, margin[e] = 0, bound[e] = member ? 0 : -1;
          if (!member || !soft) continue;
          bound[e] = order[h[e] > h[order[s.k]] ? s.k : s.k - 1];
          margin[e] = (x[e] - h[bound[e]]) / deviation[e];
        }
      }
    float* sum = partial.f32() + begin / kPiece * n;
    PoolVector<float> share(static_cast<size_t>((end - begin) * n), 1.0f);
    if (soft) kernels::map(ScoreMap::kNormalShare, (end - begin) * n, a.f32() + begin * n, share.data());
    for (int64_t i = begin * n; i < end * n; ++i)
      if (limit.i32()[i] >= 0) sum[i % n] += share[static_cast<size_t>(i - begin * n)];
  });
  for (int64_t p = 0; p < pieces; ++p)
    for (int64_t e = 0; e < n; ++e) load.f32()[e] += partial.f32()[p * n + e];
  if (tape.recording() && soft)
    tape.record("smooth_load", [&tape, clean, raw, noisy, sigma, a, limit, load, tokens, n, size] {
      const Tensor dload = tape.take(load);
      if (!dload) return;
      const Tape::Target dclean = tape.accumulating(clean), draw = tape.accumulating(raw),
                         dnoisy = tape.accumulating(noisy);
      for (const Tape::Target& d : {dclean, draw, dnoisy})
        if (!d.add) d.buffer.set_zero();
      const Tensor density = mapped(ScoreMap::kNormalDensity, a), logistic = mapped(ScoreMap::kSigmoid, raw);
      parallel_ranges(tokens, kPiece, [&](int64_t begin, int64_t end, int) {
        float *dc = dclean.buffer.f32(), *dr = draw.buffer.f32(), *dh = dnoisy.buffer.f32();
        for (int64_t row = begin * n; row < end * n; row += size)  // of one token and group
          for (int64_t e = 0; e < size; ++e) {
            const int64_t i = row + e;
            if (limit.i32()[i] < 0) break;
            const float slope = dload.f32()[i % n] * density.f32()[i] / sigma.f32()[i];
            dc[i] += slope;
            dh[row + limit.i32()[i]] -= slope;
            dr[i] -= slope * a.f32()[i] * logistic.f32()[i];
          }
      });
    });
  return load;
}

// dgate[edge] = dimportance[expert of the edge]
Tensor importance_of(Tape& tape, const Tensor& gate, const Tensor& expert, int64_t n_experts) {
  const Tape::Span span(tape, "importance");
  const Tensor sum = Tensor::zeros({n_experts}, DType::kF32);
  for (int64_t e = 0; e < gate.elements(); ++e) sum.f32()[expert.i32()[e]] += gate.f32()[e];
  if (tape.recording())
    tape.record("importance", [&tape, gate, expert, sum] {
      const Tensor dsum = tape.take(sum);
      if (!dsum) return;
      const Tape::Target dgate = tape.accumulating(gate);
      float* d = dgate.buffer.f32();
      for (int64_t e = 0; e < gate.elements(); ++e) {
        const float value = dsum.f32()[expert.i32()[e]];
        d[e] = dgate.add ? d[e] + value : value;
      }
    });
  return sum;
}

// With D = mean^2 + 1e-10:  dx_i = dy (2 (x_i - mean) / (n - 1) / D - 2 variance mean / (n D^2))
Tensor cv_squared(Tape& tape, const Tensor& x) {
  const Tape::Span span(tape, "cv_squared");
  const int64_t n = x.elements();
  const double count = static_cast<double>(n);
  double mean = 0, variance = 0;
  for (int64_t i = 0; i < n; ++i) mean += x.f32()[i] / count;
  for (int64_t i = 0; i < n; ++i)
    variance += (x.f32()[i] - mean) * (x.f32()[i] - mean) / std::max(1.0, count - 1);
  const double below = mean * mean + 1e-10;
  const float value = n > 1 ? static_cast<float>(variance / below) : 0;
  const Tensor y = Tensor::of({1}, DType::kF32, &value);
  if (tape.recording() && n > 1)
    tape.record("cv_squared", [&tape, x, y, n, count, mean, variance, below] {
      const Tensor dy = tape.take(y);
      if (!dy) return;
      const Tape::Target dx = tape.accumulating(x);
      for (int64_t i = 0; i < n; ++i) {
        const float d = static_cast<float>(dy.f32()[0] * (2 * (x.f32()[i] - mean) / (count - 1) / below -
                                                          2 * variance * mean / (count * below * below)));
        dx.buffer.f32()[i] = dx.add ? dx.buffer.f32()[i] + d : d;
      }
    });
  return y;
}

// da_j = scale_j sum of dy b over j's share,  db_i = scale_j dy_i a_j
Tensor spread_multiply(Tape& tape, const Tensor& a, const Tensor& b, const Tensor& scale) {
  const Tape::Span span(tape, "spread_multiply");
  const int64_t m = a.elements(), n = b.elements(), share = m ? n / m : 1;
  ensure(m * share == n, "spread_multiply", m, " and ", n, " elements");
  Tensor factor({m}, DType::kF32);
  for (int64_t j = 0; j < m; ++j) factor.f32()[j] = scale ? scale.f32()[j] : 1;
  const Tensor y(b.shape(), DType::kF32);
  for (int64_t i = 0; i < n; ++i) y.f32()[i] = factor.f32()[i / share] * a.f32()[i / share] * b.f32()[i];
  if (tape.recording())
    tape.record("spread_multiply", [&tape, a, b, y, factor, m, share] {
      const Tensor dy = tape.take(y);
      if (!dy) return;
      const Tape::Target da = tape.accumulating(a), db = tape.accumulating(b);
      for (int64_t j = 0; j < m; ++j) {
        float sum = 0;
        for (int64_t i = j * share; i < (j + 1) * share; ++i) {
          sum += dy.f32()[i] * b.f32()[i];
          const float d = factor.f32()[j] * dy.f32()[i] * a.f32()[j];
          db.buffer.f32()[i] = db.add ? db.buffer.f32()[i] + d : d;
        }
        da.buffer.f32()[j] = (da.add ? da.buffer.f32()[j] : 0) + factor.f32()[j] * sum;
      }
    });
  return y;
}

}  // namespace lyceum
