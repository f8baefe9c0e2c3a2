#include "text/word_piece.h"

#include <algorithm>

#include "base/error.h"
#include "text/piece_trie.h"
#include "text/unicode.h"
#include "text/word_cache.h"

namespace lyceum {
namespace {

struct WordPieceScratch : ModelScratch {
  WordCache cache;
  std::vector<int32_t> ids;
};

class WordPiece : public TokenModel {
 public:
  explicit WordPiece(const WordPieceSpec& spec)
      : longest_word_(spec.longest_word), whole_words_(spec.whole_words) {
    std::vector<PieceTrie::Key> first, inner;
    for (const auto& [piece, id] : spec.vocab) {
      if (piece == spec.unk_token) unk_ = id;
      if (piece.empty() || (static_cast<size_t>(id) < spec.control.size() && spec.control[id])) continue;
      first.emplace_back(piece, id);
      const std::string_view text = piece;
      const size_t prefix = spec.continuing_prefix.size();
      if (text.starts_with(spec.continuing_prefix) && text.size() > prefix)
        inner.emplace_back(text.substr(prefix), id);
    }
    check_data(unk_ >= 0, "tokenizer model", "unk_token: wanted a piece of the vocabulary, found ",
               quote(spec.unk_token));
    first_ = PieceTrie(std::move(first));
    inner_ = PieceTrie(std::move(inner));
  }

  std::unique_ptr<ModelScratch> make_scratch() const override { return std::make_unique<WordPieceScratch>(); }

  void encode(std::string_view word, ModelScratch& scratch_base, std::vector<int32_t>& out) const override {
    auto& s = static_cast<WordPieceScratch&>(scratch_base);
    if (s.cache.find(word, out)) return;
    s.ids.clear();
    if (!cover(word, s.ids)) s.ids = {unk_};
    s.cache.insert(word, s.ids);
    out.insert(out.end(), s.ids.begin(), s.ids.end());
  }

 private:
  bool cover(std::string_view word, std::vector<int32_t>& ids) const {
    if (!whole_words_) {
      const auto n = std::count_if(word.begin(), word.end(), [](char c) { return !is_continuation(c); });
      if (static_cast<size_t>(n) > longest_word_) return false;
    }
    for (size_t done = 0; done < word.size();) {
      size_t longest = 0;
      int32_t found = -1;
      const std::string_view rest = word.substr(done);
      (done == 0 ? first_ : inner_).prefixes(rest, [&](size_t n, int32_t id) {
        if (whole_words_ && n != word.size()) return;
        longest = n;
        found = id;
      });
      if (found < 0) return false;
      ids.push_back(found);
      done += longest;
    }
    return true;
  }

  int32_t unk_ = -1;
  size_t longest_word_;
  bool whole_words_;
  PieceTrie first_, inner_;
};

}  // namespace

std::unique_ptr<const TokenModel> make_word_piece(WordPieceSpec spec) {
  return std::make_unique<WordPiece>(spec);
}

}  // namespace lyceum
