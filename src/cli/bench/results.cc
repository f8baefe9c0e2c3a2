#include "cli/bench/results.h"

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "base/threads.h"
#include "kernels/isa.h"

namespace lyceum::bench {
namespace {

// "0.152 TFLOP/s", "12.3 GB/s"; "" where no work is counted.
std::string speed(double rate, Limit limit) {
  if (rate <= 0) return "";
  char text[32];
  if (limit == Limit::kProducts || limit == Limit::kProductsF32)
    std::snprintf(text, sizeof text, "%.3f TFLOP/s", rate * 1e-12);
  else std::snprintf(text, sizeof text, "%.1f GB/s", rate * 1e-9);
  return text;
}

}  // namespace

std::string machine_text() {
  return cpu_info().name + ", level " + isa_name(isa_level()) + ", " + std::to_string(thread_count()) +
         (thread_count() == 1 ? " thread" : " threads");
}

void print_head() {
  std::printf("%-48s %10s %14s %14s %18s %8s\n", "case", "ms", "median", "best", "share", "samples");
}

void print_result(const Result& r) {
  char share[32] = "";
  if (r.share > 0) std::snprintf(share, sizeof share, "%.1f %% of %s", 100 * r.share, limit_name(r.limit));
  std::printf("%-48s %10.3f %14s %14s %18s %8zu\n", r.name.c_str(), 1e3 * r.seconds,
              speed(r.rate, r.limit).c_str(), speed(r.best, r.limit).c_str(), share, r.samples);
  std::fflush(stdout);
}

void write_results(const std::string& path, const std::vector<Result>& results) {
  if (path.empty()) return;
  nlohmann::ordered_json j = {{"cpu", cpu_info().name},
                              {"level", isa_name(isa_level())},
                              {"threads", thread_count()},
                              {"cases", nlohmann::ordered_json::array()}};
  for (const Result& r : results)
    j["cases"].push_back({{"name", r.name},
                          {"limit", limit_name(r.limit)},
                          {"unit", limit_unit(r.limit)},
                          {"seconds", r.seconds},
                          {"median", r.rate},
                          {"best", r.best},
                          {"share", r.share},
                          {"samples", r.samples}});
  write_file(path, j.dump(2) + "\n");
}

std::string rate_text(double flops, double seconds, double peak) {
  if (flops <= 0 || seconds <= 0) return "";
  char text[32];
  std::snprintf(text, sizeof text, "%.3f %3.0f%%", flops / seconds / 1e12, 100 * flops / seconds / peak);
  return text;
}

void print_profile(const Profile& profile, double steps, double total, double flops, double peak) {
  std::printf("%-22s %8s %12s %12s %8s %12s %12s\n", "op", "calls", "forward ms", "backward ms", "share",
              "fwd TFLOP/s", "bwd TFLOP/s");
  std::vector<Profile::Row> rows = profile.rows;
  std::sort(rows.begin(), rows.end(), [](const auto& a, const auto& b) {
    return a.forward_seconds + a.backward_seconds > b.forward_seconds + b.backward_seconds;
  });
  double sum = 0;
  for (const Profile::Row& r : rows) {
    const double seconds = r.forward_seconds + r.backward_seconds;
    sum += seconds;
    std::printf("%-22s %8.0f %12.2f %12.2f %7.1f%% %12s %12s\n", r.op.c_str(),
                static_cast<double>(r.calls) / steps, 1e3 * r.forward_seconds / steps,
                1e3 * r.backward_seconds / steps, 100 * seconds / total,
                rate_text(r.forward_flops, r.forward_seconds, peak).c_str(),
                rate_text(r.backward_flops, r.backward_seconds, peak).c_str());
  }
  std::printf("%-22s %8s %12.2f %12s %7.1f%%\n", "between ops", "", 1e3 * (total - sum) / steps, "",
              100 * (total - sum) / total);
  std::printf("%-22s %8s %12.2f %12s %8s %12s\n", "step", "", 1e3 * total / steps, "", "",
              rate_text(flops, total / steps, peak).c_str());
}

}  // namespace lyceum::bench
