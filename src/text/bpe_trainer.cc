// Byte pair encoding learned greedily: the most frequent pair of neighbours becomes a new symbol, again and
// again.
//
// Words are kept once, with their counts. A merge visits only the words that hold the pair and keeps the
// counts of all pairs true as it goes, so the work is proportional to what changes. The rules are those of
// Hugging Face's BpeTrainer, whose merges are the oracle of the tests:
//   1. Of pairs with equal counts the one with the smaller ids is merged first (ids: special tokens, the 256
//   bytes
//      in the order of their characters, merges).
//   2. "aaa" counts the pair (a, a) twice and merges it once, leftmost first.
//   3. Counts in the heap are upper bounds: a popped entry that is out of date goes back with its true count.
//   4. Two merges may make the same string ("aa" + "a", "a" + "aa"): one symbol, two merges. A pair that
//   grows so
//      has several entries in the heap, each with its own words; of equal merges the last counts.
#include "text/bpe_trainer.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <unordered_map>

#include "base/error.h"
#include "base/progress.h"
#include "base/random.h"
#include "base/threads.h"
#include "text/bpe.h"
#include "text/scanner.h"
#include "text/unicode.h"
#include "text/word_counter.h"

namespace lyceum {
namespace {

uint64_t make_pair_key(int32_t left, int32_t right) {
  return static_cast<uint64_t>(left) << 32 | static_cast<uint32_t>(right);
}

// pair -> count, open addressing.
class PairCounts {
 public:
  PairCounts() : slots_(1 << 16) {}
  int64_t& operator[](uint64_t pair) {
    if (used_ * 2 > slots_.size()) grow();
    Slot& slot = slots_[probe(slots_, pair)];
    if (slot.pair == kEmpty) {
      slot.pair = pair;
      ++used_;
    }
    return slot.count;
  }

 private:
  static constexpr uint64_t kEmpty = ~uint64_t{0};
  struct Slot {
    uint64_t pair = kEmpty;
    int64_t count = 0;
  };
  static size_t probe(const std::vector<Slot>& slots, uint64_t pair) {
    size_t i = mix64(pair) & (slots.size() - 1);
    while (slots[i].pair != pair && slots[i].pair != kEmpty) i = (i + 1) & (slots.size() - 1);
    return i;
  }
  void grow() {
    std::vector<Slot> larger(slots_.size() * 2);
    for (const Slot& slot : slots_)
      if (slot.pair != kEmpty) larger[probe(larger, slot.pair)] = slot;
    slots_ = std::move(larger);
  }
  std::vector<Slot> slots_;
  size_t used_ = 0;
};

// A pair that may be merged, with the words that hold it.
struct Candidate {
  int64_t count;
  uint64_t pair;
  size_t first_word;  // into Merger::positions_
  uint32_t n_words;
  bool operator<(const Candidate& other) const {  // the heap has its largest on top
    return count != other.count ? count < other.count : pair > other.pair;
  }
};

class Merger {
 public:
  Merger(const BpeTrainerOptions& options, const std::vector<WordTable>& tables) : options_(options) {
    for (const std::string& token : options.special_tokens) add_symbol(token);
    for (uint32_t c = 0; c < 0x144; ++c) {  // GPT-2's alphabet in the order of its characters
      for (int byte = 0; byte < 256; ++byte) {
        if (byte_to_char(static_cast<uint8_t>(byte)) != c) continue;
        std::string spelled;
        append_char(spelled, c);
        byte_id_[byte] = add_symbol(spelled);
      }
    }
    read_words(tables);
    count_pairs();
  }

  void run() {
    std::optional<Progress> bar;
    if (options_.progress) bar.emplace("merge pairs", static_cast<double>(options_.vocab_size), "tokens");
    while (static_cast<int64_t>(symbols_.size()) < options_.vocab_size && !heap_.empty()) {
      std::pop_heap(heap_.begin(), heap_.end());
      Candidate top = heap_.back();
      heap_.pop_back();
      const int64_t count = counts_[top.pair];
      if (count != top.count) {
        top.count = count;
        if (count > 0) push(top);
        continue;
      }
      if (count < std::max<int64_t>(1, options_.min_frequency)) break;
      merge(top);
      if (bar) bar->update(static_cast<double>(symbols_.size()));
    }
  }

  // [id] as tokenizer.json spells it
  const std::vector<std::string>& symbols() const { return symbols_; }
  const std::vector<uint64_t>& merges() const { return merges_; }

 private:
  struct Word {
    size_t begin;  // into text_
    uint32_t length;
    int64_t count;
  };

