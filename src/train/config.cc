#include "train/config.h"

#include "models/families.h"
#include "moe/router.h"

namespace lyceum {

void DataOptions::fields(Fields& f) {
  f.add("train", train, "prefixes of the token shards to learn from");
  f.add("held_out", held_out, "prefixes of the token shards that are only evaluated");
  f.add("tokenizer", tokenizer, "folder with tokenizer.json; copied into every checkpoint");
  loader.fields(f);
}

void TrainOptions::fields(Fields& f) {
  f.add("folder", folder, "the run's folder: checkpoints, metrics, resume happens here");
  f.add("from", from, "checkpoint to begin with instead of random weights");
  f.add("keep_optimizer", keep_optimizer, "go on with the optimiser state of that checkpoint",
        effective(!from.empty(), "there is no train.from"));
  f.add("steps", steps, "optimiser steps; 0: train.minutes decides", at_least(0));
  f.add("minutes", minutes, "time to train; the schedule follows the share of it; 0: train.steps decides",
        at_least(0));
  f.add("micro_batch", micro_batch, "sequences in one forward pass", at_least(1));
  f.add("micro_batches", micro_batches, "forward passes whose gradients make one step", at_least(1));
  f.add("precision", precision, "bf16 (with exact f32 masters) or f32", one_of({"bf16", "f32"}));
  f.add("recompute", recompute, "keep only the input of each block and compute it again: less memory");
  f.add("clip", clip, "longest gradient; 0: no clipping", at_least(0));
  f.add("seed", seed, "initial weights and everything random but the data", at_least(0));
  f.add("max_skipped", max_skipped, "give up after so many non-finite steps in a row", at_least(1));
}

// `model`: with what its family decides.
void BalanceConfig::fields(Fields& f, const ModelConfig& model) {
  const bool sparse = family_is_sparse(model.family);
  const RouterKind* kind = nullptr;
  for (const RouterKind& k : router_table())
    if (sparse && model.router == k.name) kind = &k;
  const auto needs = [&](bool holds, const char* what) {
    return effective(holds, sparse ? "the router " + model.router + " has no " + what
                                   : "the family " + model.family + " is dense");
  };
  const FieldRule loss = needs(kind && kind->has_balance_loss, "balance loss"),
                  z = needs(kind && (kind->uses & kUsesLogits), "router z-loss"),
                  noise = needs(kind && (kind->uses & kUsesNoise), "importance and load losses");
  f.add("form", form, "how the published code normalises", one_of(balance_form_names()), loss);
  f.add("coefficient", coefficient, "of the load-balance loss", at_least(0), loss);
  f.add("z_form", z_form, "the z-loss by token, by token and choice, or as the form's code does",
        one_of({"as_form", "paper", "megablocks"}), z);
  f.add("z_coefficient", z_coefficient, "of the router z-loss", at_least(0), z);
  f.add("importance_coefficient", importance_coefficient, "of the importance loss", at_least(0), noise);
  f.add("load_coefficient", load_coefficient, "of the load loss", at_least(0), noise);
  f.add("bias_rate", bias_rate, "by which the selection bias moves after a step", at_least(0),
        needs(kind && (kind->uses & kUsesSelectionBias), "selection bias"),
        effective(model.routing.selection_bias, "router.selection_bias is false"));
}

void EvaluationOptions::fields(Fields& f) {
  f.add("every", every, "steps between held-out evaluations; 0: at the end only", at_least(0));
  f.add("tokens", tokens, "held-out tokens of an evaluation, shared by the domains", at_least(1));
}

void CheckpointOptions::fields(Fields& f) {
  f.add("every", every, "steps between checkpoints; 0: by time only", at_least(0));
  f.add("minutes", minutes, "minutes between checkpoints; 0: by steps only", at_least(0));
  f.add("keep_last", keep_last, "so many of the newest are kept", at_least(1));
  f.add("keep_every", keep_every, "checkpoints of multiples of this step are kept for good; 0: none",
        at_least(0));
}

void LogOptions::fields(Fields& f) {
  f.add("tensorboard", tensorboard, "write event files for TensorBoard");
  f.add("database", database, "enter the run into the database that `lyceum runs` reads");
}

void CompareOptions::fields(Fields& f) {
  f.add("variants", variants, "runs to compare: \"name: section.key=value section.key=value\"");
  f.add("active_tolerance", active_tolerance, "most that their active parameters may differ, as a share",
        at_least(0), effective(!variants.empty(), "there are no compare.variants"));
}

void TrainConfig::fields(Fields& f) {
  f.section("model", model);
  ModelConfig form = model;  // some families have a router of their own
  for (const Family& family : family_table())
    if (form.family == family.name && form.n_heads > 0) family.fix(form);
  model.routing.router = family_is_sparse(form.family) ? form.router : "";
  f.section("router", model.routing);
  f.section("data", data);
  f.section("optimizer", optimizer);
  f.section("schedule", schedule);
  f.section("train", train);
  struct Balance {
    BalanceConfig& balance;
    const ModelConfig& model;
    void fields(Fields& g) { balance.fields(g, model); }
  };
  Balance b{balance, form};
  f.section("balance", b);
  f.section("evaluation", evaluation);
  f.section("checkpoint", checkpoint);
  f.section("log", log);
  f.section("compare", compare);
}

void TrainConfig::validate() const {
  check((train.steps > 0) != (train.minutes > 0), "train",
        "set either train.steps or train.minutes, found steps = ", train.steps,
        " and minutes = ", train.minutes);
  check(!train.folder.empty(), "train", "train.folder says where the run lives; set it, for instance ",
        "--train.folder=runs/first");
  check(data.loader.sequence_length <= model.max_positions, "data",
        "data.sequence_length = ", data.loader.sequence_length,
        " is longer than model.max_positions = ", model.max_positions);
  check(tokens_per_step() < int64_t{1} << 31, "train", "a step of ", tokens_per_step(),
        " tokens is beyond what 32-bit offsets can name");
  schedule.validate(train.minutes > 0, train.steps);
}

BalanceOptions TrainConfig::balance_options() const {
  BalanceOptions o;
  o.form = balance_form(balance.form);
  o.balance_coefficient = o.z_coefficient = 0;
  if (!model.sparse()) return o;
  const RouterKind& kind = find_router(model.router);  // a loss that the router does not have costs nothing
  if (kind.has_balance_loss) o.balance_coefficient = balance.coefficient;
  if (kind.uses & kUsesLogits) o.z_coefficient = balance.z_coefficient;
  if (kind.uses & kUsesNoise)
    o.importance_coefficient = balance.importance_coefficient, o.load_coefficient = balance.load_coefficient;
  if (balance.z_form == "paper") o.z_form = BalanceOptions::ZForm::kPaper;
  if (balance.z_form == "megablocks") o.z_form = BalanceOptions::ZForm::kMegaBlocks;
  return o;
}

Setting parse_override(const std::string& argument) {
  const size_t equals = argument.find('=');
  check(argument.starts_with("--") && argument.find('.') < equals && equals != std::string::npos, "train",
        "wanted --section.key=value, found \"", argument, "\"");
  return {argument.substr(0, equals), argument.substr(2, equals - 2), argument.substr(equals + 1)};
}

TrainConfig read_recipe(const std::string& path, const std::vector<Setting>& overrides) {
  std::vector<Setting> settings;
  if (!path.empty()) settings = read_toml_settings(path);
  settings.insert(settings.end(), overrides.begin(), overrides.end());
  TrainConfig config;
  apply_settings(config, settings);
  if (!config.train.from.empty())
    for (const Setting& s : settings)
      check(!s.key.starts_with("model."), s.source.c_str(), s.key,
            " would have no effect: train.from decides what the model is; remove it");
  config.model.balance_coefficient = config.balance_options().balance_coefficient;
  return config;
}

}  // namespace lyceum
