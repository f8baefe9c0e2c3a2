#include "runs/metrics.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"

namespace lyceum {
namespace {

using Json = nlohmann::ordered_json;
constexpr size_t kLongestLine = 16u << 20;  // a longer line is not ours
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

struct NumberKey {
  const char* name;
  double StepMetrics::*value;
};
constexpr NumberKey kNumbers[] = {{"loss", &StepMetrics::loss},
                                  {"lr", &StepMetrics::lr},
                                  {"gradient_norm", &StepMetrics::gradient_norm},
                                  {"tokens_per_second", &StepMetrics::tokens_per_second},
                                  {"tflops", &StepMetrics::tflops},
                                  {"share_of_peak", &StepMetrics::share_of_peak},
                                  {"memory_bytes", &StepMetrics::memory_bytes},
                                  {"seconds", &StepMetrics::seconds}};
struct LayerKey {
  const char* name;
  double LayerMetrics::*value;
};
constexpr LayerKey kLayerNumbers[] = {{"load_max_over_mean", &LayerMetrics::load_max_over_mean},
                                      {"router_entropy", &LayerMetrics::router_entropy},
                                      {"dead_experts", &LayerMetrics::dead_experts},
                                      {"balance_loss", &LayerMetrics::balance_loss},
                                      {"z_loss", &LayerMetrics::z_loss},
                                      {"dropped", &LayerMetrics::dropped}};

Json number(double x) { return std::isfinite(x) ? Json(x) : Json(nullptr); }
double number(const Json& j) { return j.is_number() ? j.get<double>() : kNan; }

int64_t integer(const Json& row, const char* key) {
  const auto it = row.find(key);
  return it != row.end() && it->is_number_integer() ? it->get<int64_t>() : 0;
}

void read_named(const Json& row, const char* key, NamedNumbers& out) {
  const auto it = row.find(key);
  if (it == row.end() || !it->is_object()) return;
  for (const auto& [name, value] : it->items()) out.emplace_back(name, number(value));
}

double named(const NamedNumbers& numbers, std::string_view name) {
  for (const auto& [key, value] : numbers)
    if (key == name) return value;
  return kNan;
}

// Calls f(line, offset) for each whole line; returns the offset behind the last one.
template <class F>
size_t for_each_line(std::string_view text, F&& f) {
  size_t begin = 0;
  for (size_t end; (end = text.find('\n', begin)) != std::string_view::npos; begin = end + 1)
    if (!f(text.substr(begin, end - begin), begin)) return begin;
  return begin;
}

// Bytes of the file to keep when training goes on after `step`.
uint64_t bytes_until(const std::string& path, int64_t step) {
  if (step <= 0 || !file_exists(path)) return 0;
  const MappedFile file(path);
  return for_each_line(file.text(), [&](std::string_view line, size_t) {
    StepMetrics row;
    return !parse_metrics_line(line, row) || row.step <= step;
  });
}

}  // namespace

std::string metrics_line(const StepMetrics& row) {
  Json j;
  j["step"] = row.step;
  j["tokens"] = row.tokens;
  for (const NumberKey& key : kNumbers) j[key.name] = number(row.*key.value);
  j["skipped"] = row.skipped;
  j["skip_reason"] = row.skip_reason;
  for (const LayerKey& key : kLayerNumbers) {
    Json values = Json::array();
    for (const LayerMetrics& layer : row.layers) values.push_back(number(layer.*key.value));
    j[key.name] = std::move(values);
  }
  for (const auto& [name, values] : {std::pair{"held_out", &row.held_out}, std::pair{"extra", &row.extra}}) {
    if (values->empty()) continue;
    Json object = Json::object();
    for (const auto& [key, value] : *values) object[key] = number(value);
    j[name] = std::move(object);
  }
  return j.dump(-1, ' ', false, Json::error_handler_t::replace);
}

bool parse_metrics_line(std::string_view line, StepMetrics& row) {
  if (line.empty() || line.size() > kLongestLine) return false;
  const Json j = Json::parse(line.begin(), line.end(), nullptr, /*allow_exceptions=*/false);
  if (!j.is_object() || !j.contains("step") || !j["step"].is_number_integer()) return false;
  row = {};
  row.step = integer(j, "step");
  row.tokens = integer(j, "tokens");
  for (const NumberKey& key : kNumbers) row.*key.value = j.contains(key.name) ? number(j[key.name]) : kNan;
  row.skipped = j.contains("skipped") && j["skipped"].is_boolean() && j["skipped"].get<bool>();
  if (j.contains("skip_reason") && j["skip_reason"].is_string()) row.skip_reason = j["skip_reason"];
  for (const LayerKey& key : kLayerNumbers) {
    const auto it = j.find(key.name);
    if (it == j.end() || !it->is_array()) continue;
    if (row.layers.size() < it->size()) row.layers.resize(it->size());
    for (size_t layer = 0; layer < it->size(); ++layer) row.layers[layer].*key.value = number((*it)[layer]);
  }
  read_named(j, "held_out", row.held_out);
  read_named(j, "extra", row.extra);
  return true;
}

double metric_value(const StepMetrics& row, std::string_view name) {
  if (name == "step") return static_cast<double>(row.step);
  if (name == "tokens") return static_cast<double>(row.tokens);
  for (const NumberKey& key : kNumbers)
    if (name == key.name) return row.*key.value;
  if (name.starts_with("held_out.")) return named(row.held_out, name.substr(9));
  if (name.starts_with("extra.")) return named(row.extra, name.substr(6));
  if (row.layers.empty()) return kNan;
  double worst = 0, sum = 0;
  const auto over_layers = [&](double LayerMetrics::*value) {
    for (const LayerMetrics& layer : row.layers) worst = std::max(worst, layer.*value), sum += layer.*value;
  };
  if (name == "worst_load") return over_layers(&LayerMetrics::load_max_over_mean), worst;
  if (name == "mean_entropy")
    return over_layers(&LayerMetrics::router_entropy), sum / static_cast<double>(row.layers.size());
  for (const LayerKey& key : kLayerNumbers)
    if (name == key.name) return over_layers(key.value), name == "load_max_over_mean" ? worst : sum;
  return kNan;
}

std::vector<std::string> metric_names(const std::vector<StepMetrics>& rows) {
  std::vector<std::string> names = {"tokens"};
  for (const NumberKey& key : kNumbers) names.push_back(key.name);
  bool layers = false;
  std::vector<std::string> more;
  const auto add = [&](const char* prefix, const NamedNumbers& numbers) {
    for (const auto& [key, value] : numbers)
      if (std::find(more.begin(), more.end(), prefix + key) == more.end()) more.push_back(prefix + key);
  };
  for (const StepMetrics& row : rows) {
    layers |= !row.layers.empty();
    add("held_out.", row.held_out);
    add("extra.", row.extra);
  }
  if (layers)
    for (const char* name :
         {"worst_load", "mean_entropy", "dead_experts", "balance_loss", "z_loss", "dropped"})
      names.push_back(name);
  names.insert(names.end(), more.begin(), more.end());
  return names;
}

MetricsFile read_metrics(const std::string& path) {
  const MappedFile file(path);
  MetricsFile out;
  const size_t end = for_each_line(file.text(), [&](std::string_view line, size_t) {
    StepMetrics row;
    if (parse_metrics_line(line, row)) out.rows.push_back(std::move(row));
    else ++out.unreadable_lines;
    return true;
  });
  out.torn_tail = end < file.size();
  return out;
}

MetricsWriter::MetricsWriter(const std::string& path, int64_t resume_step)
    : file_(path, bytes_until(path, resume_step)), last_step_(resume_step) {
  check(resume_step >= 0, "metrics", "wanted the step to go on from, at least 0; got ", resume_step);
}

void MetricsWriter::write(const StepMetrics& row) {
  ensure(row.step > last_step_, "metrics", "step ", row.step, " after step ", last_step_);
  file_.append(metrics_line(row) + "\n");
  last_step_ = row.step;
}

}  // namespace lyceum
