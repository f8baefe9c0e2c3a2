#include "base/error.h"
#include "bench/products.h"
#include "bench/random_tensor.h"
#include "kernels/product_blocks.h"

namespace lyceum::bench {
namespace {

using namespace kernels;

struct HeadMemory {
  HeadShape s;
  const ProductTable& table;
  WeightLayout layout;
  PackedRows e;
  Tensor x, w, dw, dx, e_data, panels, sums;

  explicit HeadMemory(const HeadShape& shape)
      : s(shape),
        table(known_table()),
        layout{1, s.vocab, s.d_model, DType::kBF16},
        e(packed_rows(table, s.vocab)),
        x(random_tensor({s.tokens, s.d_model}, DType::kBF16, 1)),
        w(random_tensor({layout.size()}, DType::kBF16, 2)),
        dw(Tensor::zeros({layout.size()}, DType::kF32)),
        dx(Tensor::zeros({s.tokens, s.d_model}, DType::kF32)),
        e_data(Tensor::zeros({packed_bytes(e, s.tokens)}, DType::kU8)),
        panels(Tensor::zeros({packed_bytes(e, s.d_model)}, DType::kU8)),
        sums(Tensor::zeros({s.vocab / 16 / kSumPanels + 1, s.tokens, 16}, DType::kF32)) {
    e.data = e_data.data();
    transpose_weights(table, weights(), panels.data());
  }

  static const ProductTable& known_table() {
    const ProductTable* table = product_table(DType::kBF16, DType::kBF16);
    check(table != nullptr, "bench",
          "wanted the products of the head, which the level in force does not have; ",
          "choose another LYCEUM_ISA");
    return *table;
  }
  Weights weights() const { return {w.data(), layout, layout.size(), nullptr}; }

  void exponentials() {
    exponential_product(table, s.tokens, x.as_rows(), weights(), 1, nullptr, nullptr, e, sums.f32(), nullptr);
  }
  void dgrad() { packed_dgrad(table, s.tokens, e, panels.data(), s.d_model, dx.as_rows()); }
  void wgrad() { packed_wgrad(table, s.tokens, e, x.as_rows(), layout, dw.f32(), nullptr); }
};

}  // namespace

std::vector<BenchCase> head_cases(const HeadShape& s) {
  const double tokens = static_cast<double>(s.tokens), d_model = static_cast<double>(s.d_model),
               vocab = static_cast<double>(s.vocab);
  const double bytes = 4 * tokens * vocab + 10 * d_model * vocab + 6 * tokens * d_model;
  const auto head = std::make_shared<Shared<HeadMemory>>(
      "a head of " + std::to_string(s.d_model) + " x " + std::to_string(s.vocab), bytes,
      "take a smaller --vocab, --width or --tokens", [s] { return std::make_shared<HeadMemory>(s); });
  const double work = 2 * tokens * d_model * vocab;
  return {
      case_of("exponentials", Limit::kProducts, work, head, &HeadMemory::exponentials),
      case_of("dgrad", Limit::kProducts, work, head, &HeadMemory::dgrad),
      case_of("wgrad", Limit::kProducts, work, head, &HeadMemory::wgrad),
  };
}

}  // namespace lyceum::bench
