#include "train/resume.h"

#include <algorithm>

#include "base/log.h"
#include "models/weights.h"

namespace lyceum {
namespace {

bool same_run_needs(const std::string& key) {
  return key.starts_with("model.") || key.starts_with("router.") || key == "train.precision" ||
         key == "train.seed" || key == "optimizer.name" || key == "train.micro_batch" ||
         key == "train.micro_batches";
}
bool may_change(const std::string& key) {
  return key.starts_with("checkpoint.") || key.starts_with("evaluation.") || key.starts_with("log.") ||
         key.starts_with("compare.") || key == "train.folder" || key == "train.recompute" ||
         key == "train.max_skipped";
}

// Holds the recipe against the one that the run began with.
void compare(const TrainConfig& stored, const TrainConfig& wanted, const std::string& folder) {
  TrainConfig a = stored, b = wanted;
  for (const std::string& line : fields_diff(fields_of(a), fields_of(b))) {
    const std::string key = line.substr(0, line.find(':'));
    if (may_change(key)) continue;
    check(!same_run_needs(key), "train", "the run in ", folder, " was begun with another recipe (", line,
          "); give this one another train.folder, or take the old value");
    log_warn("train", "the recipe has changed since the last checkpoint: ", line);
  }
}

std::unique_ptr<Model> trainable(const TrainConfig& config) {
  auto model = std::make_unique<Model>(config.model, config.precision());
  model->enable_gradients();
  return model;
}

// Tables of token ids are built from what will be read, once, and say how even the load will be.
void build_tables(const Model& model, const BatchSource& source) {
  const ModelConfig& c = model.config();
  if (!c.sparse() || !(find_router(c.router).uses & kUsesTable)) return;
  const std::vector<double> counts = source.id_counts(std::max<int64_t>(1, c.routing.n_domains), c.vocab);
  check(
      !counts.empty() || c.routing.hash != "balanced", "train",
      "router.hash = balanced wants the token counts of the training text, which this source does not have");
  if (counts.empty()) return;
  for (Router* r : model.routers())
    if (const std::string line = r->build_table(counts); !line.empty()) log_info("router", line);
}

Begin from_checkpoint(const TrainConfig& config) {
  Begin begin;
  begin.model = trainable(config);
  begin.optimizer = make_optimizer(config.optimizer, begin.model->parameters());
  const std::string& from = config.train.from;
  if (!file_exists(from + "/" + kManifestName)) {  // written by others
    load_weights(*begin.model, TensorFiles(from));
    if (config.train.keep_optimizer)
      log_warn("train", from, " has no training state: the optimiser begins anew");
    return begin;
  }
  const Checkpoint checkpoint(from);
  restore_weights(checkpoint, *begin.model);
  if (!config.train.keep_optimizer) return begin;
  check(checkpoint.has_training_state(), "train", from,
        " has no training state; set train.keep_optimizer=false to begin the optimiser anew");
  const SavedState saved = read_training_state(checkpoint);
  check(saved.config.optimizer.name == config.optimizer.name, "train", from, " was trained with ",
        saved.config.optimizer.name, ", optimizer.name is ", config.optimizer.name,
        "; take the same or set train.keep_optimizer=false");
  restore_optimizer(checkpoint, saved.state, *begin.optimizer);
  begin.state.optimizer_steps = saved.state.optimizer_steps;
  return begin;
}

}  // namespace

Begin load_checkpoint(const Checkpoint& checkpoint, const TrainConfig& config, BatchSource& source) {
  const SavedState saved = read_training_state(checkpoint);
  compare(saved.config, config, config.train.folder);
  Begin begin;
  begin.model = trainable(config);
  begin.optimizer = make_optimizer(config.optimizer, begin.model->parameters());
  restore_weights(checkpoint, *begin.model);
  restore_optimizer(checkpoint, saved.state, *begin.optimizer);
  begin.state = saved.state;
  begin.resumed = true;
  begin.checkpoint = checkpoint.path();
  source.seek(saved.state.cursor);
  return begin;
}

Begin begin_or_resume(const TrainConfig& config, BatchSource& source) {
  std::vector<CompleteCheckpoint> found = complete_checkpoints(config.train.folder + "/checkpoints");
  for (; !found.empty(); found.pop_back()) {
    try {
      return load_checkpoint(Checkpoint(found.back().path), config, source);
    } catch (const Error& e) {
      if (e.kind() != ErrorKind::kCorruptData || found.size() == 1) throw;
      log_warn("train", found.back().path, " is damaged, the one before it is taken: ", e.what());
    }
  }
  return begin_anew(config, source);
}

Begin begin_anew(const TrainConfig& config, const BatchSource& source) {
  if (!config.train.from.empty()) return from_checkpoint(config);
  Begin begin;
  begin.model = trainable(config);
  begin.optimizer = make_optimizer(config.optimizer, begin.model->parameters());
  begin.model->initialise(RandomKey(static_cast<uint64_t>(config.train.seed)));
  build_tables(*begin.model, source);
  return begin;
}

}  // namespace lyceum
