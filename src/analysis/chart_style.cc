// Palette and type of the charts (svg.h).
//
// Categories: eight hues of like lightness, told apart with red-green blindness too (blue, orange, teal,
// pink, amber, violet, sky, brown). Heat: ramps through OKLab, where equal steps look equal (Ottosson 2020).
#include <array>
#include <cmath>
#include <cstdio>

#include "analysis/svg.h"
#include "analysis/svg_parts.h"

namespace lyceum {
namespace {

struct Rgb {
  double r, g, b;
};
struct Lab {
  double l, a, b;
};

double to_linear(double c) { return c <= 0.04045 ? c / 12.92 : std::pow((c + 0.055) / 1.055, 2.4); }
double from_linear(double c) { return c <= 0.0031308 ? 12.92 * c : 1.055 * std::pow(c, 1 / 2.4) - 0.055; }

Lab to_lab(unsigned hex) {
  const double r = to_linear((hex >> 16) / 255.0), g = to_linear((hex >> 8 & 255) / 255.0),
               b = to_linear((hex & 255) / 255.0);
  const double l = std::cbrt(0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b);
  const double m = std::cbrt(0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b);
  const double s = std::cbrt(0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b);
  return {0.2104542553 * l + 0.7936177850 * m - 0.0040720468 * s,
          1.9779984951 * l - 2.4285922050 * m + 0.4505937099 * s,
          0.0259040371 * l + 0.7827717662 * m - 0.8086757660 * s};
}

Rgb to_rgb(const Lab& c) {
  const double l = std::pow(c.l + 0.3963377774 * c.a + 0.2158037573 * c.b, 3);
  const double m = std::pow(c.l - 0.1055613458 * c.a - 0.0638541728 * c.b, 3);
  const double s = std::pow(c.l - 0.0894841775 * c.a - 1.2914855480 * c.b, 3);
  return {4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s,
          -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
          -0.0041960863 * l - 0.7034186147 * m + 1.7076147010 * s};
}

template <size_t N>
std::string ramp_colour(const std::array<unsigned, N>& stops, double t) {
  const double at = t * (N - 1);
  const size_t i = std::min(static_cast<size_t>(at), N - 2);
  const double f = at - static_cast<double>(i);
  const Lab a = to_lab(stops[i]), b = to_lab(stops[i + 1]);
  const Rgb c = to_rgb({a.l + f * (b.l - a.l), a.a + f * (b.a - a.a), a.b + f * (b.b - a.b)});
  const auto byte = [](double x) {
    return static_cast<unsigned>(
        std::lround(255 * std::min(1.0, std::max(0.0, from_linear(std::max(0.0, x))))));
  };
  char text[16];
  std::snprintf(text, sizeof text, "#%02x%02x%02x", byte(c.r), byte(c.g), byte(c.b));
  return text;
}

template <size_t N>
std::string ramp_css(const char* prefix, const std::array<unsigned, N>& stops) {
  std::string out;
  for (int i = 0; i < kHeatSteps; ++i)
    out += std::string(".") + prefix + std::to_string(i) +
           "{fill:" + ramp_colour(stops, static_cast<double>(i) / (kHeatSteps - 1)) + "}";
  return out + "\n";
}

constexpr std::array<unsigned, 5> kSequentialLight = {0xf1efe9, 0xb5dccb, 0x4fa8a5, 0x28648f, 0x221c52};
constexpr std::array<unsigned, 5> kSequentialDark = {0x23262d, 0x27506b, 0x2b8a93, 0x83cfa4, 0xf7f3c3};
constexpr std::array<unsigned, 5> kDivergingLight = {0x1f5fa8, 0x8db9dc, 0xf1efe9, 0xf0a883, 0xb8382a};
constexpr std::array<unsigned, 5> kDivergingDark = {0x6fb0f5, 0x355f8c, 0x2a2d34, 0x95502f, 0xff8f66};

constexpr const char* kLight =
    "--ink:#1c1f26;--ink-2:#565d6b;--ink-3:#8a909c;--paper:#ffffff;--page:#f7f6f2;"
    "--rule:#e4e2db;--grid:#eceae4;--good:#13795b;--warn:#b3421f;--accent:#2456b8;"
    "--c0:#2f6bd8;--c1:#e0752d;--c2:#14907a;--c3:#c2478f;--c4:#b98a00;"
    "--c5:#7457d1;--c6:#2f9fc4;--c7:#8c6a52;--c8:#bdc0c8;";
constexpr const char* kDark =
    "--ink:#eceef2;--ink-2:#a9b0bd;--ink-3:#7b8290;--paper:#1b1e24;--page:#131519;"
    "--rule:#30343c;--grid:#282c33;--good:#4fd0a0;--warn:#ff9670;--accent:#8db4ff;"
    "--c0:#74a5ff;--c1:#ff9c5b;--c2:#41cdb0;--c3:#f08bc4;--c4:#e5bf45;"
    "--c5:#aa95ff;--c6:#6acbea;--c7:#c4a187;--c8:#565d69;";

constexpr const char* kRules = R"(
svg.chart{display:block;width:100%;height:auto;overflow:visible;font-family:var(--sans);font-variant-numeric:tabular-nums}
svg.chart text{fill:var(--ink-2);font-size:12px}
svg.chart .strong{fill:var(--ink);font-weight:600}
svg.chart .soft{fill:var(--ink-3)}
svg.chart .warn{fill:var(--warn);font-weight:600}
svg.chart .grid{stroke:var(--grid);stroke-width:1}
svg.chart .axis{stroke:var(--rule);stroke-width:1}
svg.chart .reference{stroke:var(--ink-3);stroke-width:1;stroke-dasharray:4 4}
svg.chart .line{fill:none;stroke-width:2;stroke-linejoin:round;stroke-linecap:round}
svg.chart .raw{fill:none;stroke-width:1;opacity:.28;stroke-linejoin:round}
svg.chart .dashed{stroke-dasharray:6 5}
svg.chart .slice .mark{opacity:0;pointer-events:none}
svg.chart .slice:hover .mark{opacity:1}
svg.chart .slice .hit{fill:transparent}
svg.chart .cursor{stroke:var(--ink-3);stroke-width:1}
svg.chart .dot{stroke:var(--paper);stroke-width:1.5}
svg.chart .bar:hover,svg.chart .cell:hover{opacity:.78}
svg.chart .cell:hover{stroke:var(--ink);stroke-width:1.5}
)";

}  // namespace

