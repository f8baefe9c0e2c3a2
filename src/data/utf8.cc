#include "data/utf8.h"

#include <cstring>

namespace lyceum {

size_t first_invalid_utf8(std::string_view text) {
  const auto* p = reinterpret_cast<const unsigned char*>(text.data());
  const size_t n = text.size();
  size_t i = 0;
  while (i < n) {
    uint64_t word;
    if (i + 8 <= n && (std::memcpy(&word, p + i, 8), (word & 0x8080808080808080ull) == 0)) {
      i += 8;
      continue;
    }
    const unsigned char c = p[i];
    if (c < 0x80) {
      ++i;
      continue;
    }
    const size_t length = c >= 0xc2 && c <= 0xdf   ? 2
                          : c >= 0xe0 && c <= 0xef ? 3
                          : c >= 0xf0 && c <= 0xf4 ? 4
                                                   : 0;
    if (length == 0 || i + length > n) return i;
    for (size_t k = 1; k < length; ++k)
      if ((p[i + k] & 0xc0) != 0x80) return i;
    if ((c == 0xe0 && p[i + 1] < 0xa0) || (c == 0xed && p[i + 1] > 0x9f) || (c == 0xf0 && p[i + 1] < 0x90) ||
        (c == 0xf4 && p[i + 1] > 0x8f))
      return i;
    i += length;
  }
  return n;
}

std::string without_invalid_utf8(std::string text) {
  std::string out;
  for (std::string_view rest = text;;) {
    const size_t n = first_invalid_utf8(rest);
    if (n == text.size()) return text;
    out += rest.substr(0, n);
    if (n == rest.size()) return out;
    rest.remove_prefix(n + 1);
  }
}

char32_t next_code_point(std::string_view text, size_t& at) {
  const auto byte = [&](size_t k) { return static_cast<char32_t>(static_cast<unsigned char>(text[at + k])); };
  const char32_t c = byte(0);
  char32_t result;
  size_t length;
  if (c < 0x80) result = c, length = 1;
  else if (c < 0xe0) result = (c & 0x1f) << 6 | (byte(1) & 0x3f), length = 2;
  else if (c < 0xf0) result = (c & 0x0f) << 12 | (byte(1) & 0x3f) << 6 | (byte(2) & 0x3f), length = 3;
  else
    result = (c & 0x07) << 18 | (byte(1) & 0x3f) << 12 | (byte(2) & 0x3f) << 6 | (byte(3) & 0x3f), length = 4;
  at += length;
  return result;
}

void append_code_point(std::string& out, char32_t c) {
  if (c < 0x80) {
    out += static_cast<char>(c);
  } else if (c < 0x800) {
    out += static_cast<char>(0xc0 | c >> 6);
    out += static_cast<char>(0x80 | (c & 0x3f));
  } else if (c < 0x10000) {
    out += static_cast<char>(0xe0 | c >> 12);
    out += static_cast<char>(0x80 | (c >> 6 & 0x3f));
    out += static_cast<char>(0x80 | (c & 0x3f));
  } else {
    out += static_cast<char>(0xf0 | c >> 18);
    out += static_cast<char>(0x80 | (c >> 12 & 0x3f));
    out += static_cast<char>(0x80 | (c >> 6 & 0x3f));
    out += static_cast<char>(0x80 | (c & 0x3f));
  }
}

size_t count_code_points(std::string_view text) {
  size_t n = 0;
  for (const char c : text) n += (static_cast<unsigned char>(c) & 0xc0) != 0x80;
  return n;
}

std::string clean_text(std::string_view text) {
  if (text.size() >= 3 && text.substr(0, 3) == "\xef\xbb\xbf") text.remove_prefix(3);
  std::string out;
  out.reserve(text.size() + 1);
  size_t empty_lines = 2, line_begin = 0;  // as if empty lines stood before the text, so it starts with words
  const auto end_line = [&] {
    while (out.size() > line_begin && (out.back() == ' ' || out.back() == '\t' || out.back() == '\r'))
      out.pop_back();
    const bool empty = out.size() == line_begin;
    empty_lines = empty ? empty_lines + 1 : 0;
    if (empty && empty_lines > 2) return;
    out += '\n';
    line_begin = out.size();
  };
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '\n') {
      end_line();
    } else if (c == '\x1b' && i + 1 < text.size() && text[i + 1] == '[') {
      size_t j = i + 2;
      while (j < text.size() && (text[j] == ';' || (text[j] >= '0' && text[j] <= '9'))) ++j;
      if (j < text.size() && (text[j] == 'm' || text[j] == 'K')) i = j;
    } else if (c == '\b') {  // "x BS x" is bold, "_ BS x" underlined
      while (out.size() > line_begin && (static_cast<unsigned char>(out.back()) & 0xc0) == 0x80)
        out.pop_back();
      if (out.size() > line_begin) out.pop_back();
    } else if (c != '\0' && c != '\f') {
      out += c;
    }
  }
  end_line();
  while (out.size() >= 2 && out[out.size() - 1] == '\n' && out[out.size() - 2] == '\n') out.pop_back();
  if (out == "\n") out.clear();
  return out;
}

}  // namespace lyceum
