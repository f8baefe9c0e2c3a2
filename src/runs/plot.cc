#include "runs/plot.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <limits>

namespace lyceum {
namespace {

constexpr const char* kColours[] = {"\033[36m", "\033[33m", "\033[35m", "\033[32m", "\033[34m", "\033[31m"};
constexpr char kMarks[] = "*+ox#@";
constexpr size_t kKinds = 6;

std::string short_number(double x) {
  char text[32];
  const double a = std::abs(x);
  if (a >= 1e9) std::snprintf(text, sizeof text, "%.3gG", x / 1e9);
  else if (a >= 1e6) std::snprintf(text, sizeof text, "%.3gM", x / 1e6);
  else if (a >= 1e4) std::snprintf(text, sizeof text, "%.3gK", x / 1e3);
  else if (a != 0 && a < 1e-3) std::snprintf(text, sizeof text, "%.2g", x);
  else std::snprintf(text, sizeof text, "%.4g", x);
  return text;
}

std::string utf8(unsigned code) {  // of the braille block: three bytes
  return {static_cast<char>(0xe0 | (code >> 12)), static_cast<char>(0x80 | ((code >> 6) & 63)),
          static_cast<char>(0x80 | (code & 63))};
}

// A grid of dots; every character remembers the series that drew on it last.
struct Canvas {
  int width, height, across, down;  // characters; dots per character
  std::vector<unsigned> dots;
  std::vector<int> owner;
  Canvas(int w, int h, bool unicode)
      : width(w),
        height(h),
        across(unicode ? 2 : 1),
        down(unicode ? 4 : 1),
        dots(static_cast<size_t>(w * h)),
        owner(static_cast<size_t>(w * h), -1) {}
  void dot(int x, int y, int series) {
    if (x < 0 || y < 0 || x >= width * across || y >= height * down) return;
    static constexpr unsigned kBits[4][2] = {{1, 8}, {2, 16}, {4, 32}, {64, 128}};
    const auto cell = static_cast<size_t>((y / down) * width + x / across);
    dots[cell] |= across == 2 ? kBits[y % 4][x % 2] : 1;
    owner[cell] = series;
  }
  void line(double x0, double y0, double x1, double y1, int series) {
    const int steps =
        std::max(1, static_cast<int>(std::ceil(std::max(std::abs(x1 - x0), std::abs(y1 - y0)))));
    for (int i = 0; i <= steps; ++i) {
      const double t = static_cast<double>(i) / steps;
      dot(static_cast<int>(std::lround(x0 + t * (x1 - x0))),
          static_cast<int>(std::lround(y0 + t * (y1 - y0))), series);
    }
  }
};

struct Range {
  double low = std::numeric_limits<double>::infinity(), high = -low;
  void add(double v) { low = std::min(low, v), high = std::max(high, v); }
  void widen() {
    if (high > low) return;
    const double by = std::max(std::abs(low) * 0.05, 1e-9);
    low -= by, high += by;
  }
  double at(double v) const { return (v - low) / (high - low); }
};

}  // namespace

std::string plot_text(const std::vector<PlotSeries>& series, const PlotOptions& options) {
  const int width = std::clamp(options.width, 16, 400), height = std::clamp(options.height, 4, 200);
  const auto scale = [&](double y) { return options.log_y ? (y > 0 ? std::log10(y) : NAN) : y; };
  Range xs, ys;
  for (const PlotSeries& s : series)
    for (size_t i = 0; i < std::min(s.x.size(), s.y.size()); ++i)
      if (std::isfinite(s.x[i]) && std::isfinite(scale(s.y[i]))) xs.add(s.x[i]), ys.add(scale(s.y[i]));
  if (!std::isfinite(xs.low)) return options.title + ": nothing to draw\n";
  xs.widen(), ys.widen();

  // Dots of several series look alike without colours: marks then.
  const bool braille = options.unicode && (options.colour || series.size() == 1);
  Canvas canvas(width, height, braille);
  for (size_t s = 0; s < series.size(); ++s) {
    double px = NAN, py = NAN;
    for (size_t i = 0; i < std::min(series[s].x.size(), series[s].y.size()); ++i) {
      if (!std::isfinite(series[s].x[i]) || !std::isfinite(scale(series[s].y[i]))) continue;
      const double x = xs.at(series[s].x[i]) * (width * canvas.across - 1);
      const double y = (1 - ys.at(scale(series[s].y[i]))) * (height * canvas.down - 1);
      canvas.line(std::isnan(px) ? x : px, std::isnan(py) ? y : py, x, y, static_cast<int>(s));
      px = x, py = y;
    }
  }

  const char* bar = options.unicode ? "\u2502" : "|";
  const char* tick = options.unicode ? "\u2524" : "+";
  std::string out = options.title.empty() ? "" : "  " + options.title + "\n";
  for (int row = 0; row < height; ++row) {
    const bool labelled = row % 4 == 0 || row == height - 1;
    const double v = ys.high - (ys.high - ys.low) * row / (height - 1);
    const std::string label = labelled ? short_number(options.log_y ? std::pow(10, v) : v) : "";
    out += std::string(label.size() < 9 ? 9 - label.size() : 0, ' ') + label + " " + (labelled ? tick : bar);
    int last = -1;
    for (int column = 0; column < width; ++column) {
      const auto cell = static_cast<size_t>(row * width + column);
      const int owner = canvas.owner[cell];
      if (options.colour && owner != last && owner >= 0) out += kColours[static_cast<size_t>(owner) % kKinds];
      if (owner >= 0) last = owner;
      if (canvas.dots[cell] == 0) out += ' ';
      else if (braille) out += utf8(0x2800 + canvas.dots[cell]);
      else out += kMarks[static_cast<size_t>(owner) % kKinds];
    }
    if (options.colour && last >= 0) out += "\033[0m";
    while (out.back() == ' ') out.pop_back();
    out += '\n';
  }
  out += std::string(10, ' ') + (options.unicode ? "\u2514" : "+");
  for (int i = 0; i < width; ++i) out += options.unicode ? "\u2500" : "-";
  const std::string left = short_number(xs.low), right = short_number(xs.high);
  out += "\n" + std::string(11, ' ') + left;
  const int room = width - static_cast<int>(left.size() + right.size());
  const int label = static_cast<int>(options.x_label.size());
  const int before = std::max(1, (room - label) / 2);
  out += std::string(static_cast<size_t>(before), ' ') + options.x_label +
         std::string(static_cast<size_t>(std::max(1, room - label - before)), ' ') + right + "\n";
  if (series.size() > 1)
    for (size_t s = 0; s < series.size(); ++s)
      out += std::string(11, ' ') +
             (options.colour
                  ? std::string(kColours[s % kKinds]) + (options.unicode ? "\u2501\u2501" : "--") + "\033[0m"
                  : std::string(1, kMarks[s % kKinds])) +
             " " + series[s].name + "\n";
  return out;
}

bool terminal_shows_unicode() {
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    const char* value = std::getenv(name);
    if (!value || !*value) continue;
    const std::string text = value;
    return text.find("UTF-8") != std::string::npos || text.find("utf8") != std::string::npos ||
           text.find("UTF8") != std::string::npos;
  }
  return false;
}

bool terminal_shows_colour() {
  const char* no_colour = std::getenv("NO_COLOR");
  const char* terminal = std::getenv("TERM");
  return ::isatty(STDOUT_FILENO) && !(no_colour && *no_colour) && terminal && std::string(terminal) != "dumb";
}

}  // namespace lyceum
