// The files that the quick start leaves for people and programs: report.html and summary.json.
#include <cmath>
#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>

#include "analysis/accounting.h"
#include "base/file.h"
#include "base/progress.h"
#include "base/threads.h"
#include "cli/quickstart/run.h"
#include "cli/routing_pages.h"
#include "eval/documents.h"
#include "kernels/isa.h"
#include "runs/metrics.h"

namespace lyceum::quickstart {
namespace {

using Json = nlohmann::ordered_json;

std::string number(double x, int digits, const char* unit = "") {
  char text[48];
  std::snprintf(text, sizeof text, "%.*f%s", digits, x, unit);
  return text;
}

std::string summary_json(const Result& r) {
  const Training& t = r.training;
  const ModelConfig& m = r.config.model;
  Json j;
  j["bits_per_byte"] = r.scores.all.bits_per_byte, j["xz_bits_per_byte"] = r.scores.all.xz_bits_per_byte;
  j["held_out_bytes"] = r.scores.all.bytes;
  for (const HeldOutScore& s : r.scores.domains)
    j["domains"].push_back({{"domain", s.name},
                            {"documents", s.documents},
                            {"bytes", s.bytes},
                            {"bits_per_byte", s.bits_per_byte},
                            {"xz_bits_per_byte", s.xz_bits_per_byte}});
  j["model"] = {
      {"family", m.family},   {"parameters", t.parameters}, {"active_parameters", t.active_parameters},
      {"d_model", m.d_model}, {"n_layers", m.n_layers},     {"n_heads", m.n_heads},
      {"d_ff", m.d_ff},       {"n_experts", m.n_experts},   {"top_k", m.top_k},
      {"vocab", t.vocab}};
  j["training"] = {{"steps", t.steps},
                   {"tokens", t.tokens},
                   {"loss", t.loss},
                   {"seconds", t.seconds},
                   {"minutes", r.options.minutes},
                   {"tokens_per_second", t.tokens_per_second},
                   {"tflops", t.tflops},
                   {"share_of_peak", t.share_of_peak},
                   {"step_seconds", t.step_seconds},
                   {"step_forecast", t.step_forecast}};
  j["text"] = {{"bytes", r.data.bytes()}, {"tokens", r.data.tokens()}, {"domains", r.data.domains.size()}};
  j["cpu"] = cpu_info().name + ", " + isa_name(isa_level());
  for (const auto& [stage, s] : r.seconds) j["seconds"][stage] = s;
  for (const Sample& s : r.samples)
    j["samples"].push_back({{"domain", s.domain},
                            {"document", s.document},
                            {"prefix", s.prefix},
                            {"text", s.text},
                            {"continued", s.continued}});
  j["checkpoint"] = r.options.run + "/checkpoint";
  return j.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

ReportCurves curves_of(const std::string& metrics) {
  ReportCurves c;
  for (const StepMetrics& row : read_metrics(metrics).rows) {
    c.step.push_back(static_cast<double>(row.step)), c.tokens.push_back(static_cast<double>(row.tokens));
    c.loss.push_back(row.loss), c.lr.push_back(row.lr), c.gradient_norm.push_back(row.gradient_norm);
    c.tokens_per_second.push_back(row.tokens_per_second), c.share_of_peak.push_back(row.share_of_peak);
    c.worst_load.push_back(metric_value(row, "worst_load"));
    if (const double bits = metric_value(row, "held_out.all"); std::isfinite(bits))
      c.held_out_step.push_back(static_cast<double>(row.step)), c.held_out_bits.push_back(bits);
  }
  return c;
}

// What was dropped and why, from the report that data/prepare wrote.
std::vector<DataRow> data_rows(const PreparedData& data) {
  std::map<std::string, Json> rows;
  const Json report = Json::parse(read_file(data.report), nullptr, false);
  if (report.is_object() && report.contains("domains"))
    for (const Json& row : report["domains"]) rows[row.value("name", "")] = row;
  std::vector<DataRow> out;
  for (const PreparedDomain& d : data.domains) {
    DataRow row;
    row.name = d.name, row.documents = d.documents, row.bytes = d.bytes, row.tokens = d.tokens;
    if (const auto found = rows.find(d.name); found != rows.end() && found->second.contains("dropped"))
      for (const auto& [why, n] : found->second["dropped"].items())
        row.dropped.emplace_back(why, n.get<int64_t>()), row.dropped_documents += n.get<int64_t>();
    out.push_back(std::move(row));
  }
  return out;
}

ReportCosts costs_of(const Training& t) {
  ReportCosts costs;
  const ModelSize size = model_size_of(t.checkpoint);
  for (const ModelPart& part : size.parts) costs.parts.push_back({part.name, part.total, part.active});
  costs.figures = {{"GFLOPs per token, generation", number(size.inference_flops() * 1e-9, 4)},
                   {"GFLOPs per token, training", number(size.training_flops() * 1e-9, 4)},
                   {"petaFLOPs of this training",
                    number(size.training_flops() * static_cast<double>(t.tokens) * 1e-15, 3)},
                   {"training state", human_bytes(16.0 * static_cast<double>(size.total()))},
                   {"bf16 weights", human_bytes(2.0 * static_cast<double>(size.total()))}};
  return costs;
}

std::vector<Headline> headlines_of(const Result& r) {
  const Training& t = r.training;
  const HeldOutScore& all = r.scores.all;
  const bool wins = all.bits_per_byte < all.xz_bits_per_byte;
  std::vector<Headline> out;
  out.push_back({"bits per byte, held-out", number(all.bits_per_byte, 3),
                 "xz -9 on the same bytes: " + number(all.xz_bits_per_byte, 3), wins ? "good" : "warn"});
  out.push_back({"parameters", human_count(static_cast<double>(t.parameters)),
                 human_count(static_cast<double>(t.active_parameters)) + " of them for each token", ""});
  out.push_back({"read", human_count(static_cast<double>(t.tokens)) + " tokens",
                 "in " + human_seconds(t.seconds) + ", " + number(t.step_seconds, 3, " s a step") +
                     (t.step_forecast > 0 ? " (" + number(t.step_forecast, 3, " s were forecast)") : ""),
                 ""});
  out.push_back(
      {"tokens per second", human_count(t.tokens_per_second),
       number(t.tflops, 3, " TFLOP/s") +
           (t.share_of_peak > 0 ? ", " + number(100 * t.share_of_peak, 0, " % of this CPU's peak") : ""),
       ""});
  return out;
}

ReportData report_of(const Result& r) {
  ReportData d;
  d.title = "A language model from this machine's text";
  d.kicker = "Lyceum quick start";
  d.lead = "A sparse mixture-of-experts model, trained from random weights for " +
           human_seconds(r.training.seconds) + " on " + human_bytes(static_cast<double>(r.data.bytes())) +
           " of text in " + std::to_string(r.data.domains.size()) +
           " domains. Its scores and samples are of text that it did not see.";
  d.headlines = headlines_of(r);
  for (const HeldOutScore& s : r.scores.domains)
    d.scores.push_back({s.name, s.bytes, s.bits_per_byte, s.xz_bits_per_byte});
  std::vector<std::string> files;
  for (const PreparedDomain& p : r.data.domains)
    if (const std::string file = r.data.heldout_folder + "/" + p.name + ".jsonl";
        p.heldout_documents > 0 && file_exists(file))
      files.push_back(file);
  const std::vector<Document> documents = read_evaluation_documents(files);
  std::map<std::string, std::string> kinds;
  for (const Document& document : documents) kinds.emplace(document.domain, document.kind);
  for (const Sample& s : r.samples)
    d.samples.push_back({s.domain, s.prefix, s.text, kinds[s.domain] == "code"});
  d.curves = curves_of(r.options.run + "/metrics.jsonl");
  CollectOptions collect;
  collect.tokens_per_domain = 8192;  // of every checkpoint
  d.routing = read_routing(checkpoints_of({r.options.run}), documents, collect, "bf16").report;
  d.data = data_rows(r.data);
  d.costs = costs_of(r.training);
  d.machine = {{"CPU", cpu_info().name},
               {"instruction set", isa_name(isa_level())},
               {"threads", std::to_string(thread_count())},
               {"version", program_version()}};
  for (const auto& [stage, s] : r.seconds) d.machine.emplace_back("time, " + stage, human_seconds(s));
  d.commands = next_commands(r.options);
  return d;
}

}  // namespace

void write_summary(const Result& r) { write_file(r.options.run + "/summary.json", summary_json(r)); }

Seconds read_summary_seconds(const std::string& run) {
  Seconds out;
  const std::string path = run + "/summary.json";
  const Json j = file_exists(path) ? Json::parse(read_file(path), nullptr, false) : Json();
  if (j.is_object() && j.contains("seconds") && j["seconds"].is_object())
    for (const auto& [stage, s] : j["seconds"].items())
      if (s.is_number()) out.emplace_back(stage, s.get<double>());
  return out;
}

bool write_report(const Result& r) {
  // The page holds times of stages: it is made again when one of them did something.
  const std::string page = r.options.run + "/report.html", stamp = r.options.run + "/report.of";
  const std::string key = std::to_string(r.training.steps) + " " + number(r.scores.all.bits_per_byte, 12) +
                          " " + std::to_string(r.data.bytes());
  if (r.scores.reused && file_exists(page) && file_exists(stamp) && read_file(stamp) == key) return false;
  const ReportData data = report_of(r);
  write_file(r.options.run + "/report.json", report_json(data));
  write_file(page, report_html(data));
  write_file(stamp, key);
  return true;
}

}  // namespace lyceum::quickstart
