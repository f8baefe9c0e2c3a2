#include "runs/sqlite.h"

namespace lyceum {

Sqlite::Sqlite(const std::string& path, bool read_only) : path_(path) {
  const int flags = read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
  const auto open = [&](const std::string& name, int more) {
    sqlite3_close_v2(db_);
    db_ = nullptr;
    if (sqlite3_open_v2(name.c_str(), &db_, flags | more, nullptr) != SQLITE_OK) return false;
    sqlite3_busy_timeout(db_, 5000);
    return sqlite3_exec(db_, "SELECT 1 FROM sqlite_master", nullptr, nullptr, nullptr) == SQLITE_OK;
  };
  bool ok = open(path, 0);
  // A database on a read-only disk has no place for its shared index: read it as a file that nobody changes.
  if (!ok && read_only && sqlite3_errcode(db_) != SQLITE_NOTADB) {
    std::string uri = "file:";
    for (char c : path)
      if (c == '%' || c == '?' || c == '#') {
        char hex[4];
        std::snprintf(hex, sizeof hex, "%%%02X", static_cast<unsigned char>(c));
        uri += hex;
      } else {
        uri += c;
      }
    ok = open(uri + "?immutable=1", SQLITE_OPEN_URI);
  }
  if (!ok) {
    try {
      fail_last();
    } catch (...) {
      sqlite3_close_v2(db_);
      throw;
    }
  }
}

void Sqlite::run(const char* sql) {
  if (sqlite3_exec(db_, sql, nullptr, nullptr, nullptr) != SQLITE_OK) fail_last();
}

void Sqlite::fail_last() const {
  const int code = db_ ? sqlite3_errcode(db_) & 255 : SQLITE_NOMEM;
  const std::string reason = db_ ? sqlite3_errmsg(db_) : "out of memory";
  switch (code) {
    case SQLITE_NOTADB:
    case SQLITE_CORRUPT:
      fail(ErrorKind::kCorruptData, "runs", path_, " is not a whole SQLite database (", reason,
           "); move it away, the runs' own folders are not touched");
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      fail(ErrorKind::kIo, "runs", path_,
           " is held by another process for more than five seconds; try again");
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_CANTOPEN:
      fail(ErrorKind::kIo, "runs", path_, " cannot be opened or written (", reason,
           "); choose a folder you may write to");
    case SQLITE_FULL:
      fail(ErrorKind::kIo, "runs", path_, ": the disk is full; free some space");
    default:
      fail(ErrorKind::kIo, "runs", path_, ": ", reason);
  }
}

}  // namespace lyceum
