// Attention as an op: the shape's work, the parameters of the scores, and their gradients.
#include <cstring>

#include "tensor/ops.h"

namespace lyceum::ops {
namespace {

// [n_heads, distances]: the table's rows by distance.
Tensor by_distance(const AttentionExtra& extra, int64_t n_heads) {
  const int64_t span = static_cast<int64_t>(extra.bucket.size());
  Tensor out({n_heads, span}, DType::kF32);
  for (int64_t h = 0; h < n_heads; ++h)
    for (int64_t d = 0; d < span; ++d)
      out.f32()[h * span + d] = extra.table->value.f32()[extra.bucket[static_cast<size_t>(d)] * n_heads + h];
  return out;
}

void add_by_bucket(const AttentionExtra& extra, int64_t n_heads, const Tensor& dbias) {
  const int64_t span = dbias.width();
  for (int64_t d = 0; d < span; ++d)
    for (int64_t h = 0; h < n_heads; ++h)
      extra.table->grad.f32()[extra.bucket[static_cast<size_t>(d)] * n_heads + h] +=
          dbias.f32()[h * span + d];
}

double query_key_pairs(const kernels::AttentionShape& s) {
  double pairs = 0;
  for (int64_t i = 0; i < s.sequences; ++i) {
    const double n = s.q_offsets[i + 1] - s.q_offsets[i], m = s.k_offsets[i + 1] - s.k_offsets[i];
    pairs += s.causal ? n * (m - (n - 1) / 2) : n * m;  // of the triangle
  }
  return pairs;
}

}  // namespace

Tensor attention(Tape& tape, const Tensor& q, const Tensor& k, const Tensor& v,
                 const kernels::AttentionShape& plain, const AttentionExtra& extra) {
  kernels::AttentionShape shape = plain;
  check_shape(q, {-1, shape.n_heads * shape.d_head}, "attention: q");
  check_shape(k, {-1, shape.n_kv_heads * shape.d_head}, "attention: k");
  check_shape(v, {k.rows(), shape.n_kv_heads * shape.d_value}, "attention: v");
  const double flops =
      2 * query_key_pairs(shape) * static_cast<double>(shape.n_heads * (shape.d_head + shape.d_value));
  const Tape::Span span(tape, "attention", flops);
  if (extra.sinks) shape.sinks = extra.sinks->value.f32();
  Tensor bias;
  if (extra.table) {
    bias = by_distance(extra, shape.n_heads);
    shape.bias = bias.f32(), shape.bias_span = bias.width(), shape.bias_zero = extra.zero;
  }
  Tensor out({q.rows(), shape.n_heads * shape.d_value}, q.type());
  Tensor logsumexp;
  if (tape.recording()) logsumexp = Tensor({q.rows(), shape.n_heads}, DType::kF32);
  kernels::attention(shape, q.as_rows(), k.as_rows(), v.as_rows(), out.as_rows(),
                     logsumexp ? logsumexp.f32() : nullptr);
  if (tape.recording())
    tape.record(
        "attention",
        [&tape, q, k, v, out, logsumexp, shape, bias, extra] {
          const Tensor dout = tape.take(out);
          if (!dout) return;
          Tensor dq(q.shape(), q.type()), dk(k.shape(), k.type()), dv(v.shape(), v.type()), dbias;
          float* dsinks = extra.sinks && extra.sinks->grad ? extra.sinks->grad.f32() : nullptr;
          if (bias && extra.table->grad) dbias = Tensor::zeros(bias.shape(), DType::kF32);
          kernels::attention_gradient(shape, q.as_rows(), k.as_rows(), v.as_rows(), out.as_rows(),
                                      logsumexp.f32(), dout.as_rows(), dq.as_rows(), dk.as_rows(),
                                      dv.as_rows(), dsinks, dbias ? dbias.f32() : nullptr);
          if (dbias) add_by_bucket(extra, shape.n_heads, dbias);
          tape.pass(q, dq);
          tape.pass(k, dk);
          tape.pass(v, dv);
        },
        2.5 * flops);
  return out;
}

}  // namespace lyceum::ops
