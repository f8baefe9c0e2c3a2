// The main job, stage by stage: text -> tokenizer -> shards -> training -> held-out scores -> samples ->
// report.
//
// Every stage writes into one folder and passes over what is up to date there, so a second call, or a call
// after an interruption, does only what is missing:
//   data/             documents, tokenizer, shards (data/prepare.h keeps its own stamps)
//   recipe.toml       what is trained; training goes on from checkpoints/ and the newest is checkpoint/
//   scores.json       held-out bits per byte and xz's, of the checkpoint and text whose key it holds
//   samples.json      continuations of held-out text, likewise
//   summary.json, report.html, report.json
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "analysis/report.h"
#include "data/prepare.h"
#include "train/trainer.h"

namespace lyceum::quickstart {

struct Options {
  std::string run = "runs/quickstart";
  double minutes = 5;
  std::string packages;            // unpacked packages; "" or absent: none
  std::vector<std::string> texts;  // the user's folders instead of the machine's text
};

// Seconds by stage, in order. A stage that was up to date has the time that it took when it was not.
using Seconds = std::vector<std::pair<std::string, double>>;

struct HeldOutScore {
  std::string name;
  int64_t documents = 0, bytes = 0, tokens = 0;
  double bits_per_byte = 0, xz_bits_per_byte = 0;
};
struct Scores {
  std::vector<HeldOutScore> domains;
  HeldOutScore all;  // weighted by bytes; xz: the sum of its files
  bool reused = false;
};

struct Sample {
  std::string domain, document;         // id of the held-out document
  std::string prefix, text, continued;  // what was read, what the model wrote, what the document says
};

// What training did, over all calls so far, from metrics.jsonl.
struct Training {
  std::string checkpoint;
  int64_t steps = 0, tokens = 0, parameters = 0, active_parameters = 0, vocab = 0;
  double seconds = 0, loss = 0, tokens_per_second = 0, tflops = 0, share_of_peak = 0;
  double step_seconds = 0;   // the median
  double step_forecast = 0;  // as said before the run; 0: not known
  bool reused = false;
};

PreparedData prepare_text(const Options& options);

// Chooses model and step for the text, the minutes and this machine, writes run/recipe.toml and returns what
// it says. A recipe that is there already is kept, except for its minutes, as long as the text is the same;
// otherwise the old run is moved to run/before-N.
TrainConfig write_recipe(const Options& options, const PreparedData& data);

// Throws kCancelled when interrupted, after saving.
Training train_model(const TrainConfig& config);

Scores score(const Options& options, const PreparedData& data, const Training& training);
// Continues a piece of one held-out document of each domain; `reused` when samples.json was up to date.
std::vector<Sample> write_samples(const Options& options, const PreparedData& data, const Training& training,
                                  bool& reused);

struct Result {
  Options options;
  PreparedData data;
  TrainConfig config;
  Training training;
  Scores scores;
  std::vector<Sample> samples;
  Seconds seconds;
};

// report.html and report.json, with the routing of every checkpoint; false when they were up to date.
bool write_report(const Result& result);
void write_summary(const Result& result);              // summary.json
Seconds read_summary_seconds(const std::string& run);  // of the summary that is there, if any

// What to try next: purpose and command.
std::vector<ReportCommand> next_commands(const Options& options);

// The last words on stdout: samples, scores by domain, files, the next three commands.
void print_results(const Result& result);

}  // namespace lyceum::quickstart
