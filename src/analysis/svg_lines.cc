// Line charts (svg.h).
#include <algorithm>
#include <cmath>
#include <limits>

#include "analysis/svg_parts.h"

namespace lyceum {
namespace {

constexpr size_t kMostPoints = 360;  // more than the eye separates at these widths
constexpr int kSlices = 60;          // places where the pointer finds values

struct Points {
  std::vector<double> x, y;
};

// Finite points in order of x, neighbours merged to their mean when there are too many.
Points prepared(const LineSeries& s, bool log_x, bool log_y) {
  std::vector<std::pair<double, double>> all;
  for (size_t i = 0; i < std::min(s.x.size(), s.y.size()); ++i)
    if (std::isfinite(s.x[i]) && std::isfinite(s.y[i]) && (!log_x || s.x[i] > 0) && (!log_y || s.y[i] > 0))
      all.emplace_back(s.x[i], s.y[i]);
  std::stable_sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  Points out;
  const size_t buckets = std::min(all.size(), kMostPoints);
  for (size_t b = 0; b < buckets; ++b) {
    const size_t begin = b * all.size() / buckets, end = (b + 1) * all.size() / buckets;
    double x = 0, y = 0;
    for (size_t i = begin; i < end; ++i) x += all[i].first, y += all[i].second;
    out.x.push_back(x / static_cast<double>(end - begin));
    out.y.push_back(y / static_cast<double>(end - begin));
  }
  if (buckets > 1)
    out.x.front() = all.front().first, out.x.back() = all.back().first;  // the ends stay in place
  return out;
}

// Mean over a window of about a twentieth of the curve: symmetric, so narrower at the steep beginning; at the
// end it looks back only.
Points smoothed(const Points& raw) {
  Points out = raw;
  const auto n = static_cast<int64_t>(raw.y.size()), reach = std::max<int64_t>(1, n / 40);
  for (int64_t i = 0; i < n; ++i) {
    const int64_t back = std::min(reach, i), ahead = std::min({reach, i, n - 1 - i});
    double sum = 0;
    for (int64_t j = i - back; j <= i + ahead; ++j) sum += raw.y[static_cast<size_t>(j)];
    out.y[static_cast<size_t>(i)] = sum / static_cast<double>(back + ahead + 1);
  }
  return out;
}

struct Scale {
  double low = 0, high = 1, from = 0, to = 1;
  bool log = false;
  double operator()(double v) const {
    const double t =
        log ? (std::log(v) - std::log(low)) / (std::log(high) - std::log(low)) : (v - low) / (high - low);
    return from + t * (to - from);
  }
};

void widen(double& low, double& high, double share, bool log) {
  if (!(high > low)) {
    const double by = log ? 0 : std::max(std::abs(low) * 0.1, 1e-9);
    if (log) low /= 1.2, high *= 1.2;
    low -= by, high += by;
    return;
  }
  if (log) return;
  const double by = (high - low) * share;
  low = low >= 0 && low - by < 0 ? std::min(low, 0.0) : low - by;  // do not cross zero for nothing
  high += by;
}

std::string path_of(const Points& p, const Scale& sx, const Scale& sy, const std::string& css) {
  std::string d;
  for (size_t i = 0; i < p.x.size(); ++i) d += (i == 0 ? "M" : "L") + px(sx(p.x[i])) + " " + px(sy(p.y[i]));
  if (p.x.size() == 1) d += "h0.1";  // a single point shows as a dot
  return "<path d=\"" + d + "\" class=\"" + css + "\"/>\n";
}

size_t nearest(const std::vector<double>& sorted, double x) {
  const auto after = std::lower_bound(sorted.begin(), sorted.end(), x);
  if (after == sorted.begin()) return 0;
  const auto i = static_cast<size_t>(after - sorted.begin());
  return i == sorted.size() || x - sorted[i - 1] < sorted[i] - x ? i - 1 : i;
}

// Invisible columns that show a cursor and say the values below the pointer.
std::string slices(const LineChart& chart, const std::vector<Points>& curves, const std::vector<int>& colours,
                   const Scale& sx, const Scale& sy) {
  std::string out;
  const double width = (sx.to - sx.from) / kSlices;
  for (int k = 0; k < kSlices; ++k) {
    const double at = sx.from + (k + 0.5) * width;
    const double t = (k + 0.5) / kSlices;
    const double x = sx.log ? sx.low * std::pow(sx.high / sx.low, t) : sx.low + t * (sx.high - sx.low);
    std::string said, marks;
    double shown = std::numeric_limits<double>::quiet_NaN();
    for (size_t s = 0; s < curves.size(); ++s) {
      if (curves[s].x.empty()) continue;
      const size_t i = nearest(curves[s].x, x);
      if (std::abs(sx(curves[s].x[i]) - at) > 1.6 * width && curves[s].x.size() > kSlices) continue;
      if (std::isnan(shown)) shown = curves[s].x[i];
      said += (curves.size() > 1 || !chart.series[s].name.empty() ? chart.series[s].name + ": " : "") +
              short_number(curves[s].y[i], chart.percent) + "\n";
      marks += "<circle cx=\"" + px(sx(curves[s].x[i])) + "\" cy=\"" + px(sy(curves[s].y[i])) +
               "\" r=\"4\" class=\"mark dot f" + std::to_string(colours[s]) + "\"/>";
    }
    if (said.empty()) continue;
    said = chart.x_label + " " + short_number(shown) + "\n" + said;
    said.pop_back();
    out += "<g class=\"slice\"><title>" + escape_html(said) + "</title><rect class=\"hit\" x=\"" +
           px(at - width / 2) + "\" y=\"" + px(sy.to) + "\" width=\"" + px(width) + "\" height=\"" +
           px(sy.from - sy.to) + "\"/>" + svg_line(sx(shown), sy.to, sx(shown), sy.from, "mark cursor") +
           marks + "</g>\n";
  }
  return out;
}

}  // namespace

std::string line_chart(const LineChart& chart) {
  std::vector<Points> curves;
  std::vector<int> colours;
  std::vector<std::string> names;
  double x0 = INFINITY, x1 = -INFINITY, y0 = INFINITY, y1 = -INFINITY;
  for (size_t s = 0; s < chart.series.size(); ++s) {
    curves.push_back(prepared(chart.series[s], chart.log_x, chart.log_y));
    colours.push_back(colour_of(chart.series[s].colour, s));
    names.push_back(chart.series[s].name);
    for (const double x : curves.back().x) x0 = std::min(x0, x), x1 = std::max(x1, x);
    for (const double y : curves.back().y) y0 = std::min(y0, y), y1 = std::max(y1, y);
  }
  const double width = chart.width, height = chart.height;
  std::string out = svg_open("lines", chart.title, width, height);
  if (!std::isfinite(x0))
    return out + svg_text(width / 2, height / 2, "nothing to draw", "middle", "soft") + "</svg>\n";
  for (const ReferenceLine& r : chart.references)
    if (std::isfinite(r.value) && (!chart.log_y || r.value > 0))
      y0 = std::min(y0, r.value), y1 = std::max(y1, r.value);
  if (chart.zero_based && !chart.log_y) y0 = std::min(0.0, y0);
  if (!(x1 > x0)) widen(x0, x1, 0, chart.log_x);
  widen(y0, y1, 0.06, chart.log_y);
  if (chart.zero_based && !chart.log_y && y0 < 0 && y0 > -0.07 * y1) y0 = 0;

  double legend_height = 0;
  const bool legend = chart.series.size() > 1;
  const double top_label = chart.y_label.empty() ? 0 : 20;
  std::string legend_svg;
  if (legend) legend_svg = svg_legend(0, top_label, width, names, colours, &legend_height);
  const std::vector<double> y_ticks = axis_ticks(y0, y1, 5, chart.log_y);
  double left = 20;
  for (const double t : y_ticks) left = std::max(left, text_width(short_number(t, chart.percent), 12) + 12);
  const Scale sx{x0, x1, left, width - 8, chart.log_x};
  const Scale sy{y0, y1, height - (chart.x_label.empty() ? 24 : 40), top_label + legend_height + 8,
                 chart.log_y};

  if (!chart.y_label.empty()) out += svg_text(0, 12, chart.y_label, "start", "soft");
  out += legend_svg;
  for (const double t : y_ticks) {
    out += svg_line(sx.from, sy(t), sx.to, sy(t), "grid");
    out += svg_text(left - 8, sy(t) + 4, short_number(t, chart.percent), "end", "soft");
  }
  for (const double t : axis_ticks(x0, x1, 6, chart.log_x)) {
    const std::string label = short_number(t);
    const double half = text_width(label, 12) / 2;
    const bool last = sx(t) + half > width;
    out += svg_text(last ? width : sx(t), sy.from + 17, label, last ? "end" : "middle", "soft");
  }
  out += svg_line(sx.from, sy.from, sx.to, sy.from, "axis");
  if (!chart.x_label.empty())
    out += svg_text((sx.from + sx.to) / 2, height - 4, chart.x_label, "middle", "soft");
  for (const ReferenceLine& r : chart.references) {
    if (!std::isfinite(r.value) || (chart.log_y && r.value <= 0)) continue;
    out += svg_line(sx.from, sy(r.value), sx.to, sy(r.value), "reference");
    out += svg_text(sx.to, sy(r.value) - 5, r.label, "end", "soft");
  }
  out += "\n";
  for (size_t s = 0; s < curves.size(); ++s) {
    if (curves[s].x.empty()) continue;
    const std::string colour = "s" + std::to_string(colours[s]);
    const bool smooth = chart.smooth && curves[s].x.size() >= 40;
    if (smooth) {
      out += path_of(curves[s], sx, sy, "raw " + colour);
      curves[s] = smoothed(curves[s]);
    }
    out += path_of(curves[s], sx, sy, "line " + colour + (chart.series[s].dashed ? " dashed" : ""));
    if (curves[s].x.size() <= 12)
      for (size_t i = 0; i < curves[s].x.size(); ++i)
        out += "<circle cx=\"" + px(sx(curves[s].x[i])) + "\" cy=\"" + px(sy(curves[s].y[i])) +
               "\" r=\"3.5\" class=\"dot f" + std::to_string(colours[s]) + "\"/>";
  }
  return out + slices(chart, curves, colours, sx, sy) + "</svg>\n";
}

}  // namespace lyceum