  // What one thread has seen of a merge (left, right) -> made. Sides: 0 before, 1 behind the made symbol.
  struct Changes {
    std::vector<int64_t> lost[2],
        gained[2];                       // [symbol] of (x, left) and (right, x); of (x, made) and (made, x)
    std::vector<uint32_t> words[2];      // [symbol] how many words hold the gained pair
    std::vector<uint32_t> last_word[2];  // [symbol] the word that was counted last, + 1
    std::vector<int32_t> touched[2];
    std::vector<std::pair<uint32_t, uint32_t>> where;  // (symbol * 2 + side, word)
    void resize(size_t n) {
      for (int side = 0; side < 2; ++side) {
        lost[side].resize(n);
        gained[side].resize(n);
        words[side].resize(n);
        last_word[side].resize(n);
      }
    }
  };

  int32_t add_symbol(const std::string& text) {
    const auto [it, fresh] = ids_.emplace(text, static_cast<int32_t>(symbols_.size()));
    if (fresh) symbols_.push_back(text);
    return it->second;
  }

  void read_words(const std::vector<WordTable>& tables) {
    for (const WordTable& table : tables) {
      for (const WordTable::Entry& e : table.entries()) {
        if (e.length < 2) continue;
        words_.push_back({text_.size(), e.length, static_cast<int64_t>(e.count)});
        for (const char c : table.word(e)) text_.push_back(byte_id_[static_cast<uint8_t>(c)]);
      }
    }
    check(words_.size() < 0xffffffffu, "tokenizer train", "wanted fewer than 2^32 distinct words");
  }

  // All pairs of bytes: a dense table and one counting sort of the words by pair.
  void count_pairs() {
    const size_t n = symbols_.size();
    std::vector<int64_t> counts(n * n);
    std::vector<uint32_t> n_words(n * n), last(n * n);
    const auto each = [&](auto&& f) {
      std::fill(last.begin(), last.end(), 0);
      for (size_t w = 0; w < words_.size(); ++w) {
        const int32_t* s = &text_[words_[w].begin];
        for (uint32_t i = 0; i + 1 < words_[w].length; ++i) {
          const size_t pair = static_cast<size_t>(s[i]) * n + static_cast<size_t>(s[i + 1]);
          f(pair, w, last[pair] != w + 1);
          last[pair] = static_cast<uint32_t>(w + 1);
        }
      }
    };
    each([&](size_t pair, size_t w, bool first) {
      counts[pair] += words_[w].count;
      n_words[pair] += first;
    });
    std::vector<size_t> next(n * n);
    size_t total = 0;
    for (size_t pair = 0; pair < n * n; ++pair) {
      if (counts[pair] == 0) continue;
      const uint64_t key = make_pair_key(static_cast<int32_t>(pair / n), static_cast<int32_t>(pair % n));
      counts_[key] = counts[pair];
      heap_.push_back({counts[pair], key, total, n_words[pair]});
      next[pair] = total;
      total += n_words[pair];
    }
    positions_.resize(total);
    each([&](size_t pair, size_t w, bool first) {
      if (first) positions_[next[pair]++] = static_cast<uint32_t>(w);
    });
    std::make_heap(heap_.begin(), heap_.end());
  }

  void push(const Candidate& c) {
    heap_.push_back(c);
    std::push_heap(heap_.begin(), heap_.end());
  }

  void merge(const Candidate& top) {
    const auto left = static_cast<int32_t>(top.pair >> 32), right = static_cast<int32_t>(top.pair);
    const int32_t made = add_symbol(symbols_[left] + symbols_[right]);
    merges_.push_back(top.pair);
    const auto n_workers = static_cast<size_t>(thread_count());
    if (changes_.size() < n_workers) changes_.resize(n_workers);
    for (Changes& c : changes_) c.resize(symbols_.size());
    // few words: not worth waking other threads
    const int64_t grain = top.n_words < 2048 ? top.n_words : 512;
    parallel_ranges(top.n_words, grain, [&](int64_t begin, int64_t end, int worker) {
      for (int64_t i = begin; i < end; ++i)
        merge_word(positions_[top.first_word + static_cast<size_t>(i)], left, right, made, changes_[worker]);
    });
    apply_changes(left, right, made);
  }

  void merge_word(uint32_t w, int32_t left, int32_t right, int32_t made, Changes& c) {
    Word& word = words_[w];
    int32_t* s = &text_[word.begin];
    const uint32_t n = word.length;
    uint32_t out = 0;
    for (uint32_t i = 0; i < n;) {
      if (s[i] != left || i + 1 == n || s[i + 1] != right) {
        s[out++] = s[i++];
        continue;
      }
      if (out > 0) change(c, 0, s[out - 1], w, word.count, made);
      if (i + 2 < n) change(c, 1, s[i + 2], w, word.count, made);
      s[out++] = made;
      i += 2;
    }
    word.length = out;
  }

