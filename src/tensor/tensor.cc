#include "tensor/tensor.h"

#include <cstring>
#include <new>

#include "kernels/rowwise.h"

namespace lyceum {

namespace {
template <class Extents>
void set_extents(const Extents& extents, Shape* shape) {
  check(extents.size() <= 4, "shape", "at most four extents, found ", extents.size());
  for (int64_t e : extents) {
    check(e >= 0, "shape", "negative extent ", e);
    shape->dims[shape->rank++] = e;
  }
}
}  // namespace

Shape::Shape(std::initializer_list<int64_t> extents) { set_extents(extents, this); }
Shape::Shape(const std::vector<int64_t>& extents) { set_extents(extents, this); }

int64_t Shape::elements() const {
  int64_t n = 1;
  for (int i = 0; i < rank; ++i) n *= dims[i];
  return n;
}

bool Shape::operator==(const Shape& other) const {
  return rank == other.rank && std::memcmp(dims, other.dims, sizeof dims) == 0;
}

std::string Shape::text() const {
  std::string out = "[";
  for (int i = 0; i < rank; ++i) out += (i ? ", " : "") + std::to_string(dims[i]);
  return out + "]";
}

Tensor::Tensor(Shape shape, DType type) {
  const size_t bytes = static_cast<size_t>(shape.elements()) * dtype_size(type);
  body_ = new (detail::pool_take(sizeof(Body))) Body{1, type, shape, nullptr, nullptr};
  body_->memory = detail::pool_take(bytes);
}

void Tensor::release() {
  Body* body = body_;
  while (body) {  // a tensor that dies takes its gradient along
    Body* gradient = body->gradient;
    detail::pool_give(body->memory, static_cast<size_t>(body->shape.elements()) * dtype_size(body->type));
    body->~Body();
    detail::pool_give(body, sizeof(Body));
    body = gradient && --gradient->uses == 0 ? gradient : nullptr;
  }
}

Tensor Tensor::zeros(Shape shape, DType type) {
  const size_t bytes = static_cast<size_t>(shape.elements()) * dtype_size(type);
  auto* body = new (detail::pool_take(sizeof(Body))) Body{1, type, shape, nullptr, nullptr};
  body->memory = detail::pool_take_zeros(bytes);
  return Tensor(body);
}

template <class T>
Tensor Tensor::of(Shape shape, DType type, const T* values) {
  Tensor t(shape, type);
  ensure(sizeof(T) == dtype_size(type), "tensor", "element size");
  if (t.bytes() > 0) std::memcpy(t.data(), values, t.bytes());
  return t;
}
template Tensor Tensor::of(Shape, DType, const float*);
template Tensor Tensor::of(Shape, DType, const int32_t*);
template Tensor Tensor::of(Shape, DType, const bf16*);

std::vector<float> Tensor::to_floats() const {
  std::vector<float> out(static_cast<size_t>(elements()));
  kernels::convert(elements(), data(), type(), out.data(), DType::kF32);
  return out;
}

Tensor Tensor::to(DType wanted) const {
  Tensor out(shape(), wanted);
  kernels::convert(elements(), data(), type(), out.data(), wanted);
  return out;
}

void Tensor::set_zero() const { kernels::fill_zero(static_cast<int64_t>(bytes()), data()); }

void check_shape(const Tensor& x, std::initializer_list<int64_t> wanted, const char* op) {
  const auto text = [&] {
    std::string out = "[";
    for (int64_t e : wanted)
      out += (out.size() > 1 ? ", " : "") + (e < 0 ? std::string("any") : std::to_string(e));
    return out + "]";
  };
  check(static_cast<bool>(x), op, "wanted a tensor of shape ", text(), ", found none");
  bool ok = x.shape().rank == static_cast<int>(wanted.size());
  int i = 0;
  for (int64_t e : wanted) ok = ok && (e < 0 || x.shape()[i] == e), ++i;
  check(ok, op, "wanted shape ", text(), ", found ", x.shape().text());
}

}  // namespace lyceum
