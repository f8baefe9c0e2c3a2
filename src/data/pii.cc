#include "data/pii.h"

#include <algorithm>

namespace lyceum {
namespace {

bool digit(char c) { return c >= '0' && c <= '9'; }
bool letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool name_byte(char c) {
  return letter(c) || digit(c) || c == '.' || c == '_' || c == '-' || c == '+' || c == '%';
}
bool host_byte(char c) { return letter(c) || digit(c) || c == '.' || c == '-'; }

// The address around the '@' at `at`, or an empty span.
PiiSpan email_at(std::string_view s, size_t at, size_t least) {
  size_t begin = at, end = at + 1;
  while (begin > least && name_byte(s[begin - 1]) && at - begin < 64) --begin;
  while (begin < at && !letter(s[begin]) && !digit(s[begin])) ++begin;
  while (end < s.size() && host_byte(s[end]) && end - at < 256) ++end;
  while (end > at + 1 && !letter(s[end - 1])) --end;  // a full stop or number at the end is not the host's
  const size_t dot = s.substr(at + 1, end - at - 1).rfind('.');
  const bool sound = begin < at && dot != std::string_view::npos && dot > 0 && end - (at + 1 + dot) > 2;
  return {PiiKind::kEmail, begin, sound ? end : begin};
}

// Four numbers that begin at `at`, or an empty span.
PiiSpan ip_at(std::string_view s, size_t at) {
  int part[4];
  size_t i = at;
  for (int k = 0; k < 4; ++k) {
    const size_t from = i;
    part[k] = 0;
    while (i < s.size() && digit(s[i]) && i - from < 3) part[k] = part[k] * 10 + (s[i++] - '0');
    if (i == from || part[k] > 255) return {PiiKind::kIp, at, at};
    if (k < 3 && (i >= s.size() || s[i++] != '.')) return {PiiKind::kIp, at, at};
  }
  if (i < s.size() && (digit(s[i]) || letter(s[i]) || (s[i] == '.' && i + 1 < s.size() && digit(s[i + 1]))))
    return {PiiKind::kIp, at, at};
  const bool nobody = part[0] == 0 || part[0] == 10 || part[0] == 127 || part[0] >= 224 ||
                      (part[0] == 192 && part[1] == 168) || (part[0] == 172 && part[1] >= 16 && part[1] < 32);
  return {PiiKind::kIp, at, nobody ? at : i};
}

// "(555) 123-4567", "555-123-4567", "+49 30 1234567" that begins at `at`, or an empty span.
PiiSpan phone_at(std::string_view s, size_t at) {
  const PiiSpan none{PiiKind::kPhone, at, at};
  size_t i = at;
  if (s[i] == '+') {
    size_t digits = 0, end = ++i;
    for (; i < s.size() && i - at < 24; ++i) {
      if (digit(s[i])) ++digits, end = i + 1;
      else if (s[i] != ' ' && s[i] != '-' && s[i] != '(' && s[i] != ')' && s[i] != '.') break;
    }
    return digits >= 9 && digits <= 15 && s[at + 1] != '0' && s[at + 1] != ' '
               ? PiiSpan{PiiKind::kPhone, at, end}
               : none;
  }
  const bool bracket = s[i] == '(';
  i += bracket;
  const auto digits = [&](int n) {
    int k = 0;
    while (k < n && i < s.size() && digit(s[i])) ++k, ++i;
    return k == n;
  };
  if (!digits(3)) return none;
  if (bracket && (i >= s.size() || s[i++] != ')')) return none;
  if (i < s.size() && (s[i] == ' ' || s[i] == '-' || s[i] == '.')) ++i;
  else if (!bracket) return none;
  if (!digits(3) || i >= s.size() || (s[i] != '-' && s[i] != '.' && s[i] != ' ')) return none;
  ++i;
  if (!digits(4) || (i < s.size() && (digit(s[i]) || letter(s[i])))) return none;
  return {PiiKind::kPhone, at, i};
}

}  // namespace

const char* pii_name(PiiKind kind) {
  return kind == PiiKind::kEmail ? "email_address" : kind == PiiKind::kPhone ? "phone_number" : "ip_address";
}

std::vector<PiiSpan> find_pii(std::string_view s) {
  std::vector<PiiSpan> found;
  size_t least = 0;  // end of the last span
  for (size_t i = 0; i < s.size(); ++i) {
    PiiSpan span{PiiKind::kEmail, 0, 0};
    const char before = i > 0 ? s[i - 1] : ' ';
    if (s[i] == '@') span = email_at(s, i, least);
    else if ((digit(s[i]) || s[i] == '(' || s[i] == '+') && !digit(before) && !letter(before) &&
             before != '.' && before != '-' && before != '+' && i >= least) {
      span = s[i] == '(' || s[i] == '+' ? phone_at(s, i) : ip_at(s, i);
      if (span.begin == span.end) span = phone_at(s, i);
    }
    if (span.end <= span.begin || span.begin < least) continue;
    found.push_back(span);
    least = span.end;
    i = std::max(i, span.end - 1);
  }
  return found;
}

}  // namespace lyceum