  // The made symbol now stands beside x where left (side 0: before it) or right (side 1) stood.
  void change(Changes& c, int side, int32_t x, uint32_t w, int64_t count, int32_t made) {
    if (c.lost[side][x] == 0 && c.gained[side][x] == 0) c.touched[side].push_back(x);
    c.lost[side][x] += count;
    if (x == made) side = 0;  // (made, made) is one pair, not two
    if (c.lost[side][x] == 0 && c.gained[side][x] == 0) c.touched[side].push_back(x);
    c.gained[side][x] += count;
    if (c.last_word[side][x] == w + 1) return;
    c.last_word[side][x] = w + 1;
    ++c.words[side][x];
    c.where.emplace_back(static_cast<uint32_t>(x) * 2 + static_cast<uint32_t>(side), w);
  }

  // Adds up what the threads saw, makes candidates of the gained pairs.
  void apply_changes(int32_t left, int32_t right, int32_t made) {
    Changes& sum = changes_[0];
    for (size_t i = 1; i < changes_.size(); ++i) {
      Changes& c = changes_[i];
      for (int side = 0; side < 2; ++side) {
        for (const int32_t x : c.touched[side]) {
          if (sum.lost[side][x] == 0 && sum.gained[side][x] == 0) sum.touched[side].push_back(x);
          sum.lost[side][x] += std::exchange(c.lost[side][x], 0);
          sum.gained[side][x] += std::exchange(c.gained[side][x], 0);
          sum.words[side][x] += std::exchange(c.words[side][x], 0);
          c.last_word[side][x] = 0;
        }
        c.touched[side].clear();
      }
    }
    for (int side = 0; side < 2; ++side) {
      for (const int32_t x : sum.touched[side]) {
        counts_[side == 0 ? make_pair_key(x, left) : make_pair_key(right, x)] -= sum.lost[side][x];
        counts_[side == 0 ? make_pair_key(x, made) : make_pair_key(made, x)] += sum.gained[side][x];
      }
    }
    // the words of each gained pair, one pair behind the other
    size_t end = positions_.size();
    for (int side = 0; side < 2; ++side) {
      for (const int32_t x : sum.touched[side]) {
        const uint32_t n = sum.words[side][x];
        const uint64_t pair = side == 0 ? make_pair_key(x, made) : make_pair_key(made, x);
        const int64_t count = n > 0 ? counts_[pair] : 0;
        if (count > 0) push({count, pair, end, n});
        next_[side].resize(symbols_.size());
        next_[side][x] = end;
        end += n;
        sum.lost[side][x] = sum.gained[side][x] = 0;
        sum.words[side][x] = sum.last_word[side][x] = 0;
      }
      sum.touched[side].clear();
    }
    positions_.resize(end);
    for (Changes& c : changes_) {
      for (const auto& [key, w] : c.where) positions_[next_[key & 1][key >> 1]++] = w;
      c.where.clear();
    }
  }

