#include "moe/dispatch.h"

namespace lyceum {

ops::Slots dispatch(const Routing& r) {
  const int64_t edges = r.edges();
  const int32_t* expert = r.expert.i32();
  const uint8_t* keep = r.kept ? r.kept.as<uint8_t>() : nullptr;

  ops::Slots s;
  s.tokens = r.tokens, s.n_experts = r.n_experts;
  s.group_first = Tensor::zeros({r.n_experts + 1}, DType::kI32);
  int32_t* first = s.group_first.i32();
  for (int64_t e = 0; e < edges; ++e) {
    ensure(expert[e] >= 0 && expert[e] < r.n_experts, "dispatch", "layer ", r.layer, ": edge ", e,
           " names expert ", expert[e], " of ", r.n_experts);
    if (!keep || keep[e]) ++first[expert[e] + 1];
  }
  for (int64_t i = 0; i < r.n_experts; ++i) first[i + 1] += first[i];

  const int64_t slots = first[r.n_experts];
  s.token = Tensor({slots}, DType::kI32);
  s.slot_edge = Tensor({slots}, DType::kI32);
  s.edge_first = r.first;
  s.edge_slot = Tensor({edges}, DType::kI32);
  Tensor next({r.n_experts}, DType::kI32);
  for (int64_t i = 0; i < r.n_experts; ++i) next.i32()[i] = first[i];
  for (int64_t t = 0; t < r.tokens; ++t)
    for (int32_t e = r.first.i32()[t]; e < r.first.i32()[t + 1]; ++e) {
      if (keep && !keep[e]) {
        s.edge_slot.i32()[e] = -1;
        continue;
      }
      const int32_t slot = next.i32()[expert[e]]++;
      s.token.i32()[slot] = static_cast<int32_t>(t);
      s.slot_edge.i32()[slot] = e;
      s.edge_slot.i32()[e] = slot;
    }
  return s;
}

}  // namespace lyceum
