// The head by blocks of tokens, in three products instead of the four that a softmax seems to need.
//
// The first product leaves no logits but E = exp(scale * x W^T - shift), summed row by row in its epilogue;
// with shift = 0, since logits of a sane model are far from what f32 can hold (a block where they are not
// takes its shift from the plain statistics first). With S_t the sum of row t, every slope but the target's
// is
//   dlogit[t, v] = a_t E[t, v],     a_t = scale * (from_sum - from_target) * exp(shift - logsumexp),
// so E, with slope / a_t in the target's place, is what the other two products read:
//   dx_t = a_t (E W)_t,     dW = E^T (a_t x_t).
// E is what the level multiplies (bf16 or f32), a block of at most kBlockBytes, and stands as the level reads
// it.
#include "kernels/head_biased.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/error.h"
#include "base/threads.h"
#include "kernels/optimizer.h"
#include "kernels/product_blocks.h"
#include "kernels/product_simd.h"
#include "kernels/products_reference.h"

namespace lyceum::kernels {
namespace {

constexpr int64_t kBlockBytes = 16 << 20;
constexpr double kLeastSum = 1e-20, kMostSum = 1e20;  // of a row of E without a shift

int64_t round_up(int64_t n, int64_t step) { return (n + step - 1) / step * step; }

struct Factor {
  float from_target, from_sum;
};

class Head {
 public:
  Head(int64_t tokens, ConstRows x, const Weights& w, float scale, const int32_t* targets, bool gradient)
      : tokens_(tokens),
        x_(x),
        w_(w),
        scale_(scale),
        targets_(targets),
        table_(*product_table(x.type, w.layout.type)) {
    check(w.layout.parts == 1, "head", "wanted an output matrix of one part");
    e_ = packed_rows(table_, vocab_);
    block_ = std::min(tokens, std::clamp<int64_t>(kBlockBytes / packed_bytes(e_, 32) * 32, 64, 2048));
    pieces_ = (vocab_ + 16 * kSumPanels - 1) / (16 * kSumPanels);
    const int64_t e_bytes = packed_bytes(e_, block_), sums = pieces_ * block_ * 16,
                  row = round_up(block_, 16), width = round_up(width_, 16);
    const int64_t panel_bytes = gradient ? packed_bytes(e_, width) : 0;
    char* memory = static_cast<char*>(
        worker_memory(3, e_bytes + panel_bytes + 4 * (sums + 2 * row) + 2 * block_ * width * 4));
    e_.data = memory;
    panels_ = memory + e_bytes;
    row_sums_ = reinterpret_cast<float*>(memory + e_bytes + panel_bytes);
    target_value_ = row_sums_ + sums;
    factor_ = target_value_ + row;
    dx_ = {factor_ + row, DType::kF32, width};
    scaled_ = {factor_ + row + block_ * width, e_.type, width};
    if (gradient) transpose_weights(table_, w_, panels_);
  }

  // E of tokens first .. first + n, or its sums alone.
  void exponentials(int64_t first, int64_t n, const float* shift, bool store) const {
    PackedRows to = e_;
    if (!store) to.data = nullptr;
    exponential_product(table_, n, rows_from(x_, first), w_, scale_, shift,
                        targets_ ? targets_ + first : nullptr, to, row_sums_, target_value_);
  }

  // From E without a shift; false where a row is out of its range.
  bool statistics(int64_t first, int64_t n, float* log_prob, float* logsumexp) const {
    for (int64_t r = 0; r < n; ++r) {
      double sum = 0;
      for (int64_t piece = 0; piece < pieces_; ++piece) {
        const float* part = row_sums_ + (piece * n + r) * 16;
        float s = 0;
        for (int i = 0; i < 16; ++i) s += part[i];
        sum += s;
      }
      if (!(sum > kLeastSum && sum < kMostSum)) return false;
      const double total = std::log(sum);
      logsumexp[first + r] = static_cast<float>(total);
      if (log_prob) log_prob[first + r] = target_log_prob(first, r, total);
    }
    return true;
  }

