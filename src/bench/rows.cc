#include "bench/ops.h"
#include "bench/random_tensor.h"
#include "kernels/optimizer.h"
#include "kernels/rowwise.h"

namespace lyceum::bench {
namespace {

using namespace kernels;

constexpr const char* kAdvice = "close other programs";
constexpr int64_t kWidth = 512, kVocab = 16384, kHeads = 8, kExperts = 64, kTopK = 8;

struct OptimiserMemory {
  int64_t n;
  AdamStep step{1e-3f, 0.9f, 0.95f, 1e-8f, 0.1f, 0.5f, 0.5f, 1.0f};
  Tensor w, residual, master, g, m, v;
  double sum = 0;

  explicit OptimiserMemory(int64_t count)
      : n(count),
        w(random_tensor({n}, DType::kBF16, 1)),
        residual(Tensor::zeros({n}, DType::kI16)),
        master(random_tensor({n}, DType::kF32, 1)),
        g(random_tensor({n}, DType::kF32, 2)),
        m(random_tensor({n}, DType::kF32, 3, 0.1f)),
        v(Tensor::zeros({n}, DType::kF32)) {}

  void adamw_bf16() { adamw(n, step, w.as<bf16>(), residual.as<int16_t>(), g.f32(), m.f32(), v.f32()); }
  void adamw_f32() { adamw(n, step, master.f32(), g.f32(), m.f32(), v.f32()); }
  void squares() { sum += sum_of_squares(n, g.f32()); }
  void round() { convert(n, master.data(), DType::kF32, w.data(), DType::kBF16); }
};

struct RowsMemory {
  int64_t n;
  Tensor x, add, y, weight, inv, dw, mean, frequency, table;
  std::vector<int32_t> positions, ids;

  explicit RowsMemory(int64_t rows)
      : n(rows),
        x(random_tensor({n, kWidth}, DType::kBF16, 4)),
        add(random_tensor({n, kWidth}, DType::kBF16, 5, 0.01f)),
        y(random_tensor({n, kWidth}, DType::kBF16, 6)),
        weight(random_tensor({kWidth}, DType::kF32, 7)),
        inv(random_tensor({n}, DType::kF32, 8)),
        dw(random_tensor({kWidth}, DType::kF32, 9)),
        mean(random_tensor({n}, DType::kF32, 10)),
        frequency(random_tensor({kWidth / kHeads / 2}, DType::kF32, 11)),
        table(random_tensor({kVocab, kWidth}, DType::kBF16, 12)) {
    for (uint32_t i = 0; i < static_cast<uint32_t>(n); ++i) {
      positions.push_back(static_cast<int32_t>(i % 512));
      ids.push_back(static_cast<int32_t>(i * 2654435761u % kVocab));
    }
  }

  void norm() {
    rms_norm(n, kWidth, x.as_rows(), add.as_rows(), weight.f32(), 1e-6f, y.as_rows(), inv.f32());
  }
  void norm_gradient() {
    rms_norm_gradient(n, kWidth, add.as_rows(), weight.f32(), inv.f32(), y.as_rows(), x.as_rows(), true,
                      dw.f32());
  }
  void norm_with_mean() {
    layer_norm(n, kWidth, add.as_rows(), weight.f32(), weight.f32(), 1e-6f, y.as_rows(), mean.f32(),
               inv.f32());
  }
  void rotate() {
    rope(n, kHeads, kWidth / kHeads, kWidth / kHeads, false, positions.data(), frequency.f32(), 1, 1,
         y.as_rows());
  }
  void embed() { embedding(n, kWidth, ids.data(), table.as_rows(), y.as_rows()); }
};

struct TableMemory {
  RowsMemory rows;
  Tensor sums = Tensor::zeros({kVocab, kWidth}, DType::kF32);

  explicit TableMemory(int64_t n) : rows(n) {}
  void run() { embedding_gradient(rows.n, kWidth, kVocab, rows.ids.data(), rows.y.as_rows(), sums.f32()); }
};

struct ScoresMemory {
  int64_t n;
  Tensor scores, p, index;

  explicit ScoresMemory(int64_t rows)
      : n(rows),
        scores(random_tensor({n, kExperts}, DType::kF32, 12, 4)),
        p({n, kExperts}, DType::kF32),
        index({n, kTopK}, DType::kI32) {}
  void soft() { softmax(n, kExperts, scores.f32(), p.f32(), nullptr); }
  void best() { top_k(n, kExperts, kTopK, scores.f32(), nullptr, index.i32()); }
};

template <class T>
std::shared_ptr<Shared<T>> row_memory(const char* what, double bytes, int64_t n) {
  return std::make_shared<Shared<T>>(what, bytes, kAdvice, [n] { return std::make_shared<T>(n); });
}

}  // namespace

std::vector<BenchCase> row_cases(const OpSizes& s) {
  const double w = static_cast<double>(s.weights), n = static_cast<double>(s.rows), e = n * kWidth;
  constexpr double kTable = static_cast<double>(kVocab * kWidth);
  const auto weights = row_memory<OptimiserMemory>("the optimiser's memory", 20 * w, s.weights);
  const auto rows = row_memory<RowsMemory>("rows", 6 * e + 2 * kTable, s.rows);
  const auto sums = row_memory<TableMemory>("an embedding's gradient", 6 * e + 6 * kTable, s.rows);
  const auto scores = row_memory<ScoresMemory>("scores", 8 * n * kExperts + 4 * n * kTopK, s.rows);
  const Limit read = Limit::kRead, update = Limit::kUpdate;
  return {
      case_of("adamw bf16 + residual", update, 32 * w, weights, &OptimiserMemory::adamw_bf16),
      case_of("adamw f32", update, 32 * w, weights, &OptimiserMemory::adamw_f32),
      case_of("sum_of_squares", read, 4 * w, weights, &OptimiserMemory::squares),
      case_of("convert f32 to bf16", update, 6 * w, weights, &OptimiserMemory::round),
      case_of("rms_norm + residual sum, bf16", update, 8 * e, rows, &RowsMemory::norm),
      case_of("rms_norm_gradient, bf16", update, 8 * e, rows, &RowsMemory::norm_gradient),
      case_of("layer_norm, bf16", update, 4 * e, rows, &RowsMemory::norm_with_mean),
      case_of("rope, 8 heads of 64, bf16", update, 4 * e, rows, &RowsMemory::rotate),
      case_of("embedding, bf16", read, 4 * e, rows, &RowsMemory::embed),
      case_of("embedding_gradient, bf16 to f32", update, 10 * e, sums, &TableMemory::run),
      case_of("softmax, 64 experts", update, 8 * n * kExperts, scores, &ScoresMemory::soft),
      case_of("top_k, 8 of 64", read, 4 * n * kExperts, scores, &ScoresMemory::best),
  };
}

std::vector<BenchCase> op_cases(const OpSizes& s) {
  std::vector<BenchCase> cases = row_cases(s);
  for (BenchCase& c : attention_cases(s)) cases.push_back(std::move(c));
  return cases;
}

}  // namespace lyceum::bench
