// A curve in a terminal: braille dots (two by four to a character), or plain ASCII where those do not show.
#pragma once

#include <string>
#include <vector>

namespace lyceum {

struct PlotSeries {
  std::string name;
  std::vector<double> x, y;  // points that are not finite are left out
};
struct PlotOptions {
  std::string title = {}, x_label = {};
  int width = 72, height = 16;  // characters of the drawing
  bool unicode = true, colour = false, log_y = false;
};
// The drawing with axes and a legend; one line when there is nothing to draw.
std::string plot_text(const std::vector<PlotSeries>& series, const PlotOptions& options);

// True if the locale of this terminal shows UTF-8.
bool terminal_shows_unicode();
// True if stdout is a terminal that takes colours (NO_COLOR and TERM=dumb are honoured).
bool terminal_shows_colour();

}  // namespace lyceum
