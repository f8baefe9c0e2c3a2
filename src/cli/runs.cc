// `lyceum runs`: what was trained here, side by side.
#include <CLI/CLI.hpp>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <memory>

#include "analysis/html.h"
#include "analysis/svg.h"
#include "base/error.h"
#include "base/fields.h"
#include "base/file.h"
#include "base/progress.h"
#include "cli/verb.h"
#include "runs/compare.h"
#include "runs/plot.h"
#include "runs/run_database.h"

namespace lyceum {
namespace {

std::string time_text(double seconds) {
  if (seconds <= 0) return "-";
  const auto t = static_cast<std::time_t>(seconds);
  std::tm parts{};
  localtime_r(&t, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%d %H:%M", &parts);
  return text;
}

std::string number(const char* format, double x) {
  char text[40];
  std::snprintf(text, sizeof text, format, x);
  return std::isfinite(x) ? text : "-";
}

StepMetrics last_row(const RunInfo& run) {
  StepMetrics row;
  row.loss = row.tokens_per_second = NAN;
  parse_metrics_line(run.last, row);
  return row;
}

double held_out_total(const StepMetrics& row) { return metric_value(row, "held_out.all"); }

void list_runs(const std::string& root) {
  std::vector<RunInfo> runs = RunDatabase(root, true).list();
  std::printf("%-8s  %-24s  %-8s  %13s  %8s  %8s  %9s  %-16s  %s\n", "ID", "NAME", "STATUS", "STEP", "LOSS",
              "HELD OUT", "TOKENS/S", "STARTED", "CONFIG");
  for (const RunInfo& run : runs) {
    const StepMetrics row = last_row(run);
    const std::string step =
        std::to_string(run.step) + (run.total_steps > 0 ? "/" + std::to_string(run.total_steps) : "");
    std::printf("%-8s  %-24s  %-8s  %13s  %8s  %8s  %9s  %-16s  %.8s\n", run.id.c_str(), run.name.c_str(),
                run.status.c_str(), step.c_str(), number("%.4f", row.loss).c_str(),
                number("%.3f", held_out_total(row)).c_str(),
                std::isfinite(row.tokens_per_second) ? human_count(row.tokens_per_second).c_str() : "-",
                time_text(run.started).c_str(), run.config_hash.c_str());
  }
}

// Rows of the run's own file, or what the database kept when the folder is gone.
std::vector<StepMetrics> rows_of(const std::string& root, const RunInfo& run) {
  const std::string path = run_folder(root, run) + "/metrics.jsonl";
  if (file_exists(path)) return read_metrics(path).rows;
  std::vector<StepMetrics> rows;
  for (const RunCurve::Point& p : run.curve.points()) {
    StepMetrics row;
    row.step = std::llround(p.step), row.tokens = std::llround(p.tokens);
    row.loss = p.loss, row.tokens_per_second = p.tokens_per_second;
    rows.push_back(row);
  }
  return rows;
}

void show_run(const std::string& root, const std::string& what) {
  const RunInfo run = RunDatabase(root, true).find(what);
  const StepMetrics row = last_row(run);
  const auto line = [](const char* key, const std::string& value) {
    if (!value.empty()) std::printf("%-14s %s\n", key, value.c_str());
  };
  line("run", run.id + "  " + run.name);
  line("folder", run_folder(root, run));
  line("status", run.status + (run.note.empty() ? "" : ": " + run.note));
  line("step",
       std::to_string(run.step) + (run.total_steps > 0 ? " of " + std::to_string(run.total_steps) : ""));
  if (run.resumed > 0) line("resumed", std::to_string(run.resumed) + (run.resumed == 1 ? " time" : " times"));
  line("started", time_text(run.started));
  line("ended", time_text(run.ended));
  line("program", run.version);
  line("machine", run.host + (run.cpu.empty() ? "" : ", " + run.cpu));
  line("config", run.config_hash);
  if (row.step > 0) {
    std::printf("\n");
    for (const std::string& name : metric_names({row})) {
      const double x = metric_value(row, name);
      line(name.c_str(), std::abs(x) >= 1e5 ? human_count(x) : number("%.5g", x));
    }
  }
  const auto leaves = flatten_json(run.config);
  if (!leaves.empty()) std::printf("\n");
  for (const auto& [key, value] : leaves) std::printf("%s = %s\n", key.c_str(), value.c_str());
}

struct PlotRequest {
  std::vector<std::string> runs;
  std::string metric = "loss", x = "step";
  int width = 72, height = 16;
  bool log_y = false, ascii = false;
  std::string svg, html;  // files to write instead
};

std::vector<PlotSeries> series_of(const std::string& root, const PlotRequest& request) {
  const RunDatabase database(root, true);
  std::vector<PlotSeries> series;
  for (const std::string& what : request.runs) {
    const RunInfo run = database.find(what);
    const std::vector<StepMetrics> rows = rows_of(root, run);
    PlotSeries s{run.name, {}, {}};
    bool any = false;
    for (const StepMetrics& row : rows) {
      s.x.push_back(metric_value(row, request.x));
      s.y.push_back(metric_value(row, request.metric));
      any |= std::isfinite(s.y.back());
    }
    if (!any && !rows.empty()) {
      const std::vector<std::string> names = metric_names(rows);
      std::string known;
      for (const std::string& name : names) known += " " + name;
      const std::string near = nearest_name(request.metric, names);
      fail(ErrorKind::kInvalidArgument, "runs", "run ", run.name, " has no metric ", quote(request.metric),
           near.empty() ? "" : ", did you mean " + near + "?", "; it has:", known);
    }
    series.push_back(std::move(s));
  }
  return series;
}

// The same curves as a drawing, or a page with it.
void write_drawing(const std::vector<PlotSeries>& series, const PlotRequest& request) {
  LineChart chart;
  chart.title = request.metric;
  chart.y_label = request.metric, chart.x_label = request.x;
  chart.log_y = request.log_y;
  chart.smooth = true;
  chart.width = 860, chart.height = 400;
  for (const PlotSeries& s : series) chart.series.push_back({s.name, s.x, s.y, false, -1});
  if (!request.svg.empty()) write_file(request.svg, standalone_svg(line_chart(chart)));
  if (request.html.empty()) return;
  HtmlPage page;
  page.section("plot", request.metric);
  page.figure("", line_chart(chart));
  write_file(request.html, page.document(request.metric, "<p class=\"kicker\">lyceum runs</p>"));
}

void add_plot(CLI::App& runs, const std::shared_ptr<std::string>& root) {
  auto request = std::make_shared<PlotRequest>();
  CLI::App* app = runs.add_subcommand("plot", "curves of one or several runs in the terminal");
  app->add_option("RUN", request->runs, "id, name or folder; default: the latest")->default_val("last");
  app->add_option("--metric", request->metric,
                  "loss, lr, tokens_per_second, worst_load, held_out.DOMAIN, ...");
  app->add_option("--x", request->x, "step or tokens")->check(CLI::IsMember({"step", "tokens"}));
  app->add_flag("--log", request->log_y, "logarithmic");
  app->add_flag("--ascii", request->ascii, "no braille characters");
  app->add_option("--svg", request->svg, "write an SVG drawing to this file instead");
  app->add_option("--html", request->html, "write a page to this file instead");
  app->add_option("--width", request->width)->check(CLI::Range(16, 400));
  app->add_option("--height", request->height)->check(CLI::Range(4, 200));
  app->footer(
      "Examples:\n"
      "  lyceum runs plot\n"
      "  lyceum runs plot quickstart dense --metric held_out.all --x tokens\n"
      "  lyceum runs plot quickstart --metric worst_load --svg load.svg");
  app->callback([request, root] {
    const std::vector<PlotSeries> series = series_of(*root, *request);
    if (!request->svg.empty() || !request->html.empty()) return write_drawing(series, *request);
    PlotOptions options;
    options.title = request->metric;
    options.x_label = request->x;
    options.width = request->width, options.height = request->height;
    options.log_y = request->log_y;
    options.unicode = !request->ascii && terminal_shows_unicode();
    options.colour = terminal_shows_colour();
    std::fputs(plot_text(series, options).c_str(), stdout);
  });
}

void add_runs(CLI::App& root_app) {
  CLI::App* app = root_app.add_subcommand("runs", "list, compare and plot training runs");
  app->require_subcommand(1);
  auto root = std::make_shared<std::string>("runs");
  app->add_option("--root", *root, "folder of runs (holds runs.db)")->envname("LYCEUM_RUNS");
  app->fallthrough();
  app->footer(
      "Examples:\n"
      "  lyceum runs list\n"
      "  lyceum runs compare quickstart dense\n"
      "  lyceum runs plot quickstart --metric loss");
  app->add_subcommand("list", "all runs, latest first")->callback([root] { list_runs(*root); });

  auto what = std::make_shared<std::string>("last");
  CLI::App* show = app->add_subcommand("show", "one run: status, last numbers, configuration");
  show->add_option("RUN", *what, "id, name or folder; default: the latest");
  show->callback([root, what] { show_run(*root, *what); });

  auto names = std::make_shared<std::vector<std::string>>();
  CLI::App* compare = app->add_subcommand("compare", "what differs in configuration and result");
  compare->add_option("RUNS", *names, "two or more: id, name or folder")->required()->expected(2, 20);
  compare->callback([root, names] {
    const RunDatabase database(*root, true);
    std::vector<RunInfo> found;
    for (const std::string& name : *names) found.push_back(database.find(name));
    std::fputs(comparison_text(compare_runs(found)).c_str(), stdout);
  });
  add_plot(*app, root);
}

}  // namespace

extern const Verb kRunsVerb{"runs", add_runs};

}  // namespace lyceum
