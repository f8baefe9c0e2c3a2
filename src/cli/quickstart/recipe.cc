// Stage 2 of the quick start: which model to train, written down as a recipe that a person can read, change
// and run.
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <sstream>

#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/progress.h"
#include "base/threads.h"
#include "cli/quickstart/run.h"
#include "kernels/peak.h"
#include "text/tokenizer.h"
#include "train/memory.h"

namespace lyceum::quickstart {
namespace {

// Shapes from small to large. In a few minutes the number of steps and tokens is what counts: a size is worth
// taking when the time gives it kTokensPerParameter tokens for each parameter that a token meets. The
// smallest ones read short sequences: as many different texts in a step as it has room for (docs/training.md
// has the figures).
struct Size {
  int64_t d_model, n_layers, n_heads, d_ff, n_experts, top_k, micro_batch, sequence;
};
constexpr Size kSizes[] = {
    {128, 3, 2, 128, 8, 2, 16, 128},    {128, 4, 2, 128, 8, 2, 16, 128},  {192, 4, 3, 192, 8, 2, 8, 256},
    {256, 6, 4, 256, 16, 2, 8, 512},    {384, 6, 6, 256, 32, 4, 16, 512}, {512, 8, 8, 384, 32, 4, 16, 512},
    {768, 12, 12, 512, 32, 4, 16, 512},
};
constexpr double kTokensPerParameter = 4.0;
constexpr double kShareOfPeak = 0.25;  // what training gets of the measured peak, at these widths
// Of the table of tokens, as a factor: in so few steps most rows are met a handful of times.
constexpr int64_t kEmbeddingRate = 12;

// Parameters that a token meets, the output matrix included.
double active_parameters(const Size& s, int64_t vocab) {
  const double d = static_cast<double>(s.d_model);
  const double layer =
      4 * d * d + 3 * d * static_cast<double>(s.d_ff * s.top_k) + d * static_cast<double>(s.n_experts);
  return static_cast<double>(s.n_layers) * layer + d * static_cast<double>(vocab);
}
double flops_per_token(const Size& s, int64_t vocab) {
  return 6 * active_parameters(s, vocab) + 6 * static_cast<double>(s.n_layers * s.d_model * s.sequence);
}

// 0.01 at width 128 (measured: 0.006 to 0.012 are within 2 %), smaller for wider models, which train for
// longer.
double learning_rate(const Size& s) {
  return std::round(1e5 * 0.01 * std::sqrt(128.0 / static_cast<double>(s.d_model))) / 1e5;
}

std::string quoted(const std::string& path) { return "\"" + path + "\""; }

std::string recipe_text(const Options& o, const PreparedData& data, const Size& s) {
  std::ostringstream t;
  t << "# Written by `lyceum quickstart`; go on with it, or change a copy:\n"
    << "#   build/lyceum train " << o.run << "/recipe.toml --train.minutes=30\n"
    << "# Every key and what it means: build/lyceum train --keys\n\n"
    << "[model]                     # OLMoE's form: every layer is sparse\n"
    << "family = \"olmoe\"\n"
    << "d_model = " << s.d_model << "\nn_layers = " << s.n_layers << "\nn_heads = " << s.n_heads
    << "\nd_ff = " << s.d_ff << "                  # of one expert\nn_experts = " << s.n_experts
    << "\ntop_k = " << s.top_k << "\nmax_positions = " << s.sequence << "\n\n[data]\ntrain = ["
    << quoted(data.train_shard) << "]\n";
  if (!data.heldout_shard.empty()) t << "held_out = [" << quoted(data.heldout_shard) << "]\n";
  t << "tokenizer = " << quoted(data.tokenizer) << "\nsequence_length = " << s.sequence
    << "\n\n[optimizer]\nname = \"muon\"\nlr = " << learning_rate(s) << "\nembedding_lr = " << kEmbeddingRate
    << "                # as a factor of lr\nnewton_schulz = 4\nweight_decay = 0"
    << "\n\n[schedule]\nkind = \"linear\"\nwarmup = 0.02\nfinal = 0\n\n[train]\nfolder = " << quoted(o.run)
    << "\nmicro_batch = " << s.micro_batch << "\nminutes = " << o.minutes
    << "\n\n[evaluation]\nevery = 0\ntokens = 65536\n\n[checkpoint]\nminutes = 2\nkeep_last = 3\n";
  return t.str();
}

// The old run makes room, nothing of it is lost.
void move_aside(const std::string& run) {
  std::string to;
  for (int n = 1; to.empty() || file_exists(to) || directory_exists(to); ++n)
    to = run + "/before-" + std::to_string(n);
  real_files().make_directories(to);
  for (const char* name : {"checkpoints", "checkpoint", "metrics.jsonl", "tensorboard", "recipe.toml",
                           "scores.json", "samples.json", "summary.json", "report.html"})
    if (std::error_code error;
        std::filesystem::exists(std::filesystem::symlink_status(run + "/" + name, error)))
      real_files().rename(run + "/" + name, to + "/" + name);
  log_info("quickstart", "the text or the settings changed: the run that was here is in ", to);
}

}  // namespace

TrainConfig write_recipe(const Options& o, const PreparedData& data) {
  const std::string path = o.run + "/recipe.toml", stamp_path = o.run + "/data/trained_on";
  const std::string stamp = read_file(o.run + "/data/stamps.json");
  const bool same_text = file_exists(stamp_path) && read_file(stamp_path) == stamp;
  const std::vector<Setting> minutes = {{"--minutes", "train.minutes", std::to_string(o.minutes)}};
  if (file_exists(path)) {
    if (same_text) return read_recipe(path, minutes);
    move_aside(o.run);
  }
  const int64_t vocab = Tokenizer::load(data.tokenizer).vocab_size();
  const double peak = std::max(kernels::measure_peak(false).flops_all, 1e9);
  const double flops = 60 * o.minutes * peak * kShareOfPeak;
  Size chosen = kSizes[0];
  for (const Size& s : kSizes)
    if (flops / flops_per_token(s, vocab) >= kTokensPerParameter * active_parameters(s, vocab)) chosen = s;
  write_file(path, recipe_text(o, data, chosen));
  write_file(stamp_path, stamp);
  TrainConfig config = read_recipe(path, minutes), with_vocabulary = config;
  with_vocabulary.model.vocab = vocab;  // which the recipe leaves to the tokenizer
  refuse_what_cannot_fit(with_vocabulary);
  return config;
}

}  // namespace lyceum::quickstart
