// Two-level gating (Shazeer et al. 2017, arXiv:1701.06538, appendix B): a primary gate chooses kept_groups of
// `groups` groups of experts, a secondary gate of each chosen group chooses top_k / kept_groups of its
// experts; both are noisy top-k gates.
//   y = sum_i sum_j Gp(x)_i G_i(x)_j E_ij(x)
//   importance_ij = sum_x Gp_i G_ij,  load_ij = load_p(i) load_i(X_i)_j / |X_i|,  X_i = tokens sent to group
//   i
// The published models use two of each: top_k = 4, kept_groups = 2. Parameters <prefix>.gate.weight and
// .gate.noise.weight [n_experts, d_model] (the secondary gates of all groups), <prefix>.gate.group.weight and
// .gate.group.noise.weight [groups, d_model]; all start at zero. A token's edges stand by ascending group.
#include <algorithm>

#include "base/threads.h"
#include "kernels/rowwise.h"
#include "moe/routers/noisy.h"
#include "moe/routers/stacked_products.h"
#include "moe/routers/token_choice.h"

namespace lyceum {
namespace {

class Hierarchical : public Router {
 public:
  Hierarchical(const RouterOptions& o, const std::string& prefix, ParameterList& parameters)
      : options_(o),
        size_(o.n_experts / o.groups),
        inner_k_(o.top_k / o.kept_groups),
        products_(o,
                  {{prefix + ".gate.group", o.groups},
                   {prefix + ".gate", o.n_experts},
                   {prefix + ".gate.group.noise", o.groups},
                   {prefix + ".gate.noise", o.n_experts}},
                  parameters) {
    check(o.groups > 1, "router", "hierarchical wants two groups of experts or more: set groups, found ",
          o.groups);
    check(o.top_k % o.kept_groups == 0, "router", "top_k = ", o.top_k, " experts cannot come evenly from ",
          o.kept_groups, " groups");
    for (const char* name : {".weight", ".noise.weight", ".group.weight", ".group.noise.weight"})
      parameters.find(prefix + ".gate" + name)->starts_at_zero = true;
  }

  Routing route(Context& c, const Tensor& x, int64_t layer) const override {
    const int64_t tokens = x.rows(), groups = options_.groups, kept = options_.kept_groups;
    const auto y = products_.forward(c, x, c.phase == Phase::kTraining ? 4 : 2);
    const Level first = level(c, layer, y[0], y[2], NoiseUse::kGroups),
                second = level(c, layer, y[1], y[3], NoiseUse::kLogits);
    // The chosen groups of each token, ascending, and their gates.
    ops::Edges outer;
    outer.first = uniform_first(tokens, kept);
    outer.expert = Tensor({tokens, kept}, DType::kI32);
    kernels::top_k(tokens, groups, kept, first.noisy.f32(), nullptr, outer.expert.i32());
    for (int64_t t = 0; t < tokens; ++t)
      std::sort(outer.expert.i32() + t * kept, outer.expert.i32() + (t + 1) * kept);
    const Tensor group_p = ops::softmax(c.tape, first.noisy);
    const Tensor group_gate = ops::chosen_gates(c.tape, group_p, outer, ops::GateSum::kChosen, 1);
    // Rows (token, group) of size_ experts; those of groups that were not chosen have no edges.
    const Tensor rows = ops::reshape(c.tape, second.noisy, {tokens * groups, size_});
    const Tensor inside_p = ops::softmax(c.tape, rows);
    Tensor member = Tensor::zeros({tokens, groups}, DType::kU8);
    const ops::Edges inner = edges_inside(outer, inside_p, member);
    const Tensor inner_gate = ops::chosen_gates(c.tape, inside_p, inner, ops::GateSum::kChosen, 1);

    Routing r;
    r.layer = layer, r.tokens = tokens, r.n_experts = options_.n_experts, r.top_k = options_.top_k;
    r.offsets = sequence_offsets(c, tokens);
    r.first = uniform_first(tokens, r.top_k);
    r.gate = spread_multiply(c.tape, group_gate, inner_gate);
    r.expert = Tensor({tokens, r.top_k}, DType::kI32);
    for (int64_t e = 0; e < r.edges(); ++e)
      r.expert.i32()[e] =
          static_cast<int32_t>(outer.expert.i32()[e / inner_k_] * size_ + inner.expert.i32()[e]);
    r.logits = second.noisy;
    r.probs = joint(group_p, inside_p);
    if (first.raw) add_losses(c, first, second, member, r);
    return r;
  }

