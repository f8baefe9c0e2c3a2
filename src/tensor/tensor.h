// Tensor: a cheap handle to a shared, 64-byte aligned, contiguous block with a dtype and a shape.
//
// Activations are row major [rows, width]. A tensor that an op makes while a tape records carries its
// gradient (of the same dtype) until the op's backward has taken it. Handles are counted, not locked: tensors
// are passed between ops by one thread; kernels see raw rows.
#pragma once

#include <initializer_list>
#include <string>
#include <vector>

#include "base/error.h"
#include "kernels/types.h"
#include "tensor/storage.h"

namespace lyceum {

// Up to four extents, outermost first.
struct Shape {
  int64_t dims[4] = {0, 0, 0, 0};
  int rank = 0;
  Shape() = default;
  Shape(std::initializer_list<int64_t> extents);
  explicit Shape(const std::vector<int64_t>& extents);
  int64_t operator[](int i) const { return dims[i]; }
  int64_t elements() const;
  bool operator==(const Shape& other) const;
  std::string text() const;  // "[64, 1024, 2048]"
};

class Tensor {
 public:
  Tensor() = default;
  Tensor(Shape shape, DType type);  // uninitialised memory
  Tensor(const Tensor& other) : body_(other.body_) {
    if (body_) ++body_->uses;
  }
  Tensor(Tensor&& other) noexcept : body_(other.body_) { other.body_ = nullptr; }
  Tensor& operator=(Tensor other) noexcept {
    std::swap(body_, other.body_);
    return *this;
  }
  ~Tensor() {
    if (body_ && --body_->uses == 0) release();
  }

  static Tensor zeros(Shape shape, DType type);
  template <class T>
  static Tensor of(Shape shape, DType type, const T* values);  // copies

  explicit operator bool() const { return body_ != nullptr; }
  const Shape& shape() const { return body_->shape; }
  DType type() const { return body_->type; }
  int64_t dim(int i) const { return body_->shape[i < 0 ? body_->shape.rank + i : i]; }
  int64_t elements() const { return body_->shape.elements(); }
  int64_t width() const { return dim(-1); }                                 // last extent
  int64_t rows() const { return width() == 0 ? 0 : elements() / width(); }  // product of the others
  size_t bytes() const { return static_cast<size_t>(elements()) * dtype_size(type()); }

  void* data() const { return body_->memory; }
  template <class T>
  T* as() const {
    static_assert(sizeof(T) <= 8);
    ensure(dtype_size(type()) == sizeof(T), "tensor", "element size of ", dtype_name(type()), " asked as ",
           sizeof(T), " bytes");
    return static_cast<T*>(body_->memory);
  }
  float* f32() const {
    ensure(type() == DType::kF32, "tensor", "wanted f32, found ", dtype_name(type()));
    return static_cast<float*>(body_->memory);
  }
  int32_t* i32() const {
    ensure(type() == DType::kI32, "tensor", "wanted i32, found ", dtype_name(type()));
    return static_cast<int32_t*>(body_->memory);
  }
  lyceum::Rows as_rows() const { return {data(), type(), width()}; }

  // Copies: values as f32, or another dtype.
  std::vector<float> to_floats() const;
  Tensor to(DType type) const;
  void set_zero() const;

  bool same(const Tensor& other) const { return body_ == other.body_; }
  int uses() const { return body_ ? body_->uses : 0; }

 private:
  friend class Tape;
  struct Body {
    int uses = 1;
    DType type;
    Shape shape;
    void* memory = nullptr;
    Body* gradient = nullptr;  // owned; see Tape
  };
  explicit Tensor(Body* body) : body_(body) {}  // takes over one use
  void release();
  Body* body_ = nullptr;
};

// Throws kInvalidArgument "op: wanted [..], found [..]" unless the shape agrees; -1 stands for any extent.
void check_shape(const Tensor& x, std::initializer_list<int64_t> wanted, const char* op);

}  // namespace lyceum
