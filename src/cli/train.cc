// `lyceum train RECIPE.toml [--section.key=value]`: trains, resumes by itself, stops cleanly on Ctrl-C.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>

#include "base/error.h"
#include "base/log.h"
#include "cli/compare_report.h"
#include "cli/interrupt.h"
#include "cli/verb.h"
#include "train/compare.h"
#include "train/open_data.h"
#include "train/progress_line.h"

namespace lyceum {
namespace {

void print_result(const TrainResult& r) {
  const char* status = r.steps_now == 0 ? "was finished already" : "finished";
  std::printf("%s %s: %lld steps, %s tokens, loss %.4f", r.folder.c_str(), status,
              static_cast<long long>(r.state.step), human_count(static_cast<double>(r.state.tokens)).c_str(),
              r.state.loss);
  if (r.steps_now > 0)
    std::printf(", %s, %s tokens/s, %.3f TFLOP/s", human_seconds(r.seconds_now).c_str(),
                human_count(r.tokens_per_second).c_str(), r.tflops);
  if (r.share_of_peak > 0) std::printf(" (%.0f %% of peak)", 100 * r.share_of_peak);
  if (r.step_seconds > 0) std::printf(", %.3g s a step", r.step_seconds);
  if (r.forecast.step_seconds > 0) std::printf(" (%.3g s were forecast)", r.forecast.step_seconds);
  if (r.state.skipped > 0) std::printf(", %lld skipped", static_cast<long long>(r.state.skipped));
  std::printf("\n");
  for (const auto& [domain, value] : r.held_out)
    std::printf("  held out  %-20s %.4f bits per byte\n", domain.c_str(), value);
  std::printf("checkpoint: %s\n", r.checkpoint.c_str());
}

// All variants of a recipe, one after the other; what is finished is not repeated. The page is written after
// each, so that it can be looked at early.
void compare(const std::string& recipe, const std::vector<Setting>& overrides, const std::string& folder,
             const std::string& again) {
  const std::vector<ComparedRun> runs = compared_runs(recipe, overrides);
  for (const ComparedRun& run : runs) open_data(run.config);  // what fails must not fail after hours
  const std::string report = folder + "/report.html";
  std::vector<ComparedFolder> folders;
  std::string table;
  for (size_t i = 0; i < runs.size(); ++i) {
    const TrainConfig& c = runs[i].config;
    log_info("train", "variant ", i + 1, " of ", runs.size(), ": ", runs[i].name);
    StopOnSignal stop;
    ProgressLine line;
    const TrainResult result = train(c, {&line, &stop});
    if (result.status == TrainResult::Status::kStopped)
      fail(ErrorKind::kCancelled, "train", "stopped in variant ", i + 1, " of ", runs.size(), ", ",
           runs[i].name, ", after step ", result.state.step, "; go on with: ", again);
    folders.push_back(
        {runs[i].name, c.train.folder,
         c.model.router + ", " + std::to_string(c.model.top_k) + " of " + std::to_string(c.model.n_experts),
         static_cast<double>(c.model.n_experts), static_cast<double>(c.model.top_k),
         static_cast<double>(runs[i].active)});
    table = write_compare_report(report, "Routers under equal conditions", folders);
  }
  std::fputs(table.c_str(), stdout);
  std::printf("report: %s\n", report.c_str());
}

void run_train(const std::string& recipe, const std::vector<std::string>& rest) {
  std::vector<Setting> overrides;
  std::string again = "lyceum train " + recipe;
  for (const std::string& argument : rest) {
    overrides.push_back(parse_override(argument));
    again += " " + argument;
  }
  std::vector<Setting> given = read_toml_settings(recipe);
  given.insert(given.end(), overrides.begin(), overrides.end());
  const auto last = [&](const char* key) -> std::string {
    for (size_t i = given.size(); i-- > 0;)
      if (given[i].key == key) return given[i].text;
    return "";
  };
  if (const std::string variants = last("compare.variants"); !variants.empty() && variants != "[]")
    return compare(recipe, overrides, last("train.folder"), again);
  const TrainConfig config = read_recipe(recipe, overrides);
  StopOnSignal stop;
  ProgressLine line;
  const TrainResult result = train(config, {&line, &stop});
  if (result.status == TrainResult::Status::kStopped)
    fail(ErrorKind::kCancelled, "train", "stopped after step ", result.state.step, ", saved in ",
         result.checkpoint, "; go on with: ", again);
  print_result(result);
}

void add_train(CLI::App& root) {
  CLI::App* app = root.add_subcommand("train", "train a model by a recipe; resumes by itself");
  auto recipe = std::make_shared<std::string>();
  auto keys = std::make_shared<bool>(false);
  app->add_option("RECIPE", *recipe, "recipe (TOML); see recipes/")->check(CLI::ExistingFile);
  app->add_flag("--keys", *keys, "list every key with its default and meaning");
  app->allow_extras();
  app->footer(
      "Any key of the recipe can be given as --section.key=value; `lyceum train --keys` lists them.\n"
      "Ctrl-C saves a checkpoint and stops; the same command goes on from it.\n"
      "Examples:\n"
      "  lyceum train recipes/olmoe-small.toml\n"
      "  lyceum train recipes/olmoe-small.toml --train.minutes=5 --train.steps=0 --optimizer.lr=1e-3\n"
      "  lyceum train recipes/compare-routers.toml      (several routers, one report)\n"
      "  lyceum train recipes/olmoe-anneal.toml --train.from=runs/olmoe-small/checkpoint");
  app->callback([app, recipe, keys] {
    if (*keys) {
      std::fputs(config_help(TrainConfig()).c_str(), stdout);
      return;
    }
    check(!recipe->empty(), "train", "wanted a recipe: lyceum train RECIPE.toml; recipes/ has some");
    run_train(*recipe, app->remaining());
  });
}

}  // namespace

extern const Verb kTrainVerb{"train", add_train};

}  // namespace lyceum