  const BpeTrainerOptions& options_;
  std::vector<std::string> symbols_;
  std::unordered_map<std::string, int32_t> ids_;
  int32_t byte_id_[256];
  std::vector<int32_t> text_;  // symbols of all words; a word only shrinks
  std::vector<Word> words_;
  PairCounts counts_;
  std::vector<Candidate> heap_;
  std::vector<uint32_t> positions_;  // indices of words, for the candidates
  std::vector<uint64_t> merges_;
  std::vector<Changes> changes_;  // [worker]
  std::vector<size_t> next_[2];   // [symbol]
};

// The file that Hugging Face's Tokenizer.save() would write.
std::string make_tokenizer_json(const BpeTrainerOptions& options, const SplitPattern& pattern,
                                const Merger& merger) {
  using OrderedJson = nlohmann::ordered_json;
  const auto byte_level = [](bool use_regex, bool add_prefix_space = false) {
    return OrderedJson{{"type", "ByteLevel"},
                       {"add_prefix_space", add_prefix_space},
                       {"trim_offsets", true},
                       {"use_regex", use_regex}};
  };
  OrderedJson added = OrderedJson::array(), merges = OrderedJson::array();
  for (size_t i = 0; i < options.special_tokens.size(); ++i)
    added.push_back({{"id", i},
                     {"content", options.special_tokens[i]},
                     {"single_word", false},
                     {"lstrip", false},
                     {"rstrip", false},
                     {"normalized", false},
                     {"special", true}});
  const std::vector<std::string>& symbols = merger.symbols();
  // Keeps its order by being a vector; its own insertion would look through all keys.
  OrderedJson::object_t vocab;
  for (size_t i = 0; i < symbols.size(); ++i)
    static_cast<OrderedJson::object_t::Container&>(vocab).emplace_back(symbols[i], i);
  std::unordered_map<uint64_t, size_t> last;
  for (size_t i = 0; i < merger.merges().size(); ++i) last[merger.merges()[i]] = i;
  for (size_t i = 0; i < merger.merges().size(); ++i) {
    const uint64_t pair = merger.merges()[i];
    if (last[pair] == i) merges.push_back({symbols[pair >> 32], symbols[pair & 0xffffffffu]});
  }
  OrderedJson pre_tokenizer = byte_level(true);
  if (&pattern != &kGpt2Pattern)
    pre_tokenizer = {{"type", "Sequence"},
                     {"pretokenizers",
                      {{{"type", "Split"},
                        {"pattern", {{"Regex", pattern.regex}}},
                        {"behavior", "Isolated"},
                        {"invert", false}},
                       byte_level(false)}}};
  const OrderedJson json = {{"version", "1.0"},
                            {"truncation", nullptr},
                            {"padding", nullptr},
                            {"added_tokens", added},
                            {"normalizer", nullptr},
                            {"pre_tokenizer", pre_tokenizer},
                            {"post_processor", byte_level(true)},
                            {"decoder", byte_level(true, true)},
                            {"model",
                             {{"type", "BPE"},
                              {"dropout", nullptr},
                              {"unk_token", nullptr},
                              {"continuing_subword_prefix", nullptr},
                              {"end_of_word_suffix", nullptr},
                              {"fuse_unk", false},
                              {"byte_fallback", false},
                              {"ignore_merges", false},
                              {"vocab", vocab},
                              {"merges", merges}}}};
  return json.dump(2);
}

}  // namespace

struct BpeTrainer::State {
  State(const BpeTrainerOptions& o, const SplitPattern& p) : options(o), pattern(p), counter(p.scan) {}
  BpeTrainerOptions options;
  const SplitPattern& pattern;
  WordCounter counter;
};

BpeTrainer::BpeTrainer(const BpeTrainerOptions& options) {
  const SplitPattern* pattern = find_split_pattern(options.pattern);
  check(pattern != nullptr, "tokenizer train", "pattern: wanted gpt2, llama3 or qwen2, found ",
        options.pattern);
  const auto needed = static_cast<int64_t>(options.special_tokens.size()) + 256;
  check(options.vocab_size >= needed && options.vocab_size < (1 << 21), "tokenizer train",
        "vocab_size: wanted ", needed, " (256 bytes and the special tokens) to 2097151, found ",
        options.vocab_size);
  check(options.min_frequency >= 1, "tokenizer train", "min_frequency: wanted 1 and above, found ",
        options.min_frequency);
  for (size_t i = 0; i < options.special_tokens.size(); ++i) {
    const std::string& token = options.special_tokens[i];
    check(token.size() > 1 && valid_utf8_prefix(token) == token.size(), "tokenizer train",
          "special_tokens: wanted texts of two bytes and more, found \"", token, "\"");
    check(std::find(options.special_tokens.begin(),
                    options.special_tokens.begin() + static_cast<std::ptrdiff_t>(i),
                    token) == options.special_tokens.begin() + static_cast<std::ptrdiff_t>(i),
          "tokenizer train", "special_tokens: \"", token, "\" stands there twice");
  }
  state_ = std::make_unique<State>(options, *pattern);
}
BpeTrainer::~BpeTrainer() = default;

void BpeTrainer::add(std::span<const std::string_view> texts) { state_->counter.add(texts); }
uint64_t BpeTrainer::bytes() const { return state_->counter.bytes(); }
uint64_t BpeTrainer::n_words() const {
  state_->counter.combine();
  uint64_t n = 0;
  for (const WordTable& table : state_->counter.tables()) n += table.entries().size();
  return n;
}

Tokenizer BpeTrainer::train() {
  check(bytes() > 0, "tokenizer train", "wanted text to learn from, found none");
  state_->counter.combine();
  Merger merger(state_->options, state_->counter.tables());
  merger.run();
  return Tokenizer::from_json(make_tokenizer_json(state_->options, state_->pattern, merger),
                              "trained tokenizer");
}

}  // namespace lyceum