  // The same from logits, for any logits; argmax nullable.
  void plain_statistics(int64_t first, int64_t n, float* log_prob, float* logsumexp, int32_t* argmax) const {
    const int64_t room = std::max<int64_t>(1, e_.type == DType::kBF16 ? block_ / 2 : block_);
    float* logits = static_cast<float*>(e_.data);
    for (int64_t begin = first; begin < first + n; begin += room) {
      const int64_t count = std::min(room, first + n - begin);
      const int32_t bounds[2] = {0, static_cast<int32_t>(count)};
      product({1, bounds}, rows_from(x_, begin), nullptr, w_, {logits, DType::kF32, vocab_});
      parallel_ranges(count, 4, [&](int64_t from, int64_t to, int) {
        for (int64_t r = from; r < to; ++r) {
          const float* z = logits + r * vocab_;
          const double total = table_.log_sum_exp(z, vocab_, scale_);
          logsumexp[begin + r] = static_cast<float>(total);
          if (argmax) argmax[begin + r] = static_cast<int32_t>(largest(z));
          if (!log_prob) continue;
          const int32_t target = targets_[begin + r];
          log_prob[begin + r] =
              target < 0 ? 0 : static_cast<float>(static_cast<double>(scale_) * z[target] - total);
        }
      });
    }
  }

  // From E with this shift: slopes in place, then dx and dW.
  template <class Factors>
  void backward(int64_t first, int64_t n, const float* shift, const float* logsumexp, Factors&& factors,
                Rows dx, float* dw, double* squares) const {
    parallel_ranges(n, 16, [&](int64_t begin, int64_t end, int) {
      for (int64_t r = begin; r < end; ++r) {
        set_row(first, r, shift ? shift[r] : 0, logsumexp[first + r], factors(first + r));
        if (dw) table_.scale_row(width_, factor_[r], x_, first + r, scaled_, r);
      }
    });
    if (dx.data) {
      packed_dgrad(table_, n, e_, panels_, width_, dx_);
      parallel_ranges(n, 16, [&](int64_t begin, int64_t end, int) {
        for (int64_t r = begin; r < end; ++r) table_.scale_row(width_, factor_[r], dx_, r, dx, first + r);
      });
    }
    if (dw) packed_wgrad(table_, n, e_, scaled_, w_.layout, dw, first + n == tokens_ ? squares : nullptr);
  }

  template <class Body>
  void for_blocks(Body&& body) const {
    for (int64_t first = 0; first < tokens_; first += block_) body(first, std::min(block_, tokens_ - first));
  }

 private:
  float target_log_prob(int64_t first, int64_t r, double total) const {
    return targets_[first + r] < 0
               ? 0
               : static_cast<float>(static_cast<double>(scale_) * static_cast<double>(target_value_[r]) -
                                    total);
  }

  void set_row(int64_t first, int64_t r, float shift, float logsumexp, Factor f) const {
    const int32_t target = targets_[first + r];
    if (target < 0) f.from_target = 0;
    float a = scale_ * (f.from_sum - f.from_target) * std::exp(shift - logsumexp);
    if (target >= 0) {
      const float p = std::exp(scale_ * target_value_[r] - logsumexp);
      const float slope = scale_ * (f.from_target * (1 - p) + f.from_sum * p);
      if (a == 0 && slope != 0) a = 1e-20f;
      const float e = a == 0 ? 0 : slope / a;
      const int64_t at = table_.tiled ? tile_at(r, target, e_.stride) : r * e_.stride + target;
      if (e_.type == DType::kBF16) static_cast<bf16*>(e_.data)[at] = to_bf16(e);
      else static_cast<float*>(e_.data)[at] = e;
    }
    factor_[r] = a;
  }

  int64_t largest(const float* z) const {
    int64_t best = 0;
    const float sign = scale_ < 0 ? -1.0f : 1.0f;
    for (int64_t v = 1; v < vocab_; ++v)
      if (sign * z[v] > sign * z[best]) best = v;
    return best;
  }

