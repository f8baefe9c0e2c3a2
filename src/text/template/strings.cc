#include "text/template/strings.h"

#include <utf8proc.h>

#include <algorithm>
#include <cstring>

namespace lyceum::jinja {

namespace {

void add(std::vector<Text>& parts, Text part) {
  Budget::charge(sizeof(Text));
  parts.push_back(std::move(part));
}

}  // namespace

size_t find_counted(std::string_view text, std::string_view part, size_t from) {
  const size_t at = find_text(text, part, from);
  Budget::step((std::min(at, text.size()) - std::min(from, text.size())) / 64 + 1);
  return at;
}

std::vector<Text> characters(const Text& text) {
  std::vector<Text> out;
  for (size_t i = 0; i < text.bytes.size();) {
    const auto n = static_cast<size_t>(char_length(text.bytes[i]));
    add(out, text.substr(i, n));
    i += n;
  }
  return out;
}

std::vector<Text> split_at(const Text& text, std::string_view separator, int64_t most, bool from_right) {
  if (separator.empty()) fail_render("split: wanted a separator, found an empty string");
  // from the right: the text backwards
  const size_t n = text.bytes.size();
  const std::string back = from_right ? reversed(text.bytes) : std::string(),
                    back_separator = from_right ? reversed(separator) : std::string();
  const std::string_view s = from_right ? back : text.bytes;
  if (from_right) separator = back_separator;
  std::vector<Text> out;
  const auto add_part = [&](size_t begin, size_t end) {
    add(out, text.substr(from_right ? n - end : begin, end - begin));
  };
  size_t done = 0;
  while (most < 0 || static_cast<int64_t>(out.size()) < most) {
    const size_t at = find_counted(s, separator, done);
    if (at == std::string::npos) break;
    add_part(done, at);
    done = at + separator.size();
  }
  add_part(done, n);
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
      add(out, part_of(text, rest.substr(begin)));
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
    add(out, part_of(text, rest.substr(0, end)));
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
    add(out, text.substr(begin, (keep_ends ? end : i) - begin));
    begin = i = end;
  }
  if (begin < s.size()) add(out, text.substr(begin, s.size() - begin));
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
    for (size_t at; most != 0 && (at = find_counted(s, from, done)) != std::string::npos; --most) {
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
