#include "train/muon.h"

#include <algorithm>
#include <cmath>

#include "base/threads.h"
#include "kernels/optimizer.h"
#include "kernels/products.h"
#include "kernels/rowwise.h"

namespace lyceum {
namespace {

constexpr int64_t kGrain = 1 << 14;

// Logical [n, k] f32 <-> rows [min, max] bf16, transposed when n > k; `spare` holds n k elements.
void transpose(int64_t n, int64_t k, const float* x, float* y) {
  constexpr int64_t kBlock = 16;
  for (int64_t i = 0; i < n; i += kBlock)
    for (int64_t j = 0; j < k; j += kBlock)
      for (int64_t r = i; r < std::min(i + kBlock, n); ++r)
        for (int64_t q = j; q < std::min(j + kBlock, k); ++q) y[q * n + r] = x[r * k + q];
}
void to_rows(const WeightLayout& w, const float* logical, float scale, float* spare, bf16* rows) {
  if (w.n > w.k) transpose(w.n, w.k, logical, spare), logical = spare;
  for (int64_t i = 0; i < w.n * w.k; ++i) spare[i] = scale * logical[i];
  kernels::convert(w.n * w.k, spare, DType::kF32, rows, DType::kBF16);
}
void from_rows(const WeightLayout& w, const bf16* rows, float* spare, float* logical) {
  const bool turned = w.n > w.k;
  kernels::convert(w.n * w.k, rows, DType::kBF16, turned ? spare : logical, DType::kF32);
  if (turned) transpose(w.k, w.n, spare, logical);
}

// Root of the sum of squares, in a fixed order.
float length_of(const float* x, int64_t n) {
  double sum[8] = {};
  int64_t i = 0;
  for (; i + 8 <= n; i += 8)
    for (int j = 0; j < 8; ++j) sum[j] += static_cast<double>(x[i + j]) * x[i + j];
  for (; i < n; ++i) sum[0] += static_cast<double>(x[i]) * x[i];
  return static_cast<float>(std::sqrt(sum[0] + sum[1] + sum[2] + sum[3] + sum[4] + sum[5] + sum[6] + sum[7]));
}

}  // namespace

bool muon_takes(const Parameter& p) { return p.is_matrix && p.order == Parameter::Order::kPacked; }

namespace {

// What newton_schulz needs beside its matrices; also for one of `count` workers alone.
struct Workspace {
  WeightLayout wide, square;
  Tensor first, x_packed, a_packed, gram, next, squared;

