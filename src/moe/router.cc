#include "moe/router.h"

namespace lyceum {

std::vector<int64_t> Routing::load() const {
  std::vector<int64_t> counts(static_cast<size_t>(n_experts));
  const uint8_t* keep = kept ? kept.as<uint8_t>() : nullptr;
  for (int64_t e = 0; e < edges(); ++e)
    if (!keep || keep[e]) ++counts[static_cast<size_t>(expert.i32()[e])];
  return counts;
}

const RouterKind& find_router(const std::string& name) {
  for (const RouterKind& kind : router_table())
    if (name == kind.name) return kind;
  std::string known;
  for (const std::string& n : router_names()) known += (known.empty() ? "" : ", ") + n;
  fail(ErrorKind::kInvalidArgument, "router", "unknown router \"", name, "\"; known: ", known);
}

std::vector<std::string> router_names() {
  std::vector<std::string> names;
  for (const RouterKind& kind : router_table()) names.push_back(kind.name);
  return names;
}

Tensor uniform_first(int64_t tokens, int64_t k) {
  Tensor first({tokens + 1}, DType::kI32);
  for (int64_t t = 0; t <= tokens; ++t) first.i32()[t] = static_cast<int32_t>(t * k);
  return first;
}

}  // namespace lyceum
