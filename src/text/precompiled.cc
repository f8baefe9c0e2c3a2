#include "text/precompiled.h"

#include <utf8proc.h>

#include <cstring>

#include "base/error.h"
#include "text/unicode.h"

namespace lyceum {

template <class OnMatch>
void CharsMap::walk(std::string_view text, const OnMatch& on_match) const {
  const auto offset = [](uint32_t unit) { return (unit >> 10) << ((unit & (1u << 9)) >> 6); };
  const auto n = static_cast<uint32_t>(units_.size());
  uint32_t node = offset(units_[0]);
  for (size_t i = 0; i < text.size() && node < n; ++i) {
    const auto byte = static_cast<uint8_t>(text[i]);
    node ^= byte;
    if (node >= n) return;
    const uint32_t unit = units_[node];
    if ((unit & ((1u << 31) | 0xff)) != byte) return;
    node ^= offset(unit);
    if (node >= n) return;
    if (unit >> 8 & 1) {
      const uint32_t value = units_[node] & 0x7fffffff;
      if (value >= replacements_.size()) return;  // a hostile file
      if (!on_match(i + 1, std::string_view(replacements_.c_str() + value))) return;
    }
  }
}

CharsMap::CharsMap(std::string_view blob, const std::string& where) {
  if (blob.empty()) return;
  uint32_t size = 0;
  check_data(blob.size() >= 8, where.c_str(), "precompiled_charsmap: wanted 8 bytes and more, found ",
             blob.size());
  std::memcpy(&size, blob.data(), 4);
  check_data(size >= 4 && size % 4 == 0 && size <= blob.size() - 4, where.c_str(),
             "precompiled_charsmap: wanted a trie of at most ", blob.size() - 4,
             " bytes, a multiple of 4, found ", size);
  units_.resize(size / 4);
  std::memcpy(units_.data(), blob.data() + 4, size);
  replacements_ = std::string(blob.substr(4 + size));
  check_data(valid_utf8_prefix(replacements_) == replacements_.size(), where.c_str(),
             "precompiled_charsmap: wanted replacements in UTF-8, found others");
  starts_.assign(1024, 0);
  for (unsigned first = 0; first < 256; ++first) {
    const char one[1] = {static_cast<char>(first)};
    bool alone = false;
    walk({one, 1}, [&](size_t, std::string_view) { return alone = true; });
    for (unsigned second = 0; second < 256; ++second) {
      // two bytes begin a rule if the trie has a unit for both: known by walking, not by what matches
      const uint32_t pair = first * 256 + second;
      if (alone || has_prefix(static_cast<uint8_t>(first), static_cast<uint8_t>(second)))
        starts_[pair / 64] |= uint64_t{1} << (pair % 64);
    }
  }
}

bool CharsMap::has_prefix(uint8_t first, uint8_t second) const {
  const auto offset = [](uint32_t unit) { return (unit >> 10) << ((unit & (1u << 9)) >> 6); };
  uint32_t node = offset(units_[0]);
  for (const uint8_t byte : {first, second}) {
    node ^= byte;
    if (node >= units_.size() || (units_[node] & ((1u << 31) | 0xff)) != byte) return false;
    node ^= offset(units_[node]);
  }
  return true;
}

size_t CharsMap::longest(std::string_view text, std::string_view* replacement) const {
  if (units_.empty() || !may_start(text)) return 0;
  size_t length = 0;
  walk(text, [&](size_t n, std::string_view r) {
    length = n;
    *replacement = r;
    return true;
  });
  return length;
}

size_t CharsMap::shortest(std::string_view text, std::string_view* replacement) const {
  if (units_.empty() || !may_start(text)) return 0;
  size_t length = 0;
  walk(text, [&](size_t n, std::string_view r) {
    length = n;
    *replacement = r;
    return false;
  });
  return length;
}

namespace {

class Precompiled : public Normalizer {
 public:
  Precompiled(std::string_view blob, const std::string& where) : map_(blob, where) {}

  // A grapheme cluster below 6 bytes that begins with a rule becomes what the rule says, as a whole; of all
  // others, each character.
  std::string_view apply(std::string_view text, std::string& buffer) const override {
    if (map_.empty()) return text;
    buffer.clear();
    buffer.reserve(text.size() + text.size() / 8);
    for (size_t i = 0; i < text.size();) {
      const size_t n = cluster(text, i);
      std::string_view part = text.substr(i, n), replacement;
      i += n;
      if (n < 6 && map_.shortest(part, &replacement)) {
        buffer.append(replacement);
        continue;
      }
      for (; !part.empty(); part.remove_prefix(static_cast<size_t>(char_length(part[0])))) {
        const std::string_view c = part.substr(0, static_cast<size_t>(char_length(part[0])));
        buffer.append(map_.shortest(c, &replacement) ? replacement : c);
      }
    }
    return buffer;
  }

 private:
  // Bytes of the extended grapheme cluster (Unicode TR 29) at i.
  static size_t cluster(std::string_view text, size_t i) {
    int bytes;
    uint32_t before = decode_char(&text[i], &bytes);
    const size_t begin = i;
    utf8proc_int32_t state = 0;
    for (i += bytes; i < text.size(); i += bytes) {
      const uint32_t c = decode_char(&text[i], &bytes);
      if (before < 0x80 && c < 0x80) {
        if (before == '\r' && c == '\n') ++i;
        break;
      }
      if (utf8proc_grapheme_break_stateful(static_cast<utf8proc_int32_t>(before),
                                           static_cast<utf8proc_int32_t>(c), &state))
        break;
      before = c;
    }
    return i - begin;
  }
  CharsMap map_;
};

}  // namespace

NormalizerPtr make_precompiled(std::string_view blob, const std::string& where) {
  return std::make_unique<Precompiled>(blob, where);
}

std::string from_base64(std::string_view text, const std::string& where) {
  while (text.ends_with('=')) text.remove_suffix(1);
  std::string out;
  uint32_t bits = 0;
  int n = 0;
  for (const char c : text) {
    const int value = c >= 'A' && c <= 'Z'   ? c - 'A'
                      : c >= 'a' && c <= 'z' ? c - 'a' + 26
                      : c >= '0' && c <= '9' ? c - '0' + 52
                      : c == '+'             ? 62
                      : c == '/'             ? 63
                                             : -1;
    check_data(value >= 0, where.c_str(), "precompiled_charsmap: wanted base64, found the character ",
               quote({&c, 1}));
    bits = bits << 6 | static_cast<uint32_t>(value);
    n += 6;
    if (n >= 8) out.push_back(static_cast<char>(bits >> (n -= 8) & 255));
  }
  return out;
}

}  // namespace lyceum
