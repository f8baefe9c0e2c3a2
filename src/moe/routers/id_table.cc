#include "moe/routers/id_table.h"

#include <algorithm>
#include <cstdio>
#include <numeric>

#include "moe/routers/token_choice.h"

namespace lyceum {
namespace {

std::vector<int64_t> first_experts(const RouterOptions& o, int64_t groups) {
  std::vector<int64_t> sizes = o.domain_experts;
  if (sizes.empty()) {
    check(o.n_experts % groups == 0, "router", "n_domains = ", groups, " does not divide ", o.n_experts,
          " experts; domain_experts can say how many each domain has");
    sizes.assign(static_cast<size_t>(groups), o.n_experts / groups);
  }
  std::vector<int64_t> first = {0};
  for (int64_t size : sizes) first.push_back(first.back() + size);
  check(static_cast<int64_t>(sizes.size()) == groups && first.back() == o.n_experts &&
            *std::min_element(sizes.begin(), sizes.end()) >= 1,
        "router", "domain_experts wants ", groups, " numbers from 1 that add up to ", o.n_experts,
        " experts, found ", sizes.size(), " that add up to ", first.back());
  return first;
}

}  // namespace

IdTable::IdTable(const RouterOptions& o, int64_t groups, const std::string& prefix, ParameterList& parameters)
    : options_(o), groups_(groups) {
  check(o.vocab > 0, "router", o.router, " wants the size of the vocabulary, found ", o.vocab);
  check(groups >= 1, "router", o.router, " routes by domain: n_domains must say how many there are, found ",
        groups);
  first_ = first_experts(o, groups);
  table_ = parameters.buffer(prefix + ".route_table", {groups, o.vocab}, DType::kI32);
  std::vector<int32_t> ids(static_cast<size_t>(o.vocab));
  for (int64_t g = 0; g < groups; ++g) {
    const int64_t begin = first_[static_cast<size_t>(g)], size = first_[static_cast<size_t>(g) + 1] - begin;
    const RandomKey key = RandomKey(static_cast<uint64_t>(o.table_seed))
                              .with(static_cast<uint64_t>(o.layer))
                              .with(static_cast<uint64_t>(g));
    std::iota(ids.begin(), ids.end(), 0);
    for (size_t i = ids.size(); i > 1; --i) std::swap(ids[i - 1], ids[key.below(i, i)]);
    for (int64_t i = 0; i < o.vocab; ++i)
      table_->value.i32()[g * o.vocab + ids[static_cast<size_t>(i)]] = static_cast<int32_t>(begin + i % size);
  }
}

int32_t IdTable::at(int64_t row, int32_t id) const {
  check(id >= 0 && id < options_.vocab, "router", "token id ", id, " is outside the table of ",
        options_.vocab);
  const int32_t expert = table_->value.i32()[row * options_.vocab + id];
  check(expert >= 0 && expert < options_.n_experts, "router", table_->name, " sends token id ", id,
        " of row ", row, " to expert ", expert, " of ", options_.n_experts);
  return expert;
}

std::string IdTable::build(const std::vector<double>& counts, bool balance) {
  const int64_t vocab = options_.vocab;
  ensure(static_cast<int64_t>(counts.size()) == groups_ * vocab, "router", "counts of ", counts.size(),
         " ids for ", groups_, " x ", vocab);
  std::vector<int32_t> ids(static_cast<size_t>(vocab));
  double worst = 0;
  for (int64_t g = 0; g < groups_; ++g) {
    const int64_t begin = first_[static_cast<size_t>(g)], size = first_[static_cast<size_t>(g) + 1] - begin;
    const double* count = counts.data() + g * vocab;
    int32_t* row = table_->value.i32() + g * vocab;
    std::vector<double> load(static_cast<size_t>(size));
    std::vector<int64_t> held(static_cast<size_t>(size));
    if (balance) {
      std::iota(ids.begin(), ids.end(), 0);
      std::stable_sort(ids.begin(), ids.end(), [&](int32_t a, int32_t b) { return count[a] > count[b]; });
      for (int32_t id : ids) {
        size_t least = 0;
        for (size_t e = 1; e < load.size(); ++e)
          if (load[e] < load[least] || (load[e] == load[least] && held[e] < held[least])) least = e;
        load[least] += count[id], ++held[least];
        row[id] = static_cast<int32_t>(begin) + static_cast<int32_t>(least);
      }
    } else {
      for (int64_t id = 0; id < vocab; ++id) load[static_cast<size_t>(row[id] - begin)] += count[id];
    }
    const double all = std::accumulate(load.begin(), load.end(), 0.0);
    if (all > 0)
      worst = std::max(worst, *std::max_element(load.begin(), load.end()) * static_cast<double>(size) / all);
  }
  char text[96];
  std::snprintf(text, sizeof text, "%s: busiest expert of a group %.2f times the mean, by the training text",
                table_->name.c_str(), worst);
  return text;
}

Routing routing_by_ids(const Context& c, const Tensor& x, int64_t layer, int64_t n_experts,
                       const char* router) {
  Routing r;
  r.layer = layer, r.tokens = x.rows(), r.n_experts = n_experts, r.top_k = 1;
  check(c.batch.tokens() == r.tokens, "router", router, " needs the id of every token: ", r.tokens,
        " tokens, ", c.batch.tokens(), " ids");
  r.offsets = sequence_offsets(c, r.tokens);
  r.first = uniform_first(r.tokens, 1);
  r.expert = Tensor({r.tokens, 1}, DType::kI32);
  r.gate = Tensor({r.tokens, 1}, DType::kF32);
  std::fill_n(r.gate.f32(), r.tokens, 1.0f);
  return r;
}

}  // namespace lyceum
