// Strings as Python sees them: white space, characters, parts. All text is valid UTF-8.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "text/template/value.h"
#include "text/unicode.h"

namespace lyceum::jinja {

// str.isspace(): white space and the four separators U+001C to U+001F.
inline bool is_python_space(uint32_t c) { return (c >= 0x1c && c <= 0x1f) || (char_class(c) & kSpace) != 0; }
inline bool is_space_at(std::string_view text, size_t i) {
  int n;
  return is_python_space(decode_char(&text[i], &n));
}

inline std::string_view strip_right(std::string_view text) {
  while (!text.empty()) {
    size_t last = text.size() - 1;
    while (last > 0 && is_continuation(text[last])) --last;
    if (!is_space_at(text, last)) break;
    text = text.substr(0, last);
  }
  return text;
}
inline std::string_view strip_left(std::string_view text) {
  while (!text.empty() && is_space_at(text, 0)) text.remove_prefix(static_cast<size_t>(char_length(text[0])));
  return text;
}

// Number of characters.
inline int64_t count_chars(std::string_view text) {
  int64_t n = 0;
  for (const char c : text) n += !is_continuation(c);
  return n;
}

// The part of `text` that `part` views, with its marks.
inline Text part_of(const Text& text, std::string_view part) {
  return text.substr(static_cast<size_t>(part.data() - text.bytes.data()), part.size());
}

// find_text, counted.
size_t find_counted(std::string_view text, std::string_view part, size_t from = 0);
inline std::string reversed(std::string_view text) { return {text.rbegin(), text.rend()}; }

// Each character by itself.
std::vector<Text> characters(const Text& text);
std::vector<Text> split_at(const Text& text, std::string_view separator, int64_t most, bool from_right);
std::vector<Text> split_words(const Text& text, int64_t most, bool from_right);
std::vector<Text> split_lines(const Text& text, bool keep_ends);
Text replace_all(const Text& text, std::string_view from, const Text& to, int64_t most);
// str.upper() and its like; `c` is one of "upper", "lower", "title", "capitalize", "swapcase".
Text change_case(const Text& text, std::string_view how);

}  // namespace lyceum::jinja
