#include "bench/training_step.h"

#include <algorithm>

#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "models/families.h"
#include "moe/balance.h"
#include "train/memory.h"
#include "train/span_corruption.h"
#include "train/synthetic.h"

namespace lyceum::bench {
namespace {

constexpr double kRate = 1e-6;  // of learning: the model stays what it is

void refuse_large_step(const StepShape& s) {
  TrainConfig c;
  c.model = s.model, c.optimizer.name = s.optimizer;
  c.data.loader.sequence_length = s.length;
  c.train.micro_batch = s.sequences, c.train.recompute = s.recompute;
  const MemoryNeed need = memory_need(c);
  refuse_what_cannot_fit("a step of " + s.name + " (" + need.text() + ")", need.total(),
                         "take a smaller --shape, fewer --sequences, a shorter --length or --recompute");
}

}  // namespace

StepShape step_shape(const std::string& name) {
  StepShape s;
  s.name = name;
  ModelConfig& c = s.model;
  if (name == "layer") {
    c.vocab = 4096, c.d_model = 2048, c.n_layers = 1, c.n_heads = 16, c.d_ff = 1024, c.n_experts = 64,
    c.top_k = 8;
    s.sequences = 4;
  } else if (name == "small") {
    c.vocab = 16384, c.d_model = 512, c.n_layers = 8, c.n_heads = 8, c.d_ff = 256, c.n_experts = 32,
    c.top_k = 4;
    s.sequences = 8;
  } else {
    check(file_exists(name), "bench", "wanted a shape: small, layer or a config.json, found \"", name, "\"");
    c = read_model_config(read_file(name), name);
    s.sequences = 4;
  }
  return s;
}

StepShape family_shape(const std::string& family, const std::string& folder) {
  find_family(family);
  const std::string recipe = folder + "/" + family + ".toml";
  check(file_exists(recipe), "bench", "wanted ", recipe,
        ", found none; run this from the root of the project, or say where with --recipes");
  StepShape s;
  s.name = family, s.sequences = 4;
  s.model = read_recipe(recipe, {}).model;
  ModelConfig& m = s.model;
  m.vocab = 4096, m.d_model = 512, m.n_layers = 4, m.n_heads = 8;
  if (m.n_kv_heads) m.n_kv_heads = 2;
  if (m.d_head) m.d_head = 64;
  if (m.kv_rank) m.q_rank = 256, m.kv_rank = 128, m.d_nope = 48, m.d_rope = 16, m.d_value = 64;
  if (m.sparse()) {
    const bool one = m.top_k == 1;
    m.top_k = one ? 1 : 4, m.d_ff = one ? 1024 : 256, m.n_experts = 16;
    if (m.d_ff_shared) m.d_ff_shared = 256;
    if (m.d_ff_dense) m.d_ff_dense = 1024;
    if (m.routing.groups > 1) m.routing.groups = 4, m.routing.kept_groups = 2;
  } else {
    m.d_ff = 1024;
  }
  if (m.n_encoder_layers) m.n_encoder_layers = 4;
  return s;
}

TrainingStep::TrainingStep(const StepShape& shape) : shape_(shape) {
  find_family(shape_.model.family).fix(shape_.model);
  refuse_large_step(shape_);
  const ModelConfig& c = shape_.model;
  model_ = std::make_unique<Model>(c, DType::kBF16);
  model_->initialise(RandomKey(1));
  batches_.assign(static_cast<size_t>(shape_.micro_batches),
                  synthetic_batch(shape_.sequences, shape_.length, c.vocab, 3));
  MemorySource text(synthetic_ids((shape_.sequences + 1) * shape_.length, c.vocab, 1), shape_.length,
                    shape_.sequences, 1);
  if (auto corrupted = corrupted_source(c, text, 1))
    for (Batch& b : batches_) corrupted->next(b);
  prepare();
}

TrainingStep::TrainingStep(const StepShape& shape, std::unique_ptr<Model> model, std::vector<Batch> batches)
    : shape_(shape), model_(std::move(model)), batches_(std::move(batches)) {
  prepare();
}

void TrainingStep::prepare() {
  model_->enable_gradients();
  OptimizerOptions options;
  options.name = shape_.optimizer;
  optimizer_ = make_optimizer(options, model_->parameters());
}

int64_t TrainingStep::tokens() const {
  int64_t n = 0;
  for (const Batch& b : batches_) n += b.tokens() + (b.source.empty() ? 0 : b.source[0].tokens());
  return n;
}

void TrainingStep::micro_batch(int64_t index, Profile* profile) {
  const Batch& batch = batches_[static_cast<size_t>(index)];
  Tape tape(true);
  tape.measure(profile);
  tape.complete_gradients(index + 1 == static_cast<int64_t>(batches_.size()));
  Context c{tape, batch, Phase::kTraining, RandomKey(1), model_->weight_type()};
  const Model::Output out = model_->forward(c, shape_.recompute);
  balance_losses(tape, out.routings, {}, 1);
  balance_losses(tape, out.encoder_routings, {}, 1);
  model_->cross_entropy(tape, out.hidden, batch.targets, batch.weights);
  tape.backward();
}

void TrainingStep::update(Profile* profile) {
  const double begin = steady_seconds();
  const double norm = gradient_norm(model_->parameters());
  optimizer_->step(kRate, std::min(1.0, 1.0 / (norm + 1e-6)));
  if (!profile) return;
  Profile::Row& row = profile->row("optimizer");
  ++row.calls;
  row.forward_seconds += steady_seconds() - begin;
}

void TrainingStep::run(Profile* profile) {
  for (int64_t m = 0; m < static_cast<int64_t>(batches_.size()); ++m) micro_batch(m, profile);
  update(profile);
}

double profile_flops(const Profile& profile) {
  double flops = 0;
  for (const Profile::Row& r : profile.rows) flops += r.forward_flops + r.backward_flops;
  return flops;
}

BenchCase step_case(std::shared_ptr<TrainingStep> step) {
  return {step->shape().name, Limit::kProducts, [step] {
            Profile once;
            step->run(&once);
            return OpenCase{profile_flops(once), [step] { step->run(); }};
          }};
}

std::vector<BenchCase> step_cases(const std::vector<StepShape>& shapes) {
  std::vector<BenchCase> cases;
  for (const StepShape& s : shapes)
    cases.push_back(
        {s.name, Limit::kProducts, [s] { return step_case(std::make_shared<TrainingStep>(s)).open(); }});
  return cases;
}

}  // namespace lyceum::bench
