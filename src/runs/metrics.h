// The numbers of training, for machines: metrics.jsonl in the run's folder, one JSON object per optimiser
// step.
//
// Keys never change their names:
//   step, tokens (seen so far), loss, lr, gradient_norm, tokens_per_second, tflops, share_of_peak,
//   memory_bytes (resident), seconds (of this step), skipped, skip_reason,
//   and one array entry per layer of experts: load_max_over_mean, router_entropy (nats), dead_experts,
//   balance_loss, z_loss, dropped (share of edges);
//   held_out {domain: bits per byte} on steps that evaluate; further numbers under "extra".
// A number that is not finite is written as null and read as NaN.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "runs/append_file.h"

namespace lyceum {

struct LayerMetrics {
  double load_max_over_mean = 0;  // 1 = perfectly even
  double router_entropy = 0;      // nats, of the mean router distribution; ln(n_experts) = even
  double dead_experts = 0;        // experts without a token in this step
  double balance_loss = 0, z_loss = 0;
  double dropped = 0;  // share of edges without room
  bool operator==(const LayerMetrics&) const = default;
};

using NamedNumbers = std::vector<std::pair<std::string, double>>;

struct StepMetrics {
  int64_t step = 0;    // counted from 1
  int64_t tokens = 0;  // seen since the first step
  double loss = 0, lr = 0, gradient_norm = 0, tokens_per_second = 0, tflops = 0, share_of_peak = 0,
         memory_bytes = 0, seconds = 0;
  bool skipped = false;     // the step was not taken ...
  std::string skip_reason;  // ... and why: "gradient of layers.3.router is not finite"
  std::vector<LayerMetrics> layers;
  NamedNumbers held_out;  // bits per byte by domain
  NamedNumbers extra;
};

// One line without its line end, and back; `false` if `line` is not such an object.
std::string metrics_line(const StepMetrics& row);
bool parse_metrics_line(std::string_view line, StepMetrics& row);

// A number of a row by name: a key above, "worst_load" (the largest load_max_over_mean), "mean_entropy",
// "dead_experts" (summed), "held_out.DOMAIN", "extra.NAME". NaN when the row does not have it.
double metric_value(const StepMetrics& row, std::string_view name);
// Names that metric_value() knows for these rows.
std::vector<std::string> metric_names(const std::vector<StepMetrics>& rows);

struct MetricsFile {
  std::vector<StepMetrics> rows;
  int64_t unreadable_lines = 0;  // skipped; not counting a torn last line
  bool torn_tail = false;        // the last line has no end: its writer was killed, or is writing now
};
// Reads what is readable. Throws kNotFound when there is no file.
MetricsFile read_metrics(const std::string& path);

class MetricsWriter {
 public:
  // Appends to `path`; rows after `resume_step` and a torn last line are cut off. 0 starts an empty file.
  MetricsWriter(const std::string& path, int64_t resume_step);
  // Throws kIo (disk full, ...); the file then ends with the row before.
  void write(const StepMetrics& row);
  void sync() { file_.sync(); }

 private:
  AppendFile file_;
  int64_t last_step_;
};

}  // namespace lyceum
