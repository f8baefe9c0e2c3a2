// What a training run is made of: the sections of a recipe, each key declared once.
#pragma once

#include <string>
#include <vector>

#include "data/loader.h"
#include "models/config.h"
#include "moe/balance.h"
#include "train/optimizer.h"
#include "train/schedule.h"

namespace lyceum {

struct DataOptions {
  std::vector<std::string> train, held_out;  // prefixes of token shards
  std::string tokenizer;                     // folder with tokenizer.json; travels into every checkpoint
  LoaderConfig loader;                       // its keys stand in the same section
  void fields(Fields& f);
};

struct TrainOptions {
  std::string folder;          // of the run: checkpoints/, metrics.jsonl, ...
  std::string from;            // checkpoint to begin with
  bool keep_optimizer = true;  // go on with its optimiser state
  int64_t steps = 0;
  double minutes = 0;
  int64_t micro_batch = 8;    // sequences in one forward pass
  int64_t micro_batches = 1;  // gradients of so many are summed for one step
  std::string precision = "bf16";
  bool recompute = false;
  double clip = 1;
  int64_t seed = 1;
  int64_t max_skipped = 20;
  void fields(Fields& f);
};

struct BalanceConfig {
  std::string form = "megablocks", z_form = "as_form";
  double coefficient = 0.01, z_coefficient = 0.001;
  double importance_coefficient = 0.1, load_coefficient = 0.1;  // Shazeer et al. for language models
  double bias_rate = 0.001;                                     // DeepSeek-V3
  // What means something is the model's and its router's business.
  void fields(Fields& f, const ModelConfig& model);
};

struct EvaluationOptions {
  int64_t every = 0;  // steps; 0: never
  int64_t tokens = 65536;
  void fields(Fields& f);
};

struct CheckpointOptions {
  int64_t every = 0;  // steps; 0: at the end only
  double minutes = 10;
  int64_t keep_last = 2, keep_every = 0;
  void fields(Fields& f);
};

struct LogOptions {
  bool tensorboard = true, database = true;
  void fields(Fields& f);
};

// Several runs of one recipe, each with settings of its own (train/compare.h).
struct CompareOptions {
  std::vector<std::string> variants;
  double active_tolerance = 0.02;
  void fields(Fields& f);
};

struct TrainConfig {
  ModelConfig model;
  DataOptions data;
  OptimizerOptions optimizer;
  ScheduleOptions schedule;
  TrainOptions train;
  BalanceConfig balance;
  EvaluationOptions evaluation;
  CheckpointOptions checkpoint;
  LogOptions log;
  CompareOptions compare;

  void fields(Fields& f);
  // Throws kInvalidArgument naming the key that cannot be.
  void validate() const;
  DType precision() const { return train.precision == "bf16" ? DType::kBF16 : DType::kF32; }
  BalanceOptions balance_options() const;
  int64_t tokens_per_step() const {
    return data.loader.sequence_length * train.micro_batch * train.micro_batches;
  }
};

// Reads a recipe (TOML), then the command line's settings over it, and checks all of it. An empty path means
// the defaults. Errors name file:line or the option.
TrainConfig read_recipe(const std::string& path, const std::vector<Setting>& overrides);

// "--section.key=value" -> a setting; throws kInvalidArgument for anything else.
Setting parse_override(const std::string& argument);

// The keys of a TOML file in order, with the line each stands in. Throws kNotFound, or kInvalidArgument with
// file:line.
std::vector<Setting> read_toml_settings(const std::string& path);

// config_json() and back, for configurations that were checked before: keys that this program does not know
// are an error, effects are not asked.
TrainConfig config_from_json(const std::string& json, const std::string& where);

}  // namespace lyceum
