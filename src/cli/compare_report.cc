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

std::string chart(const std::vector<Curve>& curves, const char* name, const char* label, double scale,
                  bool smooth, std::vector<ReferenceLine> references = {}) {
  LineChart c;
  c.x_label = "tokens", c.y_label = label, c.smooth = smooth, c.references = std::move(references);
  c.width = 1020, c.height = 340;
  for (const Curve& curve : curves) {
    LineSeries s;
    s.name = curve.run->name;
    for (const StepMetrics& row : curve.rows) {
      const double y = metric_value(row, name);
      if (!std::isfinite(y)) continue;
      s.x.push_back(static_cast<double>(row.tokens)), s.y.push_back(y * scale);
    }
    if (!s.x.empty()) c.series.push_back(std::move(s));
  }
  return c.series.empty() ? "" : line_chart(c);
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

  const std::vector<std::string> head = {"run",  "differs in",     "loss",    "held out", "busiest / mean",
                                         "dead", "entropy / ln E", "dropped", "tokens/s", "active"};
  std::vector<std::vector<std::string>> rows;
  std::string text;
  char line[256];
  std::snprintf(line, sizeof line, "%-18s %8s %9s %14s %6s %14s %8s %9s\n", "RUN", "LOSS", "HELD OUT",
                "BUSIEST / MEAN", "DEAD", "ENTROPY / LN E", "DROPPED", "TOKENS/S");
  text += line;
  for (const Curve& c : curves) {
    const double even = c.run->n_experts > 1 ? std::log(c.run->n_experts) : 1,
                 entropy = c.late("mean_entropy") / even;
    const double held = c.last("held_out.all");
    const double speed = c.late("tokens_per_second");
    const std::string speed_text = std::isfinite(speed) ? human_count(speed) : "-";
    rows.push_back({c.run->name, c.run->router, fixed(c.late("loss"), 4), fixed(held, 4),
                    fixed(c.late("worst_load"), 2), fixed(c.late("dead_experts"), 0),
                    entropy > 0 ? fixed(entropy, 3) : "-", fixed(100 * c.dropped(), 1) + " %", speed_text,
                    human_count(c.run->active)});
    std::snprintf(line, sizeof line, "%-18s %8s %9s %14s %6s %14s %8s %9s\n", c.run->name.c_str(),
                  rows.back()[2].c_str(), rows.back()[3].c_str(), rows.back()[4].c_str(),
                  rows.back()[5].c_str(), rows.back()[6].c_str(), rows.back()[7].c_str(),
                  rows.back()[8].c_str());
    text += line;
  }

  HtmlPage page;
  page.section("results", "Results",
               "Means over the last tenth of each run. Data, order, seed, schedule and the "
               "parameters that see a token are the same for all.");
  std::vector<bool> numeric(head.size(), true);
  numeric[0] = numeric[1] = false;
  page.table(head, rows, numeric);
  const auto figure = [&](const char* heading, const std::string& svg, const char* reading) {
    if (!svg.empty()) page.figure(heading, svg, reading, true);
  };
  page.section("curves", "Learning");
  figure("Training loss", chart(curves, "loss", "nats per token", 1, true),
         "Lower is better; pale: single steps.");
  figure("Held-out text", chart(curves, "held_out.all", "bits per byte", 1, false), "Lower is better.");
  page.section("load", "Load of the experts");
  figure("Busiest expert", chart(curves, "worst_load", "tokens over the mean", 1, true, {{1, "even"}}),
         "The busiest expert of the worst layer; 1 is perfectly even.");
  figure("Router entropy", chart(curves, "mean_entropy", "nats", 1, true),
         "Of the router's mean distribution; ln of the number of experts is even. Routers without a learned "
         "distribution have none.");
  page.section("speed", "Speed");
  figure("Tokens per second", chart(curves, "tokens_per_second", "tokens / s", 1, true),
         "The same machine, one run after the other.");
  write_file(path, page.document(title, "<header><h1>" + escape_html(title) + "</h1></header>"));
  return text;
}

}  // namespace lyceum
