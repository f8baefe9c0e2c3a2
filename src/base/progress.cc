#include "base/progress.h"

#include <sys/ioctl.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <mutex>

#include "base/log.h"

namespace lyceum {
namespace {

using Clock = std::chrono::steady_clock;

std::string format(const char* pattern, double value, const char* unit) {
  char text[64];
  std::snprintf(text, sizeof text, pattern, value, unit);
  return text;
}

int terminal_columns() {
  winsize size{};
  return ioctl(2, TIOCGWINSZ, &size) == 0 && size.ws_col > 20 ? size.ws_col : 100;
}

}  // namespace

std::string human_bytes(double bytes) {
  const char* units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
  int i = 0;
  for (; bytes >= 1024 && i < 5; ++i) bytes /= 1024;
  return format(i == 0 || bytes >= 100 ? "%.0f %s" : "%.1f %s", bytes, units[i]);
}

std::string human_count(double n) {
  const char* units[] = {"", "K", "M", "G", "T"};
  int i = 0;
  for (; n >= 1000 && i < 4; ++i) n /= 1000;
  if (i == 0) return format("%.0f%s", n, "");
  return format(n >= 100 ? "%.0f %s" : "%.1f %s", n, units[i]);
}

std::string human_seconds(double s) {
  char text[48];
  if (s < 60) std::snprintf(text, sizeof text, s < 10 ? "%.1f s" : "%.0f s", s);
  else if (s < 3600)
    std::snprintf(text, sizeof text, "%d min %02d s", static_cast<int>(s) / 60, static_cast<int>(s) % 60);
  else
    std::snprintf(text, sizeof text, "%d h %02d min", static_cast<int>(s) / 3600,
                  static_cast<int>(s) / 60 % 60);
  return text;
}

struct Progress::State {
  std::mutex mutex;
  std::string title, unit, note;
  double total = 0, done = 0;
  Clock::time_point begin = Clock::now(), drawn{};
  bool finished = false;

  std::string amount(double n) const { return unit == "bytes" ? human_bytes(n) : human_count(n); }

  void draw(bool last) {
    const auto now = Clock::now();
    const bool interactive = stderr_is_interactive();
    const double pause = std::chrono::duration<double>(now - drawn).count();
    if (!last && drawn.time_since_epoch().count() != 0 && pause < (interactive ? 0.1 : 5.0)) return;
    if (!last && !interactive &&
        drawn.time_since_epoch().count() == 0) {  // first plain line after five seconds
      drawn = now;
      return;
    }
    drawn = now;
    if (log_level() > LogLevel::kInfo) return;
    const double seconds = std::chrono::duration<double>(now - begin).count();
    const double share = total > 0 ? std::min(1.0, done / total) : 0;
    std::string line = title + " ";
    if (interactive && total > 0) {
      const int width = 24, full = static_cast<int>(share * width * 8);
      static const char* eighths[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
      std::string bar;
      for (int i = 0; i < full / 8; ++i) bar += "█";
      int used = full / 8;
      if (full % 8 && used < width) bar += eighths[full % 8], ++used;
      bar.append(static_cast<size_t>(width - used), ' ');
      line += "│" + bar + "│ ";
    }
    if (total > 0) line += format("%.0f%s ", 100 * share, "%");
    line += amount(done) + (total > 0 ? "/" + amount(total) : "") + " " + (unit == "bytes" ? "" : unit + " ");
    if (!note.empty()) line += " " + note;
    if (last) line += "  in " + human_seconds(seconds);
    else if (total > 0 && share > 0.002)
      line += "  " + human_seconds(seconds * (1 - share) / share) + " left";
    if (interactive) {  // cut at the terminal's width, counting characters rather than bytes
      int columns = terminal_columns() - 1;
      size_t end = 0;
      while (end < line.size() && columns > 0) {
        ++end;
        while (end < line.size() && (static_cast<unsigned char>(line[end]) & 0xc0) == 0x80) ++end;
        --columns;
      }
      std::fprintf(stderr, "\r\x1b[K%s%s", line.substr(0, end).c_str(), last ? "\n" : "");
    } else {
      std::fprintf(stderr, "%s\n", line.c_str());
    }
    std::fflush(stderr);
  }
};

Progress::Progress(std::string title, double total, std::string unit) : state_(std::make_unique<State>()) {
  state_->title = std::move(title);
  state_->total = total;
  state_->unit = std::move(unit);
}

Progress::~Progress() { finish(); }

void Progress::update(double done, const std::string& note) {
  std::lock_guard<std::mutex> lock(state_->mutex);
  state_->done = done;
  if (!note.empty()) state_->note = note;
  if (!state_->finished) state_->draw(false);
}

void Progress::add(double amount) {
  std::lock_guard<std::mutex> lock(state_->mutex);
  state_->done += amount;
  if (!state_->finished) state_->draw(false);
}

void Progress::finish(const std::string& note) {
  std::lock_guard<std::mutex> lock(state_->mutex);
  if (state_->finished) return;
  if (!note.empty()) state_->note = note;
  state_->finished = true;
  state_->draw(true);
}

}  // namespace lyceum