  int64_t tokens_;
  ConstRows x_;
  const Weights& w_;
  float scale_;
  const int32_t* targets_;
  const ProductTable& table_;
  int64_t vocab_ = w_.layout.n, width_ = w_.layout.k, block_, pieces_;
  PackedRows e_;                   // [block, vocab]
  char* panels_;                   // the weights as dgrad reads them
  float* row_sums_;                // [pieces, n, 16]
  float *target_value_, *factor_;  // [block]
  Rows dx_, scaled_;               // [block, d_model]: f32; a_t x_t, type as E
};

}  // namespace

void linear_log_prob(int64_t tokens, ConstRows x, const Weights& w, float scale, const int32_t* targets,
                     float* log_prob, float* logsumexp, int32_t* argmax) {
  if (tokens == 0) return;
  if (!product_table(x.type, w.layout.type))
    return reference::linear_log_prob(tokens, x, w, scale, targets, log_prob, logsumexp, argmax);
  if (w.bias) return biased::linear_log_prob(tokens, x, w, scale, targets, log_prob, logsumexp, argmax);
  const Head head(tokens, x, w, scale, targets, false);
  head.for_blocks([&](int64_t first, int64_t n) {
    if (!argmax) {
      head.exponentials(first, n, nullptr, false);
      if (head.statistics(first, n, log_prob, logsumexp)) return;
    }
    head.plain_statistics(first, n, log_prob, logsumexp, argmax);
  });
}

void linear_log_prob_gradient(int64_t tokens, ConstRows x, const Weights& w, float scale,
                              const int32_t* targets, const float* logsumexp, const float* dlog_prob,
                              const float* dlogsumexp, Rows dx, float* dw, float* db, double* squares) {
  if (tokens == 0) return;
  check(!db || w.bias, "head", "a gradient of the bias was asked for without a bias");
  if (!product_table(x.type, w.layout.type)) {
    reference::linear_log_prob_gradient(tokens, x, w, scale, targets, logsumexp, dlog_prob, dlogsumexp, dx,
                                        dw, db);
    if (dw && squares) *squares = sum_of_squares(w.layout.size(), dw);
    return;
  }
  if (w.bias)
    return biased::linear_log_prob_gradient(tokens, x, w, scale, targets, logsumexp, dlog_prob, dlogsumexp,
                                            dx, dw, db, squares);
  const Head head(tokens, x, w, scale, targets, true);
  head.for_blocks([&](int64_t first, int64_t n) {
    head.exponentials(first, n, logsumexp + first, true);
    head.backward(
        first, n, logsumexp + first, logsumexp,
        [&](int64_t t) {
          return Factor{dlog_prob ? dlog_prob[t] : 0.0f, dlogsumexp ? dlogsumexp[t] : 0.0f};
        },
        dx, dw, squares);
  });
}

void linear_cross_entropy(int64_t tokens, ConstRows x, const Weights& w, float scale, const int32_t* targets,
                          const float* weight, const float* z_weight, float* log_prob, float* logsumexp,
                          Rows dx, float* dw, float* db, double* squares) {
  if (tokens == 0) return;
  check(!db || w.bias, "head", "a gradient of the bias was asked for without a bias");
  const auto factors = [&](int64_t t) {
    return Factor{-weight[t], z_weight ? 2 * z_weight[t] * logsumexp[t] : 0.0f};
  };
  if (w.bias || !product_table(x.type, w.layout.type)) {
    linear_log_prob(tokens, x, w, scale, targets, log_prob, logsumexp, nullptr);
    static thread_local std::vector<float> memory;  // the products use worker_memory
    if (static_cast<int64_t>(memory.size()) < 2 * tokens) memory.resize(static_cast<size_t>(2 * tokens));
    float *from_target = memory.data(), *from_sum = from_target + tokens;
    for (int64_t t = 0; t < tokens; ++t)
      from_target[t] = factors(t).from_target, from_sum[t] = factors(t).from_sum;
    return linear_log_prob_gradient(tokens, x, w, scale, targets, logsumexp, from_target, from_sum, dx, dw,
                                    db, squares);
  }
  const Head head(tokens, x, w, scale, targets, true);
  head.for_blocks([&](int64_t first, int64_t n) {
    const float* shift = nullptr;
    head.exponentials(first, n, shift, true);
    if (!head.statistics(first, n, log_prob, logsumexp)) {
      head.plain_statistics(first, n, log_prob, logsumexp, nullptr);
      shift = logsumexp + first;
      head.exponentials(first, n, shift, true);
    }
    head.backward(first, n, shift, logsumexp, factors, dx, dw, squares);
  });
}

}  // namespace lyceum::kernels
