// Ops between a router's product and the experts: scores, gates, and rows scaled by a gate.
#include <cstring>

#include "base/threads.h"
#include "kernels/rowwise.h"
#include "kernels/scores.h"
#include "tensor/ops.h"

namespace lyceum::ops {
namespace {

constexpr int64_t kGrain = 256;      // rows of a task
constexpr float kTiny = 1e-20f;      // below every sum of probabilities that is not zero
constexpr int64_t kElements = 8192;  // of a task that works element by element

}  // namespace

// dx = p (dp - sum(p dp))
Tensor softmax(Tape& tape, const Tensor& x, Tensor* logsumexp) {
  const Tape::Span span(tape, "softmax");
  Tensor p(x.shape(), DType::kF32);
  if (logsumexp) *logsumexp = Tensor({x.rows()}, DType::kF32);
  kernels::softmax(x.rows(), x.width(), x.f32(), p.f32(), logsumexp ? logsumexp->f32() : nullptr);
  if (tape.recording())
    tape.record("softmax", [&tape, x, p] {
      const Tensor dp = tape.take(p);
      if (!dp) return;
      const Tape::Target dx = tape.accumulating(x);
      kernels::softmax_gradient(x.rows(), x.width(), p.f32(), dp.f32(), dx.buffer.f32(), dx.add);
    });
  return p;
}

// dx = dy y (1 - y)
Tensor sigmoid(Tape& tape, const Tensor& x) {
  const Tape::Span span(tape, "sigmoid");
  Tensor y(x.shape(), DType::kF32);
  const int64_t n = x.elements();
  kernels::map(kernels::ScoreMap::kSigmoid, n, x.f32(), y.f32());
  if (tape.recording())
    tape.record("sigmoid", [&tape, x, y, n] {
      const Tensor dy = tape.take(y);
      if (!dy) return;
      const Tape::Target dx = tape.accumulating(x);
      float* d = dx.buffer.f32();
      const float *g = dy.f32(), *s = y.f32();
      const bool add = dx.add;
      parallel_ranges(n, kElements, [=](int64_t begin, int64_t end, int) {
        for (int64_t i = begin; i < end; ++i) d[i] = (add ? d[i] : 0) + g[i] * s[i] * (1 - s[i]);
      });
    });
  return y;
}

// With S = sum x + tiny:  dx_i = (dy_i - sum_j dy_j y_j) / S
Tensor normalise_rows(Tape& tape, const Tensor& x) {
  const Tape::Span span(tape, "normalise_rows");
  const int64_t rows = x.rows(), width = x.width();
  Tensor y(x.shape(), DType::kF32), inverse({rows}, DType::kF32);
  parallel_ranges(rows, kGrain, [&](int64_t begin, int64_t end, int) {
    for (int64_t t = begin; t < end; ++t) {
      const float* from = x.f32() + t * width;
      float sum = kTiny;
      for (int64_t i = 0; i < width; ++i) sum += from[i];
      inverse.f32()[t] = 1 / sum;
      for (int64_t i = 0; i < width; ++i) y.f32()[t * width + i] = from[i] / sum;
    }
  });
  if (tape.recording())
    tape.record("normalise_rows", [&tape, x, y, inverse, rows, width] {
      const Tensor dy = tape.take(y);
      if (!dy) return;
      const Tape::Target dx = tape.accumulating(x);
      parallel_ranges(rows, kGrain, [&](int64_t begin, int64_t end, int) {
        for (int64_t t = begin; t < end; ++t) {
          const float *g = dy.f32() + t * width, *v = y.f32() + t * width;
          float* d = dx.buffer.f32() + t * width;
          float inner = 0;
          for (int64_t i = 0; i < width; ++i) inner += g[i] * v[i];
          for (int64_t i = 0; i < width; ++i) {
            const float value = (g[i] - inner) * inverse.f32()[t];
            d[i] = dx.add ? d[i] + value : value;
          }
        }
      });
    });
  return y;
}

namespace {

template <class T>
float read(const T* p, int64_t i) {
  if constexpr (sizeof(T) == 2) return to_float(p[i]);
  else return p[i];
}
template <class T>
void write(T* p, int64_t i, float value) {
  if constexpr (sizeof(T) == 2) p[i] = to_bf16(value);
  else p[i] = value;
}

template <class T>
void scale_rows_forward(const Tensor& x, const float* s, const Tensor& y) {
  const int64_t width = x.width();
  parallel_ranges(x.rows(), kGrain, [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin * width; i < end * width; ++i)
      write(y.as<T>(), i, s[i / width] * read(x.as<T>(), i));
  });
}

// dx = s dy,  ds = dy . x
template <class T>
void scale_rows_gradient(const Tensor& x, const float* s, const Tensor& dy, const Tape::Target& dx,
                         const Tape::Target& ds) {
  const int64_t width = x.width();
  parallel_ranges(x.rows(), kGrain, [&](int64_t begin, int64_t end, int) {
    for (int64_t t = begin; t < end; ++t) {
      const T *g = dy.as<T>() + t * width, *v = x.as<T>() + t * width;
      T* d = dx.buffer.as<T>() + t * width;
      float sum = 0;
      for (int64_t i = 0; i < width; ++i) {
        sum += read(g, i) * read(v, i);
        write(d, i, s[t] * read(g, i) + (dx.add ? read(d, i) : 0));
      }
      float& out = ds.buffer.f32()[t];
      out = ds.add ? out + sum : sum;
    }
  });
}

}  // namespace

