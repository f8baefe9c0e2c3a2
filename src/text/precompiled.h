// The normaliser that SentencePiece compiles into its models (NFKC with rules of its own): a trie of strings
// and what each becomes. SentencePiece replaces the longest rule at each place; Hugging Face's "Precompiled"
// looks at grapheme clusters and takes the shortest.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "text/normalizer.h"

namespace lyceum {

class CharsMap {
 public:
  CharsMap() = default;  // no rules
  // From the bytes of `precompiled_charsmap`: u32 size of the trie, the trie as darts-clone stores it
  // (github.com/s-yata/darts-clone, Unit), then the replacements, each ended by a zero byte. Throws
  // kCorruptData, naming `where`.
  CharsMap(std::string_view blob, const std::string& where);
  bool empty() const { return units_.empty(); }

  // The longest rule that begins `text`: how many bytes it takes, 0 if there is none; and the shortest.
  size_t longest(std::string_view text, std::string_view* replacement) const;
  size_t shortest(std::string_view text, std::string_view* replacement) const;

 private:
  bool has_prefix(uint8_t first, uint8_t second) const;
  bool may_start(std::string_view text) const {
    if (text.empty()) return false;
    const size_t pair =
        static_cast<uint8_t>(text[0]) * 256u + (text.size() > 1 ? static_cast<uint8_t>(text[1]) : 0);
    return text.size() == 1 || (starts_[pair / 64] >> (pair % 64) & 1) != 0;
  }
  template <class OnMatch>
  void walk(std::string_view text, const OnMatch& on_match) const;

  std::vector<uint32_t> units_;
  std::string replacements_;
  std::vector<uint64_t> starts_;  // bit first_byte * 256 + second_byte: a rule may begin so
};

NormalizerPtr make_precompiled(std::string_view blob, const std::string& where);

// Throws kCorruptData.
std::string from_base64(std::string_view text, const std::string& where);

}  // namespace lyceum
