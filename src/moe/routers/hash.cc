// Hash layers (Roller et al. 2021, arXiv:2106.04426): the expert is a function of token ids, gate 1.
//   random     a fixed random table id -> expert: the ids, shuffled, are dealt to the experts in turn
//   balanced   ids by falling frequency in the training text, each to the expert with the least load so far
//              (build_table() with token counts; until then as random)
//   bigram     expert = hash(seed, layer, previous id, id) mod n_experts; no id stands before a sequence
// Tables differ by layer and are saved with the model as <prefix>.route_table [1, vocab] i32. No parameters,
// no balance loss; the load follows from the text alone.
#include "base/log.h"
#include "moe/routers/id_table.h"
#include "moe/routers/token_choice.h"

namespace lyceum {
namespace {

class Hash : public Router {
 public:
  Hash(const RouterOptions& o, const std::string& prefix, ParameterList& parameters)
      : options_(o),
        key_(RandomKey(static_cast<uint64_t>(o.table_seed)).with(static_cast<uint64_t>(o.layer))) {
    check(o.top_k == 1, "router", "hash gives each token one expert: top_k must be 1, found ", o.top_k);
    if (o.hash != "bigram") table_ = std::make_unique<IdTable>(o, 1, prefix, parameters);
  }

  Routing route(Context& c, const Tensor& x, int64_t layer) const override {
    Routing r = routing_by_ids(c, x, layer, options_.n_experts, "hash");
    const Batch& b = c.batch;
    if (table_) {
      for (int64_t t = 0; t < r.tokens; ++t) r.expert.i32()[t] = table_->at(0, b.ids[static_cast<size_t>(t)]);
      return r;
    }
    for (size_t s = 0; s + 1 < b.offsets.size(); ++s)
      for (int32_t t = b.offsets[s]; t < b.offsets[s + 1]; ++t) {
        const int32_t before = t > b.offsets[s] ? b.ids[static_cast<size_t>(t) - 1]
                               : c.state        ? c.state->last_id
                                                : -1;
        const RandomKey own = key_.with(static_cast<uint64_t>(before + 1));
        r.expert.i32()[t] = static_cast<int32_t>(own.below(
            static_cast<uint64_t>(b.ids[static_cast<size_t>(t)]), static_cast<uint64_t>(options_.n_experts)));
      }
    return r;
  }

  std::string build_table(const std::vector<double>& counts) override {
    if (!table_) return "";
    return table_->build(counts, options_.hash == "balanced");
  }

 private:
  RouterOptions options_;
  RandomKey key_;
  std::unique_ptr<IdTable> table_;
};

}  // namespace

std::unique_ptr<Router> make_hash(const RouterOptions& o, const std::string& prefix,
                                  ParameterList& parameters) {
  return std::make_unique<Hash>(o, prefix, parameters);
}

}  // namespace lyceum
