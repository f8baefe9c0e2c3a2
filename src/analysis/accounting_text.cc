// Tables and JSON of what models cost (accounting.h).
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "analysis/accounting.h"
#include "base/error.h"
#include "base/progress.h"

namespace lyceum {
namespace {

std::string format(const char* pattern, double x) {
  char text[64];
  std::snprintf(text, sizeof text, pattern, x);
  return text;
}

std::string with_commas(int64_t n) {
  const std::string digits = std::to_string(n);
  std::string out;
  for (size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && (digits.size() - i) % 3 == 0) out += ',';
    out += digits[i];
  }
  return out;
}

// "7.4 G", "1.07 T": as many digits as papers print.
std::string flops_text(double flops) {
  return flops >= 1e12 ? format("%.4g TFLOPs", flops / 1e12) : format("%.4g GFLOPs", flops / 1e9);
}

std::string billions(double n) {
  return n >= 1e12  ? format("%.3f T", n / 1e12)
         : n >= 1e9 ? format("%.2f B", n / 1e9)
                    : format("%.1f M", n / 1e6);
}

std::string left(std::string text, size_t width) {
  text.resize(std::max(width, text.size()), ' ');
  return text;
}
std::string right(const std::string& text, size_t width) {
  return std::string(width > text.size() ? width - text.size() : 0, ' ') + text;
}

int64_t context_of(const ModelSize& size, const AccountingOptions& options) {
  if (options.context > 0) return options.context;
  return size.context > 0 ? std::min<int64_t>(size.context, 4096) : 4096;
}

double score_of(const ModelSize& size, const AccountingOptions& options) {
  for (const auto& [name, score] : options.scores)
    if (name == size.name) return score;
  return std::nan("");
}

void check_scores(const std::vector<ModelSize>& sizes, const AccountingOptions& options) {
  for (const auto& [name, score] : options.scores) {
    std::string names;
    bool known = false;
    for (const ModelSize& size : sizes) {
      known |= size.name == name;
      names += (names.empty() ? "" : ", ") + size.name;
    }
    check(known, "flops", "--score ", quote(name), " names none of the models (", names, ")");
  }
}

std::string head_line(const ModelSize& size) {
  std::string text = size.name + " (" + size.family + ")";
  if (size.n_layers > 0)
    text += ": " + std::to_string(size.n_layers) + " layers of width " + std::to_string(size.d_model);
  if (size.moe_layers > 0)
    text += ", " + std::to_string(size.moe_layers) + " with " + std::to_string(size.n_experts) +
            " experts, " + std::to_string(size.top_k) + " per token";
  return text + (size.encoder_decoder ? "; a token is one source and one target token\n" : "\n");
}

std::string memory_lines(const ModelSize& size, const AccountingOptions& options) {
  const int64_t context = context_of(size, options);
  std::string out = "\nMEMORY\n  weights            ";
  for (const WeightFormat& f : kWeightFormats)
    out += (f.bytes == 4 ? "" : "   ") + std::string(f.name) + " " +
           human_bytes(f.bytes * static_cast<double>(size.total()));
  if (!size.attention.empty())
    out += "\n  keys and values    " + human_bytes(size.cache_bytes(1, 2)) + " per token in bf16, " +
           human_bytes(size.cache_bytes(context, 2)) + " for " + std::to_string(context) + " tokens";
  const TrainingMemory m = training_memory(size, options.micro_batch);
  out += "\n  training           " + human_bytes(m.state) + " (16 bytes a parameter)";
  if (m.activations > 0)
    out += " + about " + human_bytes(m.activations) + " activations of " +
           std::to_string(options.micro_batch) + " tokens (" + human_bytes(m.recomputed) +
           " with recomputation)";
  return out + "\n";
}

}  // namespace

std::string accounting_text(const ModelSize& size, const AccountingOptions& options) {
  check_scores({size}, options);
  std::string out = head_line(size);
  const double total = static_cast<double>(size.total()), active = static_cast<double>(size.active());
  out += "\n" + left("PARAMETERS", 28) + right("total", 20) + right("active", 20) + "\n";
  for (const ModelPart& part : size.parts)
    out += "  " + left(part.name, 26) + right(with_commas(part.total), 20) +
           right(with_commas(part.active), 20) + "\n";
  out += "  " + left("all", 26) + right(with_commas(size.total()), 20) +
         right(with_commas(size.active()), 20) + format("   %.1f %% active", 100 * active / total) + "\n";

  out += "\n" + left("COMPUTE per token", 32) + right("inference", 18) + right("training", 18) + "\n";
  out += left("  2 and 6 x active parameters", 32) + right(flops_text(size.inference_flops()), 18) +
         right(flops_text(size.training_flops()), 18) + "\n";
  if (!size.attention.empty()) {
    const int64_t context = context_of(size, options);
    out += left("  exact, sequences of " + std::to_string(context), 32) +
           right(flops_text(size.forward_flops(context)), 18) +
           right(flops_text(size.exact_training_flops(context)), 18) + "\n";
  }
  if (options.tokens > 0)
    out += "  training on " + human_count(options.tokens) +
           " tokens: " + format("%.3g FLOPs", size.training_flops() * options.tokens) +
           format(" = %.2g PFLOP/s-days\n", petaflop_days(size, options.tokens));
  out += memory_lines(size, options);
  const double score = score_of(size, options);
  if (!std::isnan(score))
    out += "\nSCORE " + format("%.4g", score) +
           format("   %.2f per GFLOP of inference\n", accuracy_per_gflop(size, score));
  return out;
}

