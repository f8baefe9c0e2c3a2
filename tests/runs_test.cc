// runs/: metrics.jsonl, TensorBoard files, plots. Oracles: the values written, JSON read by nlohmann, the
// check value of CRC-32C in RFC 3720, the tensorboard package itself (where it is installed), /dev/full.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "runs/event_file.h"
#include "runs/metrics.h"
#include "runs/plot.h"

namespace lyceum {
namespace {

namespace fs = std::filesystem;

struct Folder {
  std::string path;
  Folder() {
    std::string pattern = (fs::temp_directory_path() / "lyceum_runs_XXXXXX").string();
    path = ::mkdtemp(pattern.data());
  }
  ~Folder() { fs::remove_all(path); }
  std::string operator/(const std::string& name) const { return path + "/" + name; }
};

StepMetrics row_at(int64_t step) {
  StepMetrics row;
  row.step = step;
  row.tokens = step * 4096;
  row.loss = 9.0 / static_cast<double>(step) + 1.0 / 3;
  row.lr = 1e-4 * static_cast<double>(step);
  row.gradient_norm = 0.7;
  row.tokens_per_second = 12345.678;
  row.tflops = 1.5;
  row.share_of_peak = 0.41;
  row.memory_bytes = 3e9;
  row.seconds = 0.33;
  row.layers = {{1.5, 2.0, 1, 0.01, 0.002, 0}, {2.5, 1.0, 0, 0.02, 0.004, 0.125}};
  return row;
}

void expect_same(const StepMetrics& a, const StepMetrics& b) {
  EXPECT_EQ(a.step, b.step);
  EXPECT_EQ(a.tokens, b.tokens);
  for (const char* name : {"loss", "lr", "gradient_norm", "tokens_per_second", "tflops", "share_of_peak",
                           "memory_bytes", "seconds"})
    EXPECT_EQ(metric_value(a, name), metric_value(b, name)) << name;
  EXPECT_EQ(a.layers, b.layers);
  EXPECT_EQ(a.skipped, b.skipped);
  EXPECT_EQ(a.skip_reason, b.skip_reason);
  EXPECT_EQ(a.held_out, b.held_out);
  EXPECT_EQ(a.extra, b.extra);
}

std::vector<int64_t> steps_of(const MetricsFile& file) {
  std::vector<int64_t> steps;
  for (const StepMetrics& row : file.rows) steps.push_back(row.step);
  return steps;
}

std::string message_of(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}

TEST(Metrics, ComeBackBitForBitThroughTheFile) {
  Folder folder;
  std::vector<StepMetrics> rows = {row_at(1), row_at(2)};
  rows[1].held_out = {{"prose", 1.9}, {"c \"quoted\"\n", 0.8}};
  rows[1].extra = {{"muon_lr", 0.02}};
  rows[1].skipped = true;
  rows[1].skip_reason = "loss is not finite";
  {
    MetricsWriter writer(folder / "deep/run/metrics.jsonl", 0);
    for (const StepMetrics& row : rows) writer.write(row);
  }
  const MetricsFile file = read_metrics(folder / "deep/run/metrics.jsonl");
  ASSERT_EQ(file.rows.size(), 2u);
  for (size_t i = 0; i < 2; ++i) expect_same(file.rows[i], rows[i]);
  EXPECT_FALSE(file.torn_tail);
  EXPECT_EQ(file.unreadable_lines, 0);
}

TEST(Metrics, KeepTheKeysThatTheirHeaderPromises) {
  const auto j = nlohmann::json::parse(metrics_line(row_at(3)));
  for (const char* key :
       {"step", "tokens", "loss", "lr", "gradient_norm", "tokens_per_second", "tflops", "share_of_peak",
        "memory_bytes", "seconds", "skipped", "skip_reason", "load_max_over_mean", "router_entropy",
        "dead_experts", "balance_loss", "z_loss", "dropped"})
    EXPECT_TRUE(j.contains(key)) << key;
  EXPECT_EQ(j["load_max_over_mean"], (std::vector<double>{1.5, 2.5}));
  EXPECT_EQ(j.size(), 18u);
}

TEST(Metrics, NumbersThatAreNotFiniteAreNullInJsonAndNanWhenRead) {
  StepMetrics row = row_at(1);
  row.loss = std::nan("");
  row.gradient_norm = INFINITY;
  EXPECT_TRUE(nlohmann::json::parse(metrics_line(row))["loss"].is_null());
  StepMetrics back;
  ASSERT_TRUE(parse_metrics_line(metrics_line(row), back));
  EXPECT_TRUE(std::isnan(back.loss));
  EXPECT_TRUE(std::isnan(back.gradient_norm));
}

TEST(Metrics, ResumingCutsTheRowsBehindTheCheckpoint) {
  Folder folder;
  const std::string path = folder / "metrics.jsonl";
  {
    MetricsWriter writer(path, 0);
    for (int64_t step = 1; step <= 10; ++step) writer.write(row_at(step));
  }
  {
    MetricsWriter writer(path, 6);
    writer.write(row_at(7));
  }
  EXPECT_EQ(steps_of(read_metrics(path)), (std::vector<int64_t>{1, 2, 3, 4, 5, 6, 7}));
  { MetricsWriter writer(path, 0); }
  EXPECT_TRUE(read_metrics(path).rows.empty());
}

TEST(Metrics, ATornLastLineIsLeftOutByReadersAndCutByTheNextWriterWhereverItIsTorn) {
  Folder folder;
  const std::string path = folder / "metrics.jsonl";
  const std::string whole = metrics_line(row_at(1)) + "\n", last = metrics_line(row_at(2)) + "\n";
  for (size_t cut = 0; cut < last.size(); ++cut) {
    write_file(path, whole + last.substr(0, cut));
    const MetricsFile file = read_metrics(path);
    ASSERT_EQ(steps_of(file), (std::vector<int64_t>{1})) << cut;
    ASSERT_EQ(file.torn_tail, cut > 0);
    if (cut % 37 != 0) continue;
    MetricsWriter(path, 2).write(row_at(3));
    ASSERT_EQ(steps_of(read_metrics(path)), (std::vector<int64_t>{1, 3})) << cut;
  }
}

TEST(Metrics, GarbageBetweenRowsIsSkippedAndCounted) {
  Folder folder;
  const std::string path = folder / "metrics.jsonl";
  std::string hostile = metrics_line(row_at(1)) + "\n";
  hostile += "not json\n\n[1,2]\n{\"step\":\"x\"}\n" + std::string(100000, '[') + "\n";
  hostile += std::string("\0\xff\xfe\n", 4);
  hostile +=
      "{\"step\":2,\"loss\":\"high\",\"held_out\":[1],\"load_max_over_mean\":{\"a\":1},\"z_loss\":[null,3]}"
      "\n";
  write_file(path, hostile);
  const MetricsFile file = read_metrics(path);
  EXPECT_EQ(steps_of(file), (std::vector<int64_t>{1, 2}));
  EXPECT_EQ(file.unreadable_lines, 6);
  EXPECT_TRUE(std::isnan(file.rows[1].loss));
  EXPECT_EQ(file.rows[1].layers.size(), 2u);
  EXPECT_EQ(file.rows[1].layers[1].z_loss, 3);
}

TEST(Metrics, AWriterKilledAtAnyMomentLeavesOnlyWholeRowsAndATail) {
  Folder folder;
  const std::string path = folder / "metrics.jsonl";
  for (int round = 0; round < 20; ++round) {
    const pid_t child = ::fork();
    if (child == 0) {
      MetricsWriter writer(path, 0);
      for (int64_t step = 1;; ++step) writer.write(row_at(step));
    }
    ::usleep(static_cast<useconds_t>(500 + 700 * round));
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    if (!file_exists(path)) continue;
    const MetricsFile file = read_metrics(path);
    EXPECT_EQ(file.unreadable_lines, 0);
    for (size_t i = 0; i < file.rows.size(); ++i) ASSERT_EQ(file.rows[i].step, static_cast<int64_t>(i + 1));
  }
}

TEST(Metrics, ASecondWriterOfTheSameRunIsRefusedWithTheReason) {
  Folder folder;
  MetricsWriter first(folder / "metrics.jsonl", 0);
  first.write(row_at(1));
  const std::string said = message_of([&] { MetricsWriter(folder / "metrics.jsonl", 0); });
  EXPECT_NE(said.find("another process is writing this run"), std::string::npos) << said;
  EXPECT_EQ(read_metrics(folder / "metrics.jsonl").rows.size(), 1u);  // nothing was cut
}

TEST(Metrics, AFullDiskIsOneClearLine) {
  if (!file_exists("/dev/full") && !fs::exists("/dev/full")) GTEST_SKIP() << "no /dev/full here";
  AppendFile file("/dev/full", 0);
  const std::string said = message_of([&] { file.append("x\n"); });
  EXPECT_NE(said.find("free some space"), std::string::npos) << said;
}

TEST(Metrics, NamesReachEveryNumberOfARow) {
  StepMetrics row = row_at(4);
  row.held_out = {{"prose", 1.9}};
  row.extra = {{"muon_lr", 0.02}};
  for (const std::string& name : metric_names({row}))
    EXPECT_TRUE(std::isfinite(metric_value(row, name))) << name;
  EXPECT_EQ(metric_value(row, "worst_load"), 2.5);
  EXPECT_EQ(metric_value(row, "mean_entropy"), 1.5);
  EXPECT_EQ(metric_value(row, "dead_experts"), 1);
  EXPECT_EQ(metric_value(row, "held_out.prose"), 1.9);
  EXPECT_TRUE(std::isnan(metric_value(row, "no_such")));
}

TEST(Events, TheChecksumIsCastagnolis) {
  EXPECT_EQ(crc32c("123456789", 9), 0xe3069283u);                    // the check value of the polynomial
  EXPECT_EQ(crc32c(std::string(32, '\0').data(), 32), 0x8a9136aau);  // RFC 3720, B.4
  EXPECT_EQ(crc32c(std::string(32, '\xff').data(), 32), 0x62a8ab43u);
}

// What the real TensorBoard reads from `folder`; skips the test when it is not installed.
std::string read_by_tensorboard(const std::string& folder) {
  const std::string command =
      std::string("python3 " LYCEUM_SOURCE_DIR "/tools/check_events.py ") + folder + " 2>/dev/null";
  FILE* pipe = ::popen(command.c_str(), "r");
  std::string out;
  char text[4096];
  for (size_t n; (n = std::fread(text, 1, sizeof text, pipe)) > 0;) out.append(text, n);
  const int status = ::pclose(pipe);
  if (WIFEXITED(status) && (WEXITSTATUS(status) == 77 || WEXITSTATUS(status) == 127)) return "absent";
  EXPECT_EQ(status, 0);
  return out;
}

TEST(Events, TensorBoardReadsEveryNumberAndForgetsTheStepsThatAResumedRunRepeats) {
  Folder folder;
  {
    EventWriter writer(folder.path, 0);
    for (int64_t step = 1; step <= 5; ++step) writer.step(row_at(step));
    writer.histogram(5, "load", std::vector<double>{3, 0, 1});
    writer.text(0, "config", "**bold**");
  }
  {
    EventWriter writer(folder.path, 3);
    StepMetrics row = row_at(4);
    row.loss = 0.25;
    row.held_out = {{"prose", 1.5}};
    writer.step(row);
  }
  const std::string read = read_by_tensorboard(folder.path);
  if (read == "absent") GTEST_SKIP() << "the Python package tensorboard is not installed";
  for (const char* line :
       {"train/loss 3 3.33333325", "train/loss 4 0.25\n", "load_max_over_mean/layer_01 4 2.5\n",
        "held_out_bits_per_byte/prose 4 1.5\n", "experts/worst_load 1 2.5\n", "**bold**"})
    EXPECT_NE(read.find(line), std::string::npos) << line << "\n" << read;
  EXPECT_EQ(read.find("train/loss 5"), std::string::npos) << read;
}

TEST(Events, AHistogramOfLoadsArrivesByExpert) {
  Folder folder;
  { EventWriter(folder.path, 0).histogram(5, "load", std::vector<double>{3, 0, 1}); }
  const std::string read = read_by_tensorboard(folder.path);
  if (read == "absent") GTEST_SKIP() << "the Python package tensorboard is not installed";
  EXPECT_NE(read.find("load 5 4.0 [3.0, 0.0, 1.0]"), std::string::npos) << read;
}

TEST(Plot, DrawsARisingLineFromTheLowerLeftToTheUpperRight) {
  PlotOptions options{.title = "loss", .x_label = "step", .width = 16, .height = 4, .unicode = false};
  const std::string text = plot_text({{"a", {0, 1, 2, 3}, {0, 1, 2, 3}}}, options);
  EXPECT_EQ(text,
            "  loss\n"
            "        3 +             ***\n"
            "          |        *****\n"
            "          |   *****\n"
            "        0 +***\n"
            "          +----------------\n"
            "           0     step     3\n");
}

TEST(Plot, SaysSoWhenThereIsNothingAndSurvivesOnePointNanAndNegativesOnALogScale) {
  EXPECT_EQ(plot_text({{"a", {1}, {NAN}}}, {.title = "loss"}), "loss: nothing to draw\n");
  EXPECT_NE(plot_text({{"a", {1}, {2}}}, {.title = "t"}).find("\u2524"), std::string::npos);
  EXPECT_NE(plot_text({{"a", {1, 2, 3}, {-1, 10, 100}}}, {.title = "t", .log_y = true}).find("100"),
            std::string::npos);
}

}  // namespace
}  // namespace lyceum
