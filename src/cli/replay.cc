// `lyceum replay RUN --step N`: one training step again, held against what was logged, with taps.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <memory>

#include "cli/verb.h"
#include "formats/safetensors.h"
#include "train/open_data.h"
#include "train/replay.h"

namespace lyceum {
namespace {

struct ReplayOptions {
  std::string folder, out;
  int64_t step = 0;
  std::vector<std::string> taps;
};

// Keeps what passes at the stations that were asked for ("router_logits:3", "hidden:0", "final"); of several
// micro-batches the last.
class Recorder : public Taps {
 public:
  explicit Recorder(const std::vector<std::string>& wanted) : wanted_(wanted) {}
  void on(const char* station, int64_t layer, const Tensor& value) override {
    const std::string name = layer >= 0 ? std::string(station) + ":" + std::to_string(layer) : station;
    if (std::find(seen_.begin(), seen_.end(), name) == seen_.end()) seen_.push_back(name);
    if (std::find(wanted_.begin(), wanted_.end(), name) == wanted_.end()) return;
    Tensor copy = value.type() == DType::kI32 ? Tensor(value.shape(), DType::kF32) : value.to(DType::kF32);
    if (value.type() == DType::kI32)
      for (int64_t i = 0; i < value.elements(); ++i) copy.f32()[i] = static_cast<float>(value.i32()[i]);
    values.insert_or_assign(name, copy);
  }
  void check_all() const {
    for (const std::string& name : wanted_) {
      std::string known;
      for (const std::string& s : seen_) known += (known.empty() ? "" : " ") + s;
      check(values.count(name), "replay", "nothing passed at \"", name, "\"; stations: ", known);
    }
  }
  std::map<std::string, Tensor> values;

 private:
  std::vector<std::string> wanted_, seen_;
};

void print_tap(const std::string& name, const Tensor& t) {
  double sum = 0, squares = 0, low = INFINITY, high = -INFINITY;
  const float* x = t.f32();
  const int64_t n = t.elements();
  for (int64_t i = 0; i < n; ++i) {
    sum += x[i], squares += static_cast<double>(x[i]) * x[i];
    low = std::min<double>(low, x[i]), high = std::max<double>(high, x[i]);
  }
  const double mean = sum / static_cast<double>(n);
  std::printf("%-22s %-16s mean %.6g  deviation %.6g  least %.6g  most %.6g\n   ", name.c_str(),
              t.shape().text().c_str(), mean,
              std::sqrt(std::max(0.0, squares / static_cast<double>(n) - mean * mean)), low, high);
  for (int64_t i = 0; i < std::min<int64_t>(8, n); ++i) std::printf(" %.6g", x[i]);
  std::printf(n > 8 ? " ...\n" : "\n");
}

void print_step(const ReplayedStep& r) {
  std::printf("step %lld, from %s\n", static_cast<long long>(r.found.step),
              r.checkpoint.empty() ? "the initial weights" : r.checkpoint.c_str());
  std::printf("loss %.17g  gradient norm %.17g  lr %.17g  tokens %lld\n", r.found.loss, r.found.gradient_norm,
              r.found.lr, static_cast<long long>(r.found.tokens));
  if (r.found.skipped) std::printf("skipped: %s\n", r.found.skip_reason.c_str());
  if (!r.found.layers.empty())
    std::printf("%5s %14s %14s %6s %12s %12s\n", "layer", "load max/mean", "entropy", "dead", "balance", "z");
  for (size_t i = 0; i < r.found.layers.size(); ++i) {
    const LayerMetrics& l = r.found.layers[i];
    std::printf("%5zu %14.4f %14.4f %6.0f %12.6f %12.6f\n", i, l.load_max_over_mean, l.router_entropy,
                l.dead_experts, l.balance_loss, l.z_loss);
  }
}

void run_replay(const ReplayOptions& o) {
  const OpenedData data = open_data(config_of_run(o.folder));
  Recorder recorder(o.taps);
  const ReplayedStep r = replay_step(data.config, *data.source, o.step, o.taps.empty() ? nullptr : &recorder);
  recorder.check_all();
  print_step(r);
  std::vector<TensorSource> sources;
  for (const auto& [name, value] : recorder.values) {
    print_tap(name, value);
    sources.push_back(tensor_in_memory(
        name, FileDType::kF32, {value.shape().dims, value.shape().dims + value.shape().rank}, value.data()));
  }
  if (!o.out.empty()) write_safetensors(o.out, sources);
  for (const std::string& line : r.differences) std::printf("differs: %s\n", line.c_str());
  if (!r.differences.empty())
    fail(ErrorKind::kCorruptData, "replay", "the step does not give what was logged (", r.differences.size(),
         " numbers differ): another CPU, LYCEUM_ISA or version, or the data or the checkpoint changed");
  std::printf("every number equals the logged one, bit for bit\n");
}

void add_replay(CLI::App& root) {
  CLI::App* app = root.add_subcommand("replay", "one training step of a run again, with taps");
  auto o = std::make_shared<ReplayOptions>();
  app->add_option("RUN", o->folder, "folder of the run")->required()->check(CLI::ExistingDirectory);
  app->add_option("--step", o->step, "step, counted from 1")->required();
  app->add_option("--tap", o->taps, "station:layer to show, for instance router_logits:0; may be repeated");
  app->add_option("--out", o->out, "write the tapped tensors to this .safetensors file");
  app->footer(
      "The step is computed from the nearest earlier checkpoint and the logged learning rates, and every "
      "number\nis held against metrics.jsonl, bit for bit.\n"
      "Examples:\n"
      "  lyceum replay runs/quickstart --step 120\n"
      "  lyceum replay runs/quickstart --step 120 --tap router_logits:0 --tap final --out "
      "step120.safetensors");
  app->callback([o] { run_replay(*o); });
}

}  // namespace

extern const Verb kReplayVerb{"replay", add_replay};

}  // namespace lyceum
