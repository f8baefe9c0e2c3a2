#include "train/progress_line.h"

#include <algorithm>
#include <cstdio>

#include "base/log.h"

namespace lyceum {

std::string step_note(const StepMetrics& row) {
  double worst = 0;
  for (const LayerMetrics& l : row.layers) worst = std::max(worst, l.load_max_over_mean);
  char text[200];
  int n = std::snprintf(text, sizeof text, "step %lld  loss %.3f  %s tokens/s  %.*f TFLOP/s",
                        static_cast<long long>(row.step), row.loss,
                        human_count(row.tokens_per_second).c_str(), row.tflops < 0.1 ? 3 : 2, row.tflops);
  std::string out(text, static_cast<size_t>(n));
  if (row.share_of_peak > 0) {
    n = std::snprintf(text, sizeof text, " (%.0f %% of peak)", 100 * row.share_of_peak);
    out.append(text, static_cast<size_t>(n));
  }
  if (worst > 0) {
    n = std::snprintf(text, sizeof text, "  worst load %.1fx", worst);
    out.append(text, static_cast<size_t>(n));
  }
  return out;
}

void ProgressLine::on_start(const TrainStart& s) {
  log_info("train", s.config.model.family, ", ", human_count(static_cast<double>(s.active_parameters)),
           " of ", human_count(static_cast<double>(s.parameters)), " parameters see a token; ",
           s.memory.text());
  if (s.forecast.step_seconds > 0) log_info("train", s.forecast.text());
  if (s.resumed_step > 0) log_info("train", "resumed after step ", s.resumed_step);
}

void ProgressLine::on_step(const StepReport& r) {
  const bool first = !bar_;
  if (first) bar_ = std::make_unique<Progress>("train", r.total, r.by_time ? "s" : "steps");
  const double keep = first ? 0 : 0.9;
  StepMetrics smooth = r.row;
  smooth.loss = loss_ = keep * loss_ + (1 - keep) * r.row.loss;
  smooth.tokens_per_second = speed_ = keep * speed_ + (1 - keep) * r.row.tokens_per_second;
  smooth.tflops = flops_ = keep * flops_ + (1 - keep) * r.row.tflops;
  smooth.share_of_peak = share_ = keep * share_ + (1 - keep) * r.row.share_of_peak;
  bar_->update(r.done * r.total, step_note(smooth));
  if (r.done >= 1) bar_->finish(step_note(smooth));
}

void ProgressLine::on_held_out(int64_t step, const NamedNumbers& values) {
  std::string text;
  for (const auto& [name, value] : values) {
    char number[32];
    std::snprintf(number, sizeof number, " %.3f", value);
    text += (text.empty() ? "" : ", ") + name + number;
  }
  log_info("train", "step ", step, " held out, bits per byte: ", text);
}

void ProgressLine::on_checkpoint(int64_t step, const std::string& folder) {
  log_info("train", "step ", step, " saved in ", folder);
}

}  // namespace lyceum
