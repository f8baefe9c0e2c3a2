#include "base/log.h"

#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <mutex>

namespace lyceum {
namespace {

LogLevel initial_level() {
  const char* text = std::getenv("LYCEUM_LOG");
  if (!text) return LogLevel::kInfo;
  const char* names[] = {"debug", "info", "warn", "error", "off"};
  for (int i = 0; i < 5; ++i)
    if (!std::strcmp(text, names[i])) return static_cast<LogLevel>(i);
  fail(ErrorKind::kInvalidArgument, "LYCEUM_LOG", "wanted debug, info, warn, error or off, found \"", text,
       "\"");
}

std::atomic<int>& level_cell() {
  static std::atomic<int> cell{static_cast<int>(initial_level())};
  return cell;
}

}  // namespace

LogLevel log_level() { return static_cast<LogLevel>(level_cell().load(std::memory_order_relaxed)); }
void set_log_level(LogLevel level) { level_cell().store(static_cast<int>(level)); }

bool stderr_is_interactive() {
  static const bool value = [] {
    const char* no_color = std::getenv("NO_COLOR");
    const char* term = std::getenv("TERM");
    return isatty(2) && !(no_color && *no_color) && !(term && !std::strcmp(term, "dumb"));
  }();
  return value;
}

namespace detail {
void write_log(LogLevel level, const char* component, const std::string& message) {
  static std::mutex mutex;
  const char* names[] = {"debug", "info ", "warn ", "error", ""};
  char clock[16];
  const std::time_t now = std::time(nullptr);
  std::tm local{};
  localtime_r(&now, &local);
  std::strftime(clock, sizeof clock, "%H:%M:%S", &local);
  std::lock_guard<std::mutex> lock(mutex);
  std::fprintf(stderr, "%s%s %s [%s] %s\n", stderr_is_interactive() ? "\r\x1b[K" : "", clock,
               names[static_cast<int>(level)], component, message.c_str());
}
}  // namespace detail

}  // namespace lyceum
