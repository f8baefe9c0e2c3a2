#include "text/unigram.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "text/decoder.h"
#include "text/marker.h"
#include "text/piece_trie.h"
#include "text/unicode.h"
#include "text/word_cache.h"

namespace lyceum {
namespace {

constexpr double kUnkPenalty = 10.0;
constexpr double kReset = 100000.0;  // a float sum beyond it is taken off all open ways (SentencePiece 0.2.1)

// The best way to a place between two characters.
struct Place {
  double score;  // of the best way
  float lead;    // by how much it beats the second best
  int32_t begin = -1, id = -1;
};

struct UnigramScratch : ModelScratch {
  WordCache cache;  // ids of a word, then the bits of its lead
  std::vector<Place> places;
  std::vector<Place> path;  // back to front
  std::vector<int32_t> ids;
};

class Unigram : public TokenModel {
 public:
  explicit Unigram(UnigramSpec spec)
      : unk_(spec.unk), byte_fallback_(spec.byte_fallback), float_sums_(spec.float_sums) {
    std::vector<PieceTrie::Key> keys;
    double lowest = std::numeric_limits<double>::max();
    cut_at_marker_ = false;
    bool inside = false;
    for (size_t id = 0; id < spec.pieces.size(); ++id) {
      const UnigramPiece& p = spec.pieces[id];
      scores_.push_back(p.score);
      if (p.counts) lowest = std::min(lowest, p.score);
      if (!p.in_text || p.text.empty()) continue;
      keys.emplace_back(p.text, static_cast<int32_t>(id));
      inside = inside || marker_inside(p.text);
      cut_at_marker_ = cut_at_marker_ || p.text == kMarker;
    }
    cut_at_marker_ = cut_at_marker_ && !inside;
    for (size_t id = 0; id < spec.pieces.size(); ++id)
      if (spec.pieces[id].user_defined)
        scores_[id] = static_cast<float>(0.1 * static_cast<double>(spec.pieces[id].text.size() - 1));
    unk_score_ =
        float_sums_ ? static_cast<float>(lowest) - static_cast<float>(kUnkPenalty) : lowest - kUnkPenalty;
    steepest_ = std::fabs(unk_score_);
    for (const double score : scores_) steepest_ = std::max(steepest_, std::fabs(score));
    trie_ = PieceTrie(std::move(keys));
    find_bytes(spec);
  }

  std::unique_ptr<ModelScratch> make_scratch() const override { return std::make_unique<UnigramScratch>(); }

  void encode(std::string_view word, ModelScratch& scratch_base, std::vector<int32_t>& out) const override {
    auto& scratch = static_cast<UnigramScratch&>(scratch_base);
    double start = 0;  // score of the best way to the word: sums are rounded beside it
    while (!word.empty()) {
      const size_t end = cut_at_marker_ ? find_marker_cut(word, 1) : word.size();
      encode_word(word.substr(0, end), start, scratch, out);
      word.remove_prefix(end);
    }
  }

 private:
  void encode_word(std::string_view word, double& start, UnigramScratch& s, std::vector<int32_t>& out) const {
    const size_t before = out.size();
    if (!s.cache.find(word, out) && remember(word, s)) s.cache.find(word, out);
    if (out.size() > before) {
      const float lead = std::bit_cast<float>(out.back());
      out.pop_back();
      double end = start;
      for (size_t i = before; i < out.size(); ++i) end = sum(scores_[out[i]], end);
      // Each of the sums that met in the word was rounded at most once a character.
      const double doubt = 2 * static_cast<double>(word.size() + 2) * (float_sums_ ? 1.2e-7 : 2.3e-16) *
                           (std::fabs(end) + std::fabs(start));
      const bool resets =
          float_sums_ && std::fabs(start) + static_cast<double>(word.size()) * steepest_ > kReset;
      if (!resets && (start == 0 || lead > doubt)) {
        start = end;
        return;
      }
      out.resize(before);
    }
    find_path(word, start, s);
    append_path(word, s, out);
    start = s.places[word.size()].score;
    if (s.places.size() > (1u << 20)) s.places = {}, s.path = {};
  }

  // Keeps the ids of a word without unknown characters, and by how much its best way beats all others. False
  // for other words and for those that the cache does not take.
  bool remember(std::string_view word, UnigramScratch& s) const {
    if (word.size() > WordCache::kLongest) return false;
    find_path(word, 0, s);
    float lead = std::numeric_limits<float>::max();
    s.ids.clear();
    for (size_t i = s.path.size(); i-- > 0;) {
      if (s.path[i].id == unk_ || s.path[i].id < 0) return false;
      lead = std::min(lead, s.path[i].lead);
      s.ids.push_back(s.path[i].id);
    }
    s.ids.push_back(std::bit_cast<int32_t>(lead));
    s.cache.insert(word, s.ids);
    return true;
  }

