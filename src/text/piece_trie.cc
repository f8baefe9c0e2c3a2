#include "text/piece_trie.h"

#include <algorithm>

#include "base/error.h"

namespace lyceum {

// A base at which all children find a free unit: tried where free units begin, and after some failures at the
// end, so that building stays linear.
uint32_t PieceTrie::place(const uint8_t* labels, size_t n) {
  const auto is_free = [&](size_t unit) { return unit >= units_.size() || units_[unit].parent == kFree; };
  while (!is_free(first_free_)) ++first_free_;
  size_t candidate = std::max<size_t>(first_free_, size_t{labels[0]} + 1);
  for (int tries = 0;; ++candidate) {
    if (!is_free(candidate)) continue;
    if (++tries == 64) candidate = std::max(candidate, units_.size() + labels[0]);
    const size_t base = candidate - labels[0];
    bool fits = true;
    for (size_t i = 1; i < n && fits; ++i) fits = is_free(base + labels[i]);
    if (!fits) continue;
    check(base < 0xffffff00u, "tokenizer model", "wanted a vocabulary below 4 GiB of text");
    if (units_.size() <= base + labels[n - 1]) units_.resize(base + labels[n - 1] + 1);
    return static_cast<uint32_t>(base);
  }
}

PieceTrie::PieceTrie(std::vector<Key> keys) : units_(1) {
  units_[0].parent = 0;
  std::stable_sort(keys.begin(), keys.end(), [](const Key& a, const Key& b) { return a.first < b.first; });
  struct Range {
    size_t begin, end, depth;
    uint32_t node;
  };
  std::vector<Range> todo = {{0, keys.size(), 0, 0}};
  while (!todo.empty()) {
    Range r = todo.back();
    todo.pop_back();
    for (; r.begin < r.end && keys[r.begin].first.size() == r.depth; ++r.begin)
      if (r.depth > 0) units_[r.node].value = keys[r.begin].second;
    if (r.begin == r.end) continue;
    std::vector<uint8_t> labels;
    std::vector<size_t> begins;
    for (size_t i = r.begin; i < r.end; ++i) {
      const auto byte = static_cast<uint8_t>(keys[i].first[r.depth]);
      if (labels.empty() || labels.back() != byte) labels.push_back(byte), begins.push_back(i);
    }
    begins.push_back(r.end);
    const uint32_t base = place(labels.data(), labels.size());
    units_[r.node].base = base;
    for (const uint8_t label : labels) units_[base + label].parent = r.node;
    for (size_t i = labels.size(); i-- > 0;)  // the first child is done next: its units lie near
      todo.push_back({begins[i], begins[i + 1], r.depth + 1, base + labels[i]});
  }
}

}  // namespace lyceum
