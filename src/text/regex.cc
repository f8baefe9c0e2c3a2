#define PCRE2_CODE_UNIT_WIDTH 8
#include "text/regex.h"

#include <pcre2.h>

#include <algorithm>

#include "base/error.h"

namespace lyceum {
namespace {

// Scratch of one thread: PCRE2's JIT would otherwise run on 32 KiB of the machine's stack.
struct Matcher {
  pcre2_match_data* data = pcre2_match_data_create(1, nullptr);
  pcre2_match_context* context = pcre2_match_context_create(nullptr);
  pcre2_jit_stack* stack = pcre2_jit_stack_create(64 << 10, 16 << 20, nullptr);
  Matcher() { pcre2_jit_stack_assign(context, nullptr, stack); }
  ~Matcher() {
    pcre2_match_data_free(data);
    pcre2_match_context_free(context);
    pcre2_jit_stack_free(stack);
  }
};

std::string error_text(int code) {
  PCRE2_UCHAR text[256] = {0};
  pcre2_get_error_message(code, text, sizeof text);
  return reinterpret_cast<const char*>(text);
}

// What \\w and \\s mean to Oniguruma, the engine behind Hugging Face `tokenizers`; PCRE2's \\w knows no
// marks, its
// \\s knows U+180E, and its \\h is white space rather than hexadecimal digits.
constexpr const char* kWordClass =
    R"(\p{L}\p{M}\p{Nd}\p{Nl}\p{Pc}\x{B2}\x{B3}\x{B9}\x{BC}-\x{BE}\x{24B6}-\x{24E9}\x{1F130}-\x{1F149}\x{1F150}-\x{1F169}\x{1F170}-\x{1F189})";
constexpr const char* kSpaceClass =
    R"(\t-\r \x{85}\x{A0}\x{1680}\x{2000}-\x{200A}\x{2028}\x{2029}\x{202F}\x{205F}\x{3000})";
constexpr const char* kNotSpaceClass =
    R"(\x{0}-\x{8}\x{E}-\x{1F}!-\x{84}\x{86}-\x{9F}\x{A1}-\x{167F}\x{1681}-\x{1FFF}\x{200B}-\x{2027}\x{202A}-\x{202E}\x{2030}-\x{205E}\x{2060}-\x{2FFF}\x{3001}-\x{10FFFF})";
constexpr const char* kHexClass = "0-9A-Fa-f";

// The pattern in PCRE2's words.
std::string translate(const std::string& pattern, const char* where) {
  std::string out;
  bool in_class = false;
  size_t class_begin = 0;
  int inner = 0;  // classes open inside of the class
  for (size_t i = 0; i < pattern.size(); ++i) {
    const char c = pattern[i];
    if (c == '\\' && i + 1 < pattern.size()) {
      const char escaped = pattern[++i];
      const char* inside = escaped == 'w' || escaped == 'W'   ? kWordClass
                           : escaped == 's' || escaped == 'S' ? kSpaceClass
                           : escaped == 'h' || escaped == 'H' ? kHexClass
                                                              : nullptr;
      const bool negative = escaped < 'a';
      if (!inside || (in_class && negative && escaped != 'S')) (out += '\\') += escaped;
      else if (in_class) out += negative ? kNotSpaceClass : inside;
      else ((out += negative ? "[^" : "[") += inside) += "]";
      continue;
    }
    if (in_class && pattern.compare(i, 9, "[:punct:]") == 0) {
      out += "\\p{P}\\p{S}";
      i += 8;
      continue;
    }
    if (in_class && pattern.compare(i, 2, "[:") == 0) {  // other named classes, up to their ":]"
      const size_t close = std::min(pattern.find(":]", i), pattern.size() - 2) + 2;
      out += pattern.substr(i, close - i);
      i = close - 1;
      continue;
    }
    // Oniguruma knows classes inside of classes, which add to them; PCRE2 does not
    if (in_class && ((c == '[' && pattern.compare(i, 2, "[^") == 0) || pattern.compare(i, 2, "&&") == 0))
      fail(ErrorKind::kUnsupported, where, "the regular expression ", pattern,
           " has a negated class or an intersection inside a class at byte ", i, ", which is not supported");
    if (in_class && c == '[') {
      ++inner;
      continue;
    }
    if (in_class && c == ']' && inner > 0) {
      --inner;
      continue;
    }
    if (c == '[') {
      in_class = true;
      class_begin = i + (pattern.compare(i, 2, "[^") == 0 ? 2 : 1);
    } else if (c == ']' && i != class_begin) {
      in_class = false;
    }
    out += c;
  }
  return out;
}

}  // namespace

struct Regex::State {
  pcre2_code* code = nullptr;
  std::string pattern;
  ~State() { pcre2_code_free(code); }
};

Regex::Regex(const std::string& pattern, const char* where) : state_(new State) {
  int error = 0;
  PCRE2_SIZE offset = 0;
  state_->pattern = pattern;
  const std::string translated = translate(pattern, where);
  // in Oniguruma's syntax ^ and $ stand at every line
  state_->code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(translated.data()), translated.size(),
                               PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE, &error, &offset, nullptr);
  if (!state_->code)
    fail(ErrorKind::kUnsupported, where, "the regular expression ", pattern,
         " does not compile: ", error_text(error), " at byte ", offset);
  pcre2_jit_compile(state_->code, PCRE2_JIT_COMPLETE);  // without a JIT the interpreter runs
}

Regex::~Regex() = default;

bool Regex::find(std::string_view text, size_t from, size_t* begin, size_t* end) const {
  static thread_local Matcher matcher;
  const auto* subject = reinterpret_cast<PCRE2_SPTR>(text.data());
  // a sane pattern goes back over a long word some times, one that never ends does so without end
  const uint64_t limit = std::max<uint64_t>(10'000'000, 64 * static_cast<uint64_t>(text.size() - from));
  pcre2_set_match_limit(matcher.context, static_cast<uint32_t>(std::min<uint64_t>(limit, UINT32_MAX)));
  int rc = pcre2_match(state_->code, subject, text.size(), from, PCRE2_NO_UTF_CHECK, matcher.data,
                       matcher.context);
  if (rc == PCRE2_ERROR_JIT_STACKLIMIT)
    rc = pcre2_match(state_->code, subject, text.size(), from, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT,
                     matcher.data, matcher.context);
  if (rc == PCRE2_ERROR_NOMATCH) return false;
  if (rc < 0)
    fail(ErrorKind::kUnsupported, "regex", "matching ", state_->pattern, " failed: ", error_text(rc));
  const PCRE2_SIZE* range = pcre2_get_ovector_pointer(matcher.data);
  *begin = range[0];
  *end = range[1];
  return true;
}

std::string regex_escape(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (std::string_view("\\.+*?()|[]{}^$#&-~").find(c) != std::string_view::npos) out.push_back('\\');
    out.push_back(c);
  }
  return out;
}

}  // namespace lyceum
