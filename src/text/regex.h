// Regular expressions over valid UTF-8, through PCRE2 with its JIT.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

namespace lyceum {

class Regex {
 public:
  // Throws kUnsupported, with `where` and the place in the pattern, if the pattern does not compile.
  Regex(const std::string& pattern, const char* where);
  ~Regex();
  Regex(const Regex&) = delete;
  Regex& operator=(const Regex&) = delete;

  // Finds the first match at or after byte `from`. Thread: any. Throws kUnsupported when a match takes more
  // steps than a sane pattern needs.
  bool find(std::string_view text, size_t from, size_t* begin, size_t* end) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// `text` with every sign that means something in a pattern escaped.
std::string regex_escape(std::string_view text);

}  // namespace lyceum
