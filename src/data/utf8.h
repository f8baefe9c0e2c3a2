// UTF-8 as the data pipeline needs it: is it valid, what are its code points, and is it text at all.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace lyceum {

// Offset of the first byte that is not part of well-formed UTF-8 (RFC 3629: no surrogates, no overlong forms,
// nothing above U+10FFFF); text.size() when all of it is.
size_t first_invalid_utf8(std::string_view text);

// The text without the bytes that are not part of well-formed UTF-8.
std::string without_invalid_utf8(std::string text);

// The code point at `at`, which moves behind it. The text must be valid.
char32_t next_code_point(std::string_view text, size_t& at);

void append_code_point(std::string& out, char32_t c);

size_t count_code_points(std::string_view text);

// Chinese and Japanese ideographs, kana, Hangul: scripts that are written without blanks between words.
inline bool is_unspaced_script(char32_t c) {
  return (c >= 0x3040 && c <= 0x30ff) || (c >= 0x3400 && c <= 0x9fff) || (c >= 0xac00 && c <= 0xd7a3) ||
         (c >= 0xf900 && c <= 0xfaff) || (c >= 0x20000 && c <= 0x3ffff);
}

// Removes a byte-order mark, carriage returns before line feeds, terminal colours (ESC [ ... m), backspace
// overstrikes, blanks at line ends and more than two empty lines; ends with one line feed unless empty.
std::string clean_text(std::string_view text);

}  // namespace lyceum
