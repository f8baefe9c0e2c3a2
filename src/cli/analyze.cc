// `lyceum analyze`: what the routers of a model learned, from one or several checkpoints, as one HTML page.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <map>
#include <memory>

#include "analysis/collect.h"
#include "analysis/report.h"
#include "base/file.h"
#include "base/progress.h"
#include "cli/model_folder.h"
#include "cli/verb.h"
#include "eval/documents.h"
#include "formats/checkpoint.h"

namespace lyceum {
namespace {

struct AnalyzeOptions {
  std::vector<std::string> models, data;
  std::string out = "analysis.html", json, dtype = "bf16";
  CollectOptions collect;
};

struct DomainTexts {
  std::vector<std::string> names;
  std::vector<RoutedText> texts;  // one stream for each domain, documents joined by end-of-text
};

DomainTexts encode_by_domain(const ModelFolder& folder, const std::vector<Document>& documents) {
  DomainTexts out;
  std::map<std::string, std::vector<const Document*>> members;
  for (const Document& d : documents) members[d.domain].push_back(&d);
  for (const auto& [name, list] : members) {
    RoutedText text;
    text.domain = static_cast<int32_t>(out.names.size());
    for (const EncodedDocument& d : encode_documents(folder.tokenizer, list)) {
      text.ids.push_back(std::max(0, folder.eos()));
      text.ids.insert(text.ids.end(), d.ids.begin(), d.ids.end());
    }
    out.names.push_back(name);
    out.texts.push_back(std::move(text));
  }
  return out;
}

// A run folder stands for all its complete checkpoints, oldest first.
std::vector<std::string> checkpoints_of(const std::vector<std::string>& models) {
  std::vector<std::string> out;
  for (const std::string& path : models) {
    if (!file_exists(path + "/config.json") && directory_exists(path + "/checkpoints")) {
      for (const auto& found : complete_checkpoints(path + "/checkpoints")) out.push_back(found.path);
    } else {
      out.push_back(path);
    }
  }
  check(!out.empty(), "analyze", "no checkpoint in ", models[0]);
  return out;
}

double step_of(const std::string& path, size_t position) {
  const std::string name = std::filesystem::path(path).filename().string();
  return name.starts_with("step-") ? std::strtod(name.c_str() + 5, nullptr) : static_cast<double>(position);
}

CollectedRouting collect(const ModelFolder& folder, const DomainTexts& texts, const AnalyzeOptions& o,
                         const std::string& title) {
  int64_t total = 0;
  for (const RoutedText& t : texts.texts)
    total += std::min<int64_t>(static_cast<int64_t>(t.ids.size()), o.collect.tokens_per_domain);
  Progress progress(title, static_cast<double>(total), "tokens");
  return collect_routing(*folder.model, texts.texts, o.collect,
                         [&](int64_t tokens) { progress.update(static_cast<double>(tokens)); });
}

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
  const ModelFolder last = open_model_folder(paths.back(), o.dtype);
  const DomainTexts texts = encode_by_domain(last, read_evaluation_documents(o.data));
  o.collect.n_domains = static_cast<int64_t>(texts.names.size());
  o.collect.window = std::min(o.collect.window, last.model->config().max_positions);
  const CollectedRouting final_routing = collect(last, texts, o, "read");

  ReportData report;
  report.title = "Routing of " + last.path;
  report.kicker = "lyceum analyze";
  report.routing = routing_report(final_routing.counts, texts.names, [&](int32_t id) {
    return last.tokenizer.decode({&id, 1}, false);
  });
  const int64_t k = last.model->config().top_k;
  for (size_t i = 0; i + 1 < paths.size(); ++i) {
    const ModelFolder earlier = open_model_folder(paths[i], o.dtype);
    const CollectedRouting routing =
        collect(earlier, texts, o, "read " + std::to_string(i + 1) + "/" + std::to_string(paths.size() - 1));
    SaturationPoint point;
    point.step = step_of(paths[i], i);
    for (size_t l = 0; l < routing.chosen.size(); ++l)
      point.by_layer.push_back(router_saturation(routing.chosen[l], final_routing.chosen[l], k));
    report.routing.saturation.push_back(std::move(point));
  }
  report.commands.push_back(
      {"This page again", "lyceum analyze " + last.path + " --data ... --out " + o.out});
  write_file(o.out, report_html(report));
  if (!o.json.empty()) write_file(o.json, report_json(report));

  std::printf("%lld tokens of %zu domains, %zu checkpoint%s\n",
              static_cast<long long>(final_routing.counts.tokens(0)), texts.names.size(), paths.size(),
              paths.size() == 1 ? "" : "s");
  print_layers(final_routing.counts);
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
      ->check(CLI::PositiveNumber)
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
