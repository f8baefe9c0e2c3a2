#define PCRE2_CODE_UNIT_WIDTH 8
#include "text/regex.h"

#include <pcre2.h>

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
  state_->code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(),
                               PCRE2_UTF | PCRE2_UCP, &error, &offset, nullptr);
  if (!state_->code)
    fail(ErrorKind::kUnsupported, where, "the regular expression ", pattern,
         " does not compile: ", error_text(error), " at byte ", offset);
  pcre2_jit_compile(state_->code, PCRE2_JIT_COMPLETE);  // without a JIT the interpreter runs
}

Regex::~Regex() = default;

bool Regex::find(std::string_view text, size_t from, size_t* begin, size_t* end) const {
  static thread_local Matcher matcher;
  const auto* subject = reinterpret_cast<PCRE2_SPTR>(text.data());
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
