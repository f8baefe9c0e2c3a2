#include "text/tokenizer_build.h"

#include <algorithm>

#include "base/error.h"
#include "base/log.h"
#include "text/bpe.h"
#include "text/unicode.h"

namespace lyceum {

void assign_added_ids(std::vector<AddedToken>& tokens, const Vocab& vocab, Tokenizer::State& s,
                      const std::string& where) {
  for (const auto& [piece, id] : vocab) s.ids.emplace(piece, id);
  const auto n_vocab = static_cast<int32_t>(vocab.size());
  int32_t largest = -1;
  for (AddedToken& t : tokens) {
    const auto known = s.ids.find(t.content);
    const int32_t id = known != s.ids.end() ? known->second : std::max(largest + 1, n_vocab);
    if (t.id >= 0 && id != t.id)
      log_warn("tokenizer", where, ": the added token \"", t.content, "\" says id ", t.id, " but has id ",
               id);
    t.id = id;
    largest = std::max(largest, id);
    s.ids[t.content] = id;
    const auto same =
        std::find_if(s.added.begin(), s.added.end(), [&](const AddedToken& a) { return a.id == id; });
    if (same != s.added.end()) *same = t;  // the later one counts
    else s.added.push_back(t);
  }
}

void index_pieces(const Vocab& vocab, Tokenizer::State& s, const std::string& where) {
  int32_t largest = -1;
  for (const auto& [piece, id] : vocab) largest = std::max(largest, id);
  for (const AddedToken& t : s.added) largest = std::max(largest, t.id);
  check_data(largest < (1 << 21), where.c_str(), "wanted ids below 2097152, found ", largest);
  s.pieces.resize(static_cast<size_t>(largest) + 1);
  s.special.resize(s.pieces.size());
  for (const auto& [piece, id] : vocab) s.pieces[id] = piece;
  std::string buffer;
  for (const AddedToken& t : s.added) {
    std::string seen = t.content;
    if (t.normalized && s.normalizer) seen = std::string(s.normalizer->apply(t.content, buffer));
    s.added_normalized.push_back(seen);
    s.pieces[t.id] = seen;
    s.special[t.id] = t.special;
  }
  for (size_t i = 0; i < s.added.size(); ++i) {
    if (s.added[i].normalized) s.normalized_matcher.add(s.added_normalized[i], &s.added[i]);
    else s.raw_matcher.add(s.added[i].content, &s.added[i]);
    if (!s.added[i].normalized || s.added[i].is_control())
      s.marked_matcher.add(s.added[i].content, &s.added[i]);
  }
  if (!s.decoder || !s.decoder->is_byte_level()) return;
  for (const std::string& piece : s.pieces)
    s.piece_bytes.push_back(piece_to_bytes(piece, buffer) ? buffer : piece);
}

void make_models(const ModelMaker& make, const Vocab& vocab, Tokenizer::State& s) {
  s.model.model = make(s.special);
  std::vector<bool> control = s.special;
  for (const AddedToken& t : s.added)
    if (t.is_control()) control[static_cast<size_t>(t.id)] = true;
  const bool more = std::any_of(vocab.begin(), vocab.end(), [&](const auto& piece) {
    const auto id = static_cast<size_t>(piece.second);
    return control[id] && !s.special[id];
  });
  if (more) s.marked_model.model = make(control);
}

bool added_tokens_allow_cuts(const Tokenizer::State& s) {
  const auto cut_before = [](uint32_t c) {
    return c == ' ' || c == '\n' || c == '\r' || c == '\t' || c == 0x3001 || c == 0x3002 || c == 0xff0c;
  };
  for (size_t i = 0; i < s.added.size(); ++i) {
    const AddedToken& t = s.added[i];
    for (const std::string& content : {t.content, s.added_normalized[i]}) {
      bool letter = false;
      int bytes;
      for (size_t k = 0; k < content.size(); k += bytes) {
        const uint32_t c = decode_char(&content[k], &bytes);
        if (cut_before(c) && (letter || (k == 0 && t.single_word))) return false;
        letter = (char_class(c) & kLetter) != 0;
      }
      if (letter && t.rstrip) return false;
    }
  }
  return true;
}

}  // namespace lyceum
