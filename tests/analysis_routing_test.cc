// Routing measures. Oracles: the definitions written as plain loops over all tokens, examples counted by
// hand, the values that uniform routing must have.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <set>

#include "analysis/routing.h"
#include "base/error.h"
#include "base/random.h"

namespace lyceum {
namespace {

using Sets = std::vector<std::set<int>>;  // the chosen experts of each token

struct Example {
  RoutingShape shape{2, 7, 3, 4, 50};
  int64_t tokens = 400;
  std::vector<int32_t> experts[2], domains, ids, next_ids, predicted_ids;

  explicit Example(uint64_t seed) {
    const RandomKey key(seed);
    uint64_t draw = 0;
    for (int64_t t = 0; t < tokens; ++t) {
      domains.push_back(static_cast<int32_t>(key.below(draw++, 5)) - 1);  // -1: not known
      ids.push_back(static_cast<int32_t>(key.below(draw++, 50)));
      next_ids.push_back(t + 1 == tokens ? -1 : static_cast<int32_t>(key.below(draw++, 50)));
      predicted_ids.push_back(static_cast<int32_t>(key.below(draw++, 9)));
      for (auto& layer : experts) {
        std::vector<int32_t> chosen;
        while (chosen.size() < 3) {
          // skewed, so that experts differ; expert 6 of layer 0 stays dead
          const uint64_t a = key.below(draw++, 6), b = key.below(draw++, 7);
          const auto e = static_cast<int32_t>(a * b / 6);
          if (std::find(chosen.begin(), chosen.end(), e) == chosen.end()) chosen.push_back(e);
        }
        if (key.below(draw++, 10) == 0) chosen[2] = -1;  // a dropped edge
        layer.insert(layer.end(), chosen.begin(), chosen.end());
      }
    }
  }
  RoutingRecord record(int64_t layer, int64_t begin, int64_t end) const {
    const auto part = [&](const std::vector<int32_t>& v, int64_t width = 1) {
      return std::span<const int32_t>(v).subspan(static_cast<size_t>(begin * width),
                                                 static_cast<size_t>((end - begin) * width));
    };
    return {layer, part(experts[layer], 3), part(domains), part(ids), part(next_ids), part(predicted_ids)};
  }
  Sets sets(int64_t layer) const {
    Sets out(static_cast<size_t>(tokens));
    for (size_t i = 0; i < experts[layer].size(); ++i)
      if (experts[layer][i] >= 0) out[i / 3].insert(experts[layer][i]);
    return out;
  }
  RoutingCounts counted() const {
    RoutingCounts counts(shape);
    for (int64_t layer = 0; layer < 2; ++layer)
      for (int64_t begin = 0; begin < tokens; begin += 37)
        counts.add(record(layer, begin, std::min(tokens, begin + 37)));
    return counts;
  }
};

double ratio(int64_t a, int64_t b) { return b == 0 ? 0.0 : static_cast<double>(a) / static_cast<double>(b); }

TEST(Routing, EveryMeasureIsWhatItsDefinitionSaysTokenByToken) {
  for (uint64_t seed = 1; seed <= 5; ++seed) {
    const Example example(seed);
    const RoutingCounts counts = example.counted();
    for (int64_t layer = 0; layer < 2; ++layer) {
      const Sets sets = example.sets(layer);
      const auto together = counts.co_activation(layer), domains = counts.domain_specialisation(layer);
      for (int i = 0; i < 7; ++i) {
        int64_t n_i = 0;
        for (const auto& s : sets) n_i += s.count(i);
        ASSERT_EQ(counts.counts(layer)[static_cast<size_t>(i)], n_i);
        for (int j = 0; j < 7; ++j) {
          int64_t both = 0;
          for (const auto& s : sets) both += s.count(i) && s.count(j);
          ASSERT_EQ(together[static_cast<size_t>(i * 7 + j)], ratio(both, n_i)) << i << " " << j;
        }
        for (int domain = 0; domain < 4; ++domain) {
          int64_t in_domain = 0, chose = 0;
          for (size_t t = 0; t < sets.size(); ++t) {
            in_domain += example.domains[t] == domain;
            chose += example.domains[t] == domain && sets[t].count(i);
          }
          ASSERT_EQ(domains[static_cast<size_t>(domain * 7 + i)], ratio(chose, in_domain));
          ASSERT_EQ(counts.domain_tokens(layer, domain), in_domain);
        }
      }
    }
  }
}

TEST(Routing, VocabularySpecialisationIsTheMeanOverIdsOfTheLargestShare) {
  const Example example(9);
  const RoutingCounts counts = example.counted();
  const std::vector<int32_t>* columns[] = {&example.ids, &example.next_ids, &example.predicted_ids};
  for (int64_t layer = 0; layer < 2; ++layer) {
    const Sets sets = example.sets(layer);
    for (int role = 0; role < kTokenRoles; ++role)
      for (const int64_t least : {1, 8}) {
        double sum = 0;
        int64_t ids = 0;
        for (int id = 0; id < 50; ++id) {
          int64_t seen = 0;
          int64_t by_expert[7] = {};
          for (size_t t = 0; t < sets.size(); ++t)
            if ((*columns[role])[t] == id) {
              ++seen;
              for (const int e : sets[t]) ++by_expert[e];
            }
          if (seen < least) continue;
          sum += ratio(*std::max_element(by_expert, by_expert + 7), seen);
          ++ids;
        }
        EXPECT_NEAR(counts.vocabulary_specialisation(layer, static_cast<TokenRole>(role), least),
                    sum / static_cast<double>(ids), 1e-12);
      }
  }
}

TEST(Routing, SpecialIdsAreSortedByShareAndRareOnesAreLeftOut) {
  // Expert 0 gets id 3 always (4 of 4), id 1 in 2 of 4, id 2 in 1 of 1.
  RoutingCounts counts({1, 2, 1, 1, 5});
  const std::vector<int32_t> ids = {3, 3, 3, 3, 1, 1, 1, 1, 2}, experts = {0, 0, 0, 0, 0, 0, 1, 1, 0};
  counts.add({0, experts, {}, ids, {}, {}});
  const auto special = counts.special_ids(0, 0, TokenRole::kInput, 10, 2);
  ASSERT_EQ(special.size(), 2u);
  EXPECT_EQ(special[0].id, 3);
  EXPECT_EQ(special[0].share, 1.0);
  EXPECT_EQ(special[0].occurrences, 4);
  EXPECT_EQ(special[1].id, 1);
  EXPECT_EQ(special[1].share, 0.5);
  EXPECT_EQ(counts.special_ids(0, 0, TokenRole::kInput, 1, 1).size(), 1u);
  EXPECT_TRUE(counts.special_ids(0, 0, TokenRole::kNext, 10, 1).empty());
  EXPECT_DOUBLE_EQ(counts.vocabulary_specialisation(0, TokenRole::kInput), (1.0 + 0.5 + 1.0) / 3);
}

TEST(Routing, TheNeighbourFormCountsOnlyAdjacentPairsOfTheSortedList) {
  // One token choosing 2, 0, 1: neighbours are (2,0) and (0,1); the definition also has (2,1).
  RoutingCounts counts({1, 3, 3, 1, 0});
  const std::vector<int32_t> experts = {2, 0, 1};
  counts.add({0, experts, {}, {}, {}, {}});
  EXPECT_EQ(counts.co_activation_of_neighbours(0), (std::vector<double>{0, 1, 1, 1, 0, 0, 1, 0, 0}));
  EXPECT_EQ(counts.co_activation(0), std::vector<double>(9, 1.0));
  const Example example(3);
  const RoutingCounts big = example.counted();
  double pairs = 0;
  const auto script = big.co_activation_of_neighbours(1);
  for (size_t i = 0; i < 49; ++i) pairs += script[i] * static_cast<double>(big.counts(1)[i / 7]);
  double expected = 0;
  for (const auto& s : example.sets(1)) expected += 2.0 * static_cast<double>(s.size() - 1);
  EXPECT_NEAR(pairs, expected, 1e-9);
}

TEST(Routing, SaturationCountsCommonChoicesWhateverTheirOrder) {
  const std::vector<int32_t> a = {0, 1, 2, 3, 4, 5}, b = {1, 0, 3, 7, 5, 4}, c = {6, 7, 0, 1, 2, 3};
  EXPECT_DOUBLE_EQ(router_saturation(a, a, 2), 1.0);
  EXPECT_DOUBLE_EQ(router_saturation(a, b, 2), (2 + 1 + 2) / 6.0);
  EXPECT_DOUBLE_EQ(router_saturation(a, c, 2), 0.0);
  EXPECT_DOUBLE_EQ(router_saturation(a, b, 3), (2 + 2) / 6.0);
  const std::vector<int32_t> dropped = {0, -1}, same = {-1, 0};
  EXPECT_DOUBLE_EQ(router_saturation(dropped, same, 2), 0.5);
}

TEST(Routing, UniformRoutingHasTheUniformBaselines) {
  const int64_t E = 16, k = 4, tokens = 200000;
  RoutingCounts counts({1, E, k, 2, 0});
  const RandomKey key(5);
  std::vector<int32_t> experts, again, domains;
  const auto draw_set = [&](std::vector<int32_t>& out, uint64_t stream, int64_t t) {
    std::vector<int32_t> all(static_cast<size_t>(E));
    for (size_t e = 0; e < all.size(); ++e) all[e] = static_cast<int32_t>(e);
    for (int64_t i = 0; i < k; ++i) {
      const auto j = static_cast<size_t>(i) +
                     key.with(stream).below(static_cast<uint64_t>(t * k + i), static_cast<uint64_t>(E - i));
      std::swap(all[static_cast<size_t>(i)], all[j]);
      out.push_back(all[static_cast<size_t>(i)]);
    }
  };
  for (int64_t t = 0; t < tokens; ++t) {
    draw_set(experts, 1, t);
    draw_set(again, 2, t);
    domains.push_back(static_cast<int32_t>(t % 2));
  }
  counts.add({0, experts, domains, {}, {}, {}});
  const double chance = static_cast<double>(k) / static_cast<double>(E);
  for (const double share : counts.domain_specialisation(0)) EXPECT_NEAR(share, chance, 0.01);
  const auto together = counts.co_activation(0);
  for (size_t i = 0; i < together.size(); ++i)
    EXPECT_NEAR(together[i], i % 17 == 0 ? 1.0 : (k - 1.0) / (E - 1.0), 0.015);  // k-1 of the other E-1
  EXPECT_NEAR(router_saturation(experts, again, k), chance, 0.005);
  const LoadFigures load = counts.load(0);
  EXPECT_NEAR(load.max_over_mean, 1, 0.02);
  EXPECT_NEAR(load.entropy, std::log(16.0), 1e-3);
  EXPECT_NEAR(load.effective_experts, 16, 0.02);
  EXPECT_NEAR(load.gini, 0, 0.01);
  EXPECT_EQ(load.dead, 0);
}

TEST(Routing, LoadFiguresOfHandMadeCounts) {
  const std::vector<int64_t> one = {0, 12, 0, 0}, uneven = {1, 1, 2, 4}, none = {0, 0};
  EXPECT_EQ(load_figures(one).max_over_mean, 4);
  EXPECT_EQ(load_figures(one).entropy, 0);
  EXPECT_EQ(load_figures(one).dead, 3);
  EXPECT_DOUBLE_EQ(load_figures(one).gini, 0.75);  // (E - 1) / E
  EXPECT_DOUBLE_EQ(load_figures(uneven).max_over_mean, 2);
  EXPECT_NEAR(load_figures(uneven).entropy, 1.75 * std::log(2.0), 1e-12);
  EXPECT_NEAR(load_figures(uneven).effective_experts, std::pow(2.0, 1.75), 1e-12);
  EXPECT_DOUBLE_EQ(load_figures(uneven).gini, 0.3125);  // mean absolute difference / (2 mean), by hand
  EXPECT_EQ(load_figures(none).dead, 2);
  EXPECT_EQ(concentration_curve(uneven), (std::vector<double>{0.5, 0.75, 0.875, 1.0}));
}

TEST(Routing, CountingApartAndMergingIsCountingTogether) {
  const Example example(4);
  RoutingCounts parts[2] = {RoutingCounts(example.shape), RoutingCounts(example.shape)};
  for (int64_t layer = 0; layer < 2; ++layer) {
    parts[0].add(example.record(layer, 0, 150));
    parts[1].add(example.record(layer, 150, example.tokens));
  }
  parts[1].merge(parts[0]);
  const RoutingCounts whole = example.counted();
  for (int64_t layer = 0; layer < 2; ++layer) {
    EXPECT_EQ(parts[1].co_activation(layer), whole.co_activation(layer));
    EXPECT_EQ(parts[1].co_activation_of_neighbours(layer), whole.co_activation_of_neighbours(layer));
    EXPECT_EQ(parts[1].domain_specialisation(layer), whole.domain_specialisation(layer));
    for (int role = 0; role < kTokenRoles; ++role)
      EXPECT_NEAR(parts[1].vocabulary_specialisation(layer, static_cast<TokenRole>(role)),
                  whole.vocabulary_specialisation(layer, static_cast<TokenRole>(role)), 1e-12);
  }
  EXPECT_THROW(parts[0].merge(RoutingCounts({1, 2, 1, 1, 0})), Error);
}

TEST(Routing, RecordsThatDoNotFitAreRefused) {
  RoutingCounts counts({1, 4, 2, 1, 10});
  const std::vector<int32_t> odd = {0, 1, 2}, big = {0, 4}, fine = {0, 1}, id = {10}, two = {1, 2};
  EXPECT_THROW(counts.add({0, odd, {}, {}, {}, {}}), Error);
  EXPECT_THROW(counts.add({0, big, {}, {}, {}, {}}), Error);
  EXPECT_THROW(counts.add({1, fine, {}, {}, {}, {}}), Error);
  EXPECT_THROW(counts.add({0, fine, {}, id, {}, {}}), Error);
  EXPECT_THROW(counts.add({0, fine, two, {}, {}, {}}), Error);
  EXPECT_THROW(RoutingCounts({1, 2, 3, 1, 0}), Error);
  EXPECT_EQ(counts.tokens(0), 0);  // nothing was counted
}

}  // namespace
}  // namespace lyceum
