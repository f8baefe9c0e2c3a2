// MinHash signatures and banded lookup: candidates for near duplicates without comparing all pairs.
//
//   P(one row of two signatures agrees) = J(a, b); P(some band of r rows agrees) = 1 - (1 - J^r)^b
//   with r = 5, b = 24: 0.3 -> 6 %, 0.5 -> 53 %, 0.7 -> 98.8 %, 0.8 -> 99.993 %, 0.9 -> all but 4e-10
// Candidates are then held against the true Jaccard similarity, so false ones cost time and nothing else.
// Source: Broder 1997, "On the resemblance and containment of documents"; Leskovec et al., "Mining of Massive
// Datasets", 3.4.
#pragma once

#include <array>
#include <cstdint>
#include <unordered_map>
#include <vector>

namespace lyceum {

constexpr int kMinHashBands = 24, kMinHashRows = 5, kMinHashes = kMinHashBands * kMinHashRows;

using MinHash = std::array<uint32_t, kMinHashes>;

// For each of kMinHashes hash functions the least value over the set.
MinHash minhash_of(const std::vector<uint64_t>& set);

// Finds the earlier entries that share a band.
class MinHashIndex {
 public:
  void add(const MinHash& signature, int32_t entry);
  // Entries that share at least one band, ascending, each once.
  void candidates(const MinHash& signature, std::vector<int32_t>& out) const;

 private:
  std::unordered_map<uint64_t, std::vector<int32_t>> buckets_;
};

}  // namespace lyceum
