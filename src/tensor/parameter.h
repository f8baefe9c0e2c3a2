// A parameter: a logical shape, a physical order that the products read, an exact master and a gradient.
//
// Logical shapes are those of checkpoints: [out, in], experts stacked in front [n_experts, out, in], vectors
// [width]. bf16 weights carry an int16 residual: together they are the f32 master (kernels/optimizer.h).
// Elementwise work runs in physical order; files, Muon and merging see logical order through read() and
// write().
#pragma once

#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "kernels/products.h"
#include "tensor/tensor.h"

namespace lyceum {

struct Parameter {
  enum class Order {
    kPlain,
    kPacked
  };  // row major as in files (vectors, embeddings), or WeightLayout's panels

  std::string name;
  Shape shape;  // logical
  Order order = Order::kPlain;
  int64_t matrices = 1;   // experts; 1 otherwise
  WeightLayout layout;    // of one matrix, when packed
  bool decay = true;      // takes part in weight decay
  bool is_matrix = true;  // Muon may orthogonalise it (not embeddings, vectors, routers, the output matrix)
  bool trained = true;    // false: a buffer, saved with the model; it gets no gradient and keeps what its
                          // layer put in (selection biases, tables of expert ids)
  bool starts_at_zero = false;  // initial value of a trained parameter whose name does not say so

  Tensor value;     // f32 or bf16, physical order; tables of ids: i32
  Tensor residual;  // i16, with bf16 values that are trained; else empty
  Tensor grad;      // f32, physical order; empty when frozen or not training

  // The sum of the squares of the gradient where the product that completed it has left it, else NaN: it
  // holds until something more is added. Ops that add to a packed gradient do so through gradient_to_add(),
  // those of products give `&squares` on to the product.
  double squares = std::numeric_limits<double>::quiet_NaN();
  float* gradient_to_add() {
    squares = std::numeric_limits<double>::quiet_NaN();
    return grad.f32();
  }

  DType type() const { return value.type(); }
  int64_t elements() const { return shape.elements(); }  // logical count
  int64_t physical() const { return value.elements(); }  // with padding

  // Allocates value (zeros). Packed parameters have rank 2 or 3; `parts` = 2 for gate over up.
  static Parameter make(std::string name, Shape shape, DType type, Order order, int64_t parts = 1);

  // For training: residual (bf16) and a zero gradient.
  void enable_gradient();

  // What kernels::product* read.
  kernels::Weights weights() const;

  // Logical values as f32 masters (weight plus residual), and back (splitting; rounding when there is no
  // residual).
  std::vector<float> read_master() const;
  void write_master(const float* logical);
  // One matrix of [matrices] in logical order, [parts * n, k].
  void read_matrix(int64_t index, float* logical) const;
  void write_matrix(int64_t index, const float* logical);
  // Rows [row, row + n) of one matrix; where it is packed they begin with a panel and stay within one part.
  void write_rows(int64_t index, int64_t row, int64_t n, const float* logical);
  void write_rows(int64_t index, int64_t row, int64_t n, const bf16* logical);  // bf16 and not trained
  // Any f32 tensor in this parameter's physical order (gradient, moments) to logical order and back.
  std::vector<float> to_logical(const Tensor& physical) const;
  void from_logical(const float* logical, const Tensor& physical) const;

 private:
  struct Piece {
    WeightLayout layout;
    int64_t begin, size;
  };
  Piece piece_of(int64_t index, int64_t row, int64_t n) const;
};

}  // namespace lyceum
