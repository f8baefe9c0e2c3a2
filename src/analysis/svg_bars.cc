// Bars: horizontal groups, vertical columns, stacked shares (svg.h).
#include <algorithm>
#include <cmath>

#include "analysis/svg_parts.h"

namespace lyceum {
namespace {

double finite(double x) { return std::isfinite(x) ? x : 0; }

double largest_text(const std::vector<std::string>& texts, double font_size) {
  double width = 0;
  for (const std::string& text : texts) width = std::max(width, text_width(text, font_size));
  return width;
}

}  // namespace

std::string bar_chart(const BarChart& chart) {
  const double width = chart.width, bar = chart.series.size() > 1 ? 13 : 18,
               gap = chart.series.size() > 1 ? 3 : 0;
  const double group = static_cast<double>(chart.series.size()) * (bar + gap) - gap, step = group + 16;
  double top = 0, note_width = 0;
  for (const BarSeries& s : chart.series)
    for (const double v : s.values) top = std::max(top, finite(v));
  for (const ReferenceLine& r : chart.references) top = std::max(top, finite(r.value));
  if (top <= 0) top = 1;
  note_width = chart.notes.empty() ? 0 : largest_text(chart.notes, 12) + 10;
  const double left = std::min(width * 0.34, largest_text(chart.categories, 13) + 14);
  const double value_width = text_width(fixed_number(top, chart.decimals, chart.percent), 12) + 10;
  const double right = width - value_width - note_width;

  std::vector<std::string> names;
  std::vector<int> colours;
  for (size_t s = 0; s < chart.series.size(); ++s) {
    names.push_back(chart.series[s].name);
    colours.push_back(colour_of(chart.series[s].colour, s));
  }
  double legend_height = 0;
  std::string body;
  if (names.size() > 1) body += svg_legend(left, 0, width, names, colours, &legend_height);
  const double head = legend_height + (chart.references.empty() ? 4 : 20);
  const double height =
      head + step * static_cast<double>(chart.categories.size()) + (chart.value_label.empty() ? 4 : 24);
  const double bottom = head + step * static_cast<double>(chart.categories.size());

  for (const ReferenceLine& r : chart.references) {
    const double x = left + finite(r.value) / top * (right - left);
    body += svg_line(x, head - 2, x, bottom, "reference") + svg_text(x, head - 7, r.label, "middle", "soft");
  }
  for (size_t c = 0; c < chart.categories.size(); ++c) {
    const double y = head + 8 + static_cast<double>(c) * step;
    body += "<text x=\"" + px(left - 10) + "\" y=\"" + px(y + group / 2 + 4.5) +
            "\" text-anchor=\"end\" class=\"strong\" style=\"font-size:13px\">" +
            escape_html(cut_to_width(chart.categories[c], left - 12, 13)) + "</text>";
    double longest = 0;
    for (size_t s = 0; s < chart.series.size(); ++s) {
      const double v = c < chart.series[s].values.size() ? chart.series[s].values[c] : NAN;
      const double length = std::max(1.0, finite(v) / top * (right - left));
      const double at = y + static_cast<double>(s) * (bar + gap);
      const std::string label = fixed_number(v, chart.decimals, chart.percent);
      body += svg_rect(left, at, length, bar, "bar f" + std::to_string(colours[s]),
                       chart.categories[c] + ", " + names[s] + ": " + label +
                           (chart.value_label.empty() ? "" : " ") + chart.value_label,
                       3);
      body += svg_text(left + length + 7, at + bar / 2 + 4.5, label, "start", s == 0 ? "strong" : nullptr);
      longest = std::max(longest, length);
    }
    if (c < chart.notes.size() && !chart.notes[c].empty())
      body +=
          svg_text(left + longest + value_width + 6, y + group / 2 + 4.5, chart.notes[c], "start", "warn");
    body += "\n";
  }
  body += svg_line(left, head, left, bottom, "axis");
  if (!chart.value_label.empty()) body += svg_text(left, height - 4, chart.value_label, "start", "soft");
  return svg_open("bars", chart.title, width, height) + body + "</svg>\n";
}

std::string column_chart(const ColumnChart& chart) {
  const double width = chart.width, height = chart.height;
  double top = chart.top;
  if (top <= 0) {
    for (const double v : chart.values) top = std::max(top, finite(v));
    for (const ReferenceLine& r : chart.references) top = std::max(top, finite(r.value) * 1.1);
  }
  if (top <= 0) top = 1;
  const std::string top_label = short_number(top, chart.percent);
  const double left = std::max(34.0, text_width(top_label, 12) + 10), bottom = height - 18, head = 8;
  const auto n = static_cast<double>(std::max<size_t>(1, chart.values.size()));
  const double step = (width - left) / n, gap = step > 6 ? 2 : step > 3 ? 1 : 0.3;
  const auto y_of = [&](double v) { return bottom - std::min(1.0, v / top) * (bottom - head); };
  std::string body = svg_line(left, head, width, head, "grid") +
                     svg_text(left - 6, head + 4, top_label, "end", "soft") +
                     svg_text(left - 6, bottom + 4, "0", "end", "soft");
  for (size_t i = 0; i < chart.values.size(); ++i) {
    const double v = finite(chart.values[i]), y = y_of(v);
    const std::string name = i < chart.categories.size() ? chart.categories[i] : std::to_string(i);
    body += svg_rect(left + static_cast<double>(i) * step + gap / 2, y, step - gap, std::max(0.6, bottom - y),
                     "bar f" + std::to_string(chart.colour % 8),
                     name + ": " + short_number(chart.values[i], chart.percent) +
                         (chart.value_label.empty() ? "" : " " + chart.value_label),
                     step > 8 ? 2 : 0);
  }
  for (const ReferenceLine& r : chart.references)
    body += svg_line(left, y_of(finite(r.value)), width, y_of(finite(r.value)), "reference") +
            (r.label.empty() ? "" : svg_text(width, y_of(finite(r.value)) - 4, r.label, "end", "soft"));
  body += svg_line(left, bottom, width, bottom, "axis") + "\n";
  const size_t every = std::max<size_t>(1, static_cast<size_t>(std::ceil(n / 16)));
  for (size_t i = 0; i < chart.categories.size(); i += every)
    body += svg_text(left + (static_cast<double>(i) + 0.5) * step, height - 4, chart.categories[i], "middle",
                     "soft");
  return svg_open("columns", chart.title, width, height) + body + "</svg>\n";
}

std::string share_bars(const ShareBars& chart) {
  const double width = chart.width, bar = 24, step = 36;
  const size_t parts = chart.parts.size();
  const bool named =
      std::any_of(chart.rows.begin(), chart.rows.end(), [](const auto& r) { return !r.empty(); });
  const double left = named ? std::min(width * 0.34, largest_text(chart.rows, 13) + 14) : 0;
  std::vector<int> colours;
  for (size_t p = 0; p < parts; ++p) colours.push_back(static_cast<int>(p % 8));
  double legend_height = 0;
  std::string body = svg_legend(left, 0, width, chart.parts, colours, &legend_height);
  for (size_t r = 0; r < chart.rows.size(); ++r) {
    const double y = legend_height + 4 + static_cast<double>(r) * step;
    if (named)
      body += "<text x=\"" + px(left - 10) + "\" y=\"" + px(y + bar / 2 + 4.5) +
              "\" text-anchor=\"end\" class=\"strong\" style=\"font-size:13px\">" +
              escape_html(cut_to_width(chart.rows[r], left - 12, 13)) + "</text>";
    double sum = 0, before = 0;
    for (size_t p = 0; p < parts; ++p) sum += std::max(0.0, finite(chart.values[r * parts + p]));
    if (sum <= 0) continue;
    for (size_t p = 0; p < parts; ++p) {
      const double v = std::max(0.0, finite(chart.values[r * parts + p])), share = v / sum;
      if (share <= 0) continue;
      const double x = left + before * (width - left), w = share * (width - left);
      body += svg_rect(x + 0.5, y, std::max(0.5, w - 1), bar, "bar f" + std::to_string(colours[p]),
                       chart.parts[p] + ": " + (chart.counts ? short_number(v) + " (" : "") +
                           fixed_number(share, 1, true) + (chart.counts ? ")" : ""),
                       w > 8 ? 3 : 0);
      const std::string label = fixed_number(share, share < 0.1 ? 1 : 0, true);
      if (w > text_width(label, 12) + 10)
        body += "<text x=\"" + px(x + w / 2) + "\" y=\"" + px(y + bar / 2 + 4.5) +
                "\" text-anchor=\"middle\" style=\"fill:var(--paper);font-weight:600;pointer-events:none\">" +
                label + "</text>";
      before += share;
    }
    body += "\n";
  }
  const double height = legend_height + 4 + step * static_cast<double>(chart.rows.size());
  return svg_open("shares", chart.title, width, height) + body + "</svg>\n";
}

}  // namespace lyceum
