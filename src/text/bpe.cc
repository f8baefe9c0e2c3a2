#include "text/bpe.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>
#include <string_view>
#include <unordered_map>

#include "base/error.h"
#include "text/bpe_merges.h"
#include "text/marker.h"
#include "text/unicode.h"
#include "text/word_cache.h"

namespace lyceum {
namespace {

constexpr uint32_t kNever = ~0u;

struct BpeScratch : ModelScratch {
  WordCache cache;
  std::vector<int32_t> ids;
  std::vector<BpeMerge> merges;         // short words: of (i, i + 1)
  std::vector<int32_t> previous, next;  // long words: a list through the symbols
  std::vector<uint64_t> heap;           // order << 32 | position
};

class Bpe : public TokenModel {
 public:
  explicit Bpe(BpeSpec spec) : spec_(std::move(spec)) {
    read_vocab();
    find_symbols();
    if (spec_.scores.empty()) read_merges();
    else read_scores();
    merges_.build();
    if (!spec_.unk_token.empty()) unk_ = require(spec_.unk_token, "unk_token");
    decorated_ = !spec_.continuing_prefix.empty() || !spec_.word_suffix.empty();
    cut_at_marker_ = !spec_.byte_level && !decorated_ && !spec_.ignore_merges && marker_never_joined();
    spec_.vocab = {};
    spec_.merges = {};
    spec_.scores = {};
  }

  std::unique_ptr<ModelScratch> make_scratch() const override { return std::make_unique<BpeScratch>(); }

  void encode(std::string_view word, ModelScratch& scratch_base, std::vector<int32_t>& out) const override {
    auto& scratch = static_cast<BpeScratch&>(scratch_base);
    if (!cut_at_marker_) return encode_word(word, scratch, out);
    while (!word.empty()) {
      const size_t end = find_cut(word, 1);
      encode_word(word.substr(0, end), scratch, out);
      word.remove_prefix(end);
    }
  }

  // No merge joins anything to a marker behind it, so words that begin with a run of markers are independent.
  size_t find_cut(std::string_view word, size_t from) const override {
    if (!cut_at_marker_) return word.size();
    return find_marker_cut(word, from);
  }

 private:
  void encode_word(std::string_view word, BpeScratch& scratch, std::vector<int32_t>& out) const {
    if (scratch.cache.find(word, out)) return;
    scratch.ids.clear();
    if (!(spec_.ignore_merges && whole_word(word, scratch.ids))) {
      to_symbols(word, scratch.ids);
      if (scratch.ids.size() <= 32) merge_short(scratch);
      else merge_long(scratch);
      if (!nameless_.empty()) replace_nameless(scratch.ids);
    }
    scratch.cache.insert(word, scratch.ids);
    out.insert(out.end(), scratch.ids.begin(), scratch.ids.end());
  }

  bool whole_word(std::string_view word, std::vector<int32_t>& ids) const {
    const auto it = words_.find(std::string(word));
    if (it == words_.end() || is_control(it->second)) return false;
    ids.push_back(it->second);
    return true;
  }

  // O(n^2) with n <= 32 and everything in the first cache level.
  void merge_short(BpeScratch& s) const {
    int32_t* ids = s.ids.data();
    size_t n = s.ids.size();
    s.merges.resize(n + 1);
    BpeMerge* merges = s.merges.data();
    for (size_t i = 0; i + 1 < n; ++i) merges[i] = merges_.find(ids[i], ids[i + 1]);
    while (n > 1) {
      size_t best = 0;
      for (size_t i = 1; i + 1 < n; ++i)
        if (merges[i].order < merges[best].order) best = i;
      if (merges[best].order == kNever) break;
      ids[best] = merges[best].id;
      --n;
      std::memmove(ids + best + 1, ids + best + 2, (n - best - 1) * sizeof *ids);
      std::memmove(merges + best, merges + best + 1, (n - best) * sizeof *merges);
      if (best + 1 < n) merges[best] = merges_.find(ids[best], ids[best + 1]);
      if (best > 0) merges[best - 1] = merges_.find(ids[best - 1], ids[best]);
    }
    s.ids.resize(n);
  }

