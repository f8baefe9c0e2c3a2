// Expert choice (Zhou et al. 2022, arXiv:2202.09368): experts choose tokens.
//   S = softmax over experts (x W_r^T)                               [tokens, n_experts]
//   every expert takes the m tokens of a group with its largest S, m = round(c * G / n_experts), ties to the
//   earlier token; c = experts_per_token (top_k where that is 0) experts see a token on average
//   gate = S of the pair; a token has 0 to n_experts edges, in order of expert id
// Perfectly balanced, so there is no balance loss. Groups are sequences (group = sequence), micro-batches, or
// pieces of group_size tokens. The choice looks at tokens that come later: analysis and training may do that,
// generation cannot and is refused.
#include <algorithm>
#include <cmath>

#include "base/threads.h"
#include "moe/routers/token_choice.h"

namespace lyceum {
namespace {

class ExpertChoice : public Router {
 public:
  ExpertChoice(const RouterOptions& o, const std::string& prefix, ParameterList& parameters)
      : options_(o), groups_(o), product_(o, prefix + ".gate", o.n_experts, parameters) {
    average_ = o.experts_per_token > 0 ? o.experts_per_token : static_cast<double>(o.top_k);
    check(average_ <= static_cast<double>(o.n_experts), "router", "experts_per_token = ", average_, " of ",
          o.n_experts, " experts");
  }

  Routing route(Context& c, const Tensor& x, int64_t layer) const override {
    if (c.state)
      fail(ErrorKind::kUnsupported, "router",
           "expert_choice cannot generate: an expert chooses among tokens that are not there yet; train with "
           "a "
           "router of token choice, or evaluate whole sequences");
    Routing r;
    r.layer = layer, r.tokens = x.rows(), r.n_experts = options_.n_experts;
    r.offsets = sequence_offsets(c, r.tokens);
    r.logits = product_.forward(c, x, layer, *noise_);
    r.probs = ops::softmax(c.tape, r.logits, &r.logsumexp);
    const bool narrow = options_.precision == "bf16";
    const Tensor scores = narrowed(c.tape, r.probs, narrow);
    const Tensor groups = groups_.groups_of(r);
    const Tensor taken = Tensor::zeros({r.tokens, r.n_experts}, DType::kU8);
    const int64_t n_groups = groups.elements() - 1;
    parallel_for(n_groups * r.n_experts, [&](int64_t task, int) {
      const int64_t g = task / r.n_experts;
      take_best(scores, groups.i32()[g], groups.i32()[g + 1], task % r.n_experts, taken.as<uint8_t>());
    });
    list(taken, r);
    const float scale = static_cast<float>(options_.gate_scale);
    r.gate =
        narrowed(c.tape, ops::chosen_gates(c.tape, scores, r.list(), ops::GateSum::kNone, scale), narrow);
    return r;
  }

 private:
  // Marks the m best tokens of [begin, end) for one expert.
  void take_best(const Tensor& score, int64_t begin, int64_t end, int64_t expert, uint8_t* taken) const {
    const int64_t n = end - begin, experts = score.width();
    const int64_t m =
        std::min<int64_t>(n, static_cast<int64_t>(std::nearbyint(average_ * static_cast<double>(n) /
                                                                 static_cast<double>(experts))));
    if (m == 0) return;
    struct Offer {
      float p;
      int32_t token;
    };
    PoolVector<Offer> offers(static_cast<size_t>(n));
    for (int64_t t = begin; t < end; ++t)
      offers[static_cast<size_t>(t - begin)] = {ordered(score.f32()[t * experts + expert]),
                                                static_cast<int32_t>(t)};
    std::nth_element(
        offers.begin(), offers.begin() + (m - 1), offers.end(),
        [](const Offer& a, const Offer& b) { return a.p != b.p ? a.p > b.p : a.token < b.token; });
    for (int64_t i = 0; i < m; ++i) taken[offers[static_cast<size_t>(i)].token * experts + expert] = 1;
  }

  static void list(const Tensor& taken, Routing& r) {
    r.first = Tensor({r.tokens + 1}, DType::kI32);
    const uint8_t* mark = taken.as<uint8_t>();
    int32_t edges = 0;
    for (int64_t t = 0; t < r.tokens; ++t) {
      r.first.i32()[t] = edges;
      for (int64_t e = 0; e < r.n_experts; ++e) edges += mark[t * r.n_experts + e];
    }
    r.first.i32()[r.tokens] = edges;
    r.expert = Tensor({edges}, DType::kI32);
    int32_t* out = r.expert.i32();
    for (int64_t i = 0; i < taken.elements(); ++i)
      if (mark[i]) *out++ = static_cast<int32_t>(i % r.n_experts);
  }

  RouterOptions options_;
  Capacity groups_;
  RouterProduct product_;
  double average_;
};

}  // namespace

std::unique_ptr<Router> make_expert_choice(const RouterOptions& o, const std::string& prefix,
                                           ParameterList& parameters) {
  return std::make_unique<ExpertChoice>(o, prefix, parameters);
}

}  // namespace lyceum