std::string accounting_table(const std::vector<ModelSize>& sizes, const AccountingOptions& options) {
  check_scores(sizes, options);
  struct Column {
    std::string title;
    std::vector<std::string> cells;
  };
  std::vector<Column> columns = {
      {"model", {}},    {"total", {}},       {"active", {}}, {"active %", {}}, {"GFLOPs/token inference", {}},
      {"training", {}}, {"bf16 weights", {}}};
  if (options.tokens > 0) columns.push_back({"PFLOP/s-days", {}});
  if (!options.scores.empty()) columns.push_back({"score", {}}), columns.push_back({"score/GFLOP", {}});
  for (const ModelSize& size : sizes) {
    const double total = static_cast<double>(size.total()), score = score_of(size, options);
    std::vector<std::string> cells = {size.name,
                                      billions(total),
                                      billions(static_cast<double>(size.active())),
                                      format("%.1f", 100.0 * static_cast<double>(size.active()) / total),
                                      format("%.1f", size.inference_flops() / 1e9),
                                      format("%.1f", size.training_flops() / 1e9),
                                      human_bytes(2 * total)};
    if (options.tokens > 0) cells.push_back(format("%.2g", petaflop_days(size, options.tokens)));
    if (!options.scores.empty()) {
      cells.push_back(std::isnan(score) ? "-" : format("%.4g", score));
      cells.push_back(std::isnan(score) ? "-" : format("%.2f", accuracy_per_gflop(size, score)));
    }
    for (size_t i = 0; i < cells.size(); ++i) columns[i].cells.push_back(cells[i]);
  }
  std::string out;
  for (size_t row = 0; row <= sizes.size(); ++row) {
    for (size_t i = 0; i < columns.size(); ++i) {
      size_t width = columns[i].title.size();
      for (const std::string& cell : columns[i].cells) width = std::max(width, cell.size());
      const std::string& cell = row == 0 ? columns[i].title : columns[i].cells[row - 1];
      out += i == 0 ? left(cell, width) : "  " + right(cell, width);
    }
    out += "\n";
  }
  return out;
}

std::string accounting_json(const std::vector<ModelSize>& sizes, const AccountingOptions& options) {
  check_scores(sizes, options);
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const ModelSize& size : sizes) {
    const int64_t context = context_of(size, options);
    nlohmann::ordered_json j;
    j["name"] = size.name;
    j["family"] = size.family;
    j["layers"] = size.n_layers;
    j["moe_layers"] = size.moe_layers;
    j["n_experts"] = size.n_experts;
    j["top_k"] = size.top_k;
    j["total"] = size.total();
    j["active"] = size.active();
    for (const ModelPart& part : size.parts)
      j["parts"].push_back({{"name", part.name}, {"total", part.total}, {"active", part.active}});
    j["inference_flops_per_token"] = size.inference_flops();
    j["training_flops_per_token"] = size.training_flops();
    j["context"] = context;
    if (!size.attention.empty()) {
      j["exact_inference_flops_per_token"] = size.forward_flops(context);
      j["exact_training_flops_per_token"] = size.exact_training_flops(context);
      j["cache_bytes_per_token_bf16"] = size.cache_bytes(1, 2);
    }
    for (const WeightFormat& f : kWeightFormats)
      j["weight_bytes"][f.name] = f.bytes * static_cast<double>(size.total());
    const TrainingMemory m = training_memory(size, options.micro_batch);
    j["training_bytes"] = {{"state", m.state},
                           {"micro_batch_tokens", options.micro_batch},
                           {"activations", m.activations},
                           {"activations_recomputed", m.recomputed}};
    if (options.tokens > 0)
      j["training_run"] = {{"tokens", options.tokens},
                           {"flops", size.training_flops() * options.tokens},
                           {"petaflop_days", petaflop_days(size, options.tokens)}};
    const double score = score_of(size, options);
    if (!std::isnan(score)) j["score"] = score, j["score_per_gflop"] = accuracy_per_gflop(size, score);
    list.push_back(std::move(j));
  }
  return (list.size() == 1 ? list[0] : list).dump(2, ' ', false, nlohmann::json::error_handler_t::replace) +
         "\n";
}

}  // namespace lyceum
