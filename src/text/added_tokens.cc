#include "text/added_tokens.h"

#include <algorithm>

#include "text/unicode.h"

namespace lyceum {
namespace {

bool has_class(uint32_t c, uint16_t bits) { return (char_class(c) & bits) != 0; }

// The character that ends before byte i > 0, and where it begins.
uint32_t char_before(std::string_view text, size_t i, size_t* begin) {
  do --i;
  while (i > 0 && is_continuation(text[i]));
  *begin = i;
  int bytes;
  return decode_char(&text[i], &bytes);
}

bool touches_word(std::string_view text, size_t begin, size_t end) {
  size_t before;
  int bytes;
  return (begin > 0 && has_class(char_before(text, begin, &before), kWord)) ||
         (end < text.size() && has_class(decode_char(&text[end], &bytes), kWord));
}

}  // namespace

void AddedTokenMatcher::add(std::string_view content, const AddedToken* token) {
  if (content.empty()) return;
  if (nodes_.empty()) nodes_.emplace_back(), starts_.assign(1024, 0);
  uint32_t node = 0;
  for (const char c : content) {
    const auto byte = static_cast<uint8_t>(c);
    auto& edges = nodes_[node].edges;
    const auto it = std::lower_bound(edges.begin(), edges.end(), std::pair<uint8_t, uint32_t>(byte, 0));
    if (it != edges.end() && it->first == byte) {
      node = it->second;
    } else {
      const auto fresh = static_cast<uint32_t>(nodes_.size());
      edges.insert(it, {byte, fresh});
      nodes_.emplace_back();
      node = fresh;
    }
  }
  nodes_[node].token = static_cast<int32_t>(tokens_.size());
  tokens_.push_back(token);
  const size_t first = static_cast<uint8_t>(content[0]) * 256u;
  for (size_t second = 0; second < 256; ++second)
    if (content.size() == 1 || second == static_cast<uint8_t>(content[1]))
      starts_[(first + second) / 64] |= uint64_t{1} << ((first + second) % 64);
}

const AddedToken* AddedTokenMatcher::longest(const char* p, const char* end, size_t* length) const {
  uint32_t node = 0;
  int32_t found = -1;
  for (const char* q = p; q < end;) {
    const auto byte = static_cast<uint8_t>(*q++);
    const auto& edges = nodes_[node].edges;
    const auto it = std::lower_bound(edges.begin(), edges.end(), std::pair<uint8_t, uint32_t>(byte, 0));
    if (it == edges.end() || it->first != byte) break;
    node = it->second;
    if (nodes_[node].token >= 0) {
      found = nodes_[node].token;
      *length = static_cast<size_t>(q - p);
    }
  }
  return found < 0 ? nullptr : tokens_[found];
}

bool AddedToken::is_control() const {
  const auto between = [&](char first, char last) {
    return content.starts_with(first) && content.ends_with(last);
  };
  return special || between('<', '>') || between('[', ']');
}

bool AllowedTokens::allow(const AddedToken& token, size_t begin, size_t end) const {
  if (no_control) return !token.is_control();
  if (!trusted) return special || !token.special;
  if (!token.is_control()) return true;
  const auto next = std::upper_bound(trusted->begin(), trusted->end(), std::pair(begin, ~size_t{0}));
  return next != trusted->begin() && (next - 1)->second >= end;
}

void AddedTokenMatcher::split(std::string_view text, const AllowedTokens& allowed,
                              std::vector<TextSegment>& out) const {
  if (nodes_.empty() || text.empty()) {
    if (!text.empty()) out.push_back({text, -1});
    return;
  }
  const char *data = text.data(), *end = data + text.size();
  size_t done = 0;
  const uint64_t* starts = starts_.data();
  for (const char* p = data; p < end;) {
    const size_t pair = static_cast<uint8_t>(*p) * 256u + (p + 1 < end ? static_cast<uint8_t>(p[1]) : 0);
    const bool may_start = starts[pair / 64] >> (pair % 64) & 1;
    size_t length = 0;
    const AddedToken* token = may_start || p + 1 == end ? longest(p, end, &length) : nullptr;
    if (!token) {
      ++p;
      continue;
    }
    size_t begin = static_cast<size_t>(p - data), stop = begin + length;
    p += length;  // also when the match is refused: matches do not overlap, as in Hugging Face tokenizers
    if (!allowed.allow(*token, begin, stop)) continue;
    if (token->single_word && touches_word(text, begin, stop)) continue;
    if (token->lstrip) {
      for (size_t before; begin > done && has_class(char_before(text, begin, &before), kSpace);)
        begin = before;
      begin = std::max(begin, done);
    }
    if (token->rstrip) {
      int bytes;
      while (stop < text.size() && has_class(decode_char(&text[stop], &bytes), kSpace)) stop += bytes;
    }
    if (done < begin) out.push_back({text.substr(done, begin - done), -1});
    out.push_back({text.substr(begin, stop - begin), token->id});
    done = stop;
  }
  if (done < text.size()) out.push_back({text.substr(done), -1});
}

}  // namespace lyceum
