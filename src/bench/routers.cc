#include "bench/routers.h"

#include <algorithm>

#include "base/error.h"
#include "bench/random_tensor.h"
#include "moe/balance.h"
#include "moe/dispatch.h"
#include "moe/layer.h"

namespace lyceum::bench {
namespace {

constexpr int64_t kIds = 16384;

MoeOptions layer_options(const std::string& router, const RouterShape& s) {
  MoeOptions o;
  o.router.router = router, o.router.d_model = s.d_model, o.router.n_experts = s.n_experts;
  o.router.vocab = kIds, o.d_ff = s.d_ff;
  const bool one = router == "switch" || router == "base" || router == "hash" || router == "random_routed";
  o.router.top_k = one ? 1 : s.top_k;
  if (router == "random_routed") o.router.n_domains = 1;
  if (router == "hierarchical") o.router.groups = 4, o.router.kept_groups = 2;
  if (router == "sigmoid_top_k") o.router.selection_bias = o.router.renormalise = true;
  if (router == "switch") o.router.jitter = 0.01;
  return o;
}

void fill(ParameterList& parameters) {
  uint64_t seed = 1;
  for (Parameter* p : parameters.all()) {
    if (!p->trained) continue;
    p->write_master(random_tensor({p->elements()}, DType::kF32, ++seed, 0.07f).f32());
    p->enable_gradient();
  }
}

// Forward records on a tape, backward walks it.
class RoutingMemory {
 public:
  explicit RoutingMemory(const RouterShape& s)
      : shape(s),
        parameters(DType::kBF16),
        x(random_tensor({s.tokens, s.d_model}, DType::kBF16, 99, 3.5f)),
        slope(random_tensor({s.tokens, s.top_k}, DType::kF32, 5)) {
    for (int64_t t = 0; t < s.tokens; ++t)
      batch.ids.push_back(static_cast<int32_t>(t * 7919 % kIds)), batch.domains.push_back(0);
    batch.offsets = {0, static_cast<int32_t>(s.tokens)};
  }
  virtual ~RoutingMemory() = default;
  virtual void forward() = 0;
  void clear() { tape.clear(); }
  virtual void backward() {
    tape.backward();
    tape.take(x);
  }
  // Of the products.
  double flops(bool of_backward) {
    Profile profile;
    tape.measure(&profile);
    clear();
    forward();
    backward();
    tape.measure(nullptr);
    double flops = 0;
    for (const Profile::Row& r : profile.rows) flops += of_backward ? r.backward_flops : r.forward_flops;
    return flops;
  }

 protected:
  RouterShape shape;
  ParameterList parameters;
  Batch batch;
  Tensor x, slope;
  Tape tape{true};
  Context context{tape, batch};
};

class ExpertsMemory : public RoutingMemory {
 public:
  explicit ExpertsMemory(const RouterShape& s)
      : RoutingMemory(s), layer_(layer_options("softmax_top_k", s), "mlp", parameters) {
    fill(parameters);
    weights_.up = parameters.find("mlp.experts.gate_up_proj");
    weights_.down = parameters.find("mlp.experts.down_proj");
    routing_ = layer_.router().route(context, x, 0);
    slots_ = dispatch(routing_);
  }
  void forward() override {
    tape.pass(ops::routed_feed_forward(tape, x, slots_, routing_.gate, weights_), x);
  }
  void backward() override {
    RoutingMemory::backward();
    tape.take(routing_.gate);
  }

 private:
  MoeLayer layer_;
  ops::FeedForwardWeights weights_;
  Routing routing_;
  ops::Slots slots_;
};

class RouterMemory : public RoutingMemory {
 public:
  RouterMemory(const RouterKind& kind, const RouterShape& s)
      : RoutingMemory(s), router_(make_router(layer_options(kind.name, s).router, "mlp", parameters)) {
    fill(parameters);
    context.phase = Phase::kTraining;
    losses_.importance_coefficient = losses_.load_coefficient = 0.1;
    if (!kind.has_balance_loss) losses_.balance_coefficient = 0;
  }
  void forward() override {
    context.key = RandomKey(++calls_);
    const Routing r = router_->route(context, x, 0);
    balance_losses(tape, {r}, losses_, 1);
    slots_ = dispatch(r);
    tape.pass(r.gate, r.top_k == shape.top_k ? slope : r.gate);
  }

 private:
  std::unique_ptr<Router> router_;
  BalanceOptions losses_;
  ops::Slots slots_;
  uint64_t calls_ = 0;
};

void add_pair(std::vector<BenchCase>& cases, const std::string& name, Limit limit, double bytes,
              std::function<std::shared_ptr<RoutingMemory>()> make) {
  const auto group = std::make_shared<Shared<RoutingMemory>>(
      name, bytes, "take fewer --tokens or experts, or narrower ones", std::move(make));
  cases.push_back({name + " forward", limit, [group] {
                     const auto m = group->open();
                     return OpenCase{m->flops(false), [m] { m->forward(); }, [m] { m->clear(); }};
                   }});
  cases.push_back({name + " backward", limit, [group] {
                     const auto m = group->open();
                     const auto prepare = [m] {
                       m->clear();
                       m->forward();
                     };
                     return OpenCase{m->flops(true), [m] { m->backward(); }, prepare};
                   }});
}

}  // namespace

std::vector<BenchCase> router_cases(const RouterShape& s, const std::vector<std::string>& names) {
  for (const std::string& name : names) find_router(name);
  const double tokens = static_cast<double>(s.tokens), k = static_cast<double>(s.top_k),
               d_model = static_cast<double>(s.d_model), d_ff = static_cast<double>(s.d_ff),
               experts = static_cast<double>(s.n_experts);
  const double rows = tokens * (6 * d_model + 24 * experts);
  std::vector<BenchCase> cases;
  add_pair(cases, "experts", Limit::kProducts,
           rows + tokens * k * (10 * d_ff + 4 * d_model) + 24 * experts * d_model * d_ff,
           [s] { return std::make_shared<ExpertsMemory>(s); });
  for (const RouterKind& kind : router_table()) {
    if (!names.empty() && std::find(names.begin(), names.end(), kind.name) == names.end()) continue;
    check_router(layer_options(kind.name, s).router);
    add_pair(cases, kind.name, Limit::kProductsF32, rows + 16 * experts * d_model,
             [s, &kind] { return std::make_shared<RouterMemory>(kind, s); });
  }
  return cases;
}

}  // namespace lyceum::bench