  // O(n log n): a heap of candidates by order and position; one is stale when its place has no pair of that
  // order any more.
  void merge_long(BpeScratch& s) const {
    const size_t n = s.ids.size();
    check(n < (size_t{1} << 31), "tokenizer", "wanted words below 2^31 symbols, found one of ", n);
    s.previous.resize(n);
    s.next.resize(n);
    s.heap.clear();
    const auto push = [&](size_t i, bool sift) {
      const BpeMerge merge = merges_.find(s.ids[i], s.ids[s.next[i]]);
      if (merge.order == kNever) return;
      s.heap.push_back(static_cast<uint64_t>(merge.order) << 32 | i);
      if (sift) std::push_heap(s.heap.begin(), s.heap.end(), std::greater<>());
    };
    for (size_t i = 0; i < n; ++i) {
      s.previous[i] = static_cast<int32_t>(i) - 1;
      s.next[i] = i + 1 < n ? static_cast<int32_t>(i + 1) : -1;
      if (i + 1 < n) push(i, false);
    }
    std::make_heap(s.heap.begin(), s.heap.end(), std::greater<>());
    while (!s.heap.empty()) {
      std::pop_heap(s.heap.begin(), s.heap.end(), std::greater<>());
      const auto order = static_cast<uint32_t>(s.heap.back() >> 32);
      const auto i = static_cast<size_t>(s.heap.back() & 0xffffffffu);
      s.heap.pop_back();
      if (s.ids[i] < 0 || s.next[i] < 0) continue;
      const auto right = static_cast<size_t>(s.next[i]);
      const BpeMerge merge = merges_.find(s.ids[i], s.ids[right]);
      if (merge.order != order) continue;
      s.ids[i] = merge.id;
      s.ids[right] = -1;
      s.next[i] = s.next[right];
      if (s.next[i] >= 0) {
        s.previous[s.next[i]] = static_cast<int32_t>(i);
        push(i, true);
      }
      if (s.previous[i] >= 0) push(static_cast<size_t>(s.previous[i]), true);
    }
    std::erase(s.ids, -1);
  }

  void to_symbols(std::string_view word, std::vector<int32_t>& ids) const {
    if (spec_.byte_level && !decorated_ && all_bytes_) {
      for (const char c : word) ids.push_back(byte_id_[static_cast<uint8_t>(c)]);
      return;
    }
    bool pending = false;  // an unknown character that is not written yet
    for (size_t i = 0; i < word.size();) {
      const size_t bytes = spec_.byte_level ? 1 : char_length(word[i]);
      const int32_t id = symbol(word, i, bytes);
      i += bytes;
      if (id >= 0) {
        if (pending) ids.push_back(unk_);
        pending = false;
        ids.push_back(id);
      } else if (!fall_back(word.substr(i - bytes, bytes), ids) && unk_ >= 0) {
        if (pending && !spec_.fuse_unk) ids.push_back(unk_);
        pending = true;
      }
    }
    if (pending) ids.push_back(unk_);
  }

  // What is left of characters that no piece is made of alone: bytes or the unknown token.
  void replace_nameless(std::vector<int32_t>& ids) const {
    std::vector<int32_t> out;
    bool after_unk = false;
    for (const int32_t id : ids) {
      if (static_cast<size_t>(id) < first_nameless_) {
        if (!(id == unk_ && after_unk && spec_.fuse_unk)) out.push_back(id);
        after_unk = id == unk_;
        continue;
      }
      const bool bytes = fall_back(nameless_[static_cast<size_t>(id) - first_nameless_], out);
      if (!bytes && unk_ >= 0 && !(after_unk && spec_.fuse_unk)) out.push_back(unk_);
      after_unk = !bytes;
    }
    ids = std::move(out);
  }

