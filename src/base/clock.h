// Seconds as a double: to measure by, and of the calendar.
#pragma once

#include <chrono>

namespace lyceum {

// Since a fixed moment; never set back.
inline double steady_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// Since 1970, as the machine's calendar has it.
inline double calendar_seconds() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

}  // namespace lyceum
