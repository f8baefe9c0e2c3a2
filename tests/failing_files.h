// A file layer that misbehaves on purpose: it fails, dies, or loses its power at operation n.
//
//   kThrows  the operation throws kIo once (a write after half of its bytes, as on a full disk), later ones
//   work kFull    it throws and so does every later write or creation; renaming and removing still work kDies
//   the process is gone: half of a write arrives, then nothing happens any more (Died is thrown, and every
//            later operation, those of destructors included, throws it without doing anything)
//   kPower   as kDies, and whatever was not synced is lost: contents of files without sync are cut to half,
//   new
//            names, renames and removals in folders without sync are undone
//
// A test runs its writer for n = 0, 1, ... until it comes through, and looks at the folder with the real
// layer.
#pragma once

#include <gtest/gtest.h>

#include <unistd.h>
#include <filesystem>

#include <functional>
#include <set>

#include "base/error.h"
#include "base/file.h"

namespace lyceum {

struct Died {};

enum class Misbehaviour { kThrows, kFull, kDies, kPower };

class FailingFiles : public FileSystem {
 public:
  // `scratch`: a folder on the same disk, for what may have to be brought back.
  FailingFiles(Misbehaviour how, int64_t fail_at, std::string scratch)
      : how_(how), fail_at_(fail_at), scratch_(std::move(scratch)) {
    std::filesystem::create_directories(scratch_);
  }
  bool triggered() const { return operation_ > fail_at_; }

  std::unique_ptr<FileWriter> create(const std::string& path) override {
    step(true);
    auto real = real_files().create(path);
    undo_.push_back({parent(path), [path] { std::filesystem::remove_all(path); }});
    return std::make_unique<Writer>(*this, path, std::move(real));
  }
  void rename(const std::string& from, const std::string& to) override {
    step(false);
    std::string kept;
    if (std::filesystem::exists(std::filesystem::symlink_status(to))) {
      kept = scratch_ + "/" + std::to_string(next_++);
      copy(to, kept);
    }
    real_files().rename(from, to);
    undo_.push_back({parent(to), [=] {
                       std::filesystem::rename(to, from);
                       if (!kept.empty()) std::filesystem::rename(kept, to);
                     }});
    std::set<std::string> moved;
    for (const std::string& p : unsynced_)
      moved.insert(p == from || p.starts_with(from + "/") ? to + p.substr(from.size()) : p);
    unsynced_ = moved;
  }
  void remove_all(const std::string& path) override {
    step(false, [&] {  // half of a folder is gone, in no promised order
      size_t i = 0;
      if (directory_exists(path) && !std::filesystem::is_symlink(path))
        for (const std::string& name : list_directory(path))
          if (i++ % 2 == 0) std::filesystem::remove_all(path + "/" + name);
    });
    if (!std::filesystem::exists(std::filesystem::symlink_status(path))) return;
    const std::string kept = scratch_ + "/" + std::to_string(next_++);
    std::filesystem::rename(path, kept);
    undo_.push_back({parent(path), [=] { std::filesystem::rename(kept, path); }});
  }
  void make_directories(const std::string& path) override {
    step(true);
    if (directory_exists(path)) return;
    real_files().make_directories(path);
    undo_.push_back({parent(path), [path] { std::filesystem::remove_all(path); }});
  }
  void sync_directory(const std::string& path) override {
    step(false);
    std::erase_if(undo_, [&](const Undo& u) { return u.folder == path; });
  }
  void link(const std::string& target, const std::string& path) override {
    step(true);
    real_files().link(target, path);
    undo_.push_back({parent(path), [path] { std::filesystem::remove(path); }});
  }

 private:
  struct Undo {
    std::string folder;
    std::function<void()> undo;
  };
  class Writer : public FileWriter {
   public:
    Writer(FailingFiles& files, std::string path, std::unique_ptr<FileWriter> real)
        : files_(files), path_(std::move(path)), real_(std::move(real)) {}
    void write(const void* data, size_t bytes) override {
      files_.unsynced_.insert(path_);
      files_.step(true, [&] { real_->write(data, bytes / 2); });
      real_->write(data, bytes);
    }
    void sync() override {
      files_.step(true);
      files_.unsynced_.erase(path_);
    }
    void close() override {
      files_.step(false);
      real_->close();
    }

   private:
    FailingFiles& files_;
    std::string path_;
    std::unique_ptr<FileWriter> real_;
  };

  static std::string parent(const std::string& path) {
    return std::filesystem::path(path).parent_path().string();
  }
  static void copy(const std::string& from, const std::string& to) {
    std::filesystem::copy(
        from, to, std::filesystem::copy_options::recursive | std::filesystem::copy_options::copy_symlinks);
  }

  // Counts an operation and misbehaves when its turn has come. `needs_space`: fails on a full disk.
  void step(bool needs_space, const std::function<void()>& half = {}) {
    if (dead_) throw Died();
    const bool now = operation_++ == fail_at_;
    if (how_ == Misbehaviour::kFull && operation_ > fail_at_ && needs_space) {
      if (half) half();
      fail(ErrorKind::kIo, "write", "No space left on device");
    }
    if (!now || how_ == Misbehaviour::kFull) return;
    if (half) half();
    if (how_ == Misbehaviour::kThrows) fail(ErrorKind::kIo, "operation", "refused by the test");
    dead_ = true;
    if (how_ == Misbehaviour::kPower) lose_power();
    throw Died();
  }
  void lose_power() {
    for (const std::string& path : unsynced_)
      if (file_exists(path)) std::filesystem::resize_file(path, std::filesystem::file_size(path) / 2);
    for (; !undo_.empty(); undo_.pop_back()) undo_.back().undo();
  }

  const Misbehaviour how_;
  const int64_t fail_at_;
  const std::string scratch_;
  int64_t operation_ = 0, next_ = 0;
  bool dead_ = false;
  std::vector<Undo> undo_;
  std::set<std::string> unsynced_;
};

// A folder that is there for one test; in memory where that is possible, for syncing a disk thousands of
// times shows nothing more.
struct TestFolder {
  std::string path =
      (::access("/dev/shm", W_OK) == 0 ? "/dev/shm" : std::filesystem::temp_directory_path().string()) +
      ("/lyceum_" + std::to_string(getpid()) + "_" +
       ::testing::UnitTest::GetInstance()->current_test_info()->name());
  TestFolder() {
    std::filesystem::remove_all(path);
    std::filesystem::create_directories(path);
  }
  ~TestFolder() { std::filesystem::remove_all(path); }
  std::string operator/(const std::string& name) const { return path + "/" + name; }
};

// The text of the Error that f() throws; empty when it throws none.
template <class F>
std::string message_of(F&& f) {
  try {
    f();
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}

}  // namespace lyceum
