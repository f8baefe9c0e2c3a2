#include "text/scanner.h"

#include <cstdint>

#include "text/unicode.h"

namespace lyceum {
namespace {

// The class of the character at p: kLetter, kNumber, kSpace, or 0 for all others; *next receives its end.
inline int class_at(const char* p, const char** next) {
  const auto byte = static_cast<uint8_t>(*p);
  if (byte < 0x80) {
    *next = p + 1;
    return char_class(byte) & (kLetter | kNumber | kSpace);
  }
  int bytes;
  const uint32_t c = decode_char(p, &bytes);
  *next = p + bytes;
  return char_class(c) & (kLetter | kNumber | kSpace);
}

inline bool is_ascii_letter(char c) { return static_cast<uint8_t>((c | 32) - 'a') < 26; }

inline const char* skip_letters(const char* p, const char* end) {
  while (true) {
    while (p < end && is_ascii_letter(*p)) ++p;
    const char* next;
    if (p == end || static_cast<uint8_t>(*p) < 0x80 || class_at(p, &next) != kLetter) return p;
    p = next;
  }
}

inline const char* skip_class(const char* p, const char* end, int wanted, int at_most = 1 << 30) {
  const char* next;
  for (int n = 0; n < at_most && p < end && class_at(p, &next) == wanted; ++n) p = next;
  return p;
}

// \s+(?!\S)|\s+ from p, which is white space: all of it at the end of the text, else all but the last
// character (if that leaves any), so that the word behind keeps its leading space.
inline const char* white_space(const char* p, const char* end) {
  const char *last = p, *q = p, *next;
  while (q < end && class_at(q, &next) == kSpace) {
    last = q;
    q = next;
  }
  return q == end || last == p ? q : last;
}

inline const char* contraction(const char* p, const char* end) {  // after the apostrophe; null if none
  if (p == end) return nullptr;
  switch (*p) {
    case 's':
    case 't':
    case 'm':
    case 'd':
      return p + 1;
    case 'r':
    case 'v':
      return p + 1 < end && p[1] == 'e' ? p + 2 : nullptr;
    case 'l':
      return p + 1 < end && p[1] == 'l' ? p + 2 : nullptr;
    default:
      return nullptr;
  }
}

const char* scan_gpt2(const char* p, const char* end) {
  if (*p == '\'') {
    if (const char* q = contraction(p + 1, end)) return q;
  }
  const char* word = p;
  if (*p == ' ') {
    ++word;
    if (word == end) return end;
  }
  const char* next;
  switch (class_at(word, &next)) {
    case kLetter:
      return skip_letters(next, end);
    case kNumber:
      return skip_class(next, end, kNumber);
    case kSpace:
      return white_space(p, end);
    default:
      return skip_class(next, end, 0);
  }
}

// (?i:'s|'t|'re|'ve|'m|'ll|'d); U+017F is an s to whoever ignores case.
inline const char* contraction_any_case(const char* p, const char* end) {
  if (p == end) return nullptr;
  const auto lower = [&](const char* q) { return q < end ? *q | 32 : 0; };
  switch (lower(p)) {
    case 's':
    case 't':
    case 'm':
    case 'd':
      return p + 1;
    case 'r':
    case 'v':
      return lower(p + 1) == 'e' ? p + 2 : nullptr;
    case 'l':
      return lower(p + 1) == 'l' ? p + 2 : nullptr;
    default:
      return end - p >= 2 && p[0] == '\xc5' && p[1] == '\xbf' ? p + 2 : nullptr;
  }
}

// \s*[\r\n]+|\s+(?!\S)|\s+ from p, which is white space.
inline const char* white_space_or_lines(const char* p, const char* end) {
  const char *last = p, *q = p, *line = nullptr, *next;
  while (q < end && class_at(q, &next) == kSpace) {
    last = q;
    if (*q == '\n' || *q == '\r') line = next;
    q = next;
  }
  if (line) return line;
  return q == end || last == p ? q : last;
}

template <int kDigits>
const char* scan_llama3(const char* p, const char* end) {
  if (*p == '\'') {
    if (const char* q = contraction_any_case(p + 1, end)) return q;
  }
  const char *next, *after;
  const int first = class_at(p, &next);
  if (first == kLetter) return skip_letters(next, end);
  if (first == kNumber) return skip_class(next, end, kNumber, kDigits - 1);
  // [^\r\n\p{L}\p{N}]?\p{L}+
  const int second = next < end ? class_at(next, &after) : -1;
  if (second == kLetter && *p != '\r' && *p != '\n') return skip_letters(after, end);
  //  ?[^\s\p{L}\p{N}]+[\r\n]*
  if (first == 0 || (*p == ' ' && second == 0)) {
    const char* q = skip_class(next, end, 0);
    while (q < end && (*q == '\r' || *q == '\n')) ++q;
    return q;
  }
  return white_space_or_lines(p, end);
}

}  // namespace

const SplitPattern kGpt2Pattern = {
    "gpt2", R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)", scan_gpt2};

const SplitPattern kLlama3Pattern = {
    "llama3",
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
    scan_llama3<3>};

const SplitPattern kQwen2Pattern = {
    "qwen2",
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
    scan_llama3<1>};

const SplitPattern* find_split_pattern(std::string_view text) {
  for (const SplitPattern* p : {&kGpt2Pattern, &kLlama3Pattern, &kQwen2Pattern})
    if (text == p->name || text == p->regex) return p;
  return nullptr;
}

}  // namespace lyceum
