// What each router costs of its layer: forward and backward of route() and of the whole layer, median of
// nine. usage: lyceum_bench_routers [TOKENS D_MODEL D_FF N_EXPERTS TOP_K]      default: 4096 512 256 32 4
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>

#include "moe/balance.h"
#include "moe/layer.h"

namespace lyceum {
namespace {

double seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

template <class F>
double median(F&& f) {
  std::vector<double> times;
  for (int i = 0; i < 11; ++i) {
    const double begin = seconds();
    f();
    if (i >= 2) times.push_back(seconds() - begin);
  }
  std::nth_element(times.begin(), times.begin() + 4, times.end());
  return times[4];
}

void fill(const Tensor& t, uint64_t seed) {
  for (int64_t i = 0; i < t.elements(); ++i)
    t.f32()[i] = static_cast<float>(RandomKey(seed).normal(static_cast<uint64_t>(i)));
}

void measure(const RouterKind& kind, int64_t tokens, int64_t d_model, int64_t d_ff, int64_t n, int64_t k) {
  MoeOptions o;
  o.router.router = kind.name, o.router.d_model = d_model, o.router.n_experts = n, o.router.vocab = 16384;
  const std::string name = kind.name;
  const bool one = name == "switch" || name == "base" || name == "hash" || name == "random_routed";
  o.router.top_k = one ? 1 : k, o.d_ff = one ? d_ff * k : d_ff;  // the same work for a token
  if (name == "random_routed") o.router.n_domains = 1;
  if (name == "hierarchical") o.router.groups = 4, o.router.kept_groups = 2;
  ParameterList parameters(DType::kBF16);
  const MoeLayer layer(o, "mlp", parameters);
  uint64_t seed = 1;
  for (Parameter* p : parameters.all()) {
    if (!p->trained) continue;
    const Tensor values({p->elements()}, DType::kF32);
    fill(values, ++seed);
    for (int64_t i = 0; i < values.elements(); ++i) values.f32()[i] *= 0.02f;
    p->write_master(values.f32());
    p->enable_gradient();
  }
  Batch batch;
  for (int64_t t = 0; t < tokens; ++t)
    batch.ids.push_back(static_cast<int32_t>(t * 7919 % 16384)), batch.domains.push_back(0);
  batch.offsets = {0, static_cast<int32_t>(tokens)};
  const Tensor wide({tokens, d_model}, DType::kF32);
  fill(wide, 99);
  const Tensor x = wide.to(DType::kBF16), g = x;
  Tape tape(true);
  Context c{tape, batch};
  c.phase = Phase::kTraining;
  const auto losses = [&](const Routing& r) {
    BalanceOptions b;
    b.importance_coefficient = b.load_coefficient = 0.1;
    if (!kind.has_balance_loss) b.balance_coefficient = 0;
    balance_losses(tape, {r}, b, 1);
  };
  const Tensor ones({tokens, o.router.top_k}, DType::kF32);
  fill(ones, 5);
  const double route = median([&] {
    const Routing r = layer.router().route(c, x, 0);
    losses(r);
    tape.pass(r.gate, r.top_k ? ones : r.gate);
    tape.backward();
    tape.take(x);
  });
  const double whole = median([&] {
    std::vector<Routing> routings;
    const Tensor y = layer.forward(c, x, 0, routings);
    losses(routings[0]);
    tape.pass(y, g);
    tape.backward();
    tape.take(x);
  });
  std::printf("%-16s %9.2f ms %9.2f ms %7.1f %%\n", kind.name, 1e3 * route, 1e3 * whole, 100 * route / whole);
}

}  // namespace
}  // namespace lyceum

int main(int argc, char** argv) {
  int64_t shape[5] = {4096, 512, 256, 32, 4};
  for (int i = 1; i < argc && i <= 5; ++i) shape[i - 1] = std::atoll(argv[i]);
  std::printf("%lld tokens, d_model %lld, d_ff %lld, %lld experts, top %lld; forward and backward\n",
              static_cast<long long>(shape[0]), static_cast<long long>(shape[1]),
              static_cast<long long>(shape[2]), static_cast<long long>(shape[3]),
              static_cast<long long>(shape[4]));
  std::printf("%-16s %12s %12s %9s\n", "router", "router", "layer", "share");
  for (const lyceum::RouterKind& kind : lyceum::router_table())
    lyceum::measure(kind, shape[0], shape[1], shape[2], shape[3], shape[4]);
}
