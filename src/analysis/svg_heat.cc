// Heat maps (svg.h).
#include <algorithm>
#include <cmath>

#include "analysis/svg_parts.h"

namespace lyceum {
namespace {

// Step of the ramp for a value; -1: not finite.
int step_of(const HeatMap& chart, double v, double top) {
  if (!std::isfinite(v)) return -1;
  double t;
  if (chart.scale == HeatScale::kAroundOne) t = v <= 0 ? 0 : (std::log2(v) + 2) / 4;  // 1/4 ... 4
  else t = top > 0 ? v / top : 0;
  return static_cast<int>(std::lround(std::clamp(t, 0.0, 1.0) * (kHeatSteps - 1)));
}

double legend_step(const HeatMap& chart) { return chart.scale == HeatScale::kAroundOne ? 10 : 7; }

double legend_width(const HeatMap& chart) {
  return kHeatSteps * legend_step(chart) + 14 + text_width(chart.legend, 12);
}

std::string legend_bar(const HeatMap& chart, double x, double y, double top) {
  const char* ramp = chart.scale == HeatScale::kAroundOne ? "d" : "q";
  const double step = legend_step(chart);
  std::string out;
  for (int i = 0; i < kHeatSteps; ++i)
    out += svg_rect(x + i * step, y, step + 0.3, 10, ramp + std::to_string(i), "");
  std::vector<std::pair<double, std::string>> labels;
  if (chart.scale == HeatScale::kAroundOne)
    labels = {{0, "\xc2\xbc\xc3\x97"},
              {0.25, "\xc2\xbd\xc3\x97"},
              {0.5, "1\xc3\x97"},
              {0.75, "2\xc3\x97"},
              {1, "4\xc3\x97"}};
  else labels = {{0, short_number(0, chart.percent)}, {1, short_number(top, chart.percent)}};
  for (const auto& [t, label] : labels)
    out += svg_text(x + t * kHeatSteps * step, y + 24, label,
                    t == 0   ? "start"
                    : t == 1 ? "end"
                             : "middle",
                    "soft");
  return out + svg_text(x + kHeatSteps * step + 14, y + 9, chart.legend, "start", "soft");
}

}  // namespace

std::string heat_map(const HeatMap& chart) {
  const size_t rows = chart.rows.size(), columns = chart.columns.size();
  double top = chart.top, left = chart.row_label.empty() ? 0 : 18;
  if (top <= 0)
    for (const double v : chart.values)
      if (std::isfinite(v)) top = std::max(top, v);
  double label_width = 0;
  for (const std::string& row : chart.rows) label_width = std::max(label_width, text_width(row, 12));
  left += std::min(label_width, chart.width * 0.3) + 10;
  const double cell = std::clamp((chart.width - left) / static_cast<double>(std::max<size_t>(1, columns)),
                                 6.0, static_cast<double>(chart.largest_cell));
  const double cell_height = std::clamp(cell, 16.0, 26.0), gap = cell > 12 ? 2 : 0.6;
  const bool square = rows == columns && chart.row_label == chart.column_label;
  const double h = square ? cell : cell_height, head = chart.column_label.empty() ? 6 : 24;
  const double grid_height = h * static_cast<double>(rows), bottom = head + grid_height;
  const double width = std::max(left + cell * static_cast<double>(columns), left + legend_width(chart)),
               height = bottom + 64;

  std::string out = svg_open("heat", chart.title, width, height);
  if (!chart.column_label.empty())
    out += svg_text(left + cell * static_cast<double>(columns) / 2, 12, chart.column_label, "middle", "soft");
  if (!chart.row_label.empty())
    out += "<text transform=\"translate(11 " + px(head + grid_height / 2) +
           ") rotate(-90)\" text-anchor=\"middle\" class=\"soft\">" + escape_html(chart.row_label) +
           "</text>";
  const char* ramp = chart.scale == HeatScale::kAroundOne ? "d" : "q";
  for (size_t r = 0; r < rows; ++r) {
    const double y = head + static_cast<double>(r) * h;
    out += svg_text(left - 8, y + h / 2 + 4, cut_to_width(chart.rows[r], chart.width * 0.3, 12), "end");
    for (size_t c = 0; c < columns; ++c) {
      const double v = r * columns + c < chart.values.size() ? chart.values[r * columns + c] : NAN;
      const int step = step_of(chart, v, top);
      if (step < 0) continue;
      const std::string value = chart.scale == HeatScale::kAroundOne
                                    ? fixed_number(v, chart.decimals) + "\xc3\x97"
                                    : fixed_number(v, chart.decimals, chart.percent);
      out += svg_rect(left + static_cast<double>(c) * cell + gap / 2, y + gap / 2, cell - gap, h - gap,
                      std::string("cell ") + ramp + std::to_string(step),
                      chart.row_label + " " + chart.rows[r] + ", " + chart.column_label + " " +
                          chart.columns[c] + ": " + value,
                      cell > 12 ? 2.5 : 0);
    }
    out += "\n";
  }
  double widest = 0;
  for (const std::string& c : chart.columns) widest = std::max(widest, text_width(c, 12) + 6);
  const auto every = static_cast<size_t>(std::max(1.0, std::ceil(widest / cell)));
  for (size_t c = 0; c < columns; c += every)
    out += svg_text(left + (static_cast<double>(c) + 0.5) * cell, bottom + 15, chart.columns[c], "middle",
                    "soft");
  return out + legend_bar(chart, left, bottom + 32, top) + "</svg>\n";
}

}  // namespace lyceum
