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

std::string column_rows(const ColumnRows& chart) {
  const size_t rows = chart.rows.size(), columns = chart.columns.size();
  const double width = chart.width, row_height = chart.row_height, head = 8;
  double top = 0;
  for (const double v : chart.values) top = std::max(top, finite(v));
  for (const ReferenceLine& r : chart.references) top = std::max(top, finite(r.value) * 1.1);
  const std::vector<double> ticks = axis_ticks(0, top > 0 ? top : 1, 4);
  top = ticks.size() > 1 ? std::ceil(top / ticks[1] - 1e-9) * ticks[1] : 1;  // a round number above all
  if (!(top > 0)) top = 1;
  const double names = std::min(width * 0.2, largest_text(chart.rows, 13) + 14);
  const double left =
      names + std::max(text_width("100 %", 12), text_width(short_number(top, chart.percent), 12)) + 8;
  const double step = (width - left) / static_cast<double>(std::max<size_t>(1, columns));
  const double gap = step > 6 ? 2 : step > 3 ? 1 : 0.3;
  const double bottom = head + row_height * static_cast<double>(rows);
  std::string body;
  for (size_t r = 0; r < rows; ++r) {
    const double floor = head + row_height * static_cast<double>(r + 1) - 6, room = row_height - 12;
    const auto y_of = [&](double v) { return floor - std::clamp(v / top, 0.0, 1.0) * room; };
    body += "<text x=\"" + px(names - 10) + "\" y=\"" + px(floor - room / 2 + 4.5) +
            "\" text-anchor=\"end\" class=\"strong\" style=\"font-size:13px\">" +
            escape_html(cut_to_width(chart.rows[r], names - 12, 13)) + "</text>";
    if (r == 0)
      body += svg_line(left, floor - room, width, floor - room, "grid") +
              svg_text(left - 7, floor - room + 4, short_number(top, chart.percent), "end", "soft");
    for (size_t c = 0; c < columns; ++c) {
      const double v = r * columns + c < chart.values.size() ? chart.values[r * columns + c] : NAN;
      body += svg_rect(left + static_cast<double>(c) * step + gap / 2, y_of(finite(v)), step - gap,
                       std::max(0.6, floor - y_of(finite(v))), "bar f" + std::to_string(r % 8),
                       chart.row_label + " " + chart.rows[r] + ", " + chart.column_label + " " +
                           chart.columns[c] + ": " + short_number(v, chart.percent),
                       step > 8 ? 2 : 0);
    }
    for (const ReferenceLine& line : chart.references)
      body += svg_line(left, y_of(finite(line.value)), width, y_of(finite(line.value)), "reference");
    body += svg_line(left, floor, width, floor, "axis") + "\n";
  }
  const auto every =
      static_cast<size_t>(std::max(1.0, std::ceil((largest_text(chart.columns, 12) + 6) / step)));
  for (size_t c = 0; c < columns; c += every)
    body += svg_text(left + (static_cast<double>(c) + 0.5) * step, bottom + 12, chart.columns[c], "middle",
                     "soft");
  body += svg_text(left - 7, bottom + 12, chart.column_label, "end", "soft");
  return svg_open("columns", chart.title, width, bottom + 20) + body + "</svg>\n";
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
