// Lines for people, on stderr: "12:03:05 warn  [train] message". Results of a command go to stdout, numbers
// for machines to metrics.jsonl; neither passes through here. Level from LYCEUM_LOG (debug, info, warn,
// error, off).
#pragma once

#include "base/error.h"

namespace lyceum {

enum class LogLevel { kDebug, kInfo, kWarn, kError, kOff };

LogLevel log_level();
void set_log_level(LogLevel level);

// True if stderr is a terminal that takes colours and cursor movement (NO_COLOR and TERM=dumb are honoured).
bool stderr_is_interactive();

namespace detail {
void write_log(LogLevel level, const char* component, const std::string& message);
}

// Nothing is logged while it lives: for what is made, measured and thrown away. Of one thread at a time.
class QuietLog {
 public:
  QuietLog() : before_(log_level()) { set_log_level(LogLevel::kOff); }
  ~QuietLog() { set_log_level(before_); }
  QuietLog(const QuietLog&) = delete;

 private:
  LogLevel before_;
};

template <class... Parts>
void log(LogLevel level, const char* component, const Parts&... parts) {
  if (level >= log_level()) detail::write_log(level, component, detail::join(parts...));
}
template <class... Parts>
void log_info(const char* component, const Parts&... parts) {
  log(LogLevel::kInfo, component, parts...);
}
template <class... Parts>
void log_warn(const char* component, const Parts&... parts) {
  log(LogLevel::kWarn, component, parts...);
}

}  // namespace lyceum
