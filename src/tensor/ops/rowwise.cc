// Ops that work row by row: embedding, norms, rotary embedding, clamp, add.
#include "kernels/rowwise.h"

#include <cmath>
#include <cstring>

#include "base/threads.h"
#include "tensor/ops.h"

namespace lyceum::ops {
namespace {

// Row `id` of a packed matrix lies in pieces of a pair: rows of a tied output matrix are read as embeddings
// too.
template <class T>
void read_packed_row(const WeightLayout& layout, const T* matrix, int64_t id, T* row) {
  for (int64_t i = 0; i < layout.k; ++i) row[i] = matrix[layout.index(0, id, i)];
}

Tensor packed_embedding(const std::vector<int32_t>& ids, const Parameter& table, DType type) {
  const int64_t tokens = static_cast<int64_t>(ids.size()), width = table.layout.k;
  Tensor rows({tokens, width}, table.type());
  parallel_ranges(tokens, 64, [&](int64_t begin, int64_t end, int) {
    for (int64_t t = begin; t < end; ++t) {
      const int64_t id = ids[static_cast<size_t>(t)];
      if (table.type() == DType::kBF16)
        read_packed_row(table.layout, table.value.as<bf16>(), id, rows.as<bf16>() + t * width);
      else read_packed_row(table.layout, table.value.f32(), id, rows.f32() + t * width);
    }
  });
  return type == table.type() ? rows : rows.to(type);
}

}  // namespace

// y[t] = table[ids[t]];   dtable[ids[t]] += dy[t]
Tensor embedding(Tape& tape, const std::vector<int32_t>& ids, Parameter& table, DType type) {
  const Tape::Span span(tape, "embedding");
  const int64_t tokens = static_cast<int64_t>(ids.size()), vocab = table.shape[0], width = table.shape[1];
  for (int32_t id : ids)
    check(id >= 0 && id < vocab, "embedding", "token id ", id, " is outside the vocabulary of ", vocab);
  const bool packed = table.order == Parameter::Order::kPacked;
  Tensor y;
  if (packed) {
    y = packed_embedding(ids, table, type);
  } else {
    y = Tensor({tokens, width}, type);
    kernels::embedding(tokens, width, ids.data(), table.value.as_rows(), y.as_rows());
  }
  if (tape.recording() && table.grad) {
    tape.record("embedding", [&tape, &table, &ids, y, tokens, vocab, width, packed] {
      const Tensor dy = tape.take(y);
      if (!dy) return;
      if (!packed) {
        kernels::embedding_gradient(tokens, width, vocab, ids.data(), dy.as_rows(), table.grad.f32());
        return;
      }
      const Tensor rows = dy.type() == DType::kF32 ? dy : dy.to(DType::kF32);
      float* grad = table.gradient_to_add();
      parallel_ranges(width, 32, [&](int64_t begin, int64_t end, int) {  // by column: every sum has one order
        for (int64_t t = 0; t < tokens; ++t)
          for (int64_t i = begin; i < end; ++i)
            grad[table.layout.index(0, ids[static_cast<size_t>(t)], i)] += rows.f32()[t * width + i];
      });
    });
  }
  return y;
}

// dx = inv * (w dy - x inv^2 mean(w dy x)),  dw = sum_rows dy x inv
Tensor rms_norm(Tape& tape, const Tensor& x, Parameter* w, float eps) {
  const Tape::Span span(tape, "rms_norm");
  const int64_t rows = x.rows(), width = x.width();
  if (w)
    check(w->elements() == width, "rms_norm", "weight ", w->name, " has ", w->elements(),
          " elements for rows of ", width);
  Tensor y(x.shape(), x.type()), inv({rows}, DType::kF32);
  const float* weight = w ? w->value.f32() : nullptr;
  kernels::rms_norm(rows, width, x.as_rows(), {}, weight, eps, y.as_rows(), inv.f32());
  if (tape.recording())
    tape.record("rms_norm", [&tape, x, y, inv, w, rows, width] {
      const Tensor dy = tape.take(y);
      if (!dy) return;
      const Tape::Target dx = tape.accumulating(x);
      kernels::rms_norm_gradient(rows, width, x.as_rows(), w ? w->value.f32() : nullptr, inv.f32(),
                                 dy.as_rows(), dx.buffer.as_rows(), dx.add,
                                 w && w->grad ? w->grad.f32() : nullptr);
    });
  return y;
}

// With n = (x - mean) inv:  dx = inv (w dy - mean(w dy) - n mean(w dy n)),  dw = sum dy n,  db = sum dy
Tensor layer_norm(Tape& tape, const Tensor& x, Parameter* w, Parameter* b, float eps) {
  const Tape::Span span(tape, "layer_norm");
  const int64_t rows = x.rows(), width = x.width();
  if (w)
    check(w->elements() == width, "layer_norm", "weight ", w->name, " has ", w->elements(),
          " elements for rows of ", width);
  Tensor y(x.shape(), x.type()), mean({rows}, DType::kF32), inv({rows}, DType::kF32);
  kernels::layer_norm(rows, width, x.as_rows(), w ? w->value.f32() : nullptr, b ? b->value.f32() : nullptr,
                      eps, y.as_rows(), mean.f32(), inv.f32());
  if (tape.recording())
    tape.record("layer_norm", [&tape, x, y, mean, inv, w, b, rows, width] {
      const Tensor dy = tape.take(y);
      if (!dy) return;
      const Tape::Target dx = tape.accumulating(x);
      kernels::layer_norm_gradient(rows, width, x.as_rows(), w ? w->value.f32() : nullptr, mean.f32(),
                                   inv.f32(), dy.as_rows(), dx.buffer.as_rows(), dx.add,
                                   w && w->grad ? w->grad.f32() : nullptr,
                                   b && b->grad ? b->grad.f32() : nullptr);
    });
  return y;
}

// dx = factor dy
Tensor scaled(Tape& tape, const Tensor& x, float factor) {
  const Tape::Span span(tape, "scaled");
  const auto times = [factor](const Tensor& from) {
    Tensor y(from.shape(), from.type());
    std::memcpy(y.data(), from.data(), from.bytes());
    kernels::scale(y.elements(), factor, y.data(), y.type());
    return y;
  };
  const Tensor y = times(x);
  if (tape.recording())
    tape.record("scaled", [&tape, x, y, times] {
      if (const Tensor dy = tape.take(y)) tape.pass(x, times(dy));
    });
  return y;
}

// da += dy, db += dy: handed on without a copy
Tensor add(Tape& tape, const Tensor& a, const Tensor& b) {
  const Tape::Span span(tape, "add");
  check(a.shape() == b.shape() && a.type() == b.type(), "add", "operands ", a.shape().text(), " ",
        dtype_name(a.type()), " and ", b.shape().text(), " ", dtype_name(b.type()));
  Tensor y(a.shape(), a.type());
  kernels::add(a.elements(), a.data(), b.data(), y.data(), a.type());
  if (tape.recording())
    tape.record("add", [&tape, a, b, y] {
      const Tensor dy = tape.take(y);
      if (!dy) return;
      tape.pass(a, dy);
      tape.pass(b, dy);
    });
  return y;
}

// dx = dy under the shape of x
Tensor reshape(Tape& tape, const Tensor& x, Shape shape) {
  const Tape::Span span(tape, "reshape");
  check(shape.elements() == x.elements(), "reshape", x.shape().text(), " to ", shape.text());
  Tensor y(shape, x.type());
  std::memcpy(y.data(), x.data(), x.bytes());
  if (tape.recording())
    tape.record("reshape", [&tape, x, y] {
      const Tensor dy = tape.take(y);
      if (!dy) return;
      Tensor dx(x.shape(), x.type());
      std::memcpy(dx.data(), dy.data(), dy.bytes());
      tape.pass(x, dx);
    });
  return y;
}

// dx = dy where |x| <= bound
Tensor clamp(Tape& tape, const Tensor& x, float bound) {
  const Tape::Span span(tape, "clamp");
  Tensor y(x.shape(), x.type());
  std::memcpy(y.data(), x.data(), x.bytes());
  kernels::clamp(y.elements(), bound, y.data(), y.type());
  if (tape.recording())
    tape.record("clamp", [&tape, x, y, bound] {
      const Tensor dy = tape.take(y);
      if (!dy) return;
      Tensor dx(x.shape(), x.type());
      std::memcpy(dx.data(), dy.data(), dy.bytes());
      kernels::clamp_gradient(x.elements(), bound, x.data(), dx.data(), x.type());
      tape.pass(x, dx);
    });
  return y;
}

// A rotation by the angle a; its gradient is the rotation by -a.
Tensor rope(Tape& tape, const Tensor& x, const RopeSpec& spec, const std::vector<int32_t>& positions) {
  const Tape::Span span(tape, "rope");
  check_shape(x, {static_cast<int64_t>(positions.size()), spec.n_heads * spec.d_head}, "rope");
  Tensor y(x.shape(), x.type());
  std::memcpy(y.data(), x.data(), x.bytes());
  const auto turn = spec.coarse ? kernels::rope_bf16 : kernels::rope;
  turn(x.rows(), spec.n_heads, spec.d_head, spec.rotary, spec.interleaved, positions.data(),
       spec.frequencies->data(), spec.scale, +1, y.as_rows());
  if (tape.recording())
    tape.record("rope", [&tape, x, y, spec, turn, &positions] {
      const Tensor dy = tape.take(y);
      if (!dy) return;
      Tensor dx = dy;
      if (dy.uses() > 2) {  // shared with another gradient: dy and dx themselves are two
        dx = Tensor(x.shape(), x.type());
        std::memcpy(dx.data(), dy.data(), dy.bytes());
      }
      turn(x.rows(), spec.n_heads, spec.d_head, spec.rotary, spec.interleaved, positions.data(),
           spec.frequencies->data(), spec.scale, -1, dx.as_rows());
      tape.pass(x, dx);
    });
  return y;
}

double inner_product(Tape& tape, const Tensor& x, const Tensor& g) {
  check(x.elements() == g.elements(), "inner_product", x.shape().text(), " and ", g.shape().text());
  const std::vector<float> a = x.to_floats(), b = g.to_floats();
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += static_cast<double>(a[i]) * b[i];
  if (tape.recording()) tape.record("inner_product", [&tape, x, g] { tape.pass(x, g.to(x.type())); });
  return sum;
}

}  // namespace lyceum::ops
