// Plain attention, one query row at a time: the oracle of the blockwise kernels and the last choice of every
// CPU. A task is one (sequence, key head): its query heads and rows are walked in order, so dk and dv are
// summed in a fixed order.
#include <algorithm>
#include <cmath>
#include <vector>

#include "base/threads.h"
#include "kernels/attention_table.h"

namespace lyceum::kernels {
namespace {

float load(const ConstRows& r, int64_t row, int64_t i) {
  return r.type == DType::kBF16 ? to_float(static_cast<const bf16*>(r.data)[row * r.stride + i])
                                : static_cast<const float*>(r.data)[row * r.stride + i];
}
void store(const Rows& r, int64_t row, int64_t i, float value) {
  if (r.type == DType::kBF16) static_cast<bf16*>(r.data)[row * r.stride + i] = to_bf16(value);
  else static_cast<float*>(r.data)[row * r.stride + i] = value;
}

// One task's place: the sequence, the key head, its rows.
struct Place {
  int64_t sequence, kv_head, q_begin, q_end, k_begin, k_end;
};

template <class F>
void by_place(const AttentionShape& s, F&& f) {
  parallel_for(s.sequences * s.n_kv_heads, [&](int64_t task, int) {
    const int64_t i = task / s.n_kv_heads;
    f(Place{i, task % s.n_kv_heads, s.q_offsets[i], s.q_offsets[i + 1], s.k_offsets[i], s.k_offsets[i + 1]});
  });
}

// Keys [first, last) that the query row t sees.
void visible(const AttentionShape& s, const Place& p, int64_t t, int64_t* first, int64_t* last) {
  const int64_t own = p.k_end - (p.q_end - t);  // the key the query stands at
  *last = s.causal ? std::max(p.k_begin, own + 1) : p.k_end;
  *first = s.window > 0 ? std::clamp(own - s.window + 1, p.k_begin, *last) : p.k_begin;
}

// Where in the bias the distance between the query row t and the key j stands, or -1.
int64_t distance(const AttentionShape& s, const Place& p, int64_t t, int64_t j) {
  if (!s.bias) return -1;
  const int64_t at = s.bias_zero + (p.k_end - (p.q_end - t)) - j;
  return at >= 0 && at < s.bias_span ? at : -1;
}

double dot(const ConstRows& a, int64_t a_row, int64_t a_at, const ConstRows& b, int64_t b_row, int64_t b_at,
           int64_t n) {
  double sum = 0;
  for (int64_t i = 0; i < n; ++i)
    sum += static_cast<double>(load(a, a_row, a_at + i)) * load(b, b_row, b_at + i);
  return sum;
}

}  // namespace

void attention_reference(const AttentionCall& call) {
  const AttentionShape& s = *call.shape;
  const ConstRows &q = call.q, &k = call.k, &v = call.v;
  const Rows& out = call.out;
  float* logsumexp = call.logsumexp;
  const int64_t group = s.n_heads / s.n_kv_heads;
  by_place(s, [&](const Place& p) {
    static thread_local std::vector<double> score, sum;
    score.resize(static_cast<size_t>(p.k_end - p.k_begin));
    for (int64_t h = p.kv_head * group; h < (p.kv_head + 1) * group; ++h)
      for (int64_t t = p.q_begin; t < p.q_end; ++t) {
        int64_t first, last;
        visible(s, p, t, &first, &last);
        double largest = s.sinks ? s.sinks[h] : -INFINITY, total = 0;
        for (int64_t j = first; j < last; ++j) {
          double& x = score[static_cast<size_t>(j - first)];
          x = s.scale * dot(q, t, h * s.d_head, k, j, p.kv_head * s.d_head, s.d_head);
          const int64_t far = distance(s, p, t, j);
          if (far >= 0) x += s.bias[h * s.bias_span + far];
          largest = std::max(largest, x);
        }
        if (s.sinks) total = std::exp(s.sinks[h] - largest);
        sum.assign(static_cast<size_t>(s.d_value), 0.0);
        for (int64_t j = first; j < last; ++j) {
          const double e = std::exp(score[static_cast<size_t>(j - first)] - largest);
          total += e;
          for (int64_t i = 0; i < s.d_value; ++i)
            sum[static_cast<size_t>(i)] += e * load(v, j, p.kv_head * s.d_value + i);
        }
        for (int64_t i = 0; i < s.d_value; ++i)  // a query that sees nothing: 0
          store(out, t, h * s.d_value + i,
                total == 0 ? 0.0f : static_cast<float>(sum[static_cast<size_t>(i)] / total));
        if (logsumexp)
          logsumexp[t * s.n_heads + h] =
              total == 0 ? -INFINITY : static_cast<float>(largest + std::log(total));
      }
  });
}

// p = exp(scale q.k - logsumexp), D = dout.out, ds = p (dout.v - D):
// dq = scale ds k, dk = scale ds q, dv = p dout, dsink = -exp(sink - logsumexp) D.
void attention_gradient_reference(const AttentionCall& call) {
  const AttentionShape& s = *call.shape;
  const ConstRows &q = call.q, &k = call.k, &v = call.v, &dout = call.dout;
  const Rows &dq = call.dq, &dk = call.dk, &dv = call.dv;
  const ConstRows out(call.out);
  const float* logsumexp = call.logsumexp;
  float* dsinks_of = call.dsinks_of;
  const int64_t group = s.n_heads / s.n_kv_heads, d = s.d_head, dval = s.d_value;
  by_place(s, [&](const Place& p) {
    static thread_local std::vector<double> sums;  // [keys, d_head + d_value] then dq [d_head]
    static thread_local std::vector<double> bias_sum;
    const int64_t keys = p.k_end - p.k_begin;
    sums.assign(static_cast<size_t>(keys * (d + dval) + d), 0.0);
    double *sum_k = sums.data(), *sum_v = sum_k + keys * d, *sum_q = sum_v + keys * dval;
    for (int64_t h = p.kv_head * group; h < (p.kv_head + 1) * group; ++h) {
      double sink = 0;
      bias_sum.assign(static_cast<size_t>(s.bias ? s.bias_span : 0), 0.0);
      for (int64_t t = p.q_begin; t < p.q_end; ++t) {
        int64_t first, last;
        visible(s, p, t, &first, &last);
        const double lse = logsumexp[t * s.n_heads + h];
        const double delta = dot(dout, t, h * dval, out, t, h * dval, dval);
        if (s.sinks) sink -= std::exp(s.sinks[h] - lse) * delta;
        std::fill(sum_q, sum_q + d, 0.0);
        for (int64_t j = first; j < last; ++j) {
          const int64_t far = distance(s, p, t, j);
          const double x = s.scale * dot(q, t, h * d, k, j, p.kv_head * d, d) +
                           (far >= 0 ? s.bias[h * s.bias_span + far] : 0.0f);
          const double e = std::exp(x - lse);
          const double slope = e * (dot(dout, t, h * dval, v, j, p.kv_head * dval, dval) - delta);
          const double ds = s.scale * slope;
          if (far >= 0) bias_sum[static_cast<size_t>(far)] += slope;
          double *to_k = sum_k + (j - p.k_begin) * d, *to_v = sum_v + (j - p.k_begin) * dval;
          for (int64_t i = 0; i < d; ++i) {
            sum_q[i] += ds * load(k, j, p.kv_head * d + i);
            to_k[i] += ds * load(q, t, h * d + i);
          }
          for (int64_t i = 0; i < dval; ++i) to_v[i] += e * load(dout, t, h * dval + i);
        }
        for (int64_t i = 0; i < d; ++i) store(dq, t, h * d + i, static_cast<float>(sum_q[i]));
      }
      if (dsinks_of) dsinks_of[p.sequence * s.n_heads + h] = static_cast<float>(sink);
      for (int64_t i = 0; call.dbias_of && i < s.bias_span; ++i)
        call.dbias_of[(p.sequence * s.n_heads + h) * s.bias_span + i] =
            static_cast<float>(bias_sum[static_cast<size_t>(i)]);
    }
    for (int64_t j = 0; j < keys; ++j) {
      for (int64_t i = 0; i < d; ++i)
        store(dk, p.k_begin + j, p.kv_head * d + i, static_cast<float>(sum_k[j * d + i]));
      for (int64_t i = 0; i < dval; ++i)
        store(dv, p.k_begin + j, p.kv_head * dval + i, static_cast<float>(sum_v[j * dval + i]));
    }
  });
}

}  // namespace lyceum::kernels
