// Normalisers: what happens to a text before it is split. Each equals the one of the same name in Hugging
// Face `tokenizers`, whose Unicode forms are those of Unicode 9: characters that came later pass unchanged.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "text/unicode.h"

namespace lyceum {

class Normalizer {
 public:
  virtual ~Normalizer() = default;
  // The normalised text: `text` itself if nothing changes, else a view of `buffer`. Thread: any.
  virtual std::string_view apply(std::string_view text, std::string& buffer) const = 0;
  // True if the normal form of a text is that of its parts, wherever it is cut before an ASCII space.
  virtual bool is_local() const { return false; }
};

using NormalizerPtr = std::unique_ptr<const Normalizer>;

enum class UnicodeForm { kNfc, kNfd, kNfkc, kNfkd };

NormalizerPtr make_unicode_normalizer(UnicodeForm form);
NormalizerPtr make_prepend(const std::string& prefix);
NormalizerPtr make_replace(const std::string& pattern, bool is_regex, const std::string& content);
NormalizerPtr make_strip(bool left, bool right);
NormalizerPtr make_lowercase();
NormalizerPtr make_strip_accents();
NormalizerPtr make_bert_normalizer(bool clean_text, bool ideographs, bool strip_accents, bool lowercase);
NormalizerPtr make_nmt();
NormalizerPtr make_byte_level_normalizer();  // text spelled in GPT-2's alphabet of bytes
NormalizerPtr make_normalizer_sequence(std::vector<NormalizerPtr> parts);

// Calls f(code point, buffer) for every character.
template <class F>
std::string_view map_chars(std::string_view text, std::string& buffer, const F& f) {
  buffer.clear();
  for (size_t i = 0; i < text.size();) {
    int bytes;
    f(decode_char(&text[i], &bytes), buffer);
    i += bytes;
  }
  return buffer;
}

}  // namespace lyceum
