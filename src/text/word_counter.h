// How often each word of a text occurs, counted on all threads. Private to src/text.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "text/scanner.h"

namespace lyceum {

// A hash table of words; the text of all words lies in one string.
class WordTable {
 public:
  struct Entry {
    uint64_t hash, count, text;  // `text`: where the word begins
    uint32_t length;
  };
  WordTable();
  void add(std::string_view word, uint64_t hash, uint64_t count);
  const std::vector<Entry>& entries() const { return entries_; }
  std::string_view word(const Entry& e) const { return {&text_[e.text], e.length}; }

 private:
  void grow();
  std::vector<uint32_t> slots_;  // index into entries_ + 1, or 0
  std::vector<Entry> entries_;
  std::string text_;
};

class WordCounter {
 public:
  explicit WordCounter(Scan scan) : scan_(scan) {}
  void add(std::span<const std::string_view> texts);
  // Brings the counts of all threads together. Call before tables().
  void combine();
  // Each word is in one table; which one, and in which order, says nothing.
  const std::vector<WordTable>& tables() const { return shards_[0]; }
  uint64_t bytes() const { return bytes_; }

 private:
  void count(std::string_view text, std::vector<WordTable>& tables) const;
  Scan scan_;
  std::vector<std::vector<WordTable>> shards_ = {{}};  // [worker][shard]
  uint64_t bytes_ = 0;
};

}  // namespace lyceum
