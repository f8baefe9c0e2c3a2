// Files: mapped reading, atomic replacing, and a layer of system calls that tests can make fail.
//
// Whatever this program writes and somebody could miss is written through FileSystem: to a temporary name
// beside the target, synced, renamed over it, the directory synced. A test wraps the layer and fails or dies
// after operation n, for every n.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace lyceum {

// A whole file, mapped read only. An empty file has size 0 and a null pointer.
class MappedFile {
 public:
  MappedFile() = default;
  // Throws kNotFound or kIo, naming the path.
  explicit MappedFile(const std::string& path);
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  const uint8_t* data() const { return data_; }
  size_t size() const { return size_; }
  std::string_view text() const { return {reinterpret_cast<const char*>(data_), size_}; }
  const std::string& path() const { return path_; }

 private:
  const uint8_t* data_ = nullptr;
  size_t size_ = 0;
  std::string path_;
};

// An open file that is being written. Methods throw kIo with path and reason (disk full, read only, ...).
class FileWriter {
 public:
  virtual ~FileWriter() = default;
  virtual void write(const void* data, size_t bytes) = 0;
  virtual void sync() = 0;   // data reaches the disk
  virtual void close() = 0;  // reports errors; the destructor closes silently
};

// The operations by which files come to be. Paths are given whole.
class FileSystem {
 public:
  virtual ~FileSystem() = default;
  virtual std::unique_ptr<FileWriter> create(const std::string& path) = 0;  // truncates
  virtual void rename(const std::string& from, const std::string& to) = 0;
  virtual void remove_all(const std::string& path) = 0;  // files and folders; absent is fine
  virtual void make_directories(const std::string& path) = 0;
  virtual void sync_directory(const std::string& path) = 0;
  virtual void link(const std::string& target, const std::string& path) = 0;  // symbolic; `path` must be free
};

// The real one.
FileSystem& real_files();

// Replaces `path` by `contents` atomically: a reader sees the old file or the new one, also after a crash.
void write_file(const std::string& path, std::string_view contents, FileSystem& files = real_files());

// Contents of a text file that is small enough to hold; throws kNotFound, kIo, or kInvalidArgument above
// `limit`.
std::string read_file(const std::string& path, size_t limit = size_t{1} << 30);

bool file_exists(const std::string& path);
bool directory_exists(const std::string& path);

// Names (not paths) in a folder, sorted; throws kNotFound.
std::vector<std::string> list_directory(const std::string& path);

// Bytes free to this user on the disk that holds `path` (or its nearest existing parent).
uint64_t free_disk_bytes(const std::string& path);

}  // namespace lyceum
