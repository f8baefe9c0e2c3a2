// What a router learned: load, saturation, co-activation, domain and vocabulary specialisation.
//
// The four measures of the OLMoE paper (Muennighoff et al. 2024, arXiv:2409.02060, section 5) and load,
// counted from plain arrays so that any listener can feed them: training, evaluation, serving. With E experts
// and top k:
//   load of i                     N_i / sum_j N_j                     balanced: 1/E
//   saturation at t               (1/N) sum_n |S_n(t) & S_n(T)| / k   S_n the chosen set of token n; chance:
//   k/E co-activation of (i, j)       N_ij / N_i                          times both are chosen / times i is
//   domain specialisation (i, D)  N_iD / N_D                          share of D's tokens that choose i;
//   uniform: k/E vocabulary spec. (i, x)       N_xi / N_x                          share of the tokens of id
//   x that choose i
// where x is the input id, the true next id or the predicted id. A choice below 0 is none (a dropped edge, a
// token with fewer experts). A token that names an expert twice counts it once.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace lyceum {

struct RoutingShape {
  int64_t n_layers = 0, n_experts = 0, top_k = 0;
  int64_t n_domains = 0;
  int64_t vocab = 0;  // 0: no vocabulary specialisation
};

enum class TokenRole { kInput = 0, kNext = 1, kPredicted = 2 };
inline constexpr int kTokenRoles = 3;
const char* token_role_name(TokenRole role);  // "input", "next", "predicted"

// One layer's choices for some tokens. Empty spans and negative ids: not known.
struct RoutingRecord {
  int64_t layer = 0;
  std::span<const int32_t> experts;        // [tokens, top_k], best first
  std::span<const int32_t> domains;        // [tokens]
  std::span<const int32_t> ids;            // [tokens]
  std::span<const int32_t> next_ids;       // [tokens]
  std::span<const int32_t> predicted_ids;  // [tokens]
};

// Load of one layer's experts, from their counts.
struct LoadFigures {
  double max_over_mean = 0;      // 1 = balanced
  double entropy = 0;            // nats, of the load; ln E = balanced
  double effective_experts = 0;  // exp(entropy)
  int64_t dead = 0;              // experts without a token
  double gini = 0;               // 0 = balanced, towards 1 = one expert does all
};
LoadFigures load_figures(std::span<const int64_t> counts);
// Share of all choices that fall on the m most used experts, for m = 1 ... E: what a cache of m experts would
// hit.
std::vector<double> concentration_curve(std::span<const int64_t> counts);

class RoutingCounts {
 public:
  // Throws kInvalidArgument: sizes below one, top_k above n_experts.
  explicit RoutingCounts(const RoutingShape& shape);

  // Throws kInvalidArgument when lengths do not fit or an id is out of range. Not for several threads at
  // once: count apart and merge().
  void add(const RoutingRecord& record);
  void merge(const RoutingCounts& other);

  const RoutingShape& shape() const { return shape_; }
  int64_t tokens(int64_t layer) const { return layers_[at(layer)].tokens; }
  std::span<const int64_t> counts(int64_t layer) const { return layers_[at(layer)].expert; }  // [n_experts]
  LoadFigures load(int64_t layer) const { return load_figures(counts(layer)); }

  // [n_experts, n_experts]; the diagonal is 1 for experts that were chosen at all, rows of others are 0.
  std::vector<double> co_activation(int64_t layer) const;
  // The same as the published script counts it: only neighbours in the list sorted by probability (k - 1
  // pairs a token) over times i is chosen. For equal figures; the definition is the one above.
  std::vector<double> co_activation_of_neighbours(int64_t layer) const;
  // [n_domains, n_experts]
  std::vector<double> domain_specialisation(int64_t layer) const;
  int64_t domain_tokens(int64_t layer, int64_t domain) const;

  // Mean over the ids that occur at least `least` times of the largest share that one expert has of the id.
  double vocabulary_specialisation(int64_t layer, TokenRole role, int64_t least = 1) const;
  struct SpecialId {
    int32_t id = 0;
    int64_t occurrences = 0;
    double share = 0;  // of its occurrences that choose the expert
  };
  // Ids that choose `expert` most often, those with fewer than `least` occurrences left out; most special
  // first.
  std::vector<SpecialId> special_ids(int64_t layer, int64_t expert, TokenRole role, size_t most,
                                     int64_t least = 10) const;

 private:
  // Counts by id: rows are made when an id is first seen.
  struct IdCounts {
    std::vector<int32_t> row_of_id;   // [vocab], -1 = not seen
    std::vector<int32_t> id_of_row;   // [rows]
    std::vector<int64_t> seen;        // [rows]
    std::vector<uint32_t> by_expert;  // [rows, n_experts]
    size_t row(int32_t id, int64_t n_experts);
  };
  struct Layer {
    int64_t tokens = 0;
    std::vector<int64_t> expert;      // [n_experts]
    std::vector<int64_t> pairs;       // [n_experts, n_experts], both orders
    std::vector<int64_t> neighbours;  // [n_experts, n_experts], both orders
    std::vector<int64_t> domain;      // [n_domains, n_experts]
    std::vector<int64_t> domain_tokens;
    std::array<IdCounts, kTokenRoles> ids;
  };
  size_t at(int64_t layer) const;
  void check_record(const RoutingRecord& record) const;
  RoutingShape shape_;
  std::vector<Layer> layers_;
};

// Router saturation: mean share of each token's choices at one checkpoint that the later one makes too. Both
// [tokens, top_k] of the same tokens; order within a token does not matter.
double router_saturation(std::span<const int32_t> earlier, std::span<const int32_t> later, int64_t top_k);

}  // namespace lyceum
