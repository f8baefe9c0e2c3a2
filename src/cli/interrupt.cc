#include "cli/interrupt.h"

#include <unistd.h>

#include <atomic>
#include <csignal>

#include "base/clock.h"

namespace lyceum {
namespace {

constexpr int kSignals[] = {SIGINT, SIGTERM};
// Seconds in which a signal that comes again says the same: timeout(1) and batch systems send it to the
// process and to its group.
constexpr double kSameWish = 1;
std::atomic<double> first_signal;  // when it came, steady seconds; 0: none has
static_assert(std::atomic<double>::is_always_lock_free);
std::string last_words;  // set while no handler is installed

void stop_or_end(int number) {  // async-signal-safe calls only
  double none = 0, now = steady_seconds();
  if (first_signal.compare_exchange_strong(none, now) || now - none < kSameWish) return;
  std::signal(number, SIG_DFL);
  std::raise(number);
}

void end_now(int) {  // async-signal-safe calls only
  if (write(STDERR_FILENO, last_words.data(), last_words.size()) < 0) {
  }
  _exit(130);
}

void install(void (*handler)(int)) {
  for (int s : kSignals) std::signal(s, handler);
}

}  // namespace

StopOnSignal::StopOnSignal() {
  first_signal = 0;
  install(stop_or_end);
}
StopOnSignal::~StopOnSignal() { install(SIG_DFL); }
bool StopOnSignal::stop_requested() { return first_signal.load() > 0; }

EndOnSignal::EndOnSignal(const std::string& line) {
  last_words = "\n" + line + "\n";
  install(end_now);
}
EndOnSignal::~EndOnSignal() { install(SIG_DFL); }

}  // namespace lyceum
