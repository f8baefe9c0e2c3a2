// `lyceum quickstart`: the main job in one command; ./quickstart installs and builds, then calls it.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>

#include "base/clock.h"
#include "base/file.h"
#include "cli/interrupt.h"
#include "cli/quickstart/run.h"
#include "cli/verb.h"

namespace lyceum {
namespace {

using namespace quickstart;

// "install=12 build=210", from ./quickstart: what went before. Where that was nothing, the time it once took.
Seconds seconds_before(const Seconds& old) {
  Seconds out;
  const char* text = std::getenv("LYCEUM_QUICKSTART_SECONDS");
  char name[32];
  double seconds = 0;
  for (int used = 0; text && std::sscanf(text, " %31[a-z]=%lf%n", name, &seconds, &used) == 2; text += used)
    out.emplace_back(name, seconds);
  for (auto& [stage, s] : out)
    for (const auto& [old_stage, old_seconds] : old)
      if (old_stage == stage && s < 3) s = std::max(s, old_seconds);
  return out;
}

// Times the stages. What a stage took when it did its work is kept where it finds everything up to date.
class Clock {
 public:
  Clock(Seconds& out, Seconds before) : out_(out), before_(std::move(before)) {}
  // `stage` returns whether it did anything.
  template <class F>
  void operator()(const std::string& name, F&& stage) {
    const double begin = steady_seconds();
    const bool worked = stage();
    double seconds = steady_seconds() - begin;
    for (const auto& [old_name, old_seconds] : before_)
      if (!worked && old_name == name) seconds = old_seconds;
    out_.emplace_back(name, seconds);
  }

 private:
  Seconds& out_;
  Seconds before_;
};

void run_quickstart(const Options& o) {
  real_files().make_directories(o.run);
  const std::string again = "interrupted; nothing is lost, the same command goes on from here";
  Result r;
  const Seconds old = read_summary_seconds(o.run);
  r.options = o, r.seconds = seconds_before(old);
  Clock timed(r.seconds, old);
  {
    const EndOnSignal end(again);
    timed("text", [&] {
      r.data = prepare_text(o);
      return !r.data.stages_done.empty();
    });
    r.config = write_recipe(o, r.data);
  }
  timed("training", [&] {
    r.training = train_model(r.config);
    return !r.training.reused;
  });
  const EndOnSignal end(again);
  timed("evaluation", [&] {
    r.scores = score(o, r.data, r.training);
    return !r.scores.reused;
  });
  timed("samples", [&] {
    bool reused = false;
    r.samples = write_samples(o, r.data, r.training, reused);
    return !reused;
  });
  timed("report", [&] { return write_report(r); });
  write_summary(r);
  print_results(r);
}

void add_quickstart(CLI::App& root) {
  auto o = std::make_shared<Options>();
  CLI::App* app =
      root.add_subcommand("quickstart", "text to a trained, evaluated model with a report, in one command");
  app->add_option("--run", o->run, "folder of everything it makes")->capture_default_str();
  app->add_option("--minutes", o->minutes, "of training")
      ->capture_default_str()
      ->check(CLI::Range(0.05, 100000.0));
  app->add_option("--text", o->texts,
                  "your own folders instead of this machine's text: each folder inside is a domain");
  app->add_option("--packages", o->packages, "folder of unpacked packages (tools/fetch_text.sh makes it)");
  app->footer(
      "A second call reuses what is there; with more --minutes it trains on.\n"
      "Examples:\n"
      "  lyceum quickstart\n"
      "  lyceum quickstart --minutes 30\n"
      "  lyceum quickstart --text ~/texts --run runs/mine");
  app->callback([o] { run_quickstart(*o); });
}

}  // namespace

extern const Verb kQuickstartVerb{"quickstart", add_quickstart};

}  // namespace lyceum