  int32_t symbol(std::string_view word, size_t i, size_t bytes) const {
    if (!decorated_) {
      if (spec_.byte_level) return byte_id_[static_cast<uint8_t>(word[i])];
      if (static_cast<uint8_t>(word[i]) < 0x80) return ascii_id_[static_cast<uint8_t>(word[i])];
      const auto it = chars_.find(decode(word, i));
      return it == chars_.end() ? -1 : it->second;
    }
    std::string piece;
    if (i > 0) piece += spec_.continuing_prefix;
    if (spec_.byte_level) append_char(piece, byte_to_char(static_cast<uint8_t>(word[i])));
    else piece += word.substr(i, bytes);
    if (i + bytes == word.size()) piece += spec_.word_suffix;
    return find(piece);
  }

  static uint32_t decode(std::string_view word, size_t i) {
    int bytes;
    return decode_char(&word[i], &bytes);
  }

  bool fall_back(std::string_view bytes, std::vector<int32_t>& ids) const {
    if (!spec_.byte_fallback) return false;
    for (const char c : bytes)
      if (fallback_id_[static_cast<uint8_t>(c)] < 0) return false;
    for (const char c : bytes) ids.push_back(fallback_id_[static_cast<uint8_t>(c)]);
    return true;
  }

  int32_t find(const std::string& piece) const {
    const auto it = ids_.find(piece);
    return it == ids_.end() ? -1 : it->second;
  }
  int32_t require(const std::string& piece, const char* where) const {
    const int32_t id = find(piece);
    check_data(id >= 0, "tokenizer model", where, ": wanted a piece of the vocabulary, found \"", piece,
               "\"");
    return id;
  }
  bool is_control(int32_t id) const {
    return static_cast<size_t>(id) < spec_.control.size() && spec_.control[static_cast<size_t>(id)];
  }

  void read_vocab() {
    for (auto& [piece, id] : spec_.vocab) {
      check_data(id >= 0, "tokenizer model", "vocab: wanted ids of 0 and above, found ", id, " for \"", piece,
                 "\"");
      if (id >= 1 << 21)
        fail(ErrorKind::kUnsupported, "tokenizer model", "vocab: wanted ids below 2097152, found ", id);
      ids_.emplace(piece, id);
      if (!spec_.ignore_merges) continue;
      std::string bytes;
      if (!spec_.byte_level) words_.emplace(piece, id);
      else if (piece_to_bytes(piece, bytes)) words_.emplace(bytes, id);
    }
  }

  // The order of a merge is its place in the list.
  void read_merges() {
    uint32_t order = 0;
    const size_t prefix = spec_.continuing_prefix.size();
    for (const auto& [left, right] : spec_.merges) {
      check_data(right.size() >= prefix, "tokenizer model", "merges: \"", right, "\" lacks the prefix ",
                 spec_.continuing_prefix);
      const int32_t left_id = require(left, "merges"), right_id = require(right, "merges");
      const int32_t id = require(left + right.substr(prefix), "merges");
      if (is_control(id)) continue;  // text must not become a control token
      merges_.add(left_id, right_id, {order++, id});
    }
  }

  // SentencePiece has no list: any two symbols are joined whose text together is a piece, the one with the
  // highest score first, of equal ones the leftmost.
  void read_scores() {
    std::vector<float> scores = spec_.scores;
    std::sort(scores.begin(), scores.end(), std::greater<>());
    scores.erase(std::unique(scores.begin(), scores.end()), scores.end());
    for (const auto& [piece, id] : spec_.vocab) {
      if (is_control(id) || piece.empty()) continue;
      const auto order = static_cast<uint32_t>(
          std::lower_bound(scores.begin(), scores.end(), spec_.scores[id], std::greater<>()) -
          scores.begin());
      for (size_t cut = char_length(piece[0]); cut < piece.size(); cut += char_length(piece[cut])) {
        const int32_t left = text_symbol(piece.substr(0, cut)), right = text_symbol(piece.substr(cut));
        if (left >= 0 && right >= 0) merges_.add(left, right, {order, id});
      }
    }
  }

