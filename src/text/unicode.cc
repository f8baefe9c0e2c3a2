#include "text/unicode.h"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <map>
#include <memory>
#include <vector>

namespace lyceum {
namespace detail {
namespace {

struct Range {
  uint32_t first, last;
  uint16_t bits;
};
const Range kRanges[] = {
#include "text/unicode_tables.inc"
};

// Equal pages are stored once: 4352 pages of 256 code points become some 200 rows.
const CharTables& build() {
  static CharTables tables;
  static std::vector<uint16_t> rows;
  std::vector<uint16_t> all(0x110000);
  for (const Range& r : kRanges)
    for (uint32_t c = r.first; c <= r.last; ++c) all[c] = r.bits;
  std::map<std::string_view, uint16_t> known;
  for (uint32_t page = 0; page < 0x1100; ++page) {
    const uint16_t* row = &all[page * 256];
    const std::string_view key(reinterpret_cast<const char*>(row), 512);
    const auto [it, fresh] = known.emplace(key, static_cast<uint16_t>(known.size()));
    if (fresh) rows.insert(rows.end(), row, row + 256);
    tables.page[page] = it->second;
  }
  tables.bits = reinterpret_cast<const uint16_t(*)[256]>(rows.data());
  return tables;
}

}  // namespace

const CharTables& kCharTables = build();

}  // namespace detail

uint8_t char_script(uint32_t code_point) {
  static const detail::Range kScripts[] = {
#include "text/unicode_scripts.inc"
  };
  const auto* found = std::upper_bound(std::begin(kScripts), std::end(kScripts), code_point,
                                       [](uint32_t c, const detail::Range& r) { return c < r.first; });
  if (found == std::begin(kScripts) || (found - 1)->last < code_point) return 0;
  return static_cast<uint8_t>((found - 1)->bits);
}

size_t find_text(std::string_view text, std::string_view part, size_t from) {
  if (from > text.size()) return std::string_view::npos;
  const void* found = memmem(text.data() + from, text.size() - from, part.data(), part.size());
  return found ? static_cast<size_t>(static_cast<const char*>(found) - text.data()) : std::string_view::npos;
}

void append_char(std::string& out, uint32_t c) {
  const auto put = [&](uint32_t byte) { out.push_back(static_cast<char>(byte)); };
  if (c < 0x80) {
    put(c);
  } else if (c < 0x800) {
    put(0xc0 | c >> 6), put(0x80 | (c & 63));
  } else if (c < 0x10000) {
    put(0xe0 | c >> 12), put(0x80 | (c >> 6 & 63)), put(0x80 | (c & 63));
  } else {
    put(0xf0 | c >> 18), put(0x80 | (c >> 12 & 63)), put(0x80 | (c >> 6 & 63)), put(0x80 | (c & 63));
  }
}

namespace {

// Bytes of the character at p (Unicode 15, table 3-7), or 0; *seen receives how many bytes were well formed.
int checked_char(const uint8_t* p, const uint8_t* end, int* seen) {
  const uint8_t lead = *p;
  *seen = 1;
  if (lead < 0x80) return 1;
  int need = 0;
  uint8_t low = 0x80, high = 0xbf;  // of the second byte
  if (lead >= 0xc2 && lead <= 0xdf) {
    need = 2;
  } else if (lead >= 0xe0 && lead <= 0xef) {
    need = 3;
    if (lead == 0xe0) low = 0xa0;
    if (lead == 0xed) high = 0x9f;
  } else if (lead >= 0xf0 && lead <= 0xf4) {
    need = 4;
    if (lead == 0xf0) low = 0x90;
    if (lead == 0xf4) high = 0x8f;
  } else {
    return 0;
  }
  for (int i = 1; i < need; ++i, low = 0x80, high = 0xbf) {
    if (p + i == end || p[i] < low || p[i] > high) {
      *seen = i;
      return 0;
    }
  }
  return need;
}

}  // namespace

size_t valid_utf8_prefix(std::string_view text) {
  const auto* begin = reinterpret_cast<const uint8_t*>(text.data());
  const uint8_t *p = begin, *end = begin + text.size();
  while (p < end) {
    while (end - p >= 16) {
      uint64_t a, b;
      std::memcpy(&a, p, 8);
      std::memcpy(&b, p + 8, 8);
      if ((a | b) & 0x8080808080808080ull) break;
      p += 16;
    }
    // at most 16 characters before the next look for plain ASCII
    for (int i = 0; i < 16 && p < end; ++i) {
      int seen;
      const int n = checked_char(p, end, &seen);
      if (n == 0) return static_cast<size_t>(p - begin);
      p += n;
    }
  }
  return text.size();
}

size_t invalid_utf8_length(std::string_view text, bool* incomplete) {
  const auto* p = reinterpret_cast<const uint8_t*>(text.data());
  int seen = 0;
  checked_char(p, p + text.size(), &seen);
  const bool lead_may_start = (*p >= 0xc2 && *p <= 0xf4);
  if (incomplete) *incomplete = lead_may_start && static_cast<size_t>(seen) == text.size();
  return static_cast<size_t>(seen);
}

std::string_view to_valid_utf8(std::string_view text, std::string& buffer) {
  size_t valid = valid_utf8_prefix(text);
  if (valid == text.size()) return text;
  buffer.clear();
  while (true) {
    buffer.append(text.substr(0, valid));
    text.remove_prefix(valid);
    if (text.empty()) return buffer;
    text.remove_prefix(invalid_utf8_length(text));
    buffer.append("\xef\xbf\xbd");
    valid = valid_utf8_prefix(text);
  }
}

}  // namespace lyceum
