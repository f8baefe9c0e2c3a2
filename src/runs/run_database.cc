#include "runs/run_database.h"

#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <thread>

#include "base/clock.h"
#include "base/error.h"
#include "base/fields.h"
#include "base/file.h"
#include "base/random.h"
#include "runs/sqlite.h"

namespace lyceum {
namespace fs = std::filesystem;

struct RunDatabase::State {
  State(const std::string& root_folder, bool read_only)
      : root(root_folder), db(root_folder + "/runs.db", read_only) {}
  std::string root;
  Sqlite db;
};

namespace {

constexpr int kSchema = 1;
constexpr const char* kCreate =
    "CREATE TABLE runs("
    " id TEXT PRIMARY KEY, name TEXT NOT NULL, folder TEXT NOT NULL, config TEXT NOT NULL,"
    " config_hash TEXT NOT NULL, version TEXT NOT NULL, cpu TEXT NOT NULL, host TEXT NOT NULL,"
    " started REAL NOT NULL, ended REAL NOT NULL DEFAULT 0, status TEXT NOT NULL, note TEXT NOT NULL DEFAULT "
    "'',"
    " step INTEGER NOT NULL DEFAULT 0, total_steps INTEGER NOT NULL DEFAULT 0,"
    " resumed INTEGER NOT NULL DEFAULT 0, last TEXT NOT NULL DEFAULT '', curve TEXT NOT NULL DEFAULT '',"
    " pid INTEGER NOT NULL, pid_started INTEGER NOT NULL);"
    "CREATE INDEX runs_folder ON runs(folder);"
    "PRAGMA user_version=1";
constexpr const char* kSelect =
    "SELECT id, name, folder, config, config_hash, version, cpu, host, started, ended, status, note, step,"
    " total_steps, resumed, last, curve, pid, pid_started FROM runs ";

std::string host_name() {
  char host[256] = "";
  return ::gethostname(host, sizeof host - 1) == 0 ? host : "";
}

// When process `pid` started, in clock ticks since boot (field 22 of /proc/PID/stat); 0 when it is gone. With
// it a later process of the same number is not taken for this one.
int64_t process_start(int64_t pid) {
  FILE* f = std::fopen(("/proc/" + std::to_string(pid) + "/stat").c_str(), "r");
  if (!f) return 0;
  char text[2048];
  const size_t n = std::fread(text, 1, sizeof text - 1, f);
  std::fclose(f);
  const std::string stat(text, n);
  size_t at = stat.rfind(')');  // the name may hold blanks
  for (int field = 2; field < 22 && at != std::string::npos; ++field) at = stat.find(' ', at + 1);
  return at == std::string::npos ? 0 : std::strtoll(stat.c_str() + at, nullptr, 10);
}

RunInfo row_of(const Statement& row) {
  RunInfo run;
  run.id = row.text(0), run.name = row.text(1), run.folder = row.text(2), run.config = row.text(3);
  run.config_hash = row.text(4), run.version = row.text(5), run.cpu = row.text(6), run.host = row.text(7);
  run.started = row.real(8), run.ended = row.real(9), run.status = row.text(10), run.note = row.text(11);
  run.step = row.integer(12), run.total_steps = row.integer(13), run.resumed = row.integer(14);
  run.last = row.text(15), run.curve = RunCurve::from_json(row.text(16));
  if (run.status == "running" && run.host == host_name()) {
    const int64_t started = process_start(row.integer(17));
    if (started == 0 || started != row.integer(18)) run.status = "died";
  }
  return run;
}

// Changing the journal needs the whole file for a moment, and SQLite does not wait for that by itself.
void use_write_ahead_log(Sqlite& db) {
  const double end = steady_seconds() + 5;
  for (;;) {
    if (sqlite3_exec(db.handle(), "PRAGMA journal_mode=WAL", nullptr, nullptr, nullptr) == SQLITE_OK) return;
    if ((sqlite3_errcode(db.handle()) & 255) != SQLITE_BUSY || steady_seconds() > end) db.fail_last();
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
}

int64_t schema_of(const Sqlite& db) {
  Statement version(db, "PRAGMA user_version");
  version.step();
  return version.integer(0);
}

std::string relative_folder(const std::string& root, const std::string& folder) {
  std::error_code error;
  const fs::path inside =
      fs::weakly_canonical(folder, error).lexically_relative(fs::weakly_canonical(root, error));
  const std::string text = inside.generic_string();
  return text.empty() || text.starts_with("..") ? fs::weakly_canonical(folder, error).string() : text;
}

}  // namespace

RunDatabase::RunDatabase(const std::string& root, bool read_only) {
  if (!read_only) real_files().make_directories(root);
  if (read_only && !file_exists(root + "/runs.db"))
    fail(ErrorKind::kNotFound, "runs", "no runs in ", quote(root), " (wanted ", root,
         "/runs.db); name the folder with --root, or train something first");
  state_ = std::make_unique<State>(root, read_only);
  Sqlite& db = state_->db;
  if (!read_only) use_write_ahead_log(db);
  const int64_t found = schema_of(db);
  if (found > kSchema)
    fail(ErrorKind::kUnsupported, "runs", db.path(), " was written by a newer program (schema ", found,
         ", this one knows ", kSchema, "); use that program, or another folder of runs");
  if (found == kSchema) return;
  if (read_only)
    fail(ErrorKind::kCorruptData, "runs", db.path(), " holds no runs; remove it and train again");
  Transaction transaction(db);
  if (schema_of(db) == 0) db.run(kCreate);  // another process may have made the table since
  transaction.commit();
}

RunDatabase::~RunDatabase() = default;
RunDatabase::RunDatabase(RunDatabase&&) noexcept = default;
const std::string& RunDatabase::root() const { return state_->root; }

std::string RunDatabase::begin(const RunInfo& run, bool resume) {
  Sqlite& db = state_->db;
  const std::string folder = relative_folder(state_->root, run.folder);
  const int64_t pid = ::getpid(), pid_started = process_start(pid);
  Transaction transaction(db);
  std::string id;
  if (resume) {
    Statement old(db, "SELECT id FROM runs WHERE folder=? ORDER BY started DESC LIMIT 1");
    if (old.bind(folder).step()) id = old.text(0);
  }
  if (!id.empty()) {
    Statement(
        db,
        "UPDATE runs SET name=?, config=?, config_hash=?, version=?, cpu=?, host=?, total_steps=?, pid=?,"
        " pid_started=?, status='running', note='', ended=0, resumed=resumed+1 WHERE id=?")
        .bind(run.name, run.config, run.config_hash, run.version, run.cpu, host_name(), run.total_steps, pid,
              pid_started, id)
        .step();
  } else {
    Statement(db, "DELETE FROM runs WHERE folder=?").bind(folder).step();
    RandomKey key =
        RandomKey(static_cast<uint64_t>(calendar_seconds() * 1e6)).with(static_cast<uint64_t>(pid));
    for (char c : folder) key = key.with(static_cast<unsigned char>(c));
    for (uint64_t attempt = 0;; ++attempt) {
      char text[16];
      std::snprintf(text, sizeof text, "%08x", static_cast<unsigned>(key.bits(attempt) >> 32));
      id = text;
      Statement taken(db, "SELECT 1 FROM runs WHERE id=?");
      if (!taken.bind(id).step()) break;
    }
    Statement(db,
              "INSERT INTO runs(id, name, folder, config, config_hash, version, cpu, host, started, status,"
              " total_steps, pid, pid_started) VALUES(?,?,?,?,?,?,?,?,?,'running',?,?,?)")
        .bind(id, run.name, folder, run.config, run.config_hash, run.version, run.cpu, host_name(),
              calendar_seconds(), run.total_steps, pid, pid_started)
        .step();
  }
  transaction.commit();
  return id;
}

void RunDatabase::update(const std::string& id, int64_t step, const std::string& last,
                         const RunCurve& curve) {
  Statement(state_->db, "UPDATE runs SET step=?, last=?, curve=? WHERE id=?")
      .bind(step, last, curve.json(), id)
      .step();
}

void RunDatabase::finish(const std::string& id, const std::string& status, const std::string& note) {
  Statement(state_->db, "UPDATE runs SET status=?, note=?, ended=? WHERE id=?")
      .bind(status, note, calendar_seconds(), id)
      .step();
}

void RunDatabase::remove(const std::string& id) {
  Statement(state_->db, "DELETE FROM runs WHERE id=?").bind(id).step();
}

std::vector<RunInfo> RunDatabase::list() const {
  std::vector<RunInfo> runs;
  std::string select = kSelect;
  select.append("ORDER BY started DESC, rowid DESC");
  Statement all(state_->db, select.c_str());
  while (all.step()) runs.push_back(row_of(all));
  return runs;
}

RunInfo RunDatabase::find(const std::string& what) const {
  const std::vector<RunInfo> runs = list();
  if (what == "last" && !runs.empty()) return runs[0];
  const std::string folder = relative_folder(state_->root, what);
  for (const RunInfo& run : runs)
    if (run.id == what || run.name == what || run.folder == what || run.folder == folder) return run;
  const RunInfo* match = nullptr;
  if (what.size() >= 2)
    for (const RunInfo& run : runs) {
      if (!run.id.starts_with(what) && !run.name.starts_with(what)) continue;
      check(!match, "runs", quote(what), " begins several runs (", match ? match->id + " " + match->name : "",
            ", ", run.id, " ", run.name, "); give more of it");
      match = &run;
    }
  if (match) return *match;
  std::vector<std::string> names;
  for (const RunInfo& run : runs) names.push_back(run.name);
  const std::string near = nearest_name(what, names);
  fail(ErrorKind::kNotFound, "runs", "no run ", quote(what), " in ", state_->db.path(),
       near.empty() ? "; `lyceum runs list` shows them" : "; did you mean " + near + "?");
}

std::string run_folder(const std::string& root, const RunInfo& run) {
  return fs::path(run.folder).is_absolute() ? run.folder : (fs::path(root) / run.folder).string();
}

}  // namespace lyceum