std::string chart_css() {
  std::string out = ":root{color-scheme:light dark;";
  out += kLight;
  out +=
      "--sans:Inter,ui-sans-serif,system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue','Noto Sans',"
      "'DejaVu Sans',Arial,sans-serif;"
      "--mono:ui-monospace,'JetBrains Mono','SF Mono',Menlo,Consolas,'DejaVu Sans Mono',monospace}\n";
  out += kRules;
  for (int i = 0; i < 9; ++i) {
    char rule[128];
    std::snprintf(rule, sizeof rule, "svg.chart .s%d{stroke:var(--c%d)}svg.chart .f%d{fill:var(--c%d)}\n", i,
                  i, i, i);
    out += rule;
  }
  out += ramp_css("q", kSequentialLight) + ramp_css("d", kDivergingLight);
  out += "@media (prefers-color-scheme:dark){:root{";
  out += kDark;
  out += "}" + ramp_css("q", kSequentialDark) + ramp_css("d", kDivergingDark) + "}\n";
  return out;
}

std::string standalone_svg(const std::string& svg) {
  const size_t end = svg.find('>');
  if (end == std::string::npos) return svg;
  return svg.substr(0, end) + " xmlns=\"http://www.w3.org/2000/svg\">" + "<style>" + chart_css() +
         "svg.chart{background:var(--paper);padding:16px;box-sizing:border-box}</style>" +
         svg.substr(end + 1) + "\n";
}

}  // namespace lyceum
