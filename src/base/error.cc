#include "base/error.h"

namespace lyceum {

const char* error_kind_name(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::kInvalidArgument:
      return "invalid argument";
    case ErrorKind::kNotFound:
      return "not found";
    case ErrorKind::kIo:
      return "input/output";
    case ErrorKind::kCorruptData:
      return "corrupt data";
    case ErrorKind::kUnsupported:
      return "unsupported";
    case ErrorKind::kOutOfMemory:
      return "out of memory";
    case ErrorKind::kCancelled:
      return "cancelled";
    case ErrorKind::kInternal:
      return "internal";
  }
  return "unknown";
}

namespace {
// Bytes of the well-formed UTF-8 sequence at the head of `text`; 0 when it is none.
size_t utf8_length(std::string_view text) {
  const auto byte = [&](size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u; };
  const unsigned a = byte(0), b = byte(1);
  const size_t n = a < 0x80                ? 1
                   : a >= 0xc2 && a < 0xe0 ? 2
                   : a >= 0xe0 && a < 0xf0 ? 3
                   : a >= 0xf0 && a < 0xf5 ? 4
                                           : 0;
  for (size_t i = 1; i < n; ++i)
    if ((byte(i) & 0xc0) != 0x80) return 0;
  const bool overlong = (a == 0xe0 && b < 0xa0) || (a == 0xf0 && b < 0x90);
  const bool outside = (a == 0xed && b >= 0xa0) || (a == 0xf4 && b >= 0x90);
  const bool control = a == 0xc2 && b < 0xa0;  // C1: terminals may obey them
  return overlong || outside || control ? 0 : n;
}
}  // namespace

std::string Quoted::str() const {
  static const char* kDigits = "0123456789abcdef";
  constexpr size_t kLongest = 200;
  std::string out = "\"";
  for (size_t i = 0; i < text.size();) {
    if (out.size() > kLongest) return out + "...\"";
    const auto c = static_cast<unsigned char>(text[i]);
    size_t n = utf8_length(text.substr(i));
    if (c < 0x20 || c == 0x7f) n = 0;
    if (c == '"' || c == '\\') out += '\\';
    if (n > 0) out += text.substr(i, n);
    else out += {'\\', 'x', kDigits[c >> 4], kDigits[c & 15]};
    i += n > 0 ? n : 1;
  }
  return out + "\"";
}

std::ostream& operator<<(std::ostream& out, const Quoted& text) { return out << text.str(); }

std::string listed(const std::vector<std::string>& names) {
  std::string out;
  for (const std::string& name : names) out += (out.empty() ? "" : ", ") + name;
  return out;
}

namespace detail {
void throw_error(ErrorKind kind, const char* where, std::string message) {
  throw Error(kind, std::string(where) + ": " + message);
}
}  // namespace detail

}  // namespace lyceum
