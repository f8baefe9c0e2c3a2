// Random Routed Experts (RRE) of PanGu-Sigma (Ren et al. 2023, arXiv:2303.10845): no learned gate at all.
//   expert = table[domain][token id],  gate = 1
// The experts are cut into n_domains groups of equal size, one for each domain; inside its group a domain's
// token ids are spread at random. One table per layer, fixed before training and saved with the model as
// <prefix>.route_table [n_domains, vocab] i32. Construction: a generator of its own for (seed, layer, domain)
// shuffles the ids, which are dealt to the group's experts in turn, so that each gets as many ids as any
// other.
// The route depends on the input id alone, so it is known before the forward pass; there is no balance loss.
#include <algorithm>
#include <vector>

#include "moe/routers/token_choice.h"

namespace lyceum {
namespace {

class RandomRouted : public Router {
 public:
  RandomRouted(const RouterOptions& o, const std::string& prefix, ParameterList& parameters) : options_(o) {
    check(o.top_k == 1, "router", "random_routed gives each token one expert: top_k must be 1, found ",
          o.top_k);
    check(o.vocab > 0, "router", "random_routed wants the size of the vocabulary, found ", o.vocab);
    check(o.n_domains >= 1 && o.n_experts % o.n_domains == 0, "router", "n_domains = ", o.n_domains,
          " does not divide ", o.n_experts, " experts");
    table_ = parameters.buffer(prefix + ".route_table", {o.n_domains, o.vocab}, DType::kI32);
    const int64_t size = o.n_experts / o.n_domains;
    std::vector<int32_t> ids(static_cast<size_t>(o.vocab));
    for (int64_t d = 0; d < o.n_domains; ++d) {
      const RandomKey key = RandomKey(static_cast<uint64_t>(o.table_seed))
                                .with(static_cast<uint64_t>(o.layer))
                                .with(static_cast<uint64_t>(d));
      for (int64_t i = 0; i < o.vocab; ++i) ids[static_cast<size_t>(i)] = static_cast<int32_t>(i);
      for (size_t i = ids.size(); i > 1; --i) std::swap(ids[i - 1], ids[key.below(i, i)]);
      for (int64_t i = 0; i < o.vocab; ++i)
        table_->value.i32()[d * o.vocab + ids[static_cast<size_t>(i)]] =
            static_cast<int32_t>(d * size + i % size);
    }
  }

  Routing route(Context& c, const Tensor& x, int64_t layer) const override {
    Routing r;
    r.layer = layer, r.tokens = x.rows(), r.n_experts = options_.n_experts, r.top_k = 1;
    const Batch& b = c.batch;
    check(b.tokens() == r.tokens && static_cast<int64_t>(b.domains.size()) == r.tokens, "router",
          "random_routed needs the domain of every token: ", r.tokens, " tokens, ", b.domains.size(),
          " domains");
    r.offsets = sequence_offsets(c, r.tokens);
    r.first = uniform_first(r.tokens, 1);
    r.expert = Tensor({r.tokens, 1}, DType::kI32);
    r.gate = Tensor({r.tokens, 1}, DType::kF32);
    for (int64_t t = 0; t < r.tokens; ++t) {
      const int32_t domain = b.domains[static_cast<size_t>(t)], id = b.ids[static_cast<size_t>(t)];
      check(domain >= 0 && domain < options_.n_domains, "router", "token ", t, " has domain ", domain,
            "; random_routed was built for domains 0 to ", options_.n_domains - 1,
            " and cannot route a token without one");
      check(id >= 0 && id < options_.vocab, "router", "token id ", id, " is outside the table of ",
            options_.vocab);
      const int32_t expert = table_->value.i32()[domain * options_.vocab + id];
      check(expert >= 0 && expert < options_.n_experts, "router", table_->name, " sends token id ", id,
            " of domain ", domain, " to expert ", expert, " of ", options_.n_experts);
      r.expert.i32()[t] = expert;
      r.gate.f32()[t] = 1;
    }
    return r;
  }

 private:
  RouterOptions options_;
  Parameter* table_;
};

}  // namespace

std::unique_ptr<Router> make_random_routed(const RouterOptions& o, const std::string& prefix,
                                           ParameterList& parameters) {
  return std::make_unique<RandomRouted>(o, prefix, parameters);
}

}  // namespace lyceum
