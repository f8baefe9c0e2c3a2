// Ops along a sequence and along columns that only some attentions need.
#include <cstring>

#include "base/threads.h"
#include "kernels/rowwise.h"
#include "tensor/ops.h"

namespace lyceum::ops {
namespace {

char* at(const Tensor& t, int64_t row, int64_t column) {
  return static_cast<char*>(t.data()) + static_cast<size_t>(row * t.width() + column) * dtype_size(t.type());
}

}  // namespace

// y[t] = [x[t-1], x[t]];   dx[t] = dy[t].second + dy[t+1].first
Tensor with_previous(Tape& tape, const Tensor& x, const std::vector<int32_t>& offsets, const Tensor& before) {
  const Tape::Span span(tape, "with_previous");
  const int64_t rows = x.rows(), width = x.width();
  const size_t bytes = static_cast<size_t>(width) * dtype_size(x.type());
  check(!before || (offsets.size() == 2 && before.elements() == width && before.type() == x.type()),
        "with_previous", "a row before wants one sequence of its width and type");
  Tensor y({rows, 2 * width}, x.type());
  for (size_t s = 0; s + 1 < offsets.size(); ++s)
    for (int64_t t = offsets[s]; t < offsets[s + 1]; ++t) {
      if (t > offsets[s]) std::memcpy(at(y, t, 0), at(x, t - 1, 0), bytes);
      else if (before) std::memcpy(at(y, t, 0), before.data(), bytes);
      else std::memset(at(y, t, 0), 0, bytes);
      std::memcpy(at(y, t, width), at(x, t, 0), bytes);
    }
  if (tape.recording())
    tape.record("with_previous", [&tape, x, y, &offsets, width, bytes] {
      const Tensor dy = tape.take(y);
      if (!dy) return;
      Tensor dx(x.shape(), x.type());
      for (size_t s = 0; s + 1 < offsets.size(); ++s)
        for (int64_t t = offsets[s]; t < offsets[s + 1]; ++t) {
          std::memcpy(at(dx, t, 0), at(dy, t, width), bytes);
          if (t + 1 < offsets[s + 1])
            kernels::accumulate(width, at(dy, t + 1, 0), dy.type(), at(dx, t, 0), dx.type());
        }
      tape.pass(x, dx);
    });
  return y;
}

// dshared = sum over heads of dy's first part,  down = dy's second parts
Tensor join_heads(Tape& tape, const Tensor& shared, const Tensor& own, int64_t n_heads) {
  const Tape::Span span(tape, "join_heads");
  const int64_t rows = own.rows(), a = shared.width(), b = own.width() / n_heads;
  check(shared.rows() == rows && own.width() == n_heads * b && shared.type() == own.type(), "join_heads",
        shared.shape().text(), " and ", own.shape().text(), " for ", n_heads, " heads");
  const size_t size = dtype_size(own.type()), of_a = static_cast<size_t>(a) * size,
               of_b = static_cast<size_t>(b) * size;
  Tensor y({rows, n_heads * (a + b)}, own.type());
  parallel_ranges(rows, 64, [&](int64_t begin, int64_t end, int) {
    for (int64_t t = begin; t < end; ++t)
      for (int64_t h = 0; h < n_heads; ++h) {
        std::memcpy(at(y, t, h * (a + b)), at(shared, t, 0), of_a);
        std::memcpy(at(y, t, h * (a + b) + a), at(own, t, h * b), of_b);
      }
  });
  if (tape.recording())
    tape.record("join_heads", [&tape, shared, own, y, rows, a, b, n_heads, of_b] {
      const Tensor dy = tape.take(y);
      if (!dy) return;
      Tensor sums({rows, a}, DType::kF32), down(own.shape(), own.type());
      sums.set_zero();
      parallel_ranges(rows, 64, [&](int64_t begin, int64_t end, int) {
        for (int64_t t = begin; t < end; ++t)
          for (int64_t h = 0; h < n_heads; ++h) {
            std::memcpy(at(down, t, h * b), at(dy, t, h * (a + b) + a), of_b);
            kernels::accumulate(a, at(dy, t, h * (a + b)), dy.type(), at(sums, t, 0), DType::kF32);
          }
      });
      tape.pass(own, down);
      tape.pass(shared, shared.type() == DType::kF32 ? sums : sums.to(shared.type()));
    });
  return y;
}

// dx = dy w,  dw = sum_t dy x,  db = sum_t dy
Tensor scale_columns(Tape& tape, const Tensor& x, Parameter& w, Parameter& b) {
  const Tape::Span span(tape, "scale_columns");
  const int64_t rows = x.rows(), width = x.width();
  check(w.elements() == width && b.elements() == width, "scale_columns", "weights of ", w.elements(), " and ",
        b.elements(), " for rows of ", width);
  const std::vector<float> in = x.to_floats();
  Tensor y(x.shape(), DType::kF32);
  const float *scale = w.value.f32(), *bias = b.value.f32();
  for (int64_t i = 0; i < rows * width; ++i)
    y.f32()[i] = in[static_cast<size_t>(i)] * scale[i % width] + bias[i % width];
  if (x.type() != DType::kF32) y = y.to(x.type());
  if (tape.recording())
    tape.record("scale_columns", [&tape, x, y, &w, &b, rows, width] {
      const Tensor dy = tape.take(y);
      if (!dy) return;
      const std::vector<float> from = x.to_floats(), d = dy.to_floats();
      Tensor dx(x.shape(), DType::kF32);
      parallel_ranges(width, 64, [&](int64_t begin, int64_t end, int) {  // by column: sums have one order
        for (int64_t t = 0; t < rows; ++t)
          for (int64_t i = begin; i < end; ++i) {
            const size_t n = static_cast<size_t>(t * width + i);
            dx.f32()[n] = d[n] * w.value.f32()[i];
            if (w.grad) w.grad.f32()[i] += d[n] * from[n];
            if (b.grad) b.grad.f32()[i] += d[n];
          }
      });
      tape.pass(x, x.type() == DType::kF32 ? dx : dx.to(x.type()));
    });
  return y;
}

}  // namespace lyceum::ops
