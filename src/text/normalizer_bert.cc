// Normalisers that belong to one family of tokenizers: BERT's, the one of neural machine translation, and the
// byte alphabet as text.
#include <utf8proc.h>

#include "text/bpe.h"
#include "text/normalizer.h"
#include "text/unicode.h"

namespace lyceum {
namespace {

// Ideographs that stand alone in BERT; the fifth block begins 256 late, as in Hugging Face `tokenizers`.
bool is_ideograph(uint32_t c) {
  return (c >= 0x4e00 && c <= 0x9fff) || (c >= 0x3400 && c <= 0x4dbf) || (c >= 0x20000 && c <= 0x2a6df) ||
         (c >= 0x2a700 && c <= 0x2b81f) || (c >= 0x2b920 && c <= 0x2ceaf) || (c >= 0xf900 && c <= 0xfaff) ||
         (c >= 0x2f800 && c <= 0x2fa1f);
}

// BERT's first step: no control characters, every white space a space, spaces around ideographs.
class BertClean : public Normalizer {
 public:
  BertClean(bool clean, bool ideographs) : clean_(clean), ideographs_(ideographs) {}
  bool is_local() const override { return true; }
  std::string_view apply(std::string_view text, std::string& buffer) const override {
    return map_chars(text, buffer, [this](uint32_t c, std::string& out) {
      const uint16_t bits = char_class(c);
      if (clean_ && (bits & kCleaned)) return;
      if (clean_ && (bits & kSpace)) return out.push_back(' ');
      if (!ideographs_ || !is_ideograph(c)) return append_char(out, c);
      out.push_back(' ');
      append_char(out, c);
      out.push_back(' ');
    });
  }

 private:
  bool clean_, ideographs_;
};

// Drops marks without width, behind NFD.
class DropAccents : public Normalizer {
 public:
  bool is_local() const override { return true; }
  std::string_view apply(std::string_view text, std::string& buffer) const override {
    return map_chars(text, buffer, [](uint32_t c, std::string& out) {
      if (!(char_class(c) & kAccent)) append_char(out, c);
    });
  }
};

class Nmt : public Normalizer {
 public:
  bool is_local() const override { return true; }
  std::string_view apply(std::string_view text, std::string& buffer) const override {
    return map_chars(text, buffer, [](uint32_t c, std::string& out) {
      const bool dropped =
          (c >= 1 && c <= 8) || c == 0xb || (c >= 0xe && c <= 0x1f) || c == 0x7f || c == 0x8f || c == 0x9f;
      const bool blank = c == 9 || c == 0xa || c == 0xc || c == 0xd || c == 0x1680 ||
                         (c >= 0x200b && c <= 0x200f) || c == 0x2028 || c == 0x2029 || c == 0x2581 ||
                         c == 0xfeff || c == 0xfffd;
      if (blank) out.push_back(' ');
      else if (!dropped) append_char(out, c);
    });
  }
};

class ByteAlphabet : public Normalizer {
 public:
  std::string_view apply(std::string_view text, std::string& buffer) const override {
    buffer.clear();
    for (const char c : text) append_char(buffer, byte_to_char(static_cast<uint8_t>(c)));
    return buffer;
  }
};

}  // namespace

NormalizerPtr make_bert_normalizer(bool clean_text, bool ideographs, bool strip_accents, bool lowercase) {
  std::vector<NormalizerPtr> parts;
  if (clean_text || ideographs) parts.push_back(std::make_unique<BertClean>(clean_text, ideographs));
  if (strip_accents) {
    parts.push_back(make_unicode_normalizer(UnicodeForm::kNfd));
    parts.push_back(std::make_unique<DropAccents>());
  }
  if (lowercase) parts.push_back(make_lowercase());
  return make_normalizer_sequence(std::move(parts));
}
NormalizerPtr make_nmt() { return std::make_unique<Nmt>(); }
NormalizerPtr make_byte_level_normalizer() { return std::make_unique<ByteAlphabet>(); }

}  // namespace lyceum
