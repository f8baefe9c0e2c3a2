#include "analysis/collect.h"

#include <algorithm>
#include <cstring>

namespace lyceum {
namespace {

class Listener : public Taps {
 public:
  explicit Listener(int64_t n_layers) : experts(static_cast<size_t>(n_layers)) {}
  void on(const char* station, int64_t layer, const Tensor& value) override {
    if (!std::strcmp(station, "router_experts")) experts[static_cast<size_t>(layer)] = value;
  }
  std::vector<Tensor> experts;  // [layers], i32 [tokens, top_k]
};

// One window of one stream as a batch of one sequence.
Batch window_of(const RoutedText& text, size_t begin, size_t end) {
  Batch b;
  b.ids.assign(text.ids.begin() + static_cast<std::ptrdiff_t>(begin),
               text.ids.begin() + static_cast<std::ptrdiff_t>(end));
  for (size_t i = begin; i < end; ++i) b.positions.push_back(static_cast<int32_t>(i - begin));
  b.domains.assign(b.ids.size(), text.domain);
  b.offsets = {0, static_cast<int32_t>(b.ids.size())};
  return b;
}

}  // namespace

CollectedRouting collect_routing(const Model& model, const std::vector<RoutedText>& texts,
                                 const CollectOptions& o, const std::function<void(int64_t)>& progress) {
  const ModelConfig& c = model.config();
  std::vector<int64_t> sparse;  // blocks with experts; only they are counted
  for (int64_t layer = 0; layer < c.n_layers; ++layer)
    if (c.sparse_layer(layer)) sparse.push_back(layer);
  const int64_t n_sparse = static_cast<int64_t>(sparse.size());
  if (!c.sparse())
    fail(ErrorKind::kUnsupported, "analyze", "a ", c.family, " model is dense: it has no routers to look at");
  CollectedRouting out{RoutingCounts({n_sparse, c.n_experts, c.top_k, o.n_domains, c.vocab}), {}};
  out.chosen.resize(sparse.size());
  std::vector<int64_t> taken(static_cast<size_t>(o.n_domains));
  int64_t total = 0;
  for (const RoutedText& text : texts) {
    int64_t& of_domain = taken.at(static_cast<size_t>(text.domain));
    for (size_t begin = 0; begin < text.ids.size() && of_domain < o.tokens_per_domain;
         begin += static_cast<size_t>(o.window)) {
      const size_t end = std::min(begin + static_cast<size_t>(o.window), text.ids.size());
      const Batch batch = window_of(text, begin, end);
      Listener listener(c.n_layers);
      Tape tape(false);
      Context context{tape, batch};
      context.activations = model.weight_type();
      context.taps = &listener;
      const std::vector<int32_t> predicted = model.best_ids(model.forward(context).hidden);
      std::vector<int32_t> next(batch.ids.begin() + 1, batch.ids.end());
      next.push_back(end < text.ids.size() ? text.ids[end] : -1);
      for (int64_t i = 0; i < n_sparse; ++i) {
        const Tensor& experts = listener.experts[static_cast<size_t>(sparse[static_cast<size_t>(i)])];
        const std::span<const int32_t> chosen(experts.i32(), static_cast<size_t>(experts.elements()));
        out.counts.add({i, chosen, batch.domains, batch.ids, next, predicted});
        auto& all = out.chosen[static_cast<size_t>(i)];
        all.insert(all.end(), chosen.begin(), chosen.end());
      }
      of_domain += batch.tokens(), total += batch.tokens();
      if (progress) progress(total);
    }
  }
  check(total > 0, "analyze", "no text to read");
  return out;
}

}  // namespace lyceum
