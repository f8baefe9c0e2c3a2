#include "base/file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

#include "base/error.h"

namespace lyceum {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void fail_errno(const char* what, const std::string& path, int code) {
  const char* hint = code == ENOSPC ? "; free some space or choose another folder"
                     : code == EROFS || code == EACCES || code == EPERM ? "; choose a folder you may write to"
                                                                        : "";
  fail(code == ENOENT ? ErrorKind::kNotFound : ErrorKind::kIo, what, path, ": ", std::strerror(code), hint);
}

class RealWriter : public FileWriter {
 public:
  explicit RealWriter(const std::string& path) : path_(path) {
    fd_ = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd_ < 0) fail_errno("create", path, errno);
  }
  ~RealWriter() override {
    if (fd_ >= 0) ::close(fd_);
  }
  void write(const void* data, size_t bytes) override {
    const char* p = static_cast<const char*>(data);
    while (bytes > 0) {
      const ssize_t n = ::write(fd_, p, std::min<size_t>(bytes, size_t{1} << 30));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) fail_errno("write", path_, errno);
      p += n;
      bytes -= static_cast<size_t>(n);
    }
  }
  void sync() override {
    if (::fdatasync(fd_) != 0) fail_errno("sync", path_, errno);
  }
  void close() override {
    const int fd = std::exchange(fd_, -1);
    if (fd >= 0 && ::close(fd) != 0) fail_errno("close", path_, errno);
  }

 private:
  std::string path_;
  int fd_ = -1;
};

class RealFiles : public FileSystem {
 public:
  std::unique_ptr<FileWriter> create(const std::string& path) override {
    return std::make_unique<RealWriter>(path);
  }
  void rename(const std::string& from, const std::string& to) override {
    if (::rename(from.c_str(), to.c_str()) != 0) fail_errno("rename", from + " to " + to, errno);
  }
  void remove_all(const std::string& path) override {
    std::error_code error;
    fs::remove_all(path, error);
    if (error) fail_errno("remove", path, error.value());
  }
  void make_directories(const std::string& path) override {
    std::error_code error;
    fs::create_directories(path, error);
    if (error) fail_errno("make folder", path, error.value());
  }
  void sync_directory(const std::string& path) override {
    const int fd = ::open(path.empty() ? "." : path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) fail_errno("open folder", path, errno);
    const int result = ::fsync(fd);
    const int code = errno;
    ::close(fd);
    if (result != 0 && code != EINVAL) fail_errno("sync folder", path, code);
  }
  void link(const std::string& target, const std::string& path) override {
    if (::symlink(target.c_str(), path.c_str()) != 0) fail_errno("link", path + " to " + target, errno);
  }
};

}  // namespace

MappedFile::MappedFile(const std::string& path) : path_(path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) fail_errno("open", path, errno);
  struct stat info {};
  if (::fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
    ::close(fd);
    fail(ErrorKind::kIo, "open", path,
         S_ISDIR(info.st_mode) ? ": wanted a file, found a folder"
                               : ": wanted a file, found a device or a pipe");
  }
  size_ = static_cast<size_t>(info.st_size);
  if (size_ > 0) {
    void* p = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, fd, 0);
    const int code = errno;
    ::close(fd);
    if (p == MAP_FAILED) fail_errno("map", path, code);
    data_ = static_cast<const uint8_t*>(p);
  } else {
    ::close(fd);
  }
}

MappedFile::~MappedFile() {
  if (data_) ::munmap(const_cast<uint8_t*>(data_), size_);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)),
      path_(std::move(other.path_)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  std::swap(path_, other.path_);
  return *this;
}

FileSystem& real_files() {
  static RealFiles instance;
  return instance;
}

void write_file(const std::string& path, std::string_view contents, FileSystem& files) {
  const std::string parent = fs::path(path).parent_path().string();
  if (!parent.empty()) files.make_directories(parent);
  const std::string temporary = path + ".tmp" + std::to_string(::getpid());
  {
    auto out = files.create(temporary);
    out->write(contents.data(), contents.size());
    out->sync();
    out->close();
  }
  files.rename(temporary, path);
  files.sync_directory(parent);
}

std::string read_file(const std::string& path, size_t limit) {
  const MappedFile file(path);
  check(file.size() <= limit, "read", path, " has ", file.size(), " bytes, more than the ", limit,
        " that are sensible here");
  return std::string(file.text());
}

bool file_exists(const std::string& path) {
  std::error_code error;
  return fs::is_regular_file(path, error);
}

bool directory_exists(const std::string& path) {
  std::error_code error;
  return fs::is_directory(path, error);
}

std::vector<std::string> list_directory(const std::string& path) {
  std::error_code error;
  std::vector<std::string> names;
  for (fs::directory_iterator it(path, error), end; !error && it != end; it.increment(error))
    names.push_back(it->path().filename().string());
  if (error) fail_errno("list", path, error.value());
  std::sort(names.begin(), names.end());
  return names;
}

uint64_t free_disk_bytes(const std::string& path) {
  fs::path p = fs::absolute(path.empty() ? "." : path);
  while (!fs::exists(p) && p.has_parent_path() && p != p.parent_path()) p = p.parent_path();
  struct statvfs info {};
  if (::statvfs(p.c_str(), &info) != 0) fail_errno("look at disk of", p.string(), errno);
  return static_cast<uint64_t>(info.f_bavail) * info.f_frsize;
}

}  // namespace lyceum
