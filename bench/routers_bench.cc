// What each router costs of its layer: route(), its losses, and the plan of the dispatch, forward and
// backward, against the experts (one routed feed-forward of softmax_top_k, forward and backward). Routers of
// one choice are held against the same experts: their own would be as wide as top_k of these.
//   usage: lyceum_bench_routers [TOKENS D_MODEL D_FF N_EXPERTS TOP_K [ROUTER]]   default: 4096 512 256 32 4
#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "base/clock.h"
#include "base/threads.h"
#include "kernels/isa.h"
#include "moe/balance.h"
#include "moe/dispatch.h"
#include "moe/layer.h"

namespace lyceum {
namespace {

struct LayerShape {
  int64_t tokens = 4096, d_model = 512, d_ff = 256, n_experts = 32, top_k = 4;
};

double median(std::vector<double> v) {
  std::nth_element(v.begin(), v.begin() + static_cast<int64_t>(v.size() / 2), v.end());
  return v[v.size() / 2];
}

Tensor random_rows(int64_t rows, int64_t width, uint64_t seed) {
  const Tensor t({rows, width}, DType::kF32);
  parallel_ranges(t.elements(), 65536, [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; ++i)
      t.f32()[i] = static_cast<float>(RandomKey(seed).normal(static_cast<uint64_t>(i)));
  });
  return t;
}

MoeOptions options_of(const std::string& name, const LayerShape& s) {
  MoeOptions o;
  o.router.router = name, o.router.d_model = s.d_model, o.router.n_experts = s.n_experts;
  o.router.vocab = 16384, o.d_ff = s.d_ff;
  const bool one = name == "switch" || name == "base" || name == "hash" || name == "random_routed";
  o.router.top_k = one ? 1 : s.top_k;
  if (name == "random_routed") o.router.n_domains = 1;
  if (name == "hierarchical") o.router.groups = 4, o.router.kept_groups = 2;
  if (name == "sigmoid_top_k") o.router.selection_bias = o.router.renormalise = true;
  if (name == "switch") o.router.jitter = 0.01;
  return o;
}

void fill(ParameterList& parameters) {
  uint64_t seed = 1;
  for (Parameter* p : parameters.all()) {
    if (!p->trained) continue;
    const Tensor values = random_rows(1, p->elements(), ++seed);
    for (int64_t i = 0; i < values.elements(); ++i) values.f32()[i] *= 0.02f;
    p->write_master(values.f32());
    p->enable_gradient();
  }
}

struct Inputs {
  explicit Inputs(const LayerShape& s)
      : x(random_rows(s.tokens, s.d_model, 99).to(DType::kBF16)), slope(random_rows(s.tokens, s.top_k, 5)) {
    for (int64_t t = 0; t < s.tokens; ++t)
      batch.ids.push_back(static_cast<int32_t>(t * 7919 % 16384)), batch.domains.push_back(0);
    batch.offsets = {0, static_cast<int32_t>(s.tokens)};
  }
  Batch batch;
  Tensor x, slope;
};

struct Times {
  double forward = 0, backward = 0;
};

Times experts(const LayerShape& s, const Inputs& in) {
  ParameterList parameters(DType::kBF16);
  const MoeLayer layer(options_of("softmax_top_k", s), "mlp", parameters);
  fill(parameters);
  ops::FeedForwardWeights w;
  w.up = parameters.find("mlp.experts.gate_up_proj"), w.down = parameters.find("mlp.experts.down_proj");
  Tape tape(true);
  Context c{tape, in.batch};
  std::vector<double> forward, backward;
  for (int i = 0; i < 4; ++i) {
    const Routing r = layer.router().route(c, in.x, 0);
    tape.clear();
    const ops::Slots slots = dispatch(r);
    const double begin = steady_seconds();
    const Tensor y = ops::routed_feed_forward(tape, in.x, slots, r.gate, w);
    tape.pass(y, in.x);
    const double middle = steady_seconds();
    tape.backward();
    tape.take(in.x), tape.take(r.gate);
    forward.push_back(middle - begin), backward.push_back(steady_seconds() - middle);
  }
  return {median({forward.begin() + 1, forward.end()}), median({backward.begin() + 1, backward.end()})};
}

Times router(const RouterKind& kind, const LayerShape& s, const Inputs& in) {
  ParameterList parameters(DType::kBF16);
  const auto made = make_router(options_of(kind.name, s).router, "mlp", parameters);
  fill(parameters);
  BalanceOptions losses;
  losses.importance_coefficient = losses.load_coefficient = 0.1;
  if (!kind.has_balance_loss) losses.balance_coefficient = 0;
  Tape tape(true);
  Context c{tape, in.batch};
  c.phase = Phase::kTraining;
  std::vector<double> forward, backward;
  for (uint64_t i = 0; i < 12; ++i) {
    c.key = RandomKey(i);
    const double begin = steady_seconds();
    {
      const Routing r = made->route(c, in.x, 0);
      balance_losses(tape, {r}, losses, 1);
      const ops::Slots slots = dispatch(r);
      tape.pass(r.gate, r.top_k == s.top_k ? in.slope : r.gate);
    }
    const double middle = steady_seconds();
    tape.backward();
    tape.take(in.x);
    forward.push_back(middle - begin), backward.push_back(steady_seconds() - middle);
  }
  return {median({forward.begin() + 3, forward.end()}), median({backward.begin() + 3, backward.end()})};
}

}  // namespace
}  // namespace lyceum

int main(int argc, char** argv) {
  using namespace lyceum;
  int64_t n[5] = {4096, 512, 256, 32, 4};
  for (int i = 1; i < argc && i <= 5; ++i) n[i - 1] = std::atoll(argv[i]);
  const LayerShape s{n[0], n[1], n[2], n[3], n[4]};
  const Inputs in(s);
  std::printf("%s, level %s, %d threads; %lld tokens, d_model %lld, %lld experts of %lld, top %lld, bf16\n",
              cpu_info().name.c_str(), isa_name(isa_level()), thread_count(),
              static_cast<long long>(s.tokens), static_cast<long long>(s.d_model),
              static_cast<long long>(s.n_experts), static_cast<long long>(s.d_ff),
              static_cast<long long>(s.top_k));
  const Times e = experts(s, in);
  std::printf("%-16s %12s %13s %18s\n", "", "forward ms", "backward ms", "share of the layer");
  std::printf("%-16s %12.2f %13.2f\n", "experts", 1e3 * e.forward, 1e3 * e.backward);
  for (const RouterKind& kind : router_table()) {
    if (argc > 6 && std::string(argv[6]) != kind.name) continue;
    const Times r = router(kind, s, in);
    const double own = r.forward + r.backward, all = own + e.forward + e.backward;
    std::printf("%-16s %12.2f %13.2f %16.2f %%\n", kind.name, 1e3 * r.forward, 1e3 * r.backward,
                100 * own / all);
    std::fflush(stdout);
  }
}