  // Symbol of a piece or, above all ids, of a character that is only known as part of pieces.
  int32_t text_symbol(const std::string& text) {
    const int32_t id = find(text);
    if (id >= 0) return id;
    if (static_cast<size_t>(char_length(text[0])) != text.size()) return -1;
    const auto fresh = static_cast<int32_t>(first_nameless_ + nameless_.size());
    const auto [it, added] = chars_.emplace(decode(text, 0), fresh);
    if (added) nameless_.push_back(text);
    if (text.size() == 1) ascii_id_[static_cast<uint8_t>(text[0])] = it->second;
    return it->second;
  }

  void find_symbols() {
    all_bytes_ = true;
    for (int byte = 0; byte < 256; ++byte) {
      std::string piece;
      append_char(piece, byte_to_char(static_cast<uint8_t>(byte)));
      byte_id_[byte] = find(piece);
      all_bytes_ = all_bytes_ && byte_id_[byte] >= 0;
      char name[8];
      std::snprintf(name, sizeof name, "<0x%02X>", byte);
      fallback_id_[byte] = find(name);
      ascii_id_[byte] = byte < 0x80 ? find(std::string(1, static_cast<char>(byte))) : -1;
      if (ascii_id_[byte] >= 0 && is_control(ascii_id_[byte])) ascii_id_[byte] = -1;
    }
    for (const auto& [piece, id] : spec_.vocab) {
      first_nameless_ = std::max(first_nameless_, static_cast<size_t>(id) + 1);
      if (piece.empty() || valid_utf8_prefix(piece) != piece.size() || is_control(id)) continue;
      if (static_cast<size_t>(char_length(piece[0])) == piece.size()) chars_.emplace(decode(piece, 0), id);
    }
  }

  bool marker_never_joined() const {
    if (find(std::string(kMarker)) < 0) return false;
    for (const auto& [left, right] : spec_.merges)
      if (right.starts_with(kMarker) && !left.ends_with(kMarker)) return false;
    if (spec_.scores.empty()) return true;
    for (const auto& [piece, id] : spec_.vocab)
      if (!is_control(id) && marker_inside(piece)) return false;
    return true;
  }

  BpeSpec spec_;
  std::unordered_map<std::string, int32_t> ids_;    // spelled piece -> id
  std::unordered_map<std::string, int32_t> words_;  // whole word -> id, for ignore_merges
  std::unordered_map<uint32_t, int32_t> chars_;     // code point -> id
  std::array<int32_t, 256> byte_id_, fallback_id_, ascii_id_;
  bool all_bytes_ = false, decorated_ = false, cut_at_marker_ = false;
  int32_t unk_ = -1;
  BpeMerges merges_;
  std::vector<std::string> nameless_;  // characters without id, as symbols first_nameless_, ...
  size_t first_nameless_ = 0;
};

}  // namespace

std::unique_ptr<const TokenModel> make_bpe(BpeSpec spec) { return std::make_unique<Bpe>(std::move(spec)); }

uint32_t byte_to_char(uint8_t byte) {
  if ((byte >= '!' && byte <= '~') || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae) return byte;
  // the 68 others, in order, follow U+00FF
  if (byte <= 0x20) return 0x100u + byte;
  if (byte < 0xa1) return 0x100u + 33 + (byte - 0x7fu);
  return 0x100u + 67;  // 0xad
}

bool piece_to_bytes(std::string_view piece, std::string& bytes) {
  static const auto kBytes = [] {
    std::array<int16_t, 0x144> table;
    table.fill(-1);
    for (int byte = 0; byte < 256; ++byte)
      table[byte_to_char(static_cast<uint8_t>(byte))] = static_cast<int16_t>(byte);
    return table;
  }();
  bytes.clear();
  for (size_t i = 0; i < piece.size();) {
    int n;
    const uint32_t c = decode_char(&piece[i], &n);
    if (c >= kBytes.size() || kBytes[c] < 0) return false;
    bytes.push_back(static_cast<char>(kBytes[c]));
    i += n;
  }
  return true;
}

}  // namespace lyceum