  Workspace(int64_t count, int64_t rows, int64_t columns)
      : wide{1, rows, columns, DType::kBF16},
        square{1, rows, rows, DType::kBF16},
        first({count + 1}, DType::kI32),
        x_packed({count, wide.size()}, DType::kBF16),
        a_packed({count, square.size()}, DType::kBF16),
        gram({count, rows * rows}, DType::kBF16),
        next({count, rows * columns}, DType::kBF16),
        squared({count, rows * rows}, DType::kBF16) {
    for (int64_t g = 0; g <= count; ++g) first.i32()[g] = static_cast<int32_t>(g * rows);
  }
};

// X' = a X + b (X X^T) X + c (X X^T)^2 X, in the variable Y = c^(1/4) X: with B = Y Y^T and beta = b /
// sqrt(c) it is Y' = (a I + B (B + beta I)) Y, so that no pass but three products touches whole matrices.
constexpr float kA = 3.4445f, kB = -4.7750f, kC = 2.0315f;
const float kScale = std::sqrt(std::sqrt(kC));

void newton_schulz_in(const Workspace& w, int64_t begin, int64_t count, int64_t iterations, bf16* y) {
  const float beta = kB / std::sqrt(kC);
  const int64_t rows = w.wide.n, columns = w.wide.k;
  bf16 *y_packed = w.x_packed.as<bf16>() + begin * w.wide.size(),
       *b_packed = w.a_packed.as<bf16>() + begin * w.square.size();
  const kernels::Groups groups{count, w.first.i32()};
  const kernels::Weights y_weights{y_packed, w.wide, w.wide.size(), nullptr},
      b_weights{b_packed, w.square, w.square.size(), nullptr};
  bf16 *now = y, *then = w.next.as<bf16>() + begin * rows * columns;
  bf16 *B = w.gram.as<bf16>() + begin * rows * rows, *P = w.squared.as<bf16>() + begin * rows * rows;
  const auto add_to_diagonal = [&](bf16* m, float x) {
    for (int64_t r = 0; r < rows; ++r) m[r * rows + r] = to_bf16(to_float(m[r * rows + r]) + x);
  };
  for (int64_t i = 0; i < iterations; ++i) {
    parallel_for(count, [&](int64_t g, int) {
      pack_weight(w.wide, now + g * rows * columns, y_packed + g * w.wide.size(), sizeof(bf16));
    });
    kernels::product(groups, {now, DType::kBF16, columns}, nullptr, y_weights, {B, DType::kBF16, rows});
    parallel_for(count, [&](int64_t g, int) {
      bf16* packed = b_packed + g * w.square.size();
      pack_weight(w.square, B + g * rows * rows, packed, sizeof(bf16));
      for (int64_t r = 0; r < rows; ++r) {
        bf16& at = packed[w.square.index(0, r, r)];
        at = to_bf16(to_float(at) + beta);
      }
    });
    kernels::product(groups, {B, DType::kBF16, rows}, nullptr, b_weights, {P, DType::kBF16, rows});
    for (int64_t g = 0; g < count; ++g) add_to_diagonal(P + g * rows * rows, kA);
    kernels::product_dgrad(groups, {P, DType::kBF16, rows}, nullptr, y_weights,
                           {then, DType::kBF16, columns});
    std::swap(now, then);
  }
  if (now != y) std::copy(now, now + count * rows * columns, y);
}

}  // namespace

void newton_schulz(int64_t count, int64_t rows, int64_t columns, int64_t iterations, bf16* x) {
  Workspace workspace(count, rows, columns);
  const auto scale = [&](float factor) {
    for (int64_t i = 0; i < count * rows * columns; ++i) x[i] = to_bf16(factor * to_float(x[i]));
  };
  scale(kScale);
  newton_schulz_in(workspace, 0, count, iterations, x);
  scale(1 / kScale);
}

Muon::Muon(const OptimizerOptions& options, const std::vector<Parameter*>& parameters) : options_(options) {
  for (Parameter* p : parameters) {
    const int64_t slot = static_cast<int64_t>(slots_.size());
    slots_.push_back({p, Tensor::zeros(p->value.shape(), DType::kF32)});
    const WeightLayout piece{1, p->layout.n, p->layout.k, p->layout.type};
    for (int64_t i = 0; i < p->matrices * p->layout.parts; ++i)
      jobs_.push_back({slot, piece, i * piece.size()});
  }
  std::stable_sort(jobs_.begin(), jobs_.end(), [](const Job& x, const Job& y) {
    return std::pair(x.rows(), x.columns()) < std::pair(y.rows(), y.columns());
  });
  for (size_t i = 0; i < jobs_.size(); ++i)
    if (i == 0 || jobs_[i].rows() != jobs_[i - 1].rows() || jobs_[i].columns() != jobs_[i - 1].columns())
      chunks_.push_back(static_cast<int64_t>(i));
  chunks_.push_back(static_cast<int64_t>(jobs_.size()));
}

void Muon::step(double lr, double gradient_scale) {
  ++steps_;
  for (const Slot& s : slots_) momentum(s, static_cast<float>(gradient_scale));
  for (size_t i = 0; i + 1 < chunks_.size(); ++i)
    orthogonalise(jobs_.data() + chunks_[i], chunks_[i + 1] - chunks_[i]);
  for (const Slot& s : slots_) update(s, lr);
}

// The gradient becomes the direction U.
void Muon::momentum(const Slot& slot, float gradient_scale) const {
  const float mu = static_cast<float>(options_.momentum);
  float *g = slot.parameter->grad.f32(), *m = slot.m.f32();
  const bool nesterov = options_.nesterov;
  parallel_ranges(slot.m.elements(), kGrain, [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; ++i) {
      const float gradient = gradient_scale * g[i];
      m[i] = mu * m[i] + gradient;
      g[i] = nesterov ? gradient + mu * m[i] : m[i];
    }
  });
}

// The direction becomes kScale times its orthogonal factor. Many matrices: one a thread from beginning to
// end, so that it stays in the thread's cache; few: all threads on each.
void Muon::orthogonalise(const Job* jobs, int64_t count) {
  const int64_t rows = jobs[0].rows(), columns = jobs[0].columns(), size = rows * columns;
  const bool many = count >= 2 * thread_count();
  const int64_t workers = many ? thread_count() : 1;
  Tensor x({workers, size}, DType::kBF16), scratch({workers, 2 * size}, DType::kF32);
  const Workspace workspace(workers, rows, columns);
  const auto one = [&](int64_t i, int worker) {
    const Job& job = jobs[i];
    float* place = slots_[static_cast<size_t>(job.slot)].parameter->grad.f32() + job.begin;
    float* logical = scratch.f32() + worker * 2 * size;
    bf16* matrix = x.as<bf16>() + worker * size;
    unpack_weight(job.layout, place, logical, sizeof(float));
    to_rows(job.layout, logical, kScale / (length_of(logical, size) + 1e-20f), logical + size, matrix);
    newton_schulz_in(workspace, worker, 1, options_.newton_schulz, matrix);
    from_rows(job.layout, matrix, logical + size, logical);
    pack_weight(job.layout, logical, place, sizeof(float));
  };
  if (many) return parallel_for(count, one);
  for (int64_t i = 0; i < count; ++i) one(i, 0);
}

void Muon::update(const Slot& slot, double lr) const {
  Parameter& p = *slot.parameter;
  const double longest = static_cast<double>(std::max(p.layout.n, p.layout.k));
  const float step = static_cast<float>(lr * 0.2 * std::sqrt(longest) / kScale),
              keep = static_cast<float>(1 - lr * (p.decay ? options_.weight_decay : 0));
  float* direction = p.grad.f32();
  if (p.residual)
    return kernels::descend(p.physical(), keep, step, p.value.as<bf16>(), p.residual.as<int16_t>(),
                            direction);
  float* weight = p.value.f32();
  parallel_ranges(p.physical(), kGrain, [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; ++i) {
      weight[i] = keep * weight[i] - step * direction[i];
      direction[i] = 0;
    }
  });
}

std::vector<StateTensor> Muon::state() const {
  std::vector<StateTensor> out;
  for (const Slot& s : slots_) out.push_back({s.parameter->name + ".m", s.parameter, s.m});
  return out;
}

}  // namespace lyceum
