#include "bench/products.h"

#include <algorithm>

#include "base/error.h"
#include "base/random.h"
#include "bench/expert_loads.h"
#include "bench/random_tensor.h"
#include "kernels/products.h"

namespace lyceum::bench {
namespace {

using namespace kernels;

struct NamedShape {
  const char* name;
  LayerShape shape;
};
constexpr NamedShape kShapes[] = {
    {"small", {4096, 512, 256, 32, 4}},
    {"olmoe", {4096, 2048, 1024, 64, 8}},  // OLMoE-1B-7B's layer
    {"narrow", {2048, 128, 128, 8, 2}},    // the quick start's
    {"narrow_dense", {2048, 128, 128, 1, 1}},
    {"dense", {4096, 512, 1024, 1, 1}},
    {"f32", {4096, 512, 256, 32, 4, DType::kF32}},
};

struct LayerMemory {
  LayerShape s;
  int64_t slots;
  std::vector<int32_t> first, gather;
  WeightLayout in, down;
  Tensor x, pre, h, out, w13, w2, dpre, dh, dscale, dw13, dw2;

  explicit LayerMemory(const LayerShape& shape)
      : s(shape),
        slots(s.tokens * s.top_k),
        first(recorded_offsets(s.n_experts, slots)),
        in{2, s.d_ff, s.d_model, s.type},
        down{1, s.d_model, s.d_ff, s.type},
        x(random_tensor({s.tokens, s.d_model}, s.type, 1)),
        pre(random_tensor({slots, 2 * s.d_ff}, s.type, 2)),
        h(random_tensor({slots, s.d_ff}, s.type, 3)),
        out(random_tensor({slots, s.d_model}, s.type, 4)),
        w13(random_tensor({s.n_experts, in.size()}, s.type, 5)),
        w2(random_tensor({s.n_experts, down.size()}, s.type, 6)),
        dpre(random_tensor({slots, 2 * s.d_ff}, s.type, 7)),
        dh(random_tensor({slots, s.d_ff}, s.type, 9)),
        dscale(Tensor::zeros({slots}, DType::kF32)),
        dw13(Tensor::zeros({s.n_experts, in.size()}, DType::kF32)),
        dw2(Tensor::zeros({s.n_experts, down.size()}, DType::kF32)) {
    for (int64_t i = 0; i < slots; ++i)
      gather.push_back(static_cast<int32_t>(
          RandomKey(8).below(static_cast<uint64_t>(i), static_cast<uint64_t>(s.tokens))));
    for (size_t e = 0; e + 1 < first.size(); ++e)
      std::sort(gather.begin() + first[e], gather.begin() + first[e + 1]);
  }

  Groups groups() const { return {s.n_experts, first.data()}; }
  static Weights view(const Tensor& w, const WeightLayout& layout) {
    return {w.data(), layout, layout.size(), nullptr};
  }

  void forward_up() {
    activated_product(groups(), x.as_rows(), gather.data(), view(w13, in), Activation::kSilu, nullptr,
                      pre.as_rows(), h.as_rows());
  }
  void forward_down() { product(groups(), h.as_rows(), nullptr, view(w2, down), out.as_rows()); }
  void dgrad_down() { product_dgrad(groups(), out.as_rows(), nullptr, view(w2, down), dh.as_rows()); }
  void gate_gradient() {
    activation_gradient(slots, s.d_ff, 2, Activation::kSilu, nullptr, pre.as_rows(), dh.as_rows(),
                        dpre.as_rows(), h.as_rows(), dscale.f32());
  }
  void dgrad_up() { product_dgrad(groups(), dpre.as_rows(), nullptr, view(w13, in), out.as_rows()); }
  void wgrad_down() {
    product_wgrad(groups(), out.as_rows(), nullptr, h.as_rows(), nullptr, down, dw2.f32(), down.size());
  }
  void wgrad_up() {
    product_wgrad(groups(), dpre.as_rows(), nullptr, x.as_rows(), gather.data(), in, dw13.f32(), in.size());
  }
};

double layer_bytes(const LayerShape& s) {
  const double width = static_cast<double>(dtype_size(s.type)), d_model = static_cast<double>(s.d_model),
               d_ff = static_cast<double>(s.d_ff), tokens = static_cast<double>(s.tokens),
               slots = tokens * static_cast<double>(s.top_k);
  return width * (tokens * d_model + slots * (6 * d_ff + d_model)) + 8 * slots +
         (width + 4) * static_cast<double>(s.n_experts) * 3 * d_model * d_ff;
}

}  // namespace

std::vector<std::string> layer_shape_names() {
  std::vector<std::string> names;
  for (const NamedShape& s : kShapes) names.push_back(s.name);
  return names;
}

LayerShape layer_shape(const std::string& name, int64_t n_experts) {
  for (const NamedShape& named : kShapes) {
    if (name != named.name) continue;
    LayerShape s = named.shape;
    if (n_experts > 0) s.tokens = s.tokens / s.n_experts * n_experts, s.n_experts = n_experts;
    check(s.tokens <= INT32_MAX / s.top_k, "bench", "wanted at most ",
          INT32_MAX / s.top_k / (named.shape.tokens / named.shape.n_experts), " experts, found ", n_experts);
    return s;
  }
  fail(ErrorKind::kInvalidArgument, "bench", "wanted a shape: ", listed(layer_shape_names()),
       ", head, found \"", name, "\"");
}

std::vector<BenchCase> layer_cases(const LayerShape& s) {
  const auto layer = std::make_shared<Shared<LayerMemory>>(
      std::to_string(s.n_experts) + (s.n_experts == 1 ? " expert of " : " experts of ") +
          std::to_string(s.d_model) + " x " + std::to_string(s.d_ff),
      layer_bytes(s), "take fewer --experts or a smaller --shape",
      [s] { return std::make_shared<LayerMemory>(s); });
  const double product =
      2 * static_cast<double>(s.tokens * s.top_k) * static_cast<double>(s.d_model * s.d_ff);
  const double gates = 6 * static_cast<double>(s.tokens * s.top_k * s.d_ff) *
                       static_cast<double>(dtype_size(s.type));  // pre, dh read; dpre, h written
  const Limit peak = s.type == DType::kF32 ? Limit::kProductsF32 : Limit::kProducts;
  return {
      case_of("forward gate+up", peak, 2 * product, layer, &LayerMemory::forward_up),
      case_of("forward down", peak, product, layer, &LayerMemory::forward_down),
      case_of("dgrad down", peak, product, layer, &LayerMemory::dgrad_down),
      case_of("gate gradient", Limit::kUpdate, gates, layer, &LayerMemory::gate_gradient),
      case_of("dgrad gate+up", peak, 2 * product, layer, &LayerMemory::dgrad_up),
      case_of("wgrad down", peak, product, layer, &LayerMemory::wgrad_down),
      case_of("wgrad gate+up", peak, 2 * product, layer, &LayerMemory::wgrad_up),
  };
}

}  // namespace lyceum::bench