  void append_path(std::string_view word, const UnigramScratch& s, std::vector<int32_t>& out) const {
    const auto unknown = [&](size_t i) { return s.path[i].id == unk_ || s.path[i].id < 0; };
    for (size_t i = s.path.size(); i-- > 0;) {
      if (!unknown(i)) {
        out.push_back(s.path[i].id);
        continue;
      }
      const auto begin = static_cast<size_t>(s.path[i].begin);
      while (i > 0 && unknown(i - 1)) --i;  // characters without a piece that stand together are one
      const size_t end = i > 0 ? static_cast<size_t>(s.path[i - 1].begin) : word.size();
      append_unknown(word.substr(begin, end - begin), out);
    }
  }

  void find_path(std::string_view word, double start, UnigramScratch& s) const {
    check(word.size() < (size_t{1} << 31), "tokenizer", "wanted words below 2^31 bytes, found one of ",
          word.size());
    s.places.assign(word.size() + 1, Place{});
    s.places[0] = {start, std::numeric_limits<float>::max(), 0, -1};
    size_t reached = 0;  // the last place that a way leads to
    for (size_t begin = 0; begin < word.size();) {
      if (float_sums_ && std::fabs(s.places[begin].score) > kReset) take_off(s, begin, reached);
      const double here = s.places[begin].score;
      const auto length = static_cast<size_t>(char_length(word[begin]));
      bool alone = false;  // this character is a piece
      const auto offer = [&](size_t end, double piece_score, int32_t id) {
        Place& p = s.places[end];
        reached = std::max(reached, end);
        const double score = sum(piece_score, here);
        if (p.begin >= 0 && !(score > p.score)) {
          p.lead = std::min(p.lead, static_cast<float>(p.score - score));
          return;
        }
        const float lead =
            p.begin < 0 ? std::numeric_limits<float>::max() : static_cast<float>(score - p.score);
        p = {score, lead, static_cast<int32_t>(begin), id};
      };
      trie_.prefixes(word.substr(begin), [&](size_t n, int32_t id) {
        offer(begin + n, scores_[id], id);
        alone = alone || n == length;
      });
      if (!alone) offer(begin + length, unk_score_, unk_);
      begin += length;
    }
    s.path.clear();
    for (size_t end = word.size(); end > 0; end = static_cast<size_t>(s.places[end].begin))
      s.path.push_back(s.places[end]);
  }

  double sum(double score, double before) const {
    return float_sums_ ? static_cast<float>(score) + static_cast<float>(before) : score + before;
  }

  void take_off(UnigramScratch& s, size_t begin, size_t reached) const {
    const double offset = s.places[begin].score;
    for (size_t i = begin; i <= reached; ++i)
      if (i == begin || s.places[i].begin >= 0) s.places[i].score = sum(-offset, s.places[i].score);
  }

  void append_unknown(std::string_view text, std::vector<int32_t>& ids) const {
    if (byte_fallback_) {
      for (const char c : text) ids.push_back(bytes_[static_cast<uint8_t>(c)]);
      return;
    }
    if (unk_ < 0)
      fail(ErrorKind::kUnsupported, "tokenizer", "the text ", quote(text),
           " has no piece in the vocabulary, and the tokenizer names no unknown token (unk_id)");
    ids.push_back(unk_);
  }

  void find_bytes(const UnigramSpec& spec) {
    if (!byte_fallback_) return;
    bytes_.fill(-1);
    for (size_t id = 0; id < spec.pieces.size(); ++id) {
      const int byte = byte_of_token(spec.pieces[id].text);
      if (byte >= 0) bytes_[static_cast<size_t>(byte)] = static_cast<int32_t>(id);
    }
    // without all of them Hugging Face falls back to the unknown token, text by text; none such is in use
    byte_fallback_ = std::find(bytes_.begin(), bytes_.end(), -1) == bytes_.end();
  }

  int32_t unk_;
  bool byte_fallback_, float_sums_, cut_at_marker_ = false;
  double unk_score_ = 0, steepest_ = 0;
  std::vector<double> scores_;  // [id]
  std::array<int32_t, 256> bytes_;
  PieceTrie trie_;
};

}  // namespace

std::unique_ptr<const TokenModel> make_unigram(UnigramSpec spec) {
  return std::make_unique<Unigram>(std::move(spec));
}

}  // namespace lyceum