 private:
  struct Level {
    Tensor clean, raw, noisy;
  };
  Level level(Context& c, int64_t layer, const Tensor& clean, const Tensor& raw, NoiseUse use) const {
    if (!raw) return {clean, raw, clean};
    const Tensor z = noise_->normal(c, layer, use, clean.rows(), clean.width());
    return {clean, raw, noisy_logits(c.tape, clean, raw, z, static_cast<float>(options_.noise_floor))};
  }

  ops::Edges edges_inside(const ops::Edges& outer, const Tensor& p, const Tensor& member) const {
    const int64_t tokens = member.rows(), groups = options_.groups, kept = options_.kept_groups;
    ops::Edges out;
    out.first = Tensor({tokens * groups + 1}, DType::kI32);
    out.expert = Tensor({tokens, options_.top_k}, DType::kI32);
    const Tensor best({tokens * groups, inner_k_}, DType::kI32);
    kernels::top_k(tokens * groups, size_, inner_k_, p.f32(), nullptr, best.i32());
    int32_t edges = 0;
    for (int64_t t = 0; t < tokens; ++t) {
      for (int64_t j = 0; j < kept; ++j)
        member.as<uint8_t>()[t * groups + outer.expert.i32()[t * kept + j]] = 1;
      for (int64_t g = 0; g < groups; ++g) {
        const int64_t row = t * groups + g;
        out.first.i32()[row] = edges;
        if (!member.as<uint8_t>()[row]) continue;
        for (int64_t j = 0; j < inner_k_; ++j) out.expert.i32()[edges++] = best.i32()[row * inner_k_ + j];
      }
    }
    out.first.i32()[tokens * groups] = edges;
    return out;
  }

  // p(group) p(expert in group), for entropies and pictures.
  Tensor joint(const Tensor& group_p, const Tensor& inside_p) const {
    const Tensor p({group_p.rows(), options_.n_experts}, DType::kF32);
    parallel_ranges(group_p.elements(), 512, [&](int64_t begin, int64_t end, int) {
      for (int64_t g = begin; g < end; ++g)
        for (int64_t i = g * size_; i < (g + 1) * size_; ++i)
          p.f32()[i] = group_p.f32()[g] * inside_p.f32()[i];
    });
    return p;
  }

  void add_losses(Context& c, const Level& first, const Level& second, const Tensor& member,
                  Routing& r) const {
    const float floor = static_cast<float>(options_.noise_floor);
    const Tensor outer =
        smooth_load(c.tape, first.clean, first.raw, first.noisy, {options_.kept_groups, 1, floor, {}});
    const Tensor inner = smooth_load(c.tape, second.clean, second.raw, second.noisy,
                                     {inner_k_, options_.groups, floor, member});
    const Tensor share = Tensor::zeros({options_.groups}, DType::kF32);  // 1 / |X_i|
    for (int64_t i = 0; i < member.elements(); ++i)
      share.f32()[i % options_.groups] += member.as<uint8_t>()[i];
    for (int64_t g = 0; g < options_.groups; ++g)
      share.f32()[g] = share.f32()[g] > 0 ? 1 / share.f32()[g] : 0;
    r.load_loss = cv_squared(c.tape, spread_multiply(c.tape, outer, inner, share));
    r.importance = cv_squared(c.tape, importance_of(c.tape, r.gate, r.expert, r.n_experts));
  }

  RouterOptions options_;
  int64_t size_, inner_k_;
  StackedProducts products_;
};

}  // namespace

std::unique_ptr<Router> make_hierarchical(const RouterOptions& o, const std::string& prefix,
                                          ParameterList& parameters) {
  return std::make_unique<Hierarchical>(o, prefix, parameters);
}

}  // namespace lyceum
