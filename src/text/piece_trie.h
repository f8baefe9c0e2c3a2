// Which pieces of a vocabulary begin a text: a trie in a double array (Aoe 1989), for Unigram and WordPiece.
#pragma once

#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

namespace lyceum {

class PieceTrie {
 public:
  using Key = std::pair<std::string_view, int32_t>;  // piece, not empty, and its value of 0 and above

  PieceTrie() : units_(1) {}
  // Of equal keys the last counts.
  explicit PieceTrie(std::vector<Key> keys);

  // Calls on_match(length, value) for every key that is a prefix of `text`, shortest first.
  template <class OnMatch>
  void prefixes(std::string_view text, const OnMatch& on_match) const {
    uint32_t node = 0;
    for (size_t i = 0; i < text.size(); ++i) {
      const uint32_t next = units_[node].base + static_cast<uint8_t>(text[i]);
      if (next >= units_.size() || units_[next].parent != node) return;
      node = next;
      if (units_[node].value >= 0) on_match(i + 1, units_[node].value);
    }
  }

 private:
  static constexpr uint32_t kFree = ~0u;
  struct Unit {
    uint32_t base = 0;        // child of byte b: base + b
    uint32_t parent = kFree;  // node that this is a child of
    int32_t value = -1;       // of the key that ends here
  };
  uint32_t place(const uint8_t* labels, size_t n);

  std::vector<Unit> units_;  // [0] is the root
  uint32_t first_free_ = 1;
};

}  // namespace lyceum