Tensor scale_rows(Tape& tape, const Tensor& x, const Tensor& s) {
  const Tape::Span span(tape, "scale_rows");
  check_shape(s, {x.rows(), 1}, "scale_rows");
  Tensor y(x.shape(), x.type());
  const bool wide = x.type() == DType::kF32;
  if (wide) scale_rows_forward<float>(x, s.f32(), y);
  else scale_rows_forward<bf16>(x, s.f32(), y);
  if (tape.recording())
    tape.record("scale_rows", [&tape, x, s, y, wide] {
      const Tensor dy = tape.take(y);
      if (!dy) return;
      const Tape::Target dx = tape.accumulating(x), ds = tape.accumulating(s);
      if (wide) scale_rows_gradient<float>(x, s.f32(), dy, dx, ds);
      else scale_rows_gradient<bf16>(x, s.f32(), dy, dx, ds);
    });
  return y;
}

// dx = bf16(dy)
Tensor round_to_bf16(Tape& tape, const Tensor& x) {
  const Tape::Span span(tape, "round_to_bf16");
  const auto rounded = [](const Tensor& from) { return from.to(DType::kBF16).to(DType::kF32); };
  const Tensor y = rounded(x);
  if (tape.recording())
    tape.record("round_to_bf16", [&tape, x, y, rounded] {
      if (const Tensor dy = tape.take(y)) tape.pass(x, rounded(dy));
    });
  return y;
}

// g_j = scale p_j / S, S = the sum over the edges that count (1 when gates are not divided):
//   dp_j = scale / S (dg_j - sum_i dg_i p_i / S)     and without dividing  dp_j = scale dg_j
Tensor chosen_gates(Tape& tape, const Tensor& p, const Edges& edges, GateSum sum, float scale) {
  const Tape::Span span(tape, "chosen_gates");
  const int64_t tokens = p.rows(), n_experts = p.width();
  check_shape(edges.first, {tokens + 1}, "chosen_gates");
  const auto counts = [](const Edges& e, GateSum how, int32_t edge) {
    return how != GateSum::kKept || !e.kept || e.kept.as<uint8_t>()[edge] != 0;
  };
  Tensor gate(edges.expert.shape(), DType::kF32);
  parallel_ranges(tokens, kGrain, [&](int64_t begin, int64_t end, int) {
    const int32_t *first = edges.first.i32(), *expert = edges.expert.i32();
    for (int64_t t = begin; t < end; ++t) {
      const float* row = p.f32() + t * n_experts;
      float total = kTiny;
      for (int32_t e = first[t]; e < first[t + 1]; ++e)
        if (counts(edges, sum, e)) total += row[expert[e]];
      const float factor = sum == GateSum::kNone ? scale : scale / total;
      for (int32_t e = first[t]; e < first[t + 1]; ++e)
        gate.f32()[e] = counts(edges, sum, e) ? row[expert[e]] * factor : 0;
    }
  });
  if (tape.recording())
    tape.record("chosen_gates", [&tape, p, edges, gate, sum, scale, tokens, n_experts, counts] {
      const Tensor dgate = tape.take(gate);
      if (!dgate) return;
      const Tape::Target dp = tape.accumulating(p);
      parallel_ranges(tokens, kGrain, [&](int64_t begin, int64_t end, int) {
        const int32_t *first = edges.first.i32(), *expert = edges.expert.i32();
        const float* dg = dgate.f32();
        for (int64_t t = begin; t < end; ++t) {
          const float* row = p.f32() + t * n_experts;
          float *d = dp.buffer.f32() + t * n_experts, total = kTiny, inner = 0;
          if (!dp.add) std::memset(d, 0, static_cast<size_t>(n_experts) * sizeof(float));
          for (int32_t e = first[t]; e < first[t + 1]; ++e)
            if (counts(edges, sum, e)) total += row[expert[e]], inner += dg[e] * row[expert[e]];
          for (int32_t e = first[t]; e < first[t + 1]; ++e) {
            if (!counts(edges, sum, e)) continue;
            d[expert[e]] += sum == GateSum::kNone ? scale * dg[e] : scale / total * (dg[e] - inner / total);
          }
        }
      });
    });
  return gate;
}

}  // namespace lyceum::ops
