#include "text/word_counter.h"

#include <algorithm>
#include <cstring>

#include "base/random.h"
#include "base/threads.h"
#include "text/unicode.h"

namespace lyceum {
namespace {

constexpr size_t kShards = 64;
constexpr size_t kCountedBytes = 256 << 10;  // bytes that one task counts
constexpr size_t kLongestWord = 1024;        // longer ones are cut: a merge looks at whole words

uint64_t hash_word(std::string_view word) {
  uint64_t h = word.size() * 0x9e3779b97f4a7c15ull;
  size_t i = 0;
  for (uint64_t part; i + 8 <= word.size(); i += 8) {
    std::memcpy(&part, word.data() + i, 8);
    h = (h ^ part) * 0xd6e8feb86659fd93ull;
    h ^= h >> 32;
  }
  uint64_t tail = 0;
  if (i < word.size()) std::memcpy(&tail, word.data() + i, word.size() - i);
  return mix64(h ^ tail);
}

// True if the character that ends before `i` is surely no white space; the text may be invalid.
bool behind_sign(std::string_view text, size_t i) {
  const auto last = static_cast<uint8_t>(text[i - 1]);
  if (last < 0x80) return last > ' ' && last < 0x7f;
  if (i < 3) return false;
  const auto lead = static_cast<uint8_t>(text[i - 3]);
  return lead >= 0xe3 && lead <= 0xe9 && text.substr(i - 3, 3) != "\xe3\x80\x80";  // U+3000 is a space
}

// Cuts a text into tasks behind single line ends that stand between two visible characters (ASCII, Han):
// every pattern ends a word there, whatever else the text holds.
void cut_at_lines(std::string_view text, std::vector<std::string_view>& parts) {
  while (text.size() > kCountedBytes + kCountedBytes / 2) {
    size_t cut = kCountedBytes;
    while ((cut = text.find('\n', cut)) != std::string_view::npos && ++cut < text.size()) {
      const auto next = static_cast<uint8_t>(text[cut]);
      const bool visible = (next > ' ' && next < 0x7f) || (next >= 0xe4 && next <= 0xe9);
      if (visible && behind_sign(text, cut - 1)) break;
    }
    if (cut >= text.size()) break;
    parts.push_back(text.substr(0, cut));
    text.remove_prefix(cut);
  }
  if (!text.empty()) parts.push_back(text);
}

}  // namespace

WordTable::WordTable() : slots_(256) {}

void WordTable::add(std::string_view word, uint64_t hash, uint64_t count) {
  size_t i = hash & (slots_.size() - 1);
  for (; slots_[i] != 0; i = (i + 1) & (slots_.size() - 1)) {
    Entry& e = entries_[slots_[i] - 1];
    if (e.hash == hash && this->word(e) == word) {
      e.count += count;
      return;
    }
  }
  entries_.push_back({hash, count, text_.size(), static_cast<uint32_t>(word.size())});
  text_.append(word);
  slots_[i] = static_cast<uint32_t>(entries_.size());
  if (entries_.size() * 2 > slots_.size()) grow();
}

void WordTable::grow() {
  std::vector<uint32_t> larger(slots_.size() * 2);
  for (size_t e = 0; e < entries_.size(); ++e) {
    size_t i = entries_[e].hash & (larger.size() - 1);
    while (larger[i] != 0) i = (i + 1) & (larger.size() - 1);
    larger[i] = static_cast<uint32_t>(e + 1);
  }
  slots_ = std::move(larger);
}

void WordCounter::count(std::string_view text, std::vector<WordTable>& tables) const {
  const char *p = text.data(), *end = p + text.size();
  for (const char* next; p < end; p = next) {
    next = scan_(p, end);
    for (size_t left = static_cast<size_t>(next - p); left > 0;) {
      size_t n = std::min(left, kLongestWord);
      while (n < left && is_continuation(p[n])) --n;
      const std::string_view word(p, n);
      const uint64_t hash = hash_word(word);
      tables[hash >> 58].add(word, hash, 1);
      p += n;
      left -= n;
    }
  }
}

void WordCounter::add(std::span<const std::string_view> texts) {
  std::vector<std::string_view> parts;
  for (const std::string_view text : texts) {
    cut_at_lines(text, parts);
    bytes_ += text.size();
  }
  std::vector<size_t> begins = {0};
  size_t bytes = 0;
  for (size_t i = 0; i < parts.size(); ++i) {
    bytes += parts[i].size();
    if (bytes >= kCountedBytes / 2 || i + 1 == parts.size()) begins.push_back(i + 1), bytes = 0;
  }
  const auto n_workers = static_cast<size_t>(thread_count());
  if (shards_.size() < n_workers) shards_.resize(n_workers);
  for (auto& tables : shards_) tables.resize(kShards);
  parallel_for(static_cast<int64_t>(begins.size()) - 1, [&](int64_t task, int worker) {
    std::string buffer;
    for (size_t i = begins[task]; i < begins[task + 1]; ++i)
      count(to_valid_utf8(parts[i], buffer), shards_[worker]);
  });
}

void WordCounter::combine() {
  shards_[0].resize(kShards);
  parallel_for(kShards, [&](int64_t shard, int) {
    for (size_t worker = 1; worker < shards_.size(); ++worker) {
      const WordTable& from = shards_[worker][shard];
      for (const WordTable::Entry& e : from.entries()) shards_[0][shard].add(from.word(e), e.hash, e.count);
    }
  });
  shards_.resize(1);
}

}  // namespace lyceum
