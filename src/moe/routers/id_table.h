// A table from token ids (and domains) to experts: built before training, saved with the model.
#pragma once

#include "moe/router.h"

namespace lyceum {

class IdTable {
 public:
  // The buffer <prefix>.route_table [groups, vocab] i32: each of `groups` groups of experts serves its own
  // row; they are equal unless domain_experts says how many each has. Filled at random: a generator of its
  // own for (seed, layer, row) shuffles the ids, which are dealt to the group's experts in turn, so that each
  // gets as many ids as any other.
  IdTable(const RouterOptions& options, int64_t groups, const std::string& prefix, ParameterList& parameters);

  // The expert of an id; throws kInvalidArgument for an id or a stored expert that cannot be.
  int32_t at(int64_t row, int32_t id) const;

  // counts [groups, vocab]: how often an id occurs. With `balance` ids are dealt anew, by falling count, each
  // to the least loaded expert of its group (ties: fewest ids, then the lower expert), which keeps ids that
  // never occur evenly spread too. Returns "load of the experts by the training text: most / mean 1.02, ..."
  // for the log.
  std::string build(const std::vector<double>& counts, bool balance);

 private:
  RouterOptions options_;
  int64_t groups_;
  std::vector<int64_t> first_;  // [groups + 1]: experts of group g are first_[g] .. first_[g + 1]
  Parameter* table_;
};

// A routing of one edge with gate 1 a token, experts still to be filled in. Throws kInvalidArgument unless x
// has a row for every token of the batch.
Routing routing_by_ids(const Context& context, const Tensor& x, int64_t layer, int64_t n_experts,
                       const char* router);

}  // namespace lyceum
