// Muon: momentum whose direction is made orthogonal (Jordan et al. 2024, kellerjordan.github.io/posts/muon).
//
//   M = mu M + G,   U = G + mu M (Nesterov) or M
//   O = NewtonSchulz(U): nearest matrix with singular values near 1
//   W = W (1 - lr decay) - lr 0.2 sqrt(max(n, k)) O      the scale gives AdamW's usual size of update, so
//                                                        both take one rate (Liu et al., arXiv:2502.16982)
//
// Every matrix of a stack of experts, and gate and up of a gated pair, is made orthogonal by itself.
// Newton-Schulz: X = U / |U|; five times  A = X X^T, B = a I + b A + c A A, X = B X  with the coefficients
// of the source; by the bf16 products, all matrices of a shape as groups of one call.
#pragma once

#include "train/optimizer.h"

namespace lyceum {

// Matrices of the blocks, experts included. Not: embeddings, the output matrix, routers (f32, few rows, and
// their scale carries meaning), vectors.
bool muon_takes(const Parameter& parameter);

class Muon : public Optimizer {
 public:
  Muon(const OptimizerOptions& options, const std::vector<Parameter*>& parameters);
  void step(double lr, double gradient_scale) override;
  std::vector<StateTensor> state() const override;

 private:
  struct Slot {
    Parameter* parameter;
    Tensor m;
  };
  // One matrix [n, k] to be made orthogonal: a panel-ordered piece of a gradient.
  struct Job {
    int64_t slot;
    WeightLayout layout;  // of the piece
    int64_t begin;        // first element in the physical order
    int64_t rows() const { return layout.n < layout.k ? layout.n : layout.k; }
    int64_t columns() const { return layout.n < layout.k ? layout.k : layout.n; }
  };
  void momentum(const Slot& slot, float gradient_scale) const;
  void orthogonalise(const Job* jobs, int64_t count);
  void update(const Slot& slot, double lr) const;

  OptimizerOptions options_;
  std::vector<Slot> slots_;
  std::vector<Job> jobs_;        // sorted by shape
  std::vector<int64_t> chunks_;  // jobs chunks_[i] .. chunks_[i + 1] run together
};

// The orthogonal factor of each of `count` matrices [rows, columns] (rows <= columns, row major, bf16), in
// place; the input must be scaled to a spectral norm of at most 1. Exposed for tests.
void newton_schulz(int64_t count, int64_t rows, int64_t columns, int64_t iterations, bf16* x);

}  // namespace lyceum
