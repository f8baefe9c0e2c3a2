// Words that a thread has encoded lately. Natural text repeats itself: more than nine words in ten are here,
// and finding one costs a few nanoseconds.
#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>
#include <vector>

#include "base/random.h"

namespace lyceum {

class WordCache {
 public:
  static constexpr size_t kLongest = 256;  // bytes of a word that is kept

  WordCache() : short_(size_t{2} << kShortBits), long_(size_t{1} << kLongBits) {}

  // Appends the ids of `word` if it is known.
  bool find(std::string_view word, std::vector<int32_t>& out) const {
    if (word.size() < 16) {
      const ShortKey key = short_key(word);
      const ShortEntry* bucket = &short_[2 * key.bucket];
      for (int way = 0; way < 2; ++way) {
        const ShortEntry& e = bucket[way];
        if (e.low != key.low || e.high != key.high || e.length != word.size()) continue;
        if (e.n_ids == 1) out.push_back(e.ids[0]);
        else out.insert(out.end(), e.ids, e.ids + e.n_ids);
        return e.n_ids > 0 || find_long(word, out);  // 0: its ids do not fit here
      }
      return false;
    }
    return word.size() <= kLongest && find_long(word, out);
  }

  void insert(std::string_view word, const std::vector<int32_t>& ids) {
    if (word.size() > kLongest) return;
    if (word.size() >= 16) return insert_long(word, ids);
    const bool fits = ids.size() <= 3;
    if (!fits || ids.empty()) insert_long(word, ids);
    const ShortKey key = short_key(word);
    ShortEntry* bucket = &short_[2 * key.bucket];
    bucket[1] = bucket[0];  // the older of the two goes
    bucket[0] = {key.low, key.high, {0, 0, 0}, static_cast<uint16_t>(word.size()), 0};
    if (!fits) return;
    bucket[0].n_ids = static_cast<uint16_t>(ids.size());
    for (size_t i = 0; i < ids.size(); ++i) bucket[0].ids[i] = ids[i];
  }

 private:
  static constexpr int kShortBits = 14, kLongBits = 13;

  struct ShortEntry {  // 32 bytes; two of them are a cache line
    uint64_t low = 0, high = 0;
    int32_t ids[3] = {0, 0, 0};
    uint16_t length = 0, n_ids = 0;
  };
  struct ShortKey {
    uint64_t low, high;
    size_t bucket;
  };
  struct LongEntry {
    uint64_t hash = 0;
    uint32_t text = 0, ids = 0;  // where they begin
    uint32_t length = 0, n_ids = 0;
  };

  template <class T>
  static uint64_t load(const char* p) {
    T x;
    std::memcpy(&x, p, sizeof x);
    return x;
  }
  static ShortKey short_key(std::string_view word) {
    const size_t n = word.size();
    const char* p = word.data();
    ShortKey key{0, 0, 0};
    if (n >= 8) {
      key.low = load<uint64_t>(p);
      key.high = load<uint64_t>(p + n - 8);
    } else if (n >= 4) {
      key.low = load<uint32_t>(p) | load<uint32_t>(p + n - 4) << 32;
    } else {
      key.low = load<uint8_t>(p) | load<uint8_t>(p + n / 2) << 8 | load<uint8_t>(p + n - 1) << 16;
    }
    const uint64_t h = key.low * 0x9e3779b97f4a7c15ull ^ (key.high + n) * 0xd6e8feb86659fd93ull;
    key.bucket = (h ^ h >> 29) * 0xbf58476d1ce4e5b9ull >> (64 - kShortBits);
    return key;
  }
  static uint64_t long_hash(std::string_view word) {
    uint64_t h = word.size();
    size_t i = 0;
    for (; i + 8 <= word.size(); i += 8) h = mix64(h ^ load<uint64_t>(word.data() + i));
    uint64_t tail = 0;
    if (i < word.size()) std::memcpy(&tail, word.data() + i, word.size() - i);
    return mix64(h ^ tail) | 1;  // 0 marks an empty slot
  }
  size_t slot_of(uint64_t hash, std::string_view word) const {
    size_t i = hash >> (64 - kLongBits);
    while (long_[i].hash != 0 &&
           (long_[i].hash != hash || std::string_view(&text_[long_[i].text], long_[i].length) != word))
      i = (i + 1) & (long_.size() - 1);
    return i;
  }
  bool find_long(std::string_view word, std::vector<int32_t>& out) const {
    const LongEntry& e = long_[slot_of(long_hash(word), word)];
    if (e.hash == 0) return false;
    out.insert(out.end(), ids_.begin() + e.ids, ids_.begin() + e.ids + e.n_ids);
    return true;
  }
  void insert_long(std::string_view word, const std::vector<int32_t>& ids) {
    if (++n_long_ > long_.size() / 2) {  // start anew rather than grow without bound
      std::fill(long_.begin(), long_.end(), LongEntry{});
      text_.clear();
      ids_.clear();
      n_long_ = 1;
    }
    const uint64_t hash = long_hash(word);
    LongEntry& e = long_[slot_of(hash, word)];
    e = {hash, static_cast<uint32_t>(text_.size()), static_cast<uint32_t>(ids_.size()),
         static_cast<uint32_t>(word.size()), static_cast<uint32_t>(ids.size())};
    text_.insert(text_.end(), word.begin(), word.end());
    ids_.insert(ids_.end(), ids.begin(), ids.end());
  }

  std::vector<ShortEntry> short_;  // [buckets, 2]
  std::vector<LongEntry> long_;
  std::vector<char> text_;
  std::vector<int32_t> ids_;
  size_t n_long_ = 0;
};

}  // namespace lyceum
