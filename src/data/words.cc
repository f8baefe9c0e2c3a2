#include "data/words.h"

#include <xxhash.h>

#include <algorithm>
#include <string>

#include "base/random.h"
#include "data/utf8.h"

namespace lyceum {
namespace {

// Calls emit(begin, end) for every word; `joins(byte)` says which ASCII bytes belong to words. Other
// characters do, except those of scripts without blanks, which stand alone, and general punctuation.
template <class Joins, class Emit>
void for_each_word(std::string_view text, const Joins& joins, const Emit& emit) {
  size_t begin = 0;
  for (size_t at = 0; at < text.size();) {
    const size_t here = at;
    if (static_cast<unsigned char>(text[at]) < 0x80) {
      ++at;
      if (joins(text[here])) continue;
      if (here > begin) emit(begin, here);
      begin = at;
      continue;
    }
    const char32_t c = next_code_point(text, at);
    if (is_unspaced_script(c)) {
      if (here > begin) emit(begin, here);
      emit(here, at);
      begin = at;
    } else if (c == 0xa0 || (c >= 0x2000 && c <= 0x206f) || (c >= 0x3000 && c <= 0x303f) ||
               (c >= 0xff00 && c <= 0xff0f)) {
      if (here > begin) emit(begin, here);
      begin = at;
    }
  }
  if (text.size() > begin) emit(begin, text.size());
}

}  // namespace

std::vector<uint64_t> word_hashes(std::string_view text) {
  std::vector<uint64_t> out;
  std::string lower;
  for_each_word(
      text,
      [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
      },
      [&](size_t begin, size_t end) {
        lower.assign(text.substr(begin, end - begin));
        for (char& c : lower)
          if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
        out.push_back(XXH3_64bits(lower.data(), lower.size()));
      });
  return out;
}

std::vector<uint64_t> blank_separated_hashes(std::string_view text) {
  std::vector<uint64_t> out;
  for_each_word(
      text, [](char c) { return static_cast<unsigned char>(c) > 32; },
      [&](size_t begin, size_t end) { out.push_back(XXH3_64bits(text.data() + begin, end - begin)); });
  return out;
}

Hash128 normalised_hash(std::string_view text) {
  std::string plain;
  plain.reserve(text.size());
  for (const char c : text) {
    const bool blank = c == ' ' || c == '\n' || c == '\t' || c == '\r';
    if (!blank) plain += c;
    else if (!plain.empty() && plain.back() != ' ') plain += ' ';
  }
  if (!plain.empty() && plain.back() == ' ') plain.pop_back();
  const XXH128_hash_t h = XXH3_128bits(plain.data(), plain.size());
  return {h.low64, h.high64};
}

std::vector<uint64_t> shingles_of(std::string_view text, int n) {
  const std::vector<uint64_t> words = word_hashes(text);
  std::vector<uint64_t> out;
  const auto width = std::min(static_cast<size_t>(n), words.size());
  for (size_t i = 0; width > 0 && i + width <= words.size(); ++i) {
    uint64_t h = 0;
    for (size_t k = 0; k < width; ++k) h = mix64(h * 0x9e3779b97f4a7c15ull + words[i + k]);
    out.push_back(h);
  }
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

double jaccard(const std::vector<uint64_t>& a, const std::vector<uint64_t>& b) {
  if (a.empty() && b.empty()) return 1;
  size_t i = 0, j = 0, common = 0;
  while (i < a.size() && j < b.size()) {
    if (a[i] == b[j]) ++common, ++i, ++j;
    else if (a[i] < b[j]) ++i;
    else ++j;
  }
  return static_cast<double>(common) / static_cast<double>(a.size() + b.size() - common);
}

}  // namespace lyceum
