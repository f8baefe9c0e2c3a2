// Charts as inline SVG: lines, bars, heat maps, shares. No scripts, no fonts, nothing from elsewhere.
//
// Colours and type come from CSS classes (chart_css), so one drawing serves light and dark pages. What stands
// behind a mark is said by <title> when the pointer rests on it. Numbers that are not finite are not drawn.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace lyceum {

struct ReferenceLine {
  double value = 0;
  std::string label;
};

struct LineSeries {
  std::string name;
  std::vector<double> x, y;
  bool dashed = false;
  int colour = -1;  // 0 ... 7; 8: grey, for what is only compared with; -1: by position
};
struct LineChart {
  std::string title, x_label, y_label;
  std::vector<LineSeries> series;
  std::vector<ReferenceLine> references;
  bool log_x = false, log_y = false;
  bool zero_based = false;  // the axis begins at 0
  bool smooth = false;      // raw values faint, their running mean in front
  bool percent = false;     // y is a share: 0.41 is shown as 41 %
  int width = 520, height = 260;
};
std::string line_chart(const LineChart& chart);

struct BarSeries {
  std::string name;
  std::vector<double> values;  // [categories]
  int colour = -1;
};
struct BarChart {
  std::string title, value_label;
  std::vector<std::string> categories;
  std::vector<BarSeries> series;
  std::vector<std::string> notes;  // [categories] or empty: shown behind the bars in the colour of warnings
  std::vector<ReferenceLine> references;
  int decimals = 2;
  bool percent = false;
  int width = 720;
};
// Horizontal bars, grouped by category.
std::string bar_chart(const BarChart& chart);

// Rows of thin vertical bars over one axis: a row per domain, a bar per expert.
struct ColumnRows {
  std::string title, row_label, column_label;
  std::vector<std::string> rows, columns;
  std::vector<double> values;  // [rows, columns]
  std::vector<ReferenceLine> references;
  bool percent = false;
  int width = 1020, row_height = 46;
};
std::string column_rows(const ColumnRows& chart);

enum class HeatScale {
  kFromZero,   // pale = 0, strong = the largest value (or `top`)
  kAroundOne,  // ratio: neutral = 1, one hue below, another above; logarithmic, ends at 1/4 and 4
};
struct HeatMap {
  std::string title, row_label, column_label, legend;
  std::vector<std::string> rows, columns;
  std::vector<double> values;  // [rows, columns]
  HeatScale scale = HeatScale::kFromZero;
  double top = 0;
  bool percent = false;
  int decimals = 2;
  int width = 720;
  int largest_cell = 34;
};
std::string heat_map(const HeatMap& chart);

struct ShareBars {
  std::string title;
  std::vector<std::string> rows, parts;
  std::vector<double> values;  // [rows, parts]; shares of the row's sum are drawn
  bool counts = true;          // values are counts: shown beside their share
  int width = 720;
};
std::string share_bars(const ShareBars& chart);

// The classes that charts use, for light and (prefers-color-scheme) dark.
std::string chart_css();
// `svg` as a file of its own: with namespace, styles and background.
std::string standalone_svg(const std::string& svg);

// ---- shared by the charts ----

// Text and attribute values: & < > " ' and control characters made safe, broken UTF-8 replaced.
std::string escape_html(std::string_view text);
// 1234567 -> "1.23M"; 0.000012 -> "1.2e-05"; percent: 0.413 -> "41.3 %".
std::string short_number(double x, bool percent = false);
std::string fixed_number(double x, int decimals, bool percent = false);
// Round numbers between low and high, about `wanted` of them; on a log scale powers of ten and their parts.
std::vector<double> axis_ticks(double low, double high, int wanted, bool log = false);
// Width of `text` in pixels at this size of the sans-serif type, nearly.
double text_width(std::string_view text, double font_size);

}  // namespace lyceum
