// `lyceum bench`: how fast this machine is at what training does; cli/bench/ does the work.
#include <CLI/CLI.hpp>
#include <memory>

#include "base/error.h"
#include "cli/bench/run.h"
#include "cli/numbers.h"
#include "cli/verb.h"

namespace lyceum {
namespace {

using namespace bench;

constexpr int64_t kMost = 1 << 24;

void add_measuring(CLI::App& app, MeasureOptions& o) {
  app.add_option("--seconds", o.seconds, "of samples of each case; one is always taken")
      ->check(finite_number(false))
      ->capture_default_str();
  app.add_option("--json", o.json, "write the results to this file too");
}

void add_products(CLI::App& bench) {
  auto o = std::make_shared<ProductsOptions>();
  CLI::App* app = bench.add_subcommand("products", "products of an expert layer, a dense layer, the head");
  app->add_option("--shape", o->shape, listed(layer_shape_names()) + " or head")->capture_default_str();
  app->add_option("--experts", o->n_experts, "so many, with tokens in proportion; 0: the shape's")
      ->check(CLI::Range(int64_t{0}, kMost))
      ->capture_default_str();
  app->add_option("--tokens", o->head.tokens, "of the head")
      ->check(CLI::Range(int64_t{1}, kMost))
      ->capture_default_str();
  app->add_option("--width", o->head.d_model, "of the head")
      ->check(CLI::Range(int64_t{1}, kMost))
      ->capture_default_str();
  app->add_option("--vocab", o->head.vocab, "of the head")
      ->check(CLI::Range(int64_t{1}, kMost))
      ->capture_default_str();
  add_measuring(*app, *o);
  app->footer(
      "Experts are loaded as a trained router loads them. \"small\" has 32 experts of 512 x 256, \"olmoe\" "
      "64 of\n"
      "2048 x 1024, \"narrow\" 8 of 128 x 128; \"dense\" and \"narrow_dense\" one; \"f32\" is \"small\" in "
      "f32.\n"
      "Examples:\n"
      "  lyceum bench products\n"
      "  lyceum bench products --shape olmoe --experts 8 --seconds 3\n"
      "  lyceum bench products --shape head --vocab 50304 --json head.json\n"
      "  LYCEUM_ISA=avx2 LYCEUM_THREADS=1 lyceum bench products --shape narrow");
  app->callback([o] { run_products(*o); });
}

void add_ops(CLI::App& bench) {
  auto o = std::make_shared<OpsOptions>();
  CLI::App* app = bench.add_subcommand("ops", "row kernels, the optimiser, attention");
  app->add_option("--case", o->only, "only those that have this in their name");
  add_measuring(*app, *o);
  app->footer(
      "Examples:\n"
      "  lyceum bench ops\n"
      "  lyceum bench ops --case attention --seconds 3\n"
      "  LYCEUM_THREADS=1 lyceum bench ops --case softmax");
  app->callback([o] { run_ops(*o); });
}

void add_routers(CLI::App& bench) {
  auto o = std::make_shared<RoutersOptions>();
  CLI::App* app = bench.add_subcommand("routers", "what each router costs of its layer");
  const auto size = [&](const char* name, int64_t& value, const char* what) {
    app->add_option(name, value, what)->check(CLI::Range(int64_t{1}, kMost))->capture_default_str();
  };
  app->add_option("NAMES", o->names, "which routers; all without");
  size("--tokens", o->shape.tokens, "of a batch");
  size("--width", o->shape.d_model, "d_model");
  size("--d-ff", o->shape.d_ff, "of one expert");
  size("--experts", o->shape.n_experts, "of the layer");
  size("--top-k", o->shape.top_k, "experts of a token");
  add_measuring(*app, *o);
  app->footer(
      "Examples:\n"
      "  lyceum bench routers\n"
      "  lyceum bench routers softmax_top_k gshard\n"
      "  lyceum bench routers --tokens 1024 --width 2048 --d-ff 1024 --experts 64 --top-k 8");
  app->callback([o] { run_routers(*o); });
}

void add_families(CLI::App& bench) {
  auto o = std::make_shared<FamiliesOptions>();
  CLI::App* app = bench.add_subcommand("families", "a step of every family at one shape, beside OLMoE's");
  app->add_option("NAMES", o->names, "which families; all without");
  app->add_flag("--ops", o->ops, "and where the time of each goes");
  app->add_option("--recipes", o->recipes, "the folder of their recipes")->capture_default_str();
  add_measuring(*app, *o);
  app->footer(
      "Examples:\n"
      "  lyceum bench families\n"
      "  lyceum bench families mixtral deepseek_v3 --ops");
  app->callback([o] { run_families(*o); });
}

void add_load(CLI::App& bench) {
  auto o = std::make_shared<LoadOptions>();
  CLI::App* app = bench.add_subcommand("load", "opening a model directory");
  app->add_option("MODEL", o->model, "a Hugging Face directory")->required();
  add_measuring(*app, *o);
  app->footer(
      "The first round reads from the disk what the system has not kept, and takes memory that may be new to "
      "the\nmachine; the median is of rounds after it.\n"
      "Examples:\n"
      "  lyceum bench load runs/quickstart/checkpoint --seconds 3");
  app->callback([o] { run_load(*o); });
}

void add_step(CLI::App& bench) {
  auto o = std::make_shared<StepOptions>();
  CLI::App* step = bench.add_subcommand("step", "one training step: where its time goes");
  const auto size = [&](const char* name, int64_t& value, const char* what, int64_t least) {
    step->add_option(name, value, what)->check(CLI::Range(least, kMost))->capture_default_str();
  };
  step->add_option("--shape", o->shape, "small, layer, or a config.json")->capture_default_str();
  step->add_option("--model", o->model, "a trained model instead of a shape: directory, or a run folder");
  step->add_option("--data", o->data, "token shards for it");
  size("--sequences", o->sequences, "of a micro-batch; 0: the shape's own, 8 with --model", 0);
  size("--length", o->length, "tokens of a sequence", 1);
  size("--micro-batches", o->micro_batches, "of a step", 1);
  size("--repeats", o->repeats, "steps to measure", 1);
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

void add_bench(CLI::App& root) {
  CLI::App* bench = root.add_subcommand("bench", "how fast training is here: products, ops, whole steps");
  bench->require_subcommand(1);
  bench->footer(
      "Every case is held against what this machine can do at most, probed beside each sample.\n"
      "LYCEUM_ISA chooses the level of kernels, LYCEUM_THREADS the number of threads.");
  add_products(*bench);
  add_ops(*bench);
  add_routers(*bench);
  add_families(*bench);
  add_load(*bench);
  add_step(*bench);
}

}  // namespace

extern const Verb kBenchVerb{"bench", add_bench};

}  // namespace lyceum
