// Ops that multiply with weight matrices: dense layers, the routed feed-forward network, attention, the head.
#include "kernels/products.h"

#include <cstring>

#include "base/threads.h"
#include "kernels/expert_rows.h"
#include "kernels/head.h"
#include "kernels/rowwise.h"
#include "tensor/ops.h"

namespace lyceum::ops {
namespace {

using kernels::Groups;
using kernels::Weights;

// One group that holds every row. Kept as a tensor so that a closure may hold it.
Tensor one_group(int64_t rows) {
  const int32_t first[2] = {0, static_cast<int32_t>(rows)};
  return Tensor::of({2}, DType::kI32, first);
}

Weights with_bias(const Parameter& w, const Parameter* bias) {
  Weights out = w.weights();
  out.bias = bias ? bias->value.f32() : nullptr;
  return out;
}

constexpr int64_t kEdges = 8192;  // of a task that moves one number an edge

void drop(const Dropout& d, const Slots& slots, const Tensor& h) {
  if (d.rate > 0)
    kernels::drop_elements(slots.slots(), h.width(), d.rate, d.key, slots.slot_edge.i32(), h.as_rows());
}

}  // namespace

Tensor linear(Tape& tape, const Tensor& x, Parameter& w, Parameter* b) {
  return linear(tape, x, w, b, x.type());
}

// dx = dy W,  dW += dy^T x,  db += sum_rows dy
Tensor linear(Tape& tape, const Tensor& x, Parameter& w, Parameter* b, DType type) {
  const int64_t rows = x.rows(), in = x.width(), out = w.shape[w.shape.rank - 2];
  const double flops = 2.0 * static_cast<double>(rows) * static_cast<double>(in) * static_cast<double>(out);
  const Tape::Span span(tape, type == DType::kF32 && x.type() != type ? "linear_f32" : "linear", flops);
  check(in == w.layout.k, "linear", w.name, " wants rows of ", w.layout.k, ", found ", x.shape().text());
  Tensor y({rows, out}, type);
  const Tensor first = one_group(rows);
  kernels::product({1, first.i32()}, x.as_rows(), nullptr, with_bias(w, b), y.as_rows());
  if (tape.recording())
    tape.record(
        "linear",
        [&tape, x, y, &w, b, first] {
          const Tensor dy = tape.take(y);
          if (!dy) return;
          const Groups group{1, first.i32()};
          const Tape::Target dx = tape.accumulating(x);
          kernels::product_dgrad(group, dy.as_rows(), nullptr, w.weights(), dx.buffer.as_rows(), dx.add);
          if (w.grad)
            kernels::product_wgrad(group, dy.as_rows(), nullptr, x.as_rows(), nullptr, w.layout,
                                   w.gradient_to_add(), w.layout.size(), tape.squares_of(w));
          if (b && b->grad) kernels::bias_gradient(group, dy.as_rows(), dy.width(), b->grad.f32());
        },
        2 * flops);
  return y;
}

// Forward, for slot s = (token t, expert e, gate g):
//   pre_s = x_t W_up[e]^T,  u_s = act(pre_gate) * pre_up,  h_s = g u_s,  y_t = sum_s h_s W_down[e]^T (+ g
//   b_down[e])
// Gradient:
//   du_s = dy_t W_down[e],  dg_s = du_s . u_s (+ dy_t . b_down[e]),  dW_down[e] += dy_t^T h_s
// (with dropout h_s and du_s are masked as in the forward pass)
//   dpre_s = g du_s d(act * up),  dW_up[e] += dpre_s^T x_t,  dx_t = sum_s dpre_s W_up[e]
// Kept: x, pre (both halves, activation dtype), gates. h is computed again from pre.
Tensor routed_feed_forward(Tape& tape, const Tensor& x, const Slots& slots, const Tensor& gate,
                           const FeedForwardWeights& w, const Dropout& dropout) {
  const int64_t n_slots = slots.slots(), d_ff = w.down->layout.k, d_model = x.width();
  const int64_t rows = w.up->layout.parts * w.up->layout.n, parts = rows / std::max<int64_t>(1, d_ff);
  const bool composite = kernels::composite_parts(w.activation) > 0;
  check_shape(x, {slots.tokens, w.up->layout.k}, "routed_feed_forward");
  check(w.up->matrices == slots.n_experts && w.down->matrices == slots.n_experts &&
            w.down->layout.n == d_model && parts * d_ff == rows &&
            (composite ? parts == kernels::composite_parts(w.activation) : parts == w.up->layout.parts),
        "routed_feed_forward", "weights ", w.up->shape.text(), " and ", w.down->shape.text(), " for ",
        slots.n_experts, " experts and rows of ", d_model);
  const Groups groups{slots.n_experts, slots.group_first.i32()};
  const DType type = x.type();
  const double flops = 2.0 * static_cast<double>(n_slots) * static_cast<double>((parts + 1) * d_ff * d_model);
  const Tape::Span span(tape, "routed_feed_forward", flops);

  Tensor slot_gate;  // [slots]: the gate of each slot
  if (gate) {
    slot_gate = Tensor({n_slots}, DType::kF32);
    parallel_ranges(n_slots, kEdges, [&](int64_t begin, int64_t end, int) {
      for (int64_t s = begin; s < end; ++s) slot_gate.f32()[s] = gate.f32()[slots.slot_edge.i32()[s]];
    });
  }
  const float* scale = gate ? slot_gate.f32() : nullptr;
  Tensor pre, hidden({n_slots, d_ff}, type), out({n_slots, d_model}, type), y({slots.tokens, d_model}, type);
  if (tape.recording() || composite) pre = Tensor({n_slots, rows}, type);
  if (composite) {
    kernels::product(groups, x.as_rows(), slots.token.i32(), with_bias(*w.up, w.up_bias), pre.as_rows());
    kernels::composite_activation(n_slots, d_ff, w.activation, w.limit, scale, pre.as_rows(),
                                  hidden.as_rows());
  } else {
    kernels::activated_product(groups, x.as_rows(), slots.token.i32(), with_bias(*w.up, w.up_bias),
                               w.activation, scale, pre ? pre.as_rows() : Rows{}, hidden.as_rows());
  }
  drop(dropout, slots, hidden);
  kernels::product(groups, hidden.as_rows(), nullptr, w.down->weights(), out.as_rows());
  if (w.down_bias) kernels::add_gated_bias(groups, d_model, w.down_bias->value.f32(), scale, out.as_rows());
  kernels::combine(slots.tokens, d_model, slots.edge_first.i32(), slots.edge_slot.i32(), out.as_rows(), {},
                   y.as_rows());
  if (!tape.recording()) return y;

  tape.record(
      "routed_feed_forward",
      [&tape, x, y, slots, gate, slot_gate, pre, w, n_slots, rows, parts, d_ff, d_model, composite, type,
       dropout] {
        const Tensor dy = tape.take(y);
        if (!dy) return;
        const Groups groups{slots.n_experts, slots.group_first.i32()};
        const int32_t* token = slots.token.i32();
        const float* scale = gate ? slot_gate.f32() : nullptr;
        Tensor du({n_slots, d_ff}, type), dpre({n_slots, rows}, type), hidden({n_slots, d_ff}, type);
        Tensor dslot_gate;
        if (gate) dslot_gate = Tensor({n_slots}, DType::kF32);
        kernels::product_dgrad(groups, dy.as_rows(), token, w.down->weights(), du.as_rows());
        drop(dropout, slots, du);
        float* dscale = gate ? dslot_gate.f32() : nullptr;
        if (composite)
          kernels::composite_gradient(n_slots, d_ff, w.activation, w.limit, scale, pre.as_rows(),
                                      du.as_rows(), dpre.as_rows(), hidden.as_rows(), dscale);
        else
          kernels::activation_gradient(n_slots, d_ff, parts, w.activation, scale, pre.as_rows(), du.as_rows(),
                                       dpre.as_rows(), hidden.as_rows(), dscale);
        drop(dropout, slots, hidden);
        if (w.down->grad)
          kernels::product_wgrad(groups, dy.as_rows(), token, hidden.as_rows(), nullptr, w.down->layout,
                                 w.down->gradient_to_add(), w.down->layout.size(), tape.squares_of(*w.down));
        if (w.up->grad)
          kernels::product_wgrad(groups, dpre.as_rows(), nullptr, x.as_rows(), token, w.up->layout,
                                 w.up->gradient_to_add(), w.up->layout.size(), tape.squares_of(*w.up));
        if (w.up_bias && w.up_bias->grad)
          kernels::bias_gradient(groups, dpre.as_rows(), rows, w.up_bias->grad.f32());
        if (w.down_bias)  // db[e] += g dy_t,  dg_s += dy_t . b[e]
          kernels::gated_bias_gradient(groups, d_model, w.down_bias->value.f32(), scale, dy.as_rows(), token,
                                       w.down_bias->grad ? w.down_bias->grad.f32() : nullptr, dscale);
        Tensor dx_slot({n_slots, d_model}, type);
        kernels::product_dgrad(groups, dpre.as_rows(), nullptr, w.up->weights(), dx_slot.as_rows());
        const Tape::Target dx = tape.accumulating(x);
        kernels::combine(slots.tokens, d_model, slots.edge_first.i32(), slots.edge_slot.i32(),
                         dx_slot.as_rows(), dx.add ? ConstRows(dx.buffer.as_rows()) : ConstRows{},
                         dx.buffer.as_rows());
        if (gate) {
          const Tape::Target dgate = tape.accumulating(gate);
          float* d = dgate.buffer.f32();
          parallel_ranges(gate.elements(), kEdges, [&](int64_t begin, int64_t end, int) {
            for (int64_t e = begin; e < end; ++e) {
              const int32_t slot = slots.edge_slot.i32()[e];
              const float value = slot < 0 ? 0 : dslot_gate.f32()[slot];
              d[e] = dgate.add ? d[e] + value : value;
            }
          });
        }
      },
      2 * flops);
  return y;
}

Tensor feed_forward(Tape& tape, const Tensor& x, const FeedForwardWeights& w) {
  const int64_t rows = x.rows();
  Slots slots;
  slots.tokens = rows;
  slots.group_first = one_group(rows);
  slots.token = Tensor({rows}, DType::kI32);
  slots.edge_first = Tensor({rows + 1}, DType::kI32);
  for (int64_t t = 0; t <= rows; ++t) slots.edge_first.i32()[t] = static_cast<int32_t>(t);
  std::memcpy(slots.token.data(), slots.edge_first.data(), slots.token.bytes());
  slots.edge_slot = slots.slot_edge = slots.token;
  return routed_feed_forward(tape, x, slots, Tensor(), w);
}

// dlogit = dlog_prob ([v = target] - p) + dlogsumexp p;  dx = scale dlogit W,  dW += scale dlogit^T x
LogProb linear_log_prob(Tape& tape, const Tensor& x, Parameter& w, float scale,
                        const std::vector<int32_t>& targets, Parameter* b) {
  const int64_t tokens = x.rows();
  check(static_cast<int64_t>(targets.size()) == tokens && x.width() == w.layout.k, "linear_log_prob", tokens,
        " rows, ", targets.size(), " targets");
  for (int32_t id : targets)
    check(id < w.layout.n, "linear_log_prob", "target ", id, " is outside the vocabulary of ", w.layout.n);
  const double flops = 2.0 * static_cast<double>(tokens) * static_cast<double>(w.layout.n * w.layout.k);
  const Tape::Span span(tape, "linear_log_prob", flops);
  LogProb out{Tensor({tokens}, DType::kF32), Tensor({tokens}, DType::kF32)};
  kernels::linear_log_prob(tokens, x.as_rows(), with_bias(w, b), scale, targets.data(), out.log_prob.f32(),
                           out.logsumexp.f32(), nullptr);
  if (tape.recording())
    tape.record(
        "linear_log_prob",
        [&tape, x, &w, b, scale, &targets, out, tokens] {
          Tensor dlog_prob = tape.take(out.log_prob);
          const Tensor dlogsumexp = tape.take(out.logsumexp);
          if (!dlog_prob && !dlogsumexp) return;
          if (!dlog_prob) dlog_prob = Tensor::zeros({tokens}, DType::kF32);
          Tensor dx(x.shape(), x.type());
          kernels::linear_log_prob_gradient(tokens, x.as_rows(), with_bias(w, b), scale, targets.data(),
                                            out.logsumexp.f32(), dlog_prob.f32(),
                                            dlogsumexp ? dlogsumexp.f32() : nullptr, dx.as_rows(),
                                            w.grad ? w.gradient_to_add() : nullptr,
                                            b && b->grad ? b->grad.f32() : nullptr, tape.squares_of(w));
          tape.pass(x, dx);
        },
        3 * flops);
  return out;
}

CrossEntropy linear_cross_entropy(Tape& tape, const Tensor& x, Parameter& w, float scale,
                                  const std::vector<int32_t>& targets, const std::vector<float>& weights,
                                  float z_weight, Parameter* b) {
  const int64_t tokens = x.rows();
  check(static_cast<int64_t>(targets.size()) == tokens && static_cast<int64_t>(weights.size()) == tokens &&
            x.width() == w.layout.k,
        "linear_cross_entropy", tokens, " rows, ", targets.size(), " targets, ", weights.size(), " weights");
  for (int32_t id : targets)
    check(id < w.layout.n, "linear_cross_entropy", "target ", id, " is outside the vocabulary of ",
          w.layout.n);
  const double flops = 2.0 * static_cast<double>(tokens) * static_cast<double>(w.layout.n * w.layout.k);
  const Tape::Span span(tape, "linear_cross_entropy",
                        tape.recording() ? 3 * flops : flops);  // gradients in the same pass
  CrossEntropy out;
  out.log_prob = Tensor({tokens}, DType::kF32);
  const Tensor logsumexp({tokens}, DType::kF32);
  if (!tape.recording()) {
    kernels::linear_log_prob(tokens, x.as_rows(), with_bias(w, b), scale, targets.data(), out.log_prob.f32(),
                             logsumexp.f32(), nullptr);
  } else {
    Tensor dx(x.shape(), x.type());
    Tensor z;
    if (z_weight != 0) {
      z = Tensor({tokens}, DType::kF32);
      for (int64_t t = 0; t < tokens; ++t) z.f32()[t] = z_weight * weights[static_cast<size_t>(t)];
    }
    kernels::linear_cross_entropy(tokens, x.as_rows(), with_bias(w, b), scale, targets.data(), weights.data(),
                                  z ? z.f32() : nullptr, out.log_prob.f32(), logsumexp.f32(), dx.as_rows(),
                                  w.grad ? w.gradient_to_add() : nullptr,
                                  b && b->grad ? b->grad.f32() : nullptr, tape.squares_of(w));
    tape.record("linear_cross_entropy", [&tape, x, dx] { tape.pass(x, dx); });
  }
  for (int64_t t = 0; t < tokens; ++t) {
    const double weight = weights[static_cast<size_t>(t)], z = logsumexp.f32()[t];
    if (weight == 0) continue;
    out.loss -= weight * out.log_prob.f32()[t];
    out.z_loss += weight * z * z;
  }
  return out;
}

}  // namespace lyceum::ops
