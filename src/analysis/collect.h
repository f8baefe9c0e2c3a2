// Feeds RoutingCounts from a model that reads text: a listener at the routers' taps.
#pragma once

#include <functional>

#include "analysis/routing.h"
#include "models/model.h"

namespace lyceum {

// One stream of ids of one domain.
struct RoutedText {
  std::vector<int32_t> ids;
  int32_t domain = 0;
};

struct CollectOptions {
  int64_t window = 512;               // tokens read at once, without overlap
  int64_t tokens_per_domain = 20480;  // the OLMoE paper takes 204,800
  int64_t n_domains = 1;
};

struct CollectedRouting {
  RoutingCounts counts;
  std::vector<std::vector<int32_t>> chosen;  // [layers][tokens * top_k], for router_saturation()
};

// Reads up to tokens_per_domain tokens of every domain. Predicted ids are the largest logits. Throws
// kUnsupported for a model without routers. `progress` sees tokens read.
CollectedRouting collect_routing(const Model& model, const std::vector<RoutedText>& texts,
                                 const CollectOptions& options,
                                 const std::function<void(int64_t tokens)>& progress = {});

}  // namespace lyceum
