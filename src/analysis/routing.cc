#include "analysis/routing.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.h"

namespace lyceum {

const char* token_role_name(TokenRole role) {
  constexpr const char* kNames[] = {"input", "next", "predicted"};
  return kNames[static_cast<int>(role)];
}

LoadFigures load_figures(std::span<const int64_t> counts) {
  LoadFigures out;
  const double sum = static_cast<double>(std::accumulate(counts.begin(), counts.end(), int64_t{0}));
  const double n = static_cast<double>(counts.size());
  out.dead = std::count(counts.begin(), counts.end(), 0);
  if (sum == 0) return out;
  std::vector<int64_t> sorted(counts.begin(), counts.end());
  std::sort(sorted.begin(), sorted.end());
  double weighted = 0;
  for (size_t i = 0; i < sorted.size(); ++i) {
    const double p = static_cast<double>(sorted[i]) / sum;
    if (p > 0) out.entropy -= p * std::log(p);
    weighted += static_cast<double>(i + 1) * p;
  }
  out.max_over_mean = static_cast<double>(sorted.back()) / sum * n;
  out.effective_experts = std::exp(out.entropy);
  out.gini = (2 * weighted - n - 1) / n;
  return out;
}

std::vector<double> concentration_curve(std::span<const int64_t> counts) {
  std::vector<int64_t> sorted(counts.begin(), counts.end());
  std::sort(sorted.rbegin(), sorted.rend());
  const double sum = static_cast<double>(std::accumulate(sorted.begin(), sorted.end(), int64_t{0}));
  std::vector<double> curve;
  double covered = 0;
  for (const int64_t c : sorted) {
    covered += static_cast<double>(c);
    curve.push_back(sum > 0 ? covered / sum : 0);
  }
  return curve;
}

RoutingCounts::RoutingCounts(const RoutingShape& shape) : shape_(shape) {
  check(shape.n_layers > 0 && shape.n_experts > 0 && shape.top_k > 0 && shape.n_domains >= 0 &&
            shape.vocab >= 0,
        "routing", "wanted at least one layer, expert and choice; got ", shape.n_layers, " layers, ",
        shape.n_experts, " experts, top ", shape.top_k);
  check(shape.top_k <= shape.n_experts, "routing", "top ", shape.top_k, " of ", shape.n_experts,
        " experts: choose at most all of them");
  const auto n = static_cast<size_t>(shape.n_experts), domains = static_cast<size_t>(shape.n_domains);
  layers_.resize(static_cast<size_t>(shape.n_layers));
  for (Layer& layer : layers_) {
    layer.expert.resize(n);
    layer.pairs.resize(n * n);
    layer.neighbours.resize(n * n);
    layer.domain.resize(domains * n);
    layer.domain_tokens.resize(domains);
    for (IdCounts& ids : layer.ids) ids.row_of_id.assign(static_cast<size_t>(shape.vocab), -1);
  }
}

size_t RoutingCounts::at(int64_t layer) const {
  check(layer >= 0 && layer < shape_.n_layers, "routing", "layer ", layer, " of ", shape_.n_layers);
  return static_cast<size_t>(layer);
}

size_t RoutingCounts::IdCounts::row(int32_t id, int64_t n_experts) {
  int32_t& row = row_of_id[static_cast<size_t>(id)];
  if (row < 0) {
    row = static_cast<int32_t>(id_of_row.size());
    id_of_row.push_back(id);
    seen.push_back(0);
    by_expert.resize(by_expert.size() + static_cast<size_t>(n_experts));
  }
  return static_cast<size_t>(row);
}

void RoutingCounts::check_record(const RoutingRecord& r) const {
  at(r.layer);
  const auto k = static_cast<size_t>(shape_.top_k);
  check(r.experts.size() % k == 0, "routing", "experts [tokens, ", k, "] cannot have ", r.experts.size(),
        " entries");
  const size_t tokens = r.experts.size() / k;
  const auto column = [&](std::span<const int32_t> values, int64_t end, const char* name) {
    check(values.empty() || values.size() == tokens, "routing", name, ": wanted ", tokens, " values, got ",
          values.size());
    for (const int32_t v : values) check(v < end, "routing", name, " ", v, " is not below ", end);
  };
  for (const int32_t e : r.experts)
    check(e < shape_.n_experts, "routing", "expert ", e, " of ", shape_.n_experts);
  column(r.domains, shape_.n_domains, "domain");
  if (shape_.vocab > 0) {
    column(r.ids, shape_.vocab, "id");
    column(r.next_ids, shape_.vocab, "next id");
    column(r.predicted_ids, shape_.vocab, "predicted id");
  }
}

void RoutingCounts::add(const RoutingRecord& r) {
  check_record(r);
  Layer& layer = layers_[at(r.layer)];
  const auto n = static_cast<size_t>(shape_.n_experts), k = static_cast<size_t>(shape_.top_k);
  const size_t tokens = r.experts.size() / k;
  layer.tokens += static_cast<int64_t>(tokens);
  const std::span<const int32_t> id_columns[kTokenRoles] = {r.ids, r.next_ids, r.predicted_ids};
  std::vector<size_t> chosen;
  for (size_t t = 0; t < tokens; ++t) {
    chosen.clear();
    for (const int32_t e : r.experts.subspan(t * k, k))
      if (e >= 0 && std::find(chosen.begin(), chosen.end(), static_cast<size_t>(e)) == chosen.end())
        chosen.push_back(static_cast<size_t>(e));
    for (size_t i = 0; i < chosen.size(); ++i) {
      ++layer.expert[chosen[i]];
      for (size_t j = 0; j < chosen.size(); ++j) ++layer.pairs[chosen[i] * n + chosen[j]];
      if (i + 1 < chosen.size()) {
        ++layer.neighbours[chosen[i] * n + chosen[i + 1]];
        ++layer.neighbours[chosen[i + 1] * n + chosen[i]];
      }
    }
    if (!r.domains.empty() && r.domains[t] >= 0) {
      const auto domain = static_cast<size_t>(r.domains[t]);
      ++layer.domain_tokens[domain];
      for (const size_t e : chosen) ++layer.domain[domain * n + e];
    }
    if (shape_.vocab == 0) continue;
    for (int role = 0; role < kTokenRoles; ++role) {
      const std::span<const int32_t> column = id_columns[role];
      if (column.empty() || column[t] < 0) continue;
      IdCounts& counts = layer.ids[static_cast<size_t>(role)];
      const size_t row = counts.row(column[t], shape_.n_experts);
      ++counts.seen[row];
      for (const size_t e : chosen) ++counts.by_expert[row * n + e];
    }
  }
}

void RoutingCounts::merge(const RoutingCounts& other) {
  const RoutingShape &a = shape_, &b = other.shape_;
  check(a.n_layers == b.n_layers && a.n_experts == b.n_experts && a.top_k == b.top_k &&
            a.n_domains == b.n_domains && a.vocab == b.vocab,
        "routing", "counts of models of different shapes cannot be added");
  const auto plus = [](auto& to, const auto& from) {
    for (size_t i = 0; i < to.size(); ++i) to[i] += from[i];
  };
  const auto n = static_cast<size_t>(shape_.n_experts);
  for (size_t l = 0; l < layers_.size(); ++l) {
    Layer& to = layers_[l];
    const Layer& from = other.layers_[l];
    to.tokens += from.tokens;
    plus(to.expert, from.expert);
    plus(to.pairs, from.pairs);
    plus(to.neighbours, from.neighbours);
    plus(to.domain, from.domain);
    plus(to.domain_tokens, from.domain_tokens);
    for (size_t role = 0; role < to.ids.size(); ++role)
      for (size_t i = 0; i < from.ids[role].id_of_row.size(); ++i) {
        const size_t row = to.ids[role].row(from.ids[role].id_of_row[i], shape_.n_experts);
        to.ids[role].seen[row] += from.ids[role].seen[i];
        for (size_t e = 0; e < n; ++e)
          to.ids[role].by_expert[row * n + e] += from.ids[role].by_expert[i * n + e];
      }
  }
}

namespace {

// Each row of `numerator` [rows, columns] divided by its entry of `denominator`; 0 where that is 0.
std::vector<double> rows_divided(const std::vector<int64_t>& numerator,
                                 std::span<const int64_t> denominator) {
  std::vector<double> out(numerator.size());
  const size_t columns = denominator.empty() ? 0 : numerator.size() / denominator.size();
  for (size_t i = 0; i < numerator.size(); ++i) {
    const int64_t d = denominator[i / columns];
    out[i] = d > 0 ? static_cast<double>(numerator[i]) / static_cast<double>(d) : 0.0;
  }
  return out;
}

}  // namespace

std::vector<double> RoutingCounts::co_activation(int64_t layer) const {
  const Layer& l = layers_[at(layer)];
  return rows_divided(l.pairs, l.expert);
}

std::vector<double> RoutingCounts::co_activation_of_neighbours(int64_t layer) const {
  const Layer& l = layers_[at(layer)];
  return rows_divided(l.neighbours, l.expert);
}

std::vector<double> RoutingCounts::domain_specialisation(int64_t layer) const {
  const Layer& l = layers_[at(layer)];
  return rows_divided(l.domain, l.domain_tokens);
}

int64_t RoutingCounts::domain_tokens(int64_t layer, int64_t domain) const {
  check(domain >= 0 && domain < shape_.n_domains, "routing", "domain ", domain, " of ", shape_.n_domains);
  return layers_[at(layer)].domain_tokens[static_cast<size_t>(domain)];
}

double RoutingCounts::vocabulary_specialisation(int64_t layer, TokenRole role, int64_t least) const {
  const IdCounts& counts = layers_[at(layer)].ids[static_cast<size_t>(role)];
  const auto n = static_cast<size_t>(shape_.n_experts);
  double sum = 0;
  int64_t ids = 0;
  for (size_t row = 0; row < counts.seen.size(); ++row) {
    if (counts.seen[row] < least) continue;
    const auto first = counts.by_expert.begin() + static_cast<std::ptrdiff_t>(row * n);
    sum += static_cast<double>(*std::max_element(first, first + static_cast<std::ptrdiff_t>(n))) /
           static_cast<double>(counts.seen[row]);
    ++ids;
  }
  return ids > 0 ? sum / static_cast<double>(ids) : 0;
}

std::vector<RoutingCounts::SpecialId> RoutingCounts::special_ids(int64_t layer, int64_t expert,
                                                                 TokenRole role, size_t most,
                                                                 int64_t least) const {
  check(expert >= 0 && expert < shape_.n_experts, "routing", "expert ", expert, " of ", shape_.n_experts);
  const IdCounts& counts = layers_[at(layer)].ids[static_cast<size_t>(role)];
  const auto n = static_cast<size_t>(shape_.n_experts);
  std::vector<SpecialId> out;
  for (size_t row = 0; row < counts.seen.size(); ++row) {
    const uint32_t here = counts.by_expert[row * n + static_cast<size_t>(expert)];
    if (counts.seen[row] < least || here == 0) continue;
    out.push_back({counts.id_of_row[row], counts.seen[row], here / static_cast<double>(counts.seen[row])});
  }
  const auto before = [](const SpecialId& a, const SpecialId& b) {
    if (a.share != b.share) return a.share > b.share;
    return a.occurrences != b.occurrences ? a.occurrences > b.occurrences : a.id < b.id;
  };
  std::sort(out.begin(), out.end(), before);
  if (out.size() > most) out.resize(most);
  return out;
}

double router_saturation(std::span<const int32_t> earlier, std::span<const int32_t> later, int64_t top_k) {
  check(top_k > 0 && earlier.size() == later.size() && earlier.size() % static_cast<size_t>(top_k) == 0,
        "routing", "saturation compares the same tokens: ", earlier.size(), " and ", later.size(),
        " choices, top ", top_k);
  const auto k = static_cast<size_t>(top_k);
  if (earlier.empty()) return 0;
  int64_t common = 0;
  for (size_t t = 0; t < earlier.size(); t += k) {
    const auto there = later.subspan(t, k), here = earlier.subspan(t, k);
    for (size_t i = 0; i < k; ++i)
      common += here[i] >= 0 &&
                std::find(here.begin(), here.begin() + static_cast<std::ptrdiff_t>(i), here[i]) ==
                    here.begin() + static_cast<std::ptrdiff_t>(i) &&
                std::find(there.begin(), there.end(), here[i]) != there.end();
  }
  return static_cast<double>(common) / static_cast<double>(earlier.size());
}

}  // namespace lyceum
