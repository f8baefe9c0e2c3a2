// A file on its way to disk: written under a temporary name, counted, summed, and put in its place at the
// end.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/file.h"
#include "formats/checksum.h"

namespace lyceum {

// Small pieces are gathered, so writing number by number costs no system call each. Unless publish() was
// reached, the destructor removes the temporary file and `path` stays what it was.
class HashedFile {
 public:
  HashedFile(std::string path, FileSystem& files);
  ~HashedFile();
  HashedFile(const HashedFile&) = delete;
  HashedFile& operator=(const HashedFile&) = delete;

  void write(const void* data, size_t bytes);
  // Everything reaches the disk under the temporary name; nothing may be written after it.
  void finish();
  // finish(), rename to `path`, sync the folder.
  void publish();

  const std::string& path() const { return path_; }
  uint64_t bytes() const { return bytes_; }
  uint64_t checksum() const { return checksum_.value(); }  // of everything written so far

 private:
  void flush();
  std::string path_, temporary_;
  FileSystem& files_;
  std::unique_ptr<FileWriter> out_;
  std::vector<char> buffer_;
  Checksum checksum_;
  uint64_t bytes_ = 0;
  bool finished_ = false, published_ = false;
};

}  // namespace lyceum
