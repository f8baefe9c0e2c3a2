// The run database, the recorder and comparisons. Oracles: the values given, the sqlite file opened by a
// second connection, processes that are really killed.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "runs/compare.h"
#include "runs/run_recorder.h"

namespace lyceum {
namespace {

namespace fs = std::filesystem;

struct Folder {
  std::string path;
  Folder() {
    std::string pattern = (fs::temp_directory_path() / "lyceum_database_XXXXXX").string();
    path = ::mkdtemp(pattern.data());
  }
  ~Folder() { fs::remove_all(path); }
  std::string operator/(const std::string& name) const { return path + "/" + name; }
};

std::string message_of(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}

RunInfo run_named(const Folder& folder, const std::string& name) {
  RunInfo run;
  run.name = name;
  run.folder = folder / name;
  run.config = R"({"model": {"n_experts": 8, "top_k": 2}, "optimizer": {"lr": 0.0004}})";
  run.config_hash = "abc";
  run.version = "v1";
  run.cpu = "a CPU";
  run.total_steps = 100;
  return run;
}

StepMetrics row_at(int64_t step, double loss) {
  StepMetrics row;
  row.step = step, row.tokens = step * 100, row.loss = loss, row.tokens_per_second = 1000;
  return row;
}

TEST(RunDatabase, GivesBackWhatARunWrote) {
  Folder folder;
  RunDatabase database(folder.path);
  const std::string id = database.begin(run_named(folder, "first"), false);
  RunCurve curve;
  curve.add({1, 100, 5.5, 1000});
  database.update(id, 1, metrics_line(row_at(1, 5.5)), curve);
  const RunInfo run = RunDatabase(folder.path, /*read_only=*/true).find("first");
  EXPECT_EQ(run.id, id);
  EXPECT_EQ(run.folder, "first");
  EXPECT_EQ(run_folder(folder.path, run), folder / "first");
  EXPECT_EQ(run.config, run_named(folder, "first").config);
  EXPECT_EQ(run.step, 1);
  EXPECT_EQ(run.total_steps, 100);
  EXPECT_EQ(run.status, "running");
  EXPECT_EQ(run.curve.points(), curve.points());
  database.finish(id, "failed", "disk full");
  EXPECT_EQ(database.find(id).status, "failed");
  EXPECT_EQ(database.find(id).note, "disk full");
  EXPECT_GE(database.find(id).ended, database.find(id).started);
}

TEST(RunDatabase, AResumedRunKeepsItsIdAndAFreshOneInTheSameFolderReplacesIt) {
  Folder folder;
  RunDatabase database(folder.path);
  const std::string id = database.begin(run_named(folder, "a"), false);
  database.finish(id, "stopped", "");
  EXPECT_EQ(database.begin(run_named(folder, "a"), true), id);
  EXPECT_EQ(database.find("a").resumed, 1);
  EXPECT_EQ(database.find("a").status, "running");
  EXPECT_NE(database.begin(run_named(folder, "a"), false), id);
  EXPECT_EQ(database.list().size(), 1u);
}

TEST(RunDatabase, FindsByNameIdPrefixFolderAndLast) {
  Folder folder;
  RunDatabase database(folder.path);
  const std::string a = database.begin(run_named(folder, "olmoe-small"), false);
  const std::string b = database.begin(run_named(folder, "dense"), false);
  EXPECT_EQ(database.find("olmoe-small").id, a);
  EXPECT_EQ(database.find(a.substr(0, 6)).id, a);
  EXPECT_EQ(database.find(folder / "dense").id, b);
  EXPECT_EQ(database.find("last").id, b);
  EXPECT_EQ(database.find("olmoe").id, a);
  database.begin(run_named(folder, "olmoe-large"), false);
  EXPECT_NE(message_of([&] { database.find("olmoe"); }).find("begins several runs"), std::string::npos);
  EXPECT_NE(message_of([&] { database.find("olmoe-smale"); }).find("did you mean olmoe-small?"),
            std::string::npos);
}

TEST(RunDatabase, ARunWhoseProcessWasKilledShowsAsDied) {
  Folder folder;
  const pid_t child = ::fork();
  if (child == 0) {
    RunRecorder recorder({.folder = folder / "run", .run = run_named(folder, "run")});
    recorder.step(row_at(1, 2.0));
    ::kill(::getpid(), SIGKILL);
  }
  ::waitpid(child, nullptr, 0);
  RunDatabase database(folder.path, true);
  EXPECT_EQ(database.find("run").status, "died");
  EXPECT_EQ(read_metrics(folder / "run/metrics.jsonl").rows.size(), 1u);
}

TEST(RunDatabase, ManyProcessesWriteAtOnceAndNothingIsLost) {
  Folder folder;
  std::vector<pid_t> children;
  for (int i = 0; i < 6; ++i) {
    const pid_t child = ::fork();
    if (child != 0) {
      children.push_back(child);
      continue;
    }
    try {
      RunDatabase database(folder.path);
      const std::string id = database.begin(run_named(folder, "run" + std::to_string(i)), false);
      RunCurve curve;
      for (int64_t step = 1; step <= 30; ++step)
        database.update(id, step, metrics_line(row_at(step, 1)), curve);
      database.finish(id, "finished", "");
      ::_exit(0);
    } catch (const Error& e) {
      std::fprintf(stderr, "%s\n", e.what());
      ::_exit(1);
    }
  }
  for (const pid_t child : children) {
    int status = 0;
    ::waitpid(child, &status, 0);
    EXPECT_EQ(status, 0);
  }
  const std::vector<RunInfo> runs = RunDatabase(folder.path, true).list();
  ASSERT_EQ(runs.size(), 6u);
  for (const RunInfo& run : runs) {
    EXPECT_EQ(run.step, 30);
    EXPECT_EQ(run.status, "finished");
  }
}

TEST(RunDatabase, AFileThatIsNoDatabaseAndAFolderWithoutOneAreClearLines) {
  Folder folder;
  EXPECT_NE(message_of([&] { RunDatabase(folder.path, true); }).find("no runs in"), std::string::npos);
  write_file(folder / "runs.db", std::string(4096, 'x'));
  for (const bool read_only : {true, false})
    EXPECT_NE(message_of([&] { RunDatabase(folder.path, read_only); }).find("not a whole SQLite database"),
              std::string::npos);
  EXPECT_EQ(read_file(folder / "runs.db"), std::string(4096, 'x'));
}

TEST(RunDatabase, ADatabaseOfANewerProgramIsRefused) {
  Folder folder;
  { RunDatabase database(folder.path); }
  ASSERT_EQ(std::system(("python3 -c \"import sqlite3; sqlite3.connect('" + (folder / "runs.db") +
                         "').execute('PRAGMA user_version=7')\" 2>/dev/null")
                            .c_str()),
            0);
  EXPECT_NE(message_of([&] { RunDatabase database(folder.path); }).find("newer program (schema 7"),
            std::string::npos);
}

TEST(RunCurve, KeepsAtMostItsPointsAndTheMeanOfAllRows) {
  RunCurve curve;
  const int n = 10000;
  double sum = 0;
  for (int i = 1; i <= n; ++i) {
    curve.add({static_cast<double>(i), i * 10.0, std::sqrt(i), 5});
    sum += std::sqrt(i);
  }
  const auto points = curve.points();
  EXPECT_LE(points.size(), RunCurve::kMost + 1);
  EXPECT_GE(points.size(), RunCurve::kMost / 2);
  // every point but the open last one stands for the same number of rows
  const double stride = points[1].step - points[0].step;
  double weighted = 0, rows = 0;
  for (size_t i = 0; i < points.size(); ++i) {
    const double here = i + 1 < points.size() ? stride : n - rows;
    weighted += points[i].loss * here;
    rows += here;
    if (i + 1 < points.size()) {
      EXPECT_DOUBLE_EQ(points[i].step, stride * (static_cast<double>(i) + 0.5) + 0.5);
    }
  }
  EXPECT_NEAR(weighted / sum, 1.0, 1e-12);
  EXPECT_EQ(RunCurve::from_json(curve.json()).points().size(), points.size());
  EXPECT_TRUE(RunCurve::from_json("{\"step\": 3, \"loss\": [[]]}").points().empty());
  curve.add({1, 1, NAN, 1});  // a skipped step
  EXPECT_EQ(curve.points(), points);
}

TEST(RunRecorder, WritesAllThreeAndResumesThem) {
  Folder folder;
  std::string id;
  {
    RunRecorder recorder({.folder = folder / "run", .run = run_named(folder, "run")});
    id = recorder.run_id();
    for (int64_t step = 1; step <= 8; ++step) {
      StepMetrics row = row_at(step, 10.0 - static_cast<double>(step));
      if (step == 4) row.held_out = {{"prose", 1.25}};
      recorder.step(row);
    }
    recorder.finish("stopped", "Ctrl-C");
  }
  EXPECT_EQ(RunDatabase(folder.path).find("run").note, "Ctrl-C");
  {
    RunRecorder recorder({.folder = folder / "run/", .resume_step = 5, .run = run_named(folder, "run")});
    EXPECT_EQ(recorder.run_id(), id);
    recorder.step(row_at(6, 1.0));
    recorder.finish("finished");
  }
  const RunInfo run = RunDatabase(folder.path, true).find("run");
  EXPECT_EQ(run.status, "finished");
  EXPECT_EQ(run.step, 6);
  EXPECT_EQ(run.curve.points().size(), 6u);
  StepMetrics last;
  ASSERT_TRUE(parse_metrics_line(run.last, last));
  EXPECT_EQ(metric_value(last, "held_out.prose"), 1.25);  // the latest score stays beside the latest step
  EXPECT_EQ(read_metrics(folder / "run/metrics.jsonl").rows.size(), 6u);
  EXPECT_EQ(list_directory(folder / "run/tensorboard").size(), 2u);
}

TEST(RunRecorder, TrainsOnWhenTheDatabaseCannotBeWritten) {
  Folder folder;
  write_file(folder / "runs.db",
             "this is not a database, and long enough to be seen as one. " + std::string(2000, ' '));
  set_log_level(LogLevel::kOff);
  RunRecorder recorder({.folder = folder / "run", .run = run_named(folder, "run")});
  recorder.step(row_at(1, 2.0));
  recorder.finish("finished");
  set_log_level(LogLevel::kInfo);
  EXPECT_EQ(recorder.run_id(), "");
  EXPECT_EQ(read_metrics(folder / "run/metrics.jsonl").rows.size(), 1u);
}

TEST(Compare, ShowsOnlyKeysThatDifferAndMarksTheBetterRun) {
  Folder folder;
  RunInfo a = run_named(folder, "a"), b = run_named(folder, "b");
  b.config = R"({"model": {"n_experts": 16, "top_k": 2}, "optimizer": {"lr": 0.0004, "momentum": 0.9}})";
  StepMetrics ra = row_at(10, 3.5), rb = row_at(10, 3.25);
  ra.held_out = {{"prose", 1.5}}, rb.held_out = {{"prose", 1.75}};
  a.last = metrics_line(ra), b.last = metrics_line(rb);
  const RunComparison c = compare_runs({a, b});
  ASSERT_EQ(c.config.size(), 2u);
  EXPECT_EQ(c.config[0].key, "model.n_experts");
  EXPECT_EQ(c.config[0].values, (std::vector<std::string>{"8", "16"}));
  EXPECT_EQ(c.config[1].key, "optimizer.momentum");
  EXPECT_EQ(c.config[1].values, (std::vector<std::string>{"-", "0.9"}));
  for (const auto& row : c.results) {
    if (row.key == "tokens/s") {
      EXPECT_EQ(row.best, -1);  // alike
    }
    if (row.key == "loss") {
      EXPECT_EQ(row.best, 1);
    }
    if (row.key == "held-out bits/byte prose") {
      EXPECT_EQ(row.best, 0);
    }
  }
  EXPECT_NE(comparison_text(c).find("1.5000 *"), std::string::npos) << comparison_text(c);
}

TEST(Compare, SurvivesRunsWithoutConfigurationOrMetrics) {
  const RunComparison c = compare_runs({RunInfo{}, RunInfo{}});
  EXPECT_TRUE(c.config.empty());
  EXPECT_NE(comparison_text(c).find("The configurations are the same."), std::string::npos);
}

}  // namespace
}  // namespace lyceum
