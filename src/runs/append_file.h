// A file that only grows at its end: metrics and event files.
//
// Invariants:
//   1. A record is handed to the kernel by one write, so a killed process leaves whole records and at most
//   one
//      torn one, at the end.
//   2. A record that could not be written whole (full disk) is cut off again before the error is thrown.
//   3. One process at a time holds the file; the lock goes with the process, also when it is killed.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace lyceum {

class AppendFile {
 public:
  AppendFile() = default;
  // Opens or creates `path`, making its folder; what lies behind byte `keep` is cut off. Throws kIo; another
  // process that holds the file is named in the message.
  AppendFile(const std::string& path, uint64_t keep);
  ~AppendFile();
  AppendFile(AppendFile&& other) noexcept;
  AppendFile& operator=(AppendFile&& other) noexcept;
  AppendFile(const AppendFile&) = delete;
  AppendFile& operator=(const AppendFile&) = delete;

  void append(std::string_view record);
  void sync();  // records written so far survive a power cut
  const std::string& path() const { return path_; }

 private:
  std::string path_;
  int fd_ = -1;
  uint64_t size_ = 0;
};

}  // namespace lyceum
