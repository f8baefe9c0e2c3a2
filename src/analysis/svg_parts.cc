#include "analysis/svg_parts.h"

#include <cmath>
#include <cstdio>

namespace lyceum {

std::string px(double x) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f", std::isfinite(x) ? x : 0.0);
  std::string out = text;
  if (out.ends_with(".0")) out.resize(out.size() - 2);
  return out == "-0" ? "0" : out;
}

std::string svg_text(double x, double y, std::string_view text, const char* anchor, const char* css) {
  std::string out = "<text x=\"" + px(x) + "\" y=\"" + px(y) + "\"";
  if (std::string_view(anchor) != "start") out += std::string(" text-anchor=\"") + anchor + "\"";
  if (css) out += std::string(" class=\"") + css + "\"";
  return out + ">" + escape_html(text) + "</text>";
}

std::string svg_line(double x0, double y0, double x1, double y1, const char* css) {
  return "<line x1=\"" + px(x0) + "\" y1=\"" + px(y0) + "\" x2=\"" + px(x1) + "\" y2=\"" + px(y1) +
         "\" class=\"" + css + "\"/>";
}

std::string svg_rect(double x, double y, double width, double height, const std::string& css,
                     const std::string& title, double radius) {
  std::string out = "<rect x=\"" + px(x) + "\" y=\"" + px(y) + "\" width=\"" + px(width) + "\" height=\"" +
                    px(height) + "\" class=\"" + css + "\"";
  if (radius > 0) out += " rx=\"" + px(radius) + "\"";
  return out + (title.empty() ? "/>" : "><title>" + escape_html(title) + "</title></rect>");
}

std::string svg_open(const char* kind, const std::string& title, double width, double height) {
  return std::string("<svg class=\"chart ") + kind + "\" role=\"img\" aria-label=\"" + escape_html(title) +
         "\" viewBox=\"0 0 " + px(width) + " " + px(height) + "\">\n";
}

std::string svg_legend(double x, double y, double right, const std::vector<std::string>& names,
                       const std::vector<int>& colours, double* height) {
  std::string out;
  double at = x, line = y;
  for (size_t i = 0; i < names.size(); ++i) {
    const double width = 18 + text_width(names[i], 12) + 16;
    if (at > x && at + width > right) at = x, line += 19;
    out += svg_rect(at, line + 3, 11, 11, "f" + std::to_string(colours[i]), "", 3);
    out += svg_text(at + 17, line + 13, names[i]);
    at += width;
  }
  *height = names.empty() ? 0 : line - y + 24;
  return out;
}

std::string cut_to_width(const std::string& text, double width, double font_size) {
  if (text_width(text, font_size) <= width) return text;
  std::string out = text;
  while (!out.empty() && text_width(out, font_size) > width - font_size) {
    while (!out.empty() && (static_cast<unsigned char>(out.back()) & 0xc0) == 0x80) out.pop_back();
    if (!out.empty()) out.pop_back();
  }
  return out + "\xe2\x80\xa6";
}

}  // namespace lyceum
