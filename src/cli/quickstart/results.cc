// The end of the quick start, on the terminal: what was learned, where everything is, what to try next.
#include <algorithm>
#include <cstdio>
#include <filesystem>

#include "base/progress.h"
#include "cli/quickstart/run.h"
#include "runs/plot.h"

namespace lyceum::quickstart {
namespace {

std::string indented(const std::string& text, const char* margin) {
  std::string out = margin;
  for (char c : text) {
    out += c;
    if (c == '\n') out += margin;
  }
  return out;
}

void print_scores(const Scores& scores, bool colour) {
  const char *good = colour ? "\033[32m" : "", *bad = colour ? "\033[33m" : "",
             *plain = colour ? "\033[0m" : "";
  std::printf("\nHeld-out text, bits per byte (less is better; xz -9 on the same bytes beside it)\n\n");
  std::printf("  %-18s %10s %10s %8s\n", "domain", "bytes", "lyceum", "xz -9");
  const auto row = [&](const HeldOutScore& s) {
    const bool wins = s.bits_per_byte < s.xz_bits_per_byte;
    std::printf("  %-18s %10lld %s%10.3f%s %8.3f  %s\n", s.name.c_str(), static_cast<long long>(s.bytes),
                wins ? good : bad, s.bits_per_byte, plain, s.xz_bits_per_byte, wins ? "" : "xz wins here");
  };
  for (const HeldOutScore& s : scores.domains) row(s);
  std::printf("  %s\n", std::string(48, '-').c_str());
  row(scores.all);
}

void print_samples(const std::vector<Sample>& samples, bool colour) {
  const char *dim = colour ? "\033[2m" : "", *bright = colour ? "\033[1m" : "",
             *plain = colour ? "\033[0m" : "";
  std::printf("\nIt continues held-out text (%sread%s, %swritten%s)\n", dim, plain, bright, plain);
  for (const Sample& s : samples) {
    std::printf("\n  [%s] %s\n", s.domain.c_str(), s.document.c_str());
    const std::string text =
        colour ? dim + s.prefix + plain + bright + s.text + plain : s.prefix + " >>> " + s.text;
    std::printf("%s\n", indented(text, "    ").c_str());
  }
}

}  // namespace

std::vector<ReportCommand> next_commands(const Options& o) {
  char minutes[32];
  std::snprintf(minutes, sizeof minutes, "%g", std::max(30.0, 4 * o.minutes));
  std::string again = std::string("./quickstart --minutes ") + minutes;
  for (const std::string& text : o.texts) again += " --text " + text;
  if (o.run != "runs/quickstart") again += " --run " + o.run;
  std::string compare = "build/lyceum train recipes/compare-routers.toml";
  std::string page = "../compare-routers/report.html";
  if (o.run != "runs/quickstart") {
    page = "../" + std::filesystem::path(o.run).filename().string() + "-routers/report.html";
    compare += " --data.train=[" + o.run + "/data/tokens/train] --data.held_out=[" + o.run +
               "/data/tokens/heldout] --data.tokenizer=" + o.run + "/data/tokenizer --train.folder=" + o.run +
               "-routers";
  }
  return {{"Let it write from your words", "build/lyceum chat " + o.run, ""},
          {"See what its routers do with your text",
           "build/lyceum analyze " + o.run + " --data README.md src", ""},
          {"Train on for longer", again, ""},
          {"Compare routers on the same text, in one report", compare, page}};
}

void print_results(const Result& r) {
  const Training& t = r.training;
  const bool colour = terminal_shows_colour();
  print_samples(r.samples, colour);
  print_scores(r.scores, colour);
  const auto lost =
      std::count_if(r.scores.domains.begin(), r.scores.domains.end(),
                    [](const HeldOutScore& s) { return s.bits_per_byte >= s.xz_bits_per_byte; });
  std::printf("\n%s parameters, %s of them for each token (%lld of %lld experts in each of %lld layers)\n",
              human_count(static_cast<double>(t.parameters)).c_str(),
              human_count(static_cast<double>(t.active_parameters)).c_str(),
              static_cast<long long>(r.config.model.top_k), static_cast<long long>(r.config.model.n_experts),
              static_cast<long long>(r.config.model.n_layers));
  std::printf("%s tokens in %s: %s tokens/s, %.3f TFLOP/s",
              human_count(static_cast<double>(t.tokens)).c_str(), human_seconds(t.seconds).c_str(),
              human_count(t.tokens_per_second).c_str(), t.tflops);
  if (t.share_of_peak > 0) std::printf(", %.0f %% of this CPU's measured peak", 100 * t.share_of_peak);
  std::printf("; %.3g s a step", t.step_seconds);
  if (t.step_forecast > 0) std::printf(" (%.3g s were forecast)", t.step_forecast);
  std::printf("\n%.3f bits per byte over all held-out text, xz -9 %.3f", r.scores.all.bits_per_byte,
              r.scores.all.xz_bits_per_byte);
  if (lost > 0)
    std::printf("; xz wins in %zu of %zu domains", static_cast<size_t>(lost), r.scores.domains.size());
  std::printf("\n");
  const char* separator = "";
  for (const auto& [stage, s] : r.seconds) {
    std::printf("%s%s %s", separator, stage.c_str(), human_seconds(s).c_str());
    separator = ", ";
  }
  const char* run = r.options.run.c_str();
  std::printf("\n\n  report     %s/report.html\n  model      %s/checkpoint  (a Hugging Face directory)\n",
              run, run);
  std::printf("  numbers    %s/summary.json\n\nTry next\n", run);
  const auto next = next_commands(r.options);  // all of them stand in the report
  for (size_t i = 0; i < 3; ++i)
    std::printf("  %s\n      %s\n", next[i].purpose.c_str(), next[i].command.c_str());
}

}  // namespace lyceum::quickstart
