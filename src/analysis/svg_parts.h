// Pieces of SVG for the chart files of this folder.
#pragma once

#include <string>
#include <string_view>

#include "analysis/svg.h"

namespace lyceum {

inline constexpr int kHeatSteps = 17;

// A coordinate with as many digits as a screen shows.
std::string px(double x);
// <text> at (x, y); `anchor` is start, middle or end.
std::string svg_text(double x, double y, std::string_view text, const char* anchor = "start",
                     const char* css = nullptr);
std::string svg_line(double x0, double y0, double x1, double y1, const char* css);
// A rectangle with a title (said on hover).
std::string svg_rect(double x, double y, double width, double height, const std::string& css,
                     const std::string& title, double radius = 0);
std::string svg_open(const char* kind, const std::string& title, double width, double height);
// Swatches with names from (x, y) on, wrapped at `right`; `height` is what they took.
std::string svg_legend(double x, double y, double right, const std::vector<std::string>& names,
                       const std::vector<int>& colours, double* height);
// `text` cut to `width` pixels with an ellipsis.
std::string cut_to_width(const std::string& text, double width, double font_size);
// Class number of a colour: `chosen`, or by position.
inline int colour_of(int chosen, size_t position) {
  return chosen >= 0 ? chosen % 9 : static_cast<int>(position % 8);
}

}  // namespace lyceum
