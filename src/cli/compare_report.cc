#include "cli/compare_report.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "analysis/html.h"
#include "analysis/svg.h"
#include "base/file.h"
#include "base/progress.h"
#include "runs/metrics.h"

namespace lyceum {
namespace {

constexpr size_t kTogether = 6;  // runs in one chart: more lines are not told apart
constexpr int kGrey = 8;         // of the charts' colours

struct Quantity {
  std::string heading, reading;
  const char *name, *label;
  bool smooth = true, positive = false;  // positive: 0 means that the run has no such number
  std::vector<ReferenceLine> references = {};
};

struct Curve {
  const ComparedFolder* run;
  std::vector<StepMetrics> rows;
  // Mean of a number over the last tenth of the rows, so that one noisy step does not decide.
  double late(const char* name) const {
    double sum = 0, n = 0;
    for (size_t i = rows.size() - std::min(rows.size(), std::max<size_t>(1, rows.size() / 10));
         i < rows.size(); ++i) {
      const double x = metric_value(rows[i], name);
      if (std::isfinite(x)) sum += x, ++n;
    }
    return n > 0 ? sum / n : NAN;
  }
  double last(const char* name) const {
    for (size_t i = rows.size(); i-- > 0;)
      if (const double x = metric_value(rows[i], name); std::isfinite(x)) return x;
    return NAN;
  }
  double dropped() const {
    double sum = 0, n = 0;
    for (const StepMetrics& row : rows)
      for (const LayerMetrics& l : row.layers) sum += l.dropped, ++n;
    return n > 0 ? sum / n : NAN;
  }
};

// Lines of the runs `from` to `to`, the first run of all behind them in grey.
std::string lines(const std::vector<Curve>& curves, size_t from, size_t to, const Quantity& q, int width) {
  LineChart c;
  c.x_label = "tokens", c.y_label = q.label, c.smooth = q.smooth, c.references = q.references;
  c.width = width, c.height = 340;
  const auto add = [&](const Curve& curve, int colour) {
    LineSeries s;
    s.name = curve.run->name, s.colour = colour;
    for (const StepMetrics& row : curve.rows) {
      const double y = metric_value(row, q.name);
      if (std::isfinite(y) && (y != 0 || !q.positive))
        s.x.push_back(static_cast<double>(row.tokens)), s.y.push_back(y);
    }
    if (!s.x.empty()) c.series.push_back(std::move(s));
  };
  if (from > 0) add(curves[0], kGrey);
  const size_t before = c.series.size();
  for (size_t i = from; i < to; ++i) add(curves[i], static_cast<int>(i - from));
  return c.series.size() == before ? "" : line_chart(c);
}

void add_figures(HtmlPage& page, const std::vector<Curve>& curves, const Quantity& q) {
  for (size_t from = 0; from < curves.size(); from += kTogether) {
    const size_t to = std::min(curves.size(), from + kTogether);
    const std::string wide = lines(curves, from, to, q, 1020);
    if (wide.empty()) continue;
    const std::string more = from > 0 ? ", beside " + curves[0].run->name : "";
    page.figure(q.heading + more, wide_and_narrow(wide, lines(curves, from, to, q, 380)),
                from > 0 ? "" : q.reading);
  }
}

std::string fixed(double x, int digits) {
  char text[32];
  std::snprintf(text, sizeof text, "%.*f", digits, x);
  return std::isfinite(x) ? text : "-";
}

}  // namespace

std::string write_compare_report(const std::string& path, const std::string& title,
                                 const std::vector<ComparedFolder>& runs) {
  std::vector<Curve> curves;
  for (const ComparedFolder& run : runs)
    curves.push_back({&run, read_metrics(run.folder + "/metrics.jsonl").rows});

  const std::vector<std::string> head = {"run",  "held out", "to first", "loss",     "busiest",
                                         "dead", "entropy",  "dropped",  "tokens/s", "router"};
  std::vector<std::vector<std::string>> rows;
  const char* kLine = "%-18s %9s %9s %14s %6s %14s %8s %9s\n";
  std::string text;
  char line[256];
  std::snprintf(line, sizeof line, kLine, "RUN", "HELD OUT", "LOSS", "BUSIEST / MEAN", "DEAD",
                "ENTROPY / LN E", "DROPPED", "TOKENS/S");
  text += line;
  const double first = curves.empty() ? NAN : curves[0].last("held_out.all");
  for (const Curve& c : curves) {
    const double even = c.run->n_experts > 1 ? std::log(c.run->n_experts) : 1,
                 entropy = c.late("mean_entropy") / even;
    const double held = c.last("held_out.all"), speed = c.late("tokens_per_second");
    char more[16];
    std::snprintf(more, sizeof more, "%+.3f", held - first);
    rows.push_back({c.run->name, fixed(held, 3), &c == &curves[0] || !std::isfinite(held - first) ? "" : more,
                    fixed(c.late("loss"), 3), fixed(c.late("worst_load"), 2),
                    fixed(c.late("dead_experts"), 0), entropy > 0 ? fixed(entropy, 3) : "-",
                    fixed(100 * c.dropped(), 1) + " %", std::isfinite(speed) ? human_count(speed) : "-",
                    c.run->router});
    const auto& r = rows.back();
    std::snprintf(line, sizeof line, kLine, c.run->name.c_str(), r[1].c_str(), r[3].c_str(), r[4].c_str(),
                  r[5].c_str(), r[6].c_str(), r[7].c_str(), r[8].c_str());
    text += line;
  }

  HtmlPage page;
  page.section("results", "Results",
               "Data, their order, seed, schedule and the number of parameters that see a token (" +
                   (runs.empty() ? "" : human_count(runs[0].active)) +
                   ") are the same for all. Held out: bits per byte of text that none of them saw, at the "
                   "end. All else: means over the last tenth of each run.");
  page.table(head, rows, {false, true, true, true, true, true, true, true, true, false});
  page.raw(
      "<p class=\"lead\">To first: held-out bits per byte against the first run. Busiest: tokens of the "
      "busiest "
      "expert of the worst layer, over the mean; 1 is even. Dead: experts without a token in a step, all "
      "layers "
      "together. Entropy: of the router's mean distribution, 1 is even, - where nothing is learned. Dropped: "
      "choices that found no place, or that GShard's chance left out.</p>");
  page.section("curves", "Learning");
  add_figures(page, curves, {"Held-out text", "Lower is better.", "held_out.all", "bits per byte", false});
  add_figures(page, curves,
              {"Training loss", "Lower is better; pale: single steps.", "loss", "nats per token"});
  page.section("load", "Load of the experts");
  add_figures(page, curves,
              {"Busiest expert",
               "Tokens of the busiest expert of the worst layer, over the mean.",
               "worst_load",
               "times the mean",
               true,
               true,
               {{1, "even"}}});
  add_figures(page, curves,
              {"Router entropy",
               "Of the router's mean distribution, mean over layers; ln of the number of experts is even. "
               "Tables of token ids have none.",
               "mean_entropy", "nats", true, true});
  page.section("speed", "Speed");
  add_figures(
      page, curves,
      {"Tokens per second", "The same machine, one run after the other.", "tokens_per_second", "tokens / s"});
  write_file(path, page.document(title, "<h1>" + escape_html(title) + "</h1>"));
  return text;
}

}  // namespace lyceum
