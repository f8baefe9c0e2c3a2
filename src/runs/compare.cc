#include "runs/compare.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <functional>
#include <limits>
#include <nlohmann/json.hpp>

#include "base/progress.h"

namespace lyceum {
namespace {

using Json = nlohmann::ordered_json;
using Leaves = std::vector<std::pair<std::string, std::string>>;

void flatten(const Json& j, const std::string& prefix, int depth, Leaves& out) {
  if (j.is_object() && depth < 32) {
    for (const auto& [key, value] : j.items())
      flatten(value, prefix.empty() ? key : prefix + "." + key, depth + 1, out);
  } else {
    out.emplace_back(prefix, j.is_string() ? j.get<std::string>()
                                           : j.dump(-1, ' ', false, Json::error_handler_t::replace));
  }
}

std::string number(double x, const char* format) {
  if (!std::isfinite(x)) return "-";
  char text[64];
  std::snprintf(text, sizeof text, format, x);
  return text;
}

const std::string* value_of(const Leaves& leaves, const std::string& key) {
  for (const auto& [name, value] : leaves)
    if (name == key) return &value;
  return nullptr;
}

// The run that is better than every other one; -1: none, or several alike.
int best_of(const std::vector<double>& values, bool lower_is_better) {
  int best = -1;
  for (size_t i = 0; i < values.size(); ++i) {
    bool wins = std::isfinite(values[i]);
    size_t others = 0;
    for (size_t j = 0; j < values.size(); ++j) {
      if (j == i || !std::isfinite(values[j])) continue;
      ++others;
      wins &= lower_is_better ? values[i] < values[j] : values[i] > values[j];
    }
    if (wins && others > 0) best = static_cast<int>(i);
  }
  return best;
}

}  // namespace

std::vector<std::pair<std::string, std::string>> flatten_json(const std::string& json) {
  Leaves out;
  const Json j = Json::parse(json, nullptr, false);
  if (j.is_object()) flatten(j, "", 0, out);
  return out;
}

RunComparison compare_runs(const std::vector<RunInfo>& runs) {
  RunComparison out;
  std::vector<Leaves> configs;
  std::vector<StepMetrics> last(runs.size());
  std::vector<std::string> keys;
  for (size_t i = 0; i < runs.size(); ++i) {
    out.names.push_back(runs[i].name + " " + runs[i].id);
    configs.push_back(flatten_json(runs[i].config));
    parse_metrics_line(runs[i].last, last[i]);
    for (const auto& leaf : configs.back())
      if (std::find(keys.begin(), keys.end(), leaf.first) == keys.end()) keys.push_back(leaf.first);
  }
  for (const std::string& key : keys) {
    RunComparison::Row row{key, {}, -1};
    for (const Leaves& leaves : configs) {
      const std::string* value = value_of(leaves, key);
      row.values.push_back(value ? *value : "-");
    }
    if (std::any_of(row.values.begin(), row.values.end(), [&](const auto& v) { return v != row.values[0]; }))
      out.config.push_back(std::move(row));
  }

  enum Direction { kNone, kLower, kHigher };
  const auto result = [&](const std::string& key, Direction direction, auto&& value, auto&& text) {
    RunComparison::Row row{key, {}, -1};
    std::vector<double> values;
    for (size_t i = 0; i < runs.size(); ++i) {
      values.push_back(value(i));
      row.values.push_back(std::isfinite(values[i]) ? text(values[i]) : "-");
    }
    if (direction != kNone) row.best = best_of(values, direction == kLower);
    out.results.push_back(std::move(row));
  };
  const auto plain = [](const char* format) { return [format](double x) { return number(x, format); }; };
  const auto metric = [&](std::string name) {
    return [&, name](size_t i) {
      return last[i].step > 0 ? metric_value(last[i], name) : std::numeric_limits<double>::quiet_NaN();
    };
  };
  result(
      "status", kNone, [](size_t) { return 0.0; }, plain("%g"));
  for (size_t i = 0; i < runs.size(); ++i) out.results.back().values[i] = runs[i].status;
  result(
      "step", kNone, [&](size_t i) { return static_cast<double>(runs[i].step); }, plain("%.0f"));
  result("tokens", kNone, metric("tokens"), human_count);
  result("loss", kLower, metric("loss"), plain("%.4f"));
  std::vector<std::string> domains;
  for (const StepMetrics& row : last)
    for (const auto& [name, bits] : row.held_out)
      if (std::find(domains.begin(), domains.end(), name) == domains.end()) domains.push_back(name);
  for (const std::string& domain : domains)
    result("held-out bits/byte " + domain, kLower, metric("held_out." + domain), plain("%.4f"));
  result("tokens/s", kHigher, metric("tokens_per_second"), human_count);
  result("TFLOP/s", kHigher, metric("tflops"), plain("%.3f"));
  result("share of peak", kHigher, metric("share_of_peak"), plain("%.3f"));
  result("worst expert load", kLower, metric("worst_load"), plain("%.2f"));
  result(
      "time", kNone, [&](size_t i) { return runs[i].ended > 0 ? runs[i].ended - runs[i].started : NAN; },
      human_seconds);
  return out;
}

std::string comparison_text(const RunComparison& comparison) {
  std::string out;
  const auto table = [&](const char* title, const std::vector<RunComparison::Row>& rows) {
    size_t first = std::string(title).size();
    std::vector<size_t> widths;
    for (const std::string& name : comparison.names) widths.push_back(name.size());
    for (const auto& row : rows) {
      first = std::max(first, row.key.size());
      for (size_t i = 0; i < row.values.size(); ++i)
        widths[i] = std::max(widths[i], row.values[i].size() + 2);
    }
    const auto line = [&](const std::string& key, const std::vector<std::string>& values, int best) {
      out += key + std::string(first - key.size(), ' ');
      for (size_t i = 0; i < values.size(); ++i) {
        const std::string text = values[i] + (static_cast<int>(i) == best ? " *" : "  ");
        out +=
            "  " + (text.size() < widths[i] + 2 ? std::string(widths[i] + 2 - text.size(), ' ') : "") + text;
      }
      while (out.back() == ' ') out.pop_back();
      out += '\n';
    };
    line(title, comparison.names, -1);
    for (const auto& row : rows) line(row.key, row.values, row.best);
  };
  if (comparison.config.empty()) out += "The configurations are the same.\n";
  else table("CONFIG", comparison.config);
  out += '\n';
  table("RESULT", comparison.results);
  out += "\n* best\n";
  return out;
}

}  // namespace lyceum
