#include "tensor/parameter.h"

#include <cstring>

#include "kernels/optimizer.h"
#include "kernels/rowwise.h"

namespace lyceum {

Parameter Parameter::make(std::string name, Shape shape, DType type, Order order, int64_t parts) {
  Parameter p;
  p.name = std::move(name);
  p.shape = shape;
  p.order = order;
  if (order == Order::kPlain) {
    p.value = Tensor::zeros(shape, type);
    return p;
  }
  check(shape.rank == 2 || shape.rank == 3, "parameter", p.name,
        ": a packed parameter has rank 2 or 3, found ", shape.text());
  p.matrices = shape.rank == 3 ? shape[0] : 1;
  const int64_t out = shape[shape.rank - 2], in = shape[shape.rank - 1];
  check(out % parts == 0, "parameter", p.name, ": ", out, " rows do not divide into ", parts, " parts");
  p.layout = WeightLayout{parts, out / parts, in, type};
  p.value = Tensor::zeros({p.matrices, p.layout.size()}, type);
  return p;
}

void Parameter::enable_gradient() {
  if (!trained) return;
  if (!grad) grad = Tensor::zeros(value.shape(), DType::kF32);
  if (type() == DType::kBF16 && !residual) residual = Tensor::zeros(value.shape(), DType::kI16);
}

kernels::Weights Parameter::weights() const {
  ensure(order == Order::kPacked, "parameter", name, " is not packed");
  return {value.data(), layout, layout.size(), nullptr};
}

void Parameter::read_matrix(int64_t index, float* logical) const {
  const int64_t n = order == Order::kPacked ? layout.size() : physical() / matrices;
  const int64_t begin = index * n;
  if (type() == DType::kI32) {  // ids: exact as floats below 2^24
    for (int64_t i = 0; i < n; ++i) logical[i] = static_cast<float>(value.i32()[begin + i]);
    return;
  }
  std::vector<float> master(static_cast<size_t>(n));
  if (type() == DType::kBF16 && residual) {
    const bf16* w = value.as<bf16>() + begin;
    const int16_t* r = residual.as<int16_t>() + begin;
    for (int64_t i = 0; i < n; ++i) master[static_cast<size_t>(i)] = kernels::master_of(w[i], r[i]);
  } else {
    const char* w = static_cast<const char*>(value.data()) + static_cast<size_t>(begin) * dtype_size(type());
    kernels::convert(n, w, type(), master.data(), DType::kF32);
  }
  if (order == Order::kPacked) unpack_weight(layout, master.data(), logical, sizeof(float));
  else std::memcpy(logical, master.data(), static_cast<size_t>(n) * sizeof(float));
}

void Parameter::write_matrix(int64_t index, const float* logical) {
  const int64_t columns = shape.rank == 1 ? 1 : shape[shape.rank - 1];
  const int64_t rows = elements() / matrices / columns, part = order == Order::kPacked ? layout.n : rows;
  for (int64_t row = 0; row < rows; row += part) write_rows(index, row, part, logical + row * columns);
}

// Where rows stand in physical order, and the layout of just them.
Parameter::Piece Parameter::piece_of(int64_t index, int64_t row, int64_t n) const {
  const int64_t begin = index * (physical() / matrices);
  if (order == Order::kPlain) {
    const int64_t columns = shape.rank == 1 ? 1 : shape[shape.rank - 1];
    return {{}, begin + row * columns, n * columns};
  }
  const int64_t part = row / layout.n, inner = row % layout.n;
  ensure(inner % WeightLayout::kPanel == 0 && inner + n <= layout.n, "parameter", name, ": rows ", row,
         " to ", row + n, " are no panels");
  const WeightLayout rows{1, n, layout.k, layout.type};
  return {rows, begin + layout.index(part, inner, 0), rows.size()};
}

void Parameter::write_rows(int64_t index, int64_t row, int64_t n, const float* logical) {
  const Piece piece = piece_of(index, row, n);
  if (type() == DType::kI32) {
    for (int64_t i = 0; i < piece.size; ++i) value.i32()[piece.begin + i] = static_cast<int32_t>(logical[i]);
    return;
  }
  std::vector<float> packed;
  const float* master = logical;
  if (order == Order::kPacked) {
    packed.resize(static_cast<size_t>(piece.size));
    pack_weight(piece.layout, logical, packed.data(), sizeof(float));
    master = packed.data();
  }
  if (type() == DType::kBF16 && residual) {
    bf16* w = value.as<bf16>() + piece.begin;
    int16_t* r = residual.as<int16_t>() + piece.begin;
    for (int64_t i = 0; i < piece.size; ++i) kernels::split_master(master[i], &w[i], &r[i]);
  } else {
    char* w = static_cast<char*>(value.data()) + static_cast<size_t>(piece.begin) * dtype_size(type());
    kernels::convert(piece.size, master, DType::kF32, w, type());
  }
}

void Parameter::write_rows(int64_t index, int64_t row, int64_t n, const bf16* logical) {
  ensure(type() == DType::kBF16 && !residual, "parameter", name, " is trained, or not bf16");
  const Piece piece = piece_of(index, row, n);
  bf16* w = value.as<bf16>() + piece.begin;
  if (order == Order::kPacked) pack_weight(piece.layout, logical, w, sizeof(bf16));
  else std::memcpy(w, logical, static_cast<size_t>(n) * sizeof(bf16) * static_cast<size_t>(piece.size / n));
}

std::vector<float> Parameter::read_master() const {
  std::vector<float> out(static_cast<size_t>(elements()));
  for (int64_t m = 0; m < matrices; ++m) read_matrix(m, out.data() + m * (elements() / matrices));
  return out;
}

void Parameter::write_master(const float* logical) {
  for (int64_t m = 0; m < matrices; ++m) write_matrix(m, logical + m * (elements() / matrices));
}

std::vector<float> Parameter::to_logical(const Tensor& t) const {
  ensure(t.elements() == physical() && t.type() == DType::kF32, "parameter", name,
         ": not in its physical order");
  std::vector<float> out(static_cast<size_t>(elements()));
  if (order == Order::kPlain) {
    std::memcpy(out.data(), t.data(), out.size() * sizeof(float));
  } else {
    for (int64_t m = 0; m < matrices; ++m)
      unpack_weight(layout, t.f32() + m * layout.size(), out.data() + m * (elements() / matrices),
                    sizeof(float));
  }
  return out;
}

void Parameter::from_logical(const float* logical, const Tensor& t) const {
  ensure(t.elements() == physical() && t.type() == DType::kF32, "parameter", name,
         ": not in its physical order");
  if (order == Order::kPlain) {
    std::memcpy(t.data(), logical, t.bytes());
  } else {
    for (int64_t m = 0; m < matrices; ++m)
      pack_weight(layout, logical + m * (elements() / matrices), t.f32() + m * layout.size(), sizeof(float));
  }
}

}  // namespace lyceum
