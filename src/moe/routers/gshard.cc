// GShard's top-2 (top-k) gating: a random second expert and grouped capacity.
//   p = softmax(W_r x);  chosen = the k largest of p, or with `sample` in training the first one of p and the
//   others of l + Gumbel noise
//   g_j = p_j / sum of the chosen   (gates = chosen), or p_j / sum of the kept   (gates = kept)
//   choices after the first are dispatched only if 2 p_j / sum of the chosen > u, u uniform in [0, 1): in
//   training, before places are taken (random) or after (random_after); or always
//   places (ceil) = max(capacity_minimum, ceil(capacity_factor * k * G / n_experts)), first choices first
// Lepikhin et al. 2020, arXiv:2006.16668 (places 2 G / n_experts: capacity_factor 1, gates = chosen, second =
// random). What others set: DeepSpeed top-2 and fairscale  gates = kept, second = always, sample; DeepSpeed
// top-k  the same without sample, drop = probability or token;  fastmoe  capacity = fastmoe, drop = token,
// second = random_after. The balance loss is balance.form = gshard: first choices only.
#include <algorithm>
#include <cmath>
#include <limits>

#include "base/threads.h"
#include "kernels/rowwise.h"
#include "moe/routers/token_choice.h"

namespace lyceum {
namespace {

class GShard : public TokenChoice {
 public:
  GShard(const RouterOptions& o, const std::string& prefix, ParameterList& parameters)
      : TokenChoice(o, prefix, parameters,
                    {false, o.gates == "kept" ? ops::GateSum::kKept : ops::GateSum::kChosen}),
        random_(o.second != "always"),
        after_(o.second == "random_after") {}

 protected:
  void before_places(Context& c, const Tensor& p, Routing& r) const override {
    if (random_ && !after_ && c.phase == Phase::kTraining) thin(c, p, r);
  }
  void after_places(Context& c, const Tensor& p, Routing& r) const override {
    if (random_ && after_ && c.phase == Phase::kTraining) thin(c, p, r);
  }

 private:
  // Marks later choices whose turn does not come.
  void thin(Context& c, const Tensor& p, Routing& r) const {
    const int64_t k = r.top_k;
    const Tensor u = noise_->uniform(c, r.layer, NoiseUse::kSecondChoice, r.tokens, k - 1);
    mark_all_kept(r);
    uint8_t* kept = r.kept.as<uint8_t>();
    parallel_ranges(r.tokens, 512, [&](int64_t begin, int64_t end, int) {
      for (int64_t t = begin; t < end; ++t) {
        const float* row = p.f32() + t * r.n_experts;
        const int32_t* chosen = r.expert.i32() + t * k;
        float sum = 0;
        for (int64_t j = 0; j < k; ++j) sum += row[chosen[j]];
        for (int64_t j = 1; j < k; ++j)
          if (2 * row[chosen[j]] < u.f32()[t * (k - 1) + j - 1] * sum) kept[t * k + j] = 0;
      }
    });
  }
  bool random_, after_;
};

}  // namespace

std::unique_ptr<Router> make_gshard(const RouterOptions& o, const std::string& prefix,
                                    ParameterList& parameters) {
  check(o.top_k >= 2, "router", "gshard wants a second expert: top_k must be 2 or more, found ", o.top_k);
  return std::make_unique<GShard>(o, prefix, parameters);
}

}  // namespace lyceum
