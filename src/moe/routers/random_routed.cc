// Random Routed Experts (RRE) of PanGu-Sigma (Ren et al. 2023, arXiv:2303.10845): no learned gate at all.
//   expert = table[domain][token id],  gate = 1
// The experts are cut into n_domains groups, one for each domain, of equal size or as domain_experts says;
// inside its group a domain's token ids are spread at random. One table per layer, fixed before training and
// saved with the model as <prefix>.route_table [n_domains, vocab] i32 (id_table.h).
// The route depends on the input id alone, so it is known before the forward pass; there is no balance loss.
// A token without a domain cannot be routed, unless there is one group for all (n_domains = 1).
#include <algorithm>

#include "moe/routers/id_table.h"

namespace lyceum {
namespace {

class RandomRouted : public Router {
 public:
  RandomRouted(const RouterOptions& o, const std::string& prefix, ParameterList& parameters)
      : options_(o), table_(o, std::max<int64_t>(1, o.n_domains), prefix, parameters) {
    options_.n_domains = std::max<int64_t>(1, o.n_domains);
    check(o.top_k == 1, "router", "random_routed gives each token one expert: top_k must be 1, found ",
          o.top_k);
  }

  Routing route(Context& c, const Tensor& x, int64_t layer) const override {
    Routing r = routing_by_ids(c, x, layer, options_.n_experts, "random_routed");
    const Batch& b = c.batch;
    if (options_.n_domains == 1) {  // one group of experts for every text
      for (int64_t t = 0; t < r.tokens; ++t) r.expert.i32()[t] = table_.at(0, b.ids[static_cast<size_t>(t)]);
      return r;
    }
    check(static_cast<int64_t>(b.domains.size()) == r.tokens, "router",
          "random_routed needs the domain of every token: ", r.tokens, " tokens, ", b.domains.size(),
          " domains");
    for (int64_t t = 0; t < r.tokens; ++t) {
      const int32_t domain = b.domains[static_cast<size_t>(t)];
      check(domain >= 0 && domain < options_.n_domains, "router", "token ", t, " has domain ", domain,
            "; random_routed was built for domains 0 to ", options_.n_domains - 1,
            " and cannot route a token without one");
      r.expert.i32()[t] = table_.at(domain, b.ids[static_cast<size_t>(t)]);
    }
    return r;
  }

  std::string build_table(const std::vector<double>& counts) override { return table_.build(counts, false); }

 private:
  RouterOptions options_;
  IdTable table_;
};

}  // namespace

std::unique_ptr<Router> make_random_routed(const RouterOptions& o, const std::string& prefix,
                                           ParameterList& parameters) {
  return std::make_unique<RandomRouted>(o, prefix, parameters);
}

}  // namespace lyceum
