// Dispatch: the kept edges of a routing regrouped by expert. Slots of one expert stand in the order of their
// edges, so the plan, and every sum that follows it, is the same at any thread count.
#pragma once

#include "moe/router.h"

namespace lyceum {

// Histogram, offsets, permutation. Throws kInternal if an edge names no expert.
ops::Slots dispatch(const Routing& routing);

}  // namespace lyceum
