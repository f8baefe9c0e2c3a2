// Seconds as a double: to measure by, and of the calendar.
#pragma once

#include <chrono>
#include <ctime>

namespace lyceum {

// Since a fixed moment; never set back.
inline double steady_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// Processor time that the calling thread got: other programs do not count.
inline double thread_seconds() {
  timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

// Since 1970, as the machine's calendar has it.
inline double calendar_seconds() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

}  // namespace lyceum
