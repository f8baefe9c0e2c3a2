// Characters of UTF-8 text and the classes that tokenizers ask of them.
//
// The classes are those of Hugging Face `tokenizers`, whose ids ours must equal, and not of the Unicode
// library of the system: see tools/unicode_tables.py.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace lyceum {

enum CharClass : uint16_t {
  kLetter = 1,        // \p{L}
  kNumber = 2,        // \p{N}
  kSpace = 4,         // \s, White_Space
  kWord = 8,          // \w as Rust's regex means it
  kMark = 16,         // \p{M}
  kPunctuation = 32,  // general category P
  kNfcActive = 64,    // NFC may change it, move it, or compose it with what stands before
  kOpaque = 128,      // unknown to the normaliser: passes unchanged and separates what it would reorder
  kNumeric = 256,     // Rust's char::is_numeric
  kCleaned = 512,     // BERT drops it: controls, formats, what is unassigned
  kAccent = 1024,     // mark without width, as BERT knows it
};

namespace detail {
struct CharTables {
  uint16_t page[0x1100];  // code point / 256 -> row of `bits`
  const uint16_t (*bits)[256];
};
extern const CharTables& kCharTables;
}  // namespace detail

// Bits of CharClass of a code point below 0x110000.
inline uint16_t char_class(uint32_t c) {
  const detail::CharTables& t = detail::kCharTables;
  return t.bits[t.page[c >> 8]][c & 255];
}

// Number of the script (Latin, Han, ...) as Hugging Face's UnicodeScripts tells them apart; 0: of none.
uint8_t char_script(uint32_t code_point);

// One character of valid UTF-8 at p; *bytes receives its length.
inline uint32_t decode_char(const char* p, int* bytes) {
  const auto* u = reinterpret_cast<const uint8_t*>(p);
  if (u[0] < 0x80) return *bytes = 1, u[0];
  if (u[0] < 0xe0) return *bytes = 2, (u[0] & 31u) << 6 | (u[1] & 63u);
  if (u[0] < 0xf0) return *bytes = 3, (u[0] & 15u) << 12 | (u[1] & 63u) << 6 | (u[2] & 63u);
  *bytes = 4;
  return (u[0] & 7u) << 18 | (u[1] & 63u) << 12 | (u[2] & 63u) << 6 | (u[3] & 63u);
}

// Length in bytes of the character whose first byte of valid UTF-8 is `lead`.
inline int char_length(char lead) {
  const auto u = static_cast<uint8_t>(lead);
  return u < 0x80 ? 1 : u < 0xe0 ? 2 : u < 0xf0 ? 3 : 4;
}

inline bool is_continuation(char byte) { return (static_cast<uint8_t>(byte) & 0xc0) == 0x80; }

// The first place of `part` at or behind `from`, or npos, in linear time whatever the two hold: text.find()
// is quadratic for "aaaa..." in "aaaa...".
size_t find_text(std::string_view text, std::string_view part, size_t from = 0);

void append_char(std::string& out, uint32_t code_point);

// Length of the longest prefix that is valid UTF-8 (no surrogates, no overlong forms).
size_t valid_utf8_prefix(std::string_view text);

// What valid_utf8_prefix stops at: bytes to replace by one U+FFFD (a maximal prefix of a character, or one
// byte); *incomplete is set when more bytes could still complete the character.
size_t invalid_utf8_length(std::string_view text, bool* incomplete = nullptr);

// `text` itself if it is valid UTF-8, else a copy in `buffer` with every maximal invalid part replaced by
// U+FFFD, as Python's errors="replace", Rust's from_utf8_lossy and browsers do.
std::string_view to_valid_utf8(std::string_view text, std::string& buffer);

}  // namespace lyceum
