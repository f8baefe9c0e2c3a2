#include "text/template/strings.h"

#include <utf8proc.h>

#include <algorithm>

namespace lyceum::jinja {

std::vector<Text> characters(const Text& text) {
  std::vector<Text> out;
  for (size_t i = 0; i < text.bytes.size();) {
    const auto n = static_cast<size_t>(char_length(text.bytes[i]));
    out.push_back(text.substr(i, n));
    i += n;
  }
  return out;
}

std::vector<Text> split_at(const Text& text, std::string_view separator, int64_t most, bool from_right) {
  if (separator.empty()) fail_render("split: wanted a separator, found an empty string");
  std::vector<Text> out;
  std::string_view rest = text.bytes;
  while (most < 0 || static_cast<int64_t>(out.size()) < most) {
    const size_t at = from_right ? rest.rfind(separator) : rest.find(separator);
    if (at == std::string_view::npos) break;
    const size_t behind = at + separator.size();
    out.push_back(part_of(text, from_right ? rest.substr(behind) : rest.substr(0, at)));
    rest = from_right ? rest.substr(0, at) : rest.substr(behind);
  }
  out.push_back(part_of(text, rest));
  if (from_right) std::reverse(out.begin(), out.end());
  return out;
}

std::vector<Text> split_words(const Text& text, int64_t most, bool from_right) {
  std::vector<Text> out;
  std::string_view rest = text.bytes;
  if (from_right) {
    for (rest = strip_right(rest); !rest.empty(); rest = strip_right(rest)) {
      size_t begin = rest.size();
      if (most < 0 || static_cast<int64_t>(out.size()) < most) {
        while (begin > 0) {
          size_t last = begin - 1;
          while (last > 0 && is_continuation(rest[last])) --last;
          if (is_space_at(rest, last)) break;
          begin = last;
        }
      } else {
        begin = 0;
      }
      out.push_back(part_of(text, rest.substr(begin)));
      rest = rest.substr(0, begin);
    }
    std::reverse(out.begin(), out.end());
    return out;
  }
  for (rest = strip_left(rest); !rest.empty(); rest = strip_left(rest)) {
    size_t end = 0;
    if (most < 0 || static_cast<int64_t>(out.size()) < most)
      while (end < rest.size() && !is_space_at(rest, end)) end += static_cast<size_t>(char_length(rest[end]));
    else end = rest.size();
    out.push_back(part_of(text, rest.substr(0, end)));
    rest = rest.substr(end);
  }
  return out;
}

std::vector<Text> split_lines(const Text& text, bool keep_ends) {
  std::vector<Text> out;
  const std::string& s = text.bytes;
  size_t begin = 0;
  for (size_t i = 0; i < s.size();) {
    int n;
    const uint32_t c = decode_char(&s[i], &n);
    size_t end = i + static_cast<size_t>(n);
    const bool line_end =
        (c >= 0xa && c <= 0xd) || (c >= 0x1c && c <= 0x1e) || c == 0x85 || c == 0x2028 || c == 0x2029;
    if (!line_end) {
      i = end;
      continue;
    }
    if (c == '\r' && end < s.size() && s[end] == '\n') ++end;
    out.push_back(text.substr(begin, (keep_ends ? end : i) - begin));
    begin = i = end;
  }
  if (begin < s.size()) out.push_back(text.substr(begin, s.size() - begin));
  return out;
}

Text replace_all(const Text& text, std::string_view from, const Text& to, int64_t most) {
  Text out;
  size_t done = 0;
  const std::string& s = text.bytes;
  if (from.empty()) {  // between all characters
    for (size_t i = 0;; i += static_cast<size_t>(char_length(s[i]))) {
      if (most == 0) break;
      --most;
      out.append(text.substr(done, i - done));
      out.append(to);
      done = i;
      if (i >= s.size()) break;
    }
  } else {
    for (size_t at; most != 0 && (at = s.find(from, done)) != std::string::npos; --most) {
      out.append(text.substr(done, at - done));
      out.append(to);
      done = at + from.size();
    }
  }
  out.append(text.substr(done, s.size() - done));
  return out;
}

namespace {

void append_upper(std::string& out, uint32_t c) {
  if (c == 0xdf) out += "SS";
  else append_char(out, static_cast<uint32_t>(utf8proc_toupper(static_cast<utf8proc_int32_t>(c))));
}
void append_lower(std::string& out, uint32_t c) {
  if (c == 0x130) out += "i\xcc\x87";
  else append_char(out, static_cast<uint32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(c))));
}
bool is_cased(uint32_t c) {
  const auto p = static_cast<utf8proc_int32_t>(c);
  return utf8proc_category(p) == UTF8PROC_CATEGORY_LT || utf8proc_toupper(p) != p || utf8proc_tolower(p) != p;
}

}  // namespace

Text change_case(const Text& text, std::string_view how) {
  Text out;
  bool inside = false;  // behind a letter
  for (size_t i = 0; i < text.bytes.size();) {
    int n;
    const uint32_t c = decode_char(&text.bytes[i], &n);
    std::string changed;
    const auto p = static_cast<utf8proc_int32_t>(c);
    if (how == "upper") append_upper(changed, c);
    else if (how == "lower") append_lower(changed, c);
    else if (how == "swapcase" && utf8proc_tolower(p) != p) append_lower(changed, c);
    else if (how == "swapcase") append_upper(changed, c);
    else if (inside) append_lower(changed, c);
    else append_char(changed, static_cast<uint32_t>(utf8proc_totitle(p)));
    inside = how == "capitalize" || is_cased(c);
    out.append(changed, !text.marks.empty() && text.marks[i] != 0);
    i += static_cast<size_t>(n);
  }
  return out;
}

}  // namespace lyceum::jinja
