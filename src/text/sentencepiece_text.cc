#include "text/sentencepiece_text.h"

#include "text/added_tokens.h"
#include "text/marker.h"
#include "text/unicode.h"

namespace lyceum {
namespace {

class SentencePieceNormalizer : public Normalizer {
 public:
  explicit SentencePieceNormalizer(const SentencePieceRules& rules)
      : rules_(rules), space_(rules.escape_spaces ? kMarker : " ") {
    for (const std::string& text : rules.user_defined) user_.add(text, &kUser);
  }

  std::string_view apply(std::string_view text, std::string& buffer) const override {
    buffer.clear();
    buffer.reserve(text.size() + text.size() / 2 + 4);
    std::string_view part;
    while (rules_.remove_extra_spaces && !text.empty()) {
      const size_t n = take(text, &part);
      if (part != " ") break;
      text.remove_prefix(n);
    }
    if (text.empty()) return buffer;
    if (!rules_.suffix && rules_.dummy_prefix) buffer.append(space_);
    bool after_space = rules_.remove_extra_spaces;
    while (!text.empty()) {
      text.remove_prefix(take(text, &part));
      while (after_space && part.starts_with(' ')) part.remove_prefix(1);
      if (part.empty()) continue;
      for (const char c : part)
        if (c == ' ') buffer.append(space_);
        else buffer.push_back(c);
      after_space = rules_.remove_extra_spaces && part.ends_with(' ');
    }
    while (rules_.remove_extra_spaces && buffer.ends_with(space_))
      buffer.resize(buffer.size() - space_.size());
    if (rules_.suffix && rules_.dummy_prefix) buffer.append(space_);
    return buffer;
  }

 private:
  // The next part of the text as the rules leave it, and how many bytes it takes.
  size_t take(std::string_view text, std::string_view* part) const {
    size_t n = user_.longest_prefix(text);
    if (n == 0 && (n = rules_.rules.longest(text, part)) > 0) return n;
    if (n == 0) n = static_cast<size_t>(char_length(text[0]));
    *part = text.substr(0, n);
    return n;
  }

  static const AddedToken kUser;
  SentencePieceRules rules_;
  std::string_view space_;
  AddedTokenMatcher user_;
};
const AddedToken SentencePieceNormalizer::kUser{};

class SentencePieceDecoder : public Decoder {
 public:
  explicit SentencePieceDecoder(const SentencePieceRules& rules) : rules_(rules) {}

  void apply(std::vector<std::string>& tokens) const override {
    std::string text, bytes;
    bool at_begin = true, ate_space = false;
    for (const std::string& token : tokens) {
      const int byte = byte_of_token(token);
      if (byte >= 0) {
        bytes.push_back(static_cast<char>(byte));
        continue;
      }
      flush(bytes, text);
      if (ate_space || !text.empty()) at_begin = false;
      ate_space = append(token, at_begin, text);
    }
    flush(bytes, text);
    tokens = {std::move(text)};
  }

 private:
  // True if the piece lost the space that normalising put before the text.
  bool append(std::string_view piece, bool at_begin, std::string& text) const {
    if (piece == rules_.unk_piece) return text += rules_.unk_surface, false;
    bool ate = false;
    if (at_begin && (rules_.dummy_prefix || rules_.remove_extra_spaces) && piece.starts_with(kMarker)) {
      piece.remove_prefix(kMarker.size());
      ate = !rules_.remove_extra_spaces;
    }
    while (!piece.empty()) {
      const bool marker = piece.starts_with(kMarker);
      if (marker) text.push_back(' ');
      else text.push_back(piece[0]);
      piece.remove_prefix(marker ? kMarker.size() : 1);
    }
    return ate;
  }

  // One U+FFFD for each byte that belongs to no character.
  static void flush(std::string& bytes, std::string& text) {
    for (std::string_view rest = bytes; !rest.empty();) {
      const size_t valid = valid_utf8_prefix(rest);
      text.append(rest.substr(0, valid));
      rest.remove_prefix(valid);
      if (rest.empty()) break;
      text.append("\xef\xbf\xbd");
      rest.remove_prefix(1);
    }
    bytes.clear();
  }

  SentencePieceRules rules_;
};

}  // namespace

NormalizerPtr make_sentencepiece_normalizer(const SentencePieceRules& rules) {
  return std::make_unique<SentencePieceNormalizer>(rules);
}
DecoderPtr make_sentencepiece_decoder(const SentencePieceRules& rules) {
  return std::make_unique<SentencePieceDecoder>(rules);
}

}  // namespace lyceum
