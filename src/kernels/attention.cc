// Attention: checks, and the choice of the level.
#include "kernels/attention.h"

#include <vector>

#include "base/error.h"
#include "kernels/attention_table.h"

namespace lyceum::kernels {
namespace {

void check_rows(const char* where, const char* name, const ConstRows& rows) {
  check(rows.type == DType::kF32 || rows.type == DType::kBF16, where, "wanted ", name,
        " in f32 or bf16, found ", dtype_name(rows.type));
}

void check_shape(const char* where, const AttentionShape& s) {
  check(s.n_kv_heads > 0 && s.n_heads > 0 && s.n_heads % s.n_kv_heads == 0, where,
        "wanted a number of query heads that is a multiple of the key heads, found ", s.n_heads, " and ",
        s.n_kv_heads);
  check(s.d_head > 0 && s.d_value > 0, where, "wanted head widths above 0, found ", s.d_head, " and ",
        s.d_value);
  check(s.window >= 0 && (s.causal || s.window == 0), where, "a window wants causal attention");
}

}  // namespace

void attention(const AttentionShape& shape, ConstRows q, ConstRows k, ConstRows v, Rows out,
               float* logsumexp) {
  check_shape("attention", shape);
  check_rows("attention", "q", q), check_rows("attention", "k", k), check_rows("attention", "v", v);
  check_rows("attention", "out", out);
  attention_reference(shape, q, k, v, out, logsumexp);
}

void attention_gradient(const AttentionShape& shape, ConstRows q, ConstRows k, ConstRows v, ConstRows out,
                        const float* logsumexp, ConstRows dout, Rows dq, Rows dk, Rows dv, float* dsinks) {
  const char* where = "attention_gradient";
  check_shape(where, shape);
  check_rows(where, "q", q), check_rows(where, "k", k), check_rows(where, "v", v);
  check_rows(where, "out", out), check_rows(where, "dout", dout);
  check_rows(where, "dq", dq), check_rows(where, "dk", dk), check_rows(where, "dv", dv);
  check(!dsinks || shape.sinks, where, "a gradient of sinks was asked for without sinks");
  static thread_local std::vector<float> scratch;  // [sequences, n_heads]
  const size_t size = dsinks ? static_cast<size_t>(shape.sequences * shape.n_heads) : 0;
  if (scratch.size() < size) scratch.resize(size);
  attention_gradient_reference(shape, q, k, v, out, logsumexp, dout, dq, dk, dv,
                               dsinks ? scratch.data() : nullptr);
  if (dsinks)
    for (int64_t s = 0; s < shape.sequences; ++s)
      for (int64_t h = 0; h < shape.n_heads; ++h)
        dsinks[h] += scratch[static_cast<size_t>(s * shape.n_heads + h)];
}

}  // namespace lyceum::kernels
