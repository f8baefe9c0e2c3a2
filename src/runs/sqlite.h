// A thin hold on SQLite: a connection and prepared statements that throw Error. For .cc files of this folder.
#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <string>

#include "base/error.h"

namespace lyceum {

class Sqlite {
 public:
  Sqlite(const std::string& path, bool read_only);
  ~Sqlite() { sqlite3_close_v2(db_); }
  Sqlite(const Sqlite&) = delete;
  Sqlite& operator=(const Sqlite&) = delete;

  void run(const char* sql);
  sqlite3* handle() const { return db_; }
  // Throws the last error of this connection, with the file's name and what to do.
  [[noreturn]] void fail_last() const;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
  sqlite3* db_ = nullptr;
};

// An open statement holds its view of the database: let it go before a transaction begins.
class Statement {
 public:
  Statement(const Sqlite& db, const char* sql) : db_(db) {
    if (sqlite3_prepare_v2(db.handle(), sql, -1, &statement_, nullptr) != SQLITE_OK) db.fail_last();
  }
  ~Statement() { sqlite3_finalize(statement_); }
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;

  template <class... Values>
  Statement& bind(const Values&... values) {
    int at = 0;
    (bind_one(++at, values), ...);
    return *this;
  }
  // True while there is a row.
  bool step() {
    const int result = sqlite3_step(statement_);
    if (result == SQLITE_ROW) return true;
    if (result != SQLITE_DONE) db_.fail_last();
    return false;
  }
  std::string text(int column) const {
    const auto* p = sqlite3_column_text(statement_, column);
    return p ? std::string(reinterpret_cast<const char*>(p),
                           static_cast<size_t>(sqlite3_column_bytes(statement_, column)))
             : std::string();
  }
  int64_t integer(int column) const { return sqlite3_column_int64(statement_, column); }
  double real(int column) const { return sqlite3_column_double(statement_, column); }

 private:
  void bind_one(int at, const std::string& s) {
    sqlite3_bind_text(statement_, at, s.data(), static_cast<int>(s.size()), SQLITE_TRANSIENT);
  }
  void bind_one(int at, int64_t x) { sqlite3_bind_int64(statement_, at, x); }
  void bind_one(int at, double x) { sqlite3_bind_double(statement_, at, x); }
  const Sqlite& db_;
  sqlite3_stmt* statement_ = nullptr;
};

// A write that is all or nothing; takes the write lock at once, so that it never fails half way.
class Transaction {
 public:
  explicit Transaction(Sqlite& db) : db_(db) { db_.run("BEGIN IMMEDIATE"); }
  ~Transaction() {
    if (!done_) sqlite3_exec(db_.handle(), "ROLLBACK", nullptr, nullptr, nullptr);
  }
  void commit() { db_.run("COMMIT"), done_ = true; }

 private:
  Sqlite& db_;
  bool done_ = false;
};

}  // namespace lyceum
