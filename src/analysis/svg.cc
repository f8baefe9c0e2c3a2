// What the charts share: numbers, ticks, safe text (svg.h).
#include "analysis/svg.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace lyceum {
namespace {

// Length of the UTF-8 sequence at the start of `s` and its code point; length 0: broken.
int decode(std::string_view s, unsigned* code) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(s[i]); };
  const unsigned first = byte(0);
  if (first < 0x80) return *code = first, 1;
  const int length = first >= 0xf0 && first < 0xf5 ? 4 : first >= 0xe0 ? 3 : first >= 0xc2 ? 2 : 0;
  if (length == 0 || first >= 0xf5 || s.size() < static_cast<size_t>(length)) return 0;
  unsigned c = first & (0xffu >> (length + 1));
  for (int i = 1; i < length; ++i) {
    if ((byte(static_cast<size_t>(i)) & 0xc0) != 0x80) return 0;
    c = (c << 6) | (byte(static_cast<size_t>(i)) & 0x3f);
  }
  const bool bad = (length == 3 && c < 0x800) || (length == 4 && c < 0x10000) ||
                   (c >= 0xd800 && c < 0xe000) || c > 0x10ffff || (c & 0xfffe) == 0xfffe;
  return *code = c, bad ? 0 : length;
}

}  // namespace

std::string escape_html(std::string_view text) {
  std::string out;
  out.reserve(text.size() + text.size() / 8);
  for (size_t i = 0; i < text.size();) {
    unsigned code = 0;
    const int length = decode(text.substr(i), &code);
    if (length == 0) {
      out += "\xef\xbf\xbd";  // U+FFFD
      ++i;
      continue;
    }
    if (code == '&') out += "&amp;";
    else if (code == '<') out += "&lt;";
    else if (code == '>') out += "&gt;";
    else if (code == '"') out += "&quot;";
    else if (code == '\'') out += "&#39;";
    else if ((code < 0x20 && code != '\n' && code != '\t') || (code >= 0x7f && code < 0xa0))
      out += "\xef\xbf\xbd";
    else out += text.substr(i, static_cast<size_t>(length));
    i += static_cast<size_t>(length);
  }
  return out;
}

double text_width(std::string_view text, double font_size) {
  double em = 0;
  for (size_t i = 0; i < text.size();) {
    unsigned code = 0;
    const int length = std::max(1, decode(text.substr(i), &code));
    const bool narrow =
        code == 'i' || code == 'l' || code == '.' || code == ',' || code == ' ' || code == '|';
    em += code >= 0x2e80 ? 1.0 : narrow ? 0.3 : code >= 'A' && code <= 'Z' ? 0.67 : 0.56;
    i += static_cast<size_t>(length);
  }
  return em * font_size;
}

std::string fixed_number(double x, int decimals, bool percent) {
  char text[64];
  if (!std::isfinite(x)) return "-";
  std::snprintf(text, sizeof text, percent ? "%.*f %%" : "%.*f", decimals, percent ? 100 * x : x);
  return text;
}

std::string short_number(double x, bool percent) {
  char text[64];
  if (!std::isfinite(x)) return "-";
  if (percent) {
    std::snprintf(text, sizeof text, "%.3g %%", 100 * x);
    return text;
  }
  const double a = std::abs(x);
  if (a >= 1e12) std::snprintf(text, sizeof text, "%.3gT", x / 1e12);
  else if (a >= 1e9) std::snprintf(text, sizeof text, "%.3gG", x / 1e9);
  else if (a >= 1e6) std::snprintf(text, sizeof text, "%.3gM", x / 1e6);
  else if (a >= 1e4) std::snprintf(text, sizeof text, "%.3gK", x / 1e3);
  else if (a >= 1000) std::snprintf(text, sizeof text, "%.0f", x);
  else std::snprintf(text, sizeof text, "%.3g", x);
  return text;
}

std::vector<double> axis_ticks(double low, double high, int wanted, bool log) {
  std::vector<double> ticks;
  if (!(high > low) || !std::isfinite(low) || !std::isfinite(high) || wanted < 1) return {low};
  if (log && low > 0) {
    const double first = std::floor(std::log10(low)), last = std::ceil(std::log10(high));
    const double every = std::max(1.0, std::ceil((last - first) / wanted));
    const bool parts = last - first <= 2;  // 1, 2, 5 inside a decade too
    for (double p = first; p <= last; p += every)
      for (const double m : {1.0, 2.0, 5.0}) {
        const double t = m * std::pow(10.0, p);
        if ((m == 1.0 || parts) && t >= low * 0.999 && t <= high * 1.001) ticks.push_back(t);
      }
    if (ticks.size() >= 2) return ticks;
    ticks.clear();
  }
  const double rough = (high - low) / wanted, power = std::pow(10.0, std::floor(std::log10(rough)));
  const double unit = rough / power;
  const double step = power * (unit <= 1 ? 1 : unit <= 2 ? 2 : unit <= 2.5 ? 2.5 : unit <= 5 ? 5 : 10);
  for (double i = std::ceil(low / step - 1e-9); i * step <= high + step * 1e-9 && ticks.size() < 100; ++i)
    ticks.push_back(i * step + 0.0);
  return ticks;
}

}  // namespace lyceum
