// The report of a run or a model: one self-contained HTML page from plain data.
//
// Every part is optional; what is empty is not shown. ReportData has a JSON form, so a report can be made
// again (or elsewhere) from what was measured.
#pragma once

#include <cmath>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace lyceum {

class RoutingCounts;

using TextPairs = std::vector<std::pair<std::string, std::string>>;

struct Headline {
  std::string label, value, note;
  std::string tone;  // "", "good" or "warn"
};

// Columns of equal length; a column may be empty.
struct ReportCurves {
  std::vector<double> step, tokens, loss, lr, tokens_per_second, share_of_peak, worst_load, gradient_norm;
  std::vector<double> held_out_step,
      held_out_bits;  // bits per byte over all domains, when evaluated in training
};

struct DomainScore {
  std::string name;
  int64_t bytes = 0;
  double model_bits = NAN;  // bits per byte of held-out text
  double xz_bits = NAN;     // of `xz -9` on the same bytes
};

struct DataRow {
  std::string name;
  int64_t documents = 0, bytes = 0, tokens = 0;  // kept
  int64_t dropped_documents = 0;
  std::vector<std::pair<std::string, int64_t>> dropped;  // why: documents
};

struct RoutingLayer {
  int64_t layer = 0;
  std::vector<double> load;  // [n_experts] over the mean; 1 = balanced
  double entropy = 0;        // nats
  int64_t dead = 0;
  std::vector<double> domain_share;    // [domains, n_experts]
  std::vector<int64_t> shown_experts;  // of the co-activation picture
  std::vector<double> co_activation;   // [shown, shown]
  std::vector<double> vocabulary;      // specialisation by input, next and predicted id
  std::vector<double> concentration;   // [n_experts], rising to 1
};
struct ExpertWords {
  int64_t layer = 0, expert = 0;
  std::string role;  // "input", "next" or "predicted"
  struct Piece {
    std::string text;
    double share = 0;
    int64_t occurrences = 0;
  };
  std::vector<Piece> pieces;
};
struct SaturationPoint {
  double step = 0, tokens = 0;
  std::vector<double> by_layer;  // in the order of RoutingReport::layers
};
struct RoutingReport {
  int64_t n_experts = 0, top_k = 0, tokens = 0;
  std::vector<std::string> domains;
  std::vector<RoutingLayer> layers;
  std::vector<SaturationPoint> saturation;
  std::vector<ExpertWords> words;
};

struct ReportSample {
  std::string domain, prefix, continuation;
  bool code = false;  // shown in the type of programs
};

struct CostRow {
  std::string part;
  int64_t total = 0, active = 0;
};
struct ReportCosts {
  std::vector<CostRow> parts;
  TextPairs figures;  // "GFLOPs per token, inference": "0.21"
};

struct ReportCommand {
  std::string purpose, command;
  std::string page = {};  // that it writes, as seen from this one; empty: none
};

struct ReportData {
  std::string title = "Report", kicker, lead;
  std::vector<Headline> headlines;
  std::vector<DomainScore> scores;
  std::vector<ReportSample> samples;
  ReportCurves curves;
  RoutingReport routing;
  std::vector<DataRow> data;
  ReportCosts costs;
  TextPairs machine;
  std::vector<ReportCommand> commands;
};

// The page.
std::string report_html(const ReportData& data);

// JSON and back; NaN is null. Throws kCorruptData naming `where` when the text is not such a report.
std::string report_json(const ReportData& data);
ReportData report_from_json(const std::string& text, const std::string& where);

// What the report shows of routing counts. `piece` says the text of an id.
struct RoutingReportOptions {
  size_t shown_experts = 16;  // in co-activation pictures: those that are most often chosen together
  size_t words_per_expert = 14, experts_with_words = 12;
  int64_t least_occurrences = 10;
};
RoutingReport routing_report(const RoutingCounts& counts, const std::vector<std::string>& domains,
                             const std::function<std::string(int32_t)>& piece,
                             const RoutingReportOptions& options = {});

}  // namespace lyceum
