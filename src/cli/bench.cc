// `lyceum bench`: how fast this machine is at what training does, and where the time of a step goes.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <memory>

#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/progress.h"
#include "base/threads.h"
#include "cli/model_folder.h"
#include "cli/verb.h"
#include "kernels/isa.h"
#include "kernels/peak.h"
#include "models/families.h"
#include "models/model.h"
#include "moe/balance.h"
#include "train/optimizer.h"
#include "train/shard_source.h"
#include "train/synthetic.h"

namespace lyceum {
namespace {

struct StepOptions {
  std::string shape = "small", optimizer = "adamw", model, data;
  int64_t sequences = 0, length = 512, micro_batches = 8, repeats = 3;
  bool recompute = false;
};

ModelConfig shape_config(const std::string& name, int64_t* sequences) {
  ModelConfig c;
  if (name == "layer") {  // one layer of OLMoE-1B-7B
    c.vocab = 4096, c.d_model = 2048, c.n_layers = 1, c.n_heads = 16, c.d_ff = 1024, c.n_experts = 64,
    c.top_k = 8;
    *sequences = 4;
  } else if (name == "small") {
    c.vocab = 16384, c.d_model = 512, c.n_layers = 8, c.n_heads = 8, c.d_ff = 256, c.n_experts = 32,
    c.top_k = 4;
    *sequences = 8;
  } else {
    check(file_exists(name), "bench", "wanted a shape: small, layer or a config.json, found \"", name, "\"");
    c = read_model_config(read_file(name), name);
    *sequences = 4;
  }
  return c;
}

void micro_step(const Model& model, const Batch& batch, bool recompute, Profile* profile) {
  Tape tape(true);
  tape.measure(profile);
  Context c{tape, batch, Phase::kTraining, RandomKey(1), model.weight_type()};
  const Model::Output out = model.forward(c, recompute);
  balance_losses(tape, out.routings, {}, 1);
  model.cross_entropy(tape, out.hidden, batch.targets, batch.weights);
  tape.backward();
}

double median_of(std::vector<double> v) {
  std::sort(v.begin(), v.end());
  return v.empty() ? 0 : v[v.size() / 2];
}

// TFLOP/s and share of the peak, "0.312  41%".
std::string rate(double flops, double seconds, double peak) {
  if (flops <= 0 || seconds <= 0) return "";
  char text[32];
  std::snprintf(text, sizeof text, "%.3f %3.0f%%", flops / seconds / 1e12, 100 * flops / seconds / peak);
  return text;
}

// `peak`: FLOP/s of the product loop fed from L1, the median of probes between the micro-batches.
void print_profile(const Profile& profile, double steps, double total, double flops, double peak) {
  std::printf("%-22s %8s %12s %12s %8s %12s %12s\n", "op", "calls", "forward ms", "backward ms", "share",
              "fwd TFLOP/s", "bwd TFLOP/s");
  std::vector<Profile::Row> rows = profile.rows;
  std::sort(rows.begin(), rows.end(), [](const auto& a, const auto& b) {
    return a.forward_seconds + a.backward_seconds > b.forward_seconds + b.backward_seconds;
  });
  double sum = 0;
  for (const Profile::Row& r : rows) {
    const double seconds = r.forward_seconds + r.backward_seconds;
    sum += seconds;
    std::printf("%-22s %8.0f %12.2f %12.2f %7.1f%% %12s %12s\n", r.op.c_str(),
                static_cast<double>(r.calls) / steps, 1e3 * r.forward_seconds / steps,
                1e3 * r.backward_seconds / steps, 100 * seconds / total,
                rate(r.forward_flops, r.forward_seconds, peak).c_str(),
                rate(r.backward_flops, r.backward_seconds, peak).c_str());
  }
  std::printf("%-22s %8s %12.2f %12s %7.1f%%\n", "between ops", "", 1e3 * (total - sum) / steps, "",
              100 * (total - sum) / total);
  std::printf("%-22s %8s %12.2f %12s %8s %12s\n", "step", "", 1e3 * total / steps, "", "",
              rate(flops, total / steps, peak).c_str());
}

// Bytes that clipping and AdamW move: the norm reads a gradient, the update reads and writes weight, gradient
// and both moments once.
void print_update(const Model& model, const StepOptions& o, const Profile::Row& row) {
  if (o.optimizer != "adamw" || row.calls == 0) return;
  double bytes = 0;
  for (const Parameter* p : model.parameters())
    if (p->grad) bytes += static_cast<double>(p->physical()) * (4 + 2 * 16);
  const double speed = bytes * static_cast<double>(row.calls) / row.forward_seconds,
               limit = kernels::measure_peak(true).update_bandwidth;
  std::printf(
      "optimiser: %s of weights, gradients and moments, %.1f GB/s, %.0f%% of the %.1f GB/s at which this "
      "memory is updated\n",
      human_bytes(bytes).c_str(), speed * 1e-9, 100 * speed / limit, limit * 1e-9);
}

// What is timed: a shape with random weights and made-up text, or a trained model on real text, whose routers
// load their experts as unevenly as training made them.
struct Bench {
  std::unique_ptr<Model> model;
  std::vector<Batch> batches;  // the micro-batches of a step
  std::string name;
};

Bench open_bench(const StepOptions& o) {
  Bench b;
  int64_t sequences = 0;
  if (o.model.empty()) {
    check(o.data.empty(), "bench", "--data wants the --model that reads it");
    ModelConfig config = shape_config(o.shape, &sequences);
    if (o.sequences > 0) sequences = o.sequences;
    b.name = o.shape;
    b.model = std::make_unique<Model>(config, DType::kBF16);
    b.model->initialise(RandomKey(1));
    b.batches.assign(static_cast<size_t>(o.micro_batches),
                     synthetic_batch(sequences, o.length, config.vocab, 3));
    return b;
  }
  check(!o.data.empty(), "bench", "--model wants --data, token shards that its tokenizer made");
  ModelFolder folder = open_model_folder(o.model, "bf16");
  b.model = std::move(folder.model), b.name = folder.path;
  LoaderConfig loader;
  loader.sequence_length = o.length;
  ShardSource source(loader, {o.data}, b.model->config().vocab, folder.eos(),
                     o.sequences > 0 ? o.sequences : 8);
  b.batches.resize(static_cast<size_t>(o.micro_batches));
  for (Batch& batch : b.batches) {
    source.next(batch);
    float sum = 0;
    for (float w : batch.weights) sum += w;
    for (float& w : batch.weights) w /= std::max(sum, 1.0f);
  }
  return b;
}

void run_step(StepOptions o) {
  const Bench bench = open_bench(o);
  Model& model = *bench.model;
  model.enable_gradients();
  OptimizerOptions options;
  options.name = o.optimizer;
  const auto optimizer = make_optimizer(options, model.parameters());
  micro_step(model, bench.batches[0], o.recompute, nullptr);
  optimizer->step(1e-6, 1);
  reset_pool_peak();

  Profile profile;
  std::vector<double> seconds, peaks;
  for (int64_t r = 0; r < o.repeats; ++r) {
    const double begin = steady_seconds();
    double probing = 0;
    for (int64_t m = 0; m < o.micro_batches; ++m) {
      micro_step(model, bench.batches[static_cast<size_t>(m)], o.recompute, &profile);
      const double probe = steady_seconds();
      peaks.push_back(kernels::probe_peak(false));
      probing += steady_seconds() - probe;
    }
    const double update = steady_seconds();
    const double norm = gradient_norm(model.parameters());
    optimizer->step(1e-6, std::min(1.0, 1.0 / (norm + 1e-6)));
    Profile::Row& row = profile.row("optimizer");
    ++row.calls;
    row.forward_seconds += steady_seconds() - update;
    seconds.push_back(steady_seconds() - begin - probing);
  }
  double total = 0, flops = 0;
  for (double s : seconds) total += s;
  for (const Profile::Row& r : profile.rows) flops += r.forward_flops + r.backward_flops;
  flops /= static_cast<double>(o.repeats);
  std::sort(seconds.begin(), seconds.end());
  const double median = seconds[seconds.size() / 2],
               tokens = static_cast<double>(bench.batches[0].tokens() * o.micro_batches);
  std::printf("%s, level %s, %d threads; %s: %lld x %lld tokens x %lld micro-batches, optimiser %s\n",
              cpu_info().name.c_str(), isa_name(isa_level()), thread_count(), bench.name.c_str(),
              static_cast<long long>(bench.batches[0].sequences()), static_cast<long long>(o.length),
              static_cast<long long>(o.micro_batches), o.optimizer.c_str());
  const double peak = std::max(median_of(peaks), 1.0);
  print_profile(profile, static_cast<double>(o.repeats), total, flops, peak);
  print_update(model, o, profile.row("optimizer"));
  std::printf(
      "median step %.3f s (%.3f to %.3f), %.0f tokens/s, %s of the peak (%.3f TFLOP/s, median of %zu probes "
      "beside the steps); peak memory of tensors %s\n",
      median, seconds.front(), seconds.back(), tokens / median, rate(flops, median, peak).c_str(),
      peak / 1e12, peaks.size(), human_bytes(static_cast<double>(pool_statistics().peak_bytes)).c_str());
}

void add_bench(CLI::App& root) {
  CLI::App* bench = root.add_subcommand("bench", "how fast training is here, op by op");
  bench->require_subcommand(1);
  auto o = std::make_shared<StepOptions>();
  CLI::App* step = bench->add_subcommand("step", "one training step: where its time goes");
  step->add_option("--shape", o->shape, "small, layer, or a config.json")->capture_default_str();
  step->add_option("--model", o->model, "a trained model instead of a shape: directory, or a run folder");
  step->add_option("--data", o->data, "token shards for it");
  step->add_option("--sequences", o->sequences, "of a micro-batch (the shape's own; 8 with --model)");
  step->add_option("--length", o->length, "tokens of a sequence")->capture_default_str();
  step->add_option("--micro-batches", o->micro_batches, "of a step")->capture_default_str();
  step->add_option("--repeats", o->repeats, "steps to measure")->capture_default_str();
  step->add_option("--optimizer", o->optimizer, "which optimiser")->capture_default_str();
  step->add_flag("--recompute", o->recompute, "keep only the inputs of blocks");
  step->footer(
      "Examples:\n"
      "  lyceum bench step\n"
      "  lyceum bench step --shape layer --repeats 5\n"
      "  lyceum bench step --model runs/olmoe-small --data runs/data/tokens/train\n"
      "  LYCEUM_ISA=avx512 lyceum bench step --micro-batches 1");
  step->callback([o] { run_step(*o); });
}

}  // namespace

extern const Verb kBenchVerb{"bench", add_bench};

}  // namespace lyceum
