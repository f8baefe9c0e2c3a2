#include "moe/routers/stacked_products.h"

#include <algorithm>
#include <cstring>
#include <span>

#include "kernels/products.h"
#include "kernels/rowwise.h"
#include "moe/routers/token_choice.h"

namespace lyceum {
namespace {

// The matrices below each other. Panels of 16 outputs are the unit of the physical order, so this is a copy,
// with padded outputs where a matrix ends inside of a panel.
struct Stack {
  std::array<Parameter*, StackedProducts::kMost> all = {};  // of a step: no memory of its own
  size_t n = 0;
  WeightLayout layout;

  std::span<Parameter* const> weights() const { return std::span(all).first(n); }
  Stack(const std::vector<Parameter*>& from, size_t most)
      : n(std::min(most, from.size())), layout(from[0]->layout) {
    std::copy_n(from.begin(), n, all.begin());
    layout.n = 0;
    for (const Parameter* w : weights()) layout.n += w->layout.n_padded();
  }
  Tensor value() const {
    const Tensor out({layout.size()}, layout.type);
    char* to = static_cast<char*>(out.data());
    for (const Parameter* w : weights()) {
      std::memcpy(to, w->value.data(), w->value.bytes());
      to += w->value.bytes();
    }
    return out;
  }
  void add_gradient(const Tensor& dw) const {
    const float* from = dw.f32();
    for (Parameter* w : weights()) {
      if (w->grad)
        kernels::accumulate(w->layout.size(), from, DType::kF32, w->gradient_to_add(), DType::kF32);
      from += w->layout.size();
    }
  }
};

}  // namespace

StackedProducts::StackedProducts(const RouterOptions& o, const std::vector<Matrix>& matrices,
                                 ParameterList& parameters)
    : narrow_(o.precision == "bf16") {
  ensure(matrices.size() <= kMost, "router", matrices.size(), " matrices in one product");
  for (const Matrix& m : matrices) {
    const std::string name = m.name + ".weight";
    weights_.push_back(narrow_ ? parameters.matrix(name, {m.outputs, o.d_model})
                               : parameters.matrix_f32(name, {m.outputs, o.d_model}));
    weights_.back()->is_matrix = false;  // Muon leaves routers alone
  }
}

// dx = sum_i dy_i W_i,  dW_i += dy_i^T x
std::array<Tensor, StackedProducts::kMost> StackedProducts::forward(Context& c, const Tensor& rows,
                                                                    size_t n) const {
  const Tensor x = narrow_ && rows.type() == DType::kF32 ? ops::round_to_bf16(c.tape, rows) : rows;
  const Stack stack(weights_, n);
  const WeightLayout& layout = stack.layout;
  const int64_t tokens = x.rows();
  const double flops =
      2.0 * static_cast<double>(tokens) * static_cast<double>(layout.n) * static_cast<double>(layout.k);
  const Tape::Span span(c.tape, "stacked_products", flops);
  check(x.width() == layout.k, "router", stack.all[0]->name, " wants rows of ", layout.k, ", found ",
        x.shape().text());
  const int32_t ends[2] = {0, static_cast<int32_t>(tokens)};
  const Tensor first = Tensor::of({2}, DType::kI32, ends), value = stack.value(),
               all({tokens, layout.n}, DType::kF32);
  const kernels::Weights w{value.data(), layout, layout.size(), nullptr};
  kernels::product({1, first.i32()}, x.as_rows(), nullptr, w, all.as_rows());
  std::array<Tensor, kMost> out;
  int64_t begin = 0;
  for (size_t i = 0; i < stack.n; ++i) {
    out[i] = Tensor({tokens, stack.all[i]->layout.n}, DType::kF32);
    kernels::copy_columns(tokens, out[i].width(), columns_from(all.as_rows(), begin), out[i].as_rows());
    begin += stack.all[i]->layout.n_padded();
  }
  if (c.tape.recording())
    c.tape.record(
        "stacked_products",
        [&tape = c.tape, x, value, stack, out, first, tokens] {
          const WeightLayout& form = stack.layout;
          const Tensor dy({tokens, form.n}, DType::kF32);
          bool any = false;
          int64_t at = 0;
          for (size_t i = 0; i < stack.n; ++i) {
            const int64_t end = at + stack.all[i]->layout.n_padded();
            const Tensor d = tape.take(out[i]);
            any = any || d;
            const Rows to = columns_from(dy.as_rows(), at);
            if (d) kernels::copy_columns(tokens, out[i].width(), d.as_rows(), to);
            const int64_t written = d ? out[i].width() : 0;
            kernels::copy_columns(tokens, end - at - written, {}, columns_from(to, written));
            at = end;
          }
          if (!any) return;
          const kernels::Groups group{1, first.i32()};
          const Tape::Target dx = tape.accumulating(x);
          kernels::product_dgrad(group, dy.as_rows(), nullptr, {value.data(), form, form.size(), nullptr},
                                 dx.buffer.as_rows(), dx.add);
          const Tensor dw = Tensor::zeros({form.size()}, DType::kF32);
          kernels::product_wgrad(group, dy.as_rows(), nullptr, x.as_rows(), nullptr, form, dw.f32(),
                                 form.size());
          stack.add_gradient(dw);
        },
        2 * flops);
  if (narrow_)
    for (Tensor& y : out)
      if (y) y = ops::round_to_bf16(c.tape, y);
  return out;
}

}  // namespace lyceum
