// The one error type of the program.
//
// A message names what was wanted, what was found, where (file, tensor, key, line) and what to do about it.
// Errors are caught at four borders only: the command line, the HTTP handler, the engine step, the trainer
// step. Nothing below prints, exits or aborts.
#pragma once

#include <cstdint>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace lyceum {

enum class ErrorKind {
  kInvalidArgument,  // what the user asked for cannot be: a key, a shape, a flag
  kNotFound,         // a file, a tensor, a name that should exist does not
  kIo,               // the operating system refused: disk full, read only, broken pipe
  kCorruptData,      // a file exists and is not what it claims to be
  kUnsupported,      // well formed, but not something this program does
  kOutOfMemory,
  kCancelled,  // the user asked to stop
  kInternal,   // a defect of ours
};

const char* error_kind_name(ErrorKind kind);

class Error : public std::runtime_error {
 public:
  Error(ErrorKind kind, std::string message) : std::runtime_error(std::move(message)), kind_(kind) {}
  ErrorKind kind() const { return kind_; }

 private:
  ErrorKind kind_;
};

// Text out of a file that anyone may have written, shown in an error as "text" on one line: control
// characters and broken UTF-8 become escapes, the end of a long text is cut. Costs nothing until it is
// printed.
struct Quoted {
  std::string_view text;
  std::string str() const;
};
inline Quoted quote(std::string_view text) { return {text}; }
std::ostream& operator<<(std::ostream& out, const Quoted& text);

namespace detail {
template <class... Parts>
std::string join(const Parts&... parts) {
  std::ostringstream out;
  (out << ... << parts);
  return out.str();
}
[[noreturn]] void throw_error(ErrorKind kind, const char* where, std::string message);
}  // namespace detail

// Names as an error lists them: "a, b, c".
std::string listed(const std::vector<std::string>& names);

// Throws Error{kind} with the text "where: parts...".
template <class... Parts>
[[noreturn]] void fail(ErrorKind kind, const char* where, const Parts&... parts) {
  detail::throw_error(kind, where, detail::join(parts...));
}

// Throws Error{kInvalidArgument} with the text "where: parts..." unless `ok`. Parts are only formatted on
// failure.
template <class... Parts>
inline void check(bool ok, const char* where, const Parts&... parts) {
  if (!ok) [[unlikely]]
    fail(ErrorKind::kInvalidArgument, where, parts...);
}

// The same for a condition that only a defect of ours can break.
template <class... Parts>
inline void ensure(bool ok, const char* where, const Parts&... parts) {
  if (!ok) [[unlikely]]
    fail(ErrorKind::kInternal, where, parts...);
}

// The same for the contents of a file.
template <class... Parts>
inline void check_data(bool ok, const char* where, const Parts&... parts) {
  if (!ok) [[unlikely]]
    fail(ErrorKind::kCorruptData, where, parts...);
}

}  // namespace lyceum
