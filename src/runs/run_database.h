// The runs of a folder of runs: runs.db (SQLite) beside the run folders.
//
// Several trainers may write while `lyceum runs` reads: write-ahead log, waits of at most five seconds, one
// short transaction a call. The files in a run's folder stay the truth; the database is the index that makes
// them comparable. A run whose process is gone without having said goodbye shows as "died".
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "runs/metrics.h"

namespace lyceum {

// A curve of at most kMost points: when it is full, neighbours are merged, so each point is the mean of
// `stride` rows in a row and the points stay evenly spaced.
class RunCurve {
 public:
  static constexpr size_t kMost = 512;
  struct Point {
    double step = 0, tokens = 0, loss = 0, tokens_per_second = 0;
    bool operator==(const Point&) const = default;
  };
  void add(const Point& p);
  // Whole points and, last, the one that is not full yet.
  std::vector<Point> points() const;
  std::string json() const;
  static RunCurve from_json(const std::string& text);  // what it cannot read is left out

 private:
  void merge_neighbours();
  std::vector<Point> whole_;
  Point open_;           // sums
  int64_t in_open_ = 0;  // rows in open_
  int64_t stride_ = 1;
};

struct RunInfo {
  std::string id;      // 8 hexadecimal digits, given by begin()
  std::string name;    // of the recipe or the user
  std::string folder;  // relative to the database's folder when inside it
  std::string config;  // JSON
  std::string config_hash;
  std::string version;  // git describe of the program
  std::string cpu, host;
  double started = 0, ended = 0;                   // seconds since 1970; ended 0 while it runs
  std::string status;                              // running, finished, stopped, failed, died
  std::string note;                                // why it failed
  int64_t step = 0, total_steps = 0, resumed = 0;  // resumed: how often
  std::string last;                                // the last row of metrics, as in metrics.jsonl
  RunCurve curve;
};

class RunDatabase {
 public:
  // Opens ROOT/runs.db; made when absent unless `read_only` (then kNotFound). Throws kCorruptData naming the
  // file when it is not such a database, kUnsupported when a newer program wrote it.
  explicit RunDatabase(const std::string& root, bool read_only = false);
  ~RunDatabase();
  RunDatabase(RunDatabase&&) noexcept;

  // Registers a run as running and returns its id. A run of the same folder that had already begun is gone on
  // with when `resume` (same id, counted), else replaced.
  std::string begin(const RunInfo& run, bool resume);
  // `last` is a line of metrics.jsonl.
  void update(const std::string& id, int64_t step, const std::string& last, const RunCurve& curve);
  void finish(const std::string& id, const std::string& status, const std::string& note);

  std::vector<RunInfo> list() const;  // latest start first
  // The run with this id, name or folder (the latest of several of one name), or a
  // beginning of id or name that no other run has;
  // "last" is the latest. Throws kNotFound (with the nearest name) or kInvalidArgument (ambiguous).
  RunInfo find(const std::string& what) const;
  void remove(const std::string& id);
  const std::string& root() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Folder of the run as a path from the working directory.
std::string run_folder(const std::string& root, const RunInfo& run);

}  // namespace lyceum
