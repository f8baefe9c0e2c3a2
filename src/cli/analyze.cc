// `lyceum analyze`: what the routers of a model learned, from one or several checkpoints, as one HTML page.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>

#include "analysis/report.h"
#include "base/file.h"
#include "cli/numbers.h"
#include "cli/routing_pages.h"
#include "cli/verb.h"
#include "eval/documents.h"

namespace lyceum {
namespace {

struct AnalyzeOptions {
  std::vector<std::string> models, data;
  std::string out = "analysis.html", json, dtype = "bf16";
  CollectOptions collect;
};

void print_layers(const RoutingCounts& counts) {
  std::printf("%-6s %12s %12s %10s %6s %14s %14s\n", "layer", "load max", "entropy", "effective", "dead",
              "vocabulary in", "predicted");
  for (int64_t l = 0; l < counts.shape().n_layers; ++l) {
    const LoadFigures f = counts.load(l);
    std::printf("%-6lld %12.2f %12.3f %10.1f %6lld %13.1f%% %13.1f%%\n", static_cast<long long>(l),
                f.max_over_mean, f.entropy, f.effective_experts, static_cast<long long>(f.dead),
                100 * counts.vocabulary_specialisation(l, TokenRole::kInput),
                100 * counts.vocabulary_specialisation(l, TokenRole::kPredicted));
  }
}

void run_analyze(AnalyzeOptions o) {
  const std::vector<std::string> paths = checkpoints_of(o.models);
  const RoutingPages pages = read_routing(paths, read_evaluation_documents(o.data), o.collect, o.dtype);
  const RoutingCounts& counts = pages.counts;
  ReportData report;
  report.title = "Routing of " + paths.back();
  report.kicker = "lyceum analyze";
  report.routing = pages.report;
  std::string again = "lyceum analyze";
  for (const std::string& model : o.models) again += " " + model;
  again += " --data";
  for (const std::string& data : o.data) again += " " + data;
  report.commands.push_back({"This page again", again + " --out " + o.out});
  write_file(o.out, report_html(report));
  if (!o.json.empty()) write_file(o.json, report_json(report));

  std::printf("%lld tokens of %zu domains, %zu checkpoint%s\n", static_cast<long long>(counts.tokens(0)),
              report.routing.domains.size(), paths.size(), paths.size() == 1 ? "" : "s");
  print_layers(counts);
  for (const SaturationPoint& p : report.routing.saturation) {
    double mean = 0;
    for (double s : p.by_layer) mean += s / static_cast<double>(p.by_layer.size());
    std::printf("saturation at step %.0f: %.1f %% of the choices are already those of the last checkpoint\n",
                p.step, 100 * mean);
  }
  std::printf("-> %s\n", o.out.c_str());
}

void add_analyze(CLI::App& root) {
  auto o = std::make_shared<AnalyzeOptions>();
  CLI::App* app = root.add_subcommand(
      "analyze", "what the routers learned: load, saturation, co-activation, specialisation");
  app->add_option("models", o->models,
                  "model directories, oldest first, or a run folder for all its checkpoints")
      ->required();
  app->add_option("--data", o->data, "documents, text files, or folders of them; domains are kept apart")
      ->required();
  app->add_option("--out", o->out, "the page")->capture_default_str();
  app->add_option("--json", o->json, "write the figures to this file too");
  app->add_option("--tokens", o->collect.tokens_per_domain, "read of each domain")
      ->check(finite_number(true))
      ->capture_default_str();
  app->add_option("--window", o->collect.window, "tokens read at once")
      ->check(CLI::Range(2, 1 << 20))
      ->capture_default_str();
  app->add_option("--dtype", o->dtype, "bf16 or f32")->capture_default_str();
  app->footer(
      "Examples:\n"
      "  lyceum analyze runs/quickstart --data runs/quickstart/data/heldout --out routing.html\n"
      "  lyceum analyze step-000100 step-000500 step-002000 --data texts --tokens 100000");
  app->callback([o] { run_analyze(*o); });
}

}  // namespace

extern const Verb kAnalyzeVerb{"analyze", add_analyze};

}  // namespace lyceum
