// Which neighbours BPE joins, in which order, and into what: one table for the two ways in which files say
// it. Private to src/text.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace lyceum {

struct BpeMerge {
  uint32_t order = ~0u;  // the lowest is joined first; equal ones from the left; ~0: never
  int32_t id = -1;       // of the joined piece
};

// (left, right) -> merge. One 64-bit word a pair, 21 + 21 bits of ids and 22 of an index, in an open table at
// most half full: a look that finds nothing, the usual one, touches one cache line.
class BpeMerges {
 public:
  // Of equal pairs the last counts. Throws kUnsupported above 2^22 pairs. Ids are below 2^21.
  void add(int32_t left, int32_t right, BpeMerge merge);
  void build();

  BpeMerge find(int32_t left, int32_t right) const {
    const uint64_t slot = slots_[probe(make_key(left, right))];
    return slot == kEmpty ? BpeMerge{} : merges_[slot & 0x3fffff];
  }

 private:
  static constexpr uint64_t kEmpty = ~uint64_t{0};
  static uint64_t make_key(int32_t left, int32_t right) {
    return static_cast<uint64_t>(left) << 21 | static_cast<uint32_t>(right);
  }
  size_t probe(uint64_t key) const {
    size_t i = (key * 0x9e3779b97f4a7c15ull) >> shift_;
    while (slots_[i] != kEmpty && slots_[i] >> 22 != key) i = (i + 1) & (slots_.size() - 1);
    return i;
  }
  std::vector<uint64_t> keys_, slots_;
  std::vector<BpeMerge> merges_;
  int shift_ = 60;
};

}  // namespace lyceum
