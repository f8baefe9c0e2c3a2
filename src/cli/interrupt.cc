#include "cli/interrupt.h"

#include <unistd.h>

#include <atomic>
#include <csignal>

namespace lyceum {
namespace {

constexpr int kSignals[] = {SIGINT, SIGTERM};
std::atomic<int> signals{0};
std::string last_words;  // set while no handler is installed

void count_signal(int number) {
  if (signals.fetch_add(1) > 0) {
    std::signal(number, SIG_DFL);
    std::raise(number);
  }
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
  signals = 0;
  install(count_signal);
}
StopOnSignal::~StopOnSignal() { install(SIG_DFL); }
bool StopOnSignal::stop_requested() { return signals.load() > 0; }

EndOnSignal::EndOnSignal(const std::string& line) {
  last_words = "\n" + line + "\n";
  install(end_now);
}
EndOnSignal::~EndOnSignal() { install(SIG_DFL); }

}  // namespace lyceum
