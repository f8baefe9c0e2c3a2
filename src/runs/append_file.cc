#include "runs/append_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

#include "base/error.h"
#include "base/file.h"

namespace lyceum {
namespace {

[[noreturn]] void fail_errno(const char* what, const std::string& path, int code) {
  const char* hint = code == ENOSPC ? "; free some space or choose another folder"
                     : code == EROFS || code == EACCES || code == EPERM ? "; choose a folder you may write to"
                                                                        : "";
  fail(code == ENOENT ? ErrorKind::kNotFound : ErrorKind::kIo, what, path, ": ", std::strerror(code), hint);
}

}  // namespace

AppendFile::AppendFile(const std::string& path, uint64_t keep) : path_(path), size_(keep) {
  const std::string parent = std::filesystem::path(path).parent_path().string();
  if (!parent.empty()) real_files().make_directories(parent);
  fd_ = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (fd_ < 0) fail_errno("append to", path, errno);
  const auto give_up = [&](int code) {
    ::close(std::exchange(fd_, -1));
    if (code == EWOULDBLOCK)
      fail(ErrorKind::kIo, "append to", path, ": another process is writing this run; stop it first, or ",
           "choose another run folder");
    fail_errno("append to", path, code);
  };
  // Some network file systems have no locks; they are used without.
  if (::flock(fd_, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) give_up(EWOULDBLOCK);
  const off_t end = ::lseek(fd_, 0, SEEK_END);
  if (end < 0) give_up(errno);
  if (static_cast<uint64_t>(end) < keep) size_ = static_cast<uint64_t>(end);
  if (static_cast<uint64_t>(end) > keep && ::ftruncate(fd_, static_cast<off_t>(keep)) != 0) give_up(errno);
}

AppendFile::~AppendFile() {
  if (fd_ >= 0) ::close(fd_);
}

AppendFile::AppendFile(AppendFile&& other) noexcept
    : path_(std::move(other.path_)), fd_(std::exchange(other.fd_, -1)), size_(other.size_) {}

AppendFile& AppendFile::operator=(AppendFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(fd_, other.fd_);
  std::swap(size_, other.size_);
  return *this;
}

void AppendFile::append(std::string_view record) {
  ensure(fd_ >= 0, "append file", "not open");
  size_t done = 0;
  while (done < record.size()) {
    const ssize_t n = ::write(fd_, record.data() + done, record.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      const int code = errno;
      if (done > 0 && ::ftruncate(fd_, static_cast<off_t>(size_)) != 0)  // half a record: readers skip it
        fail_errno("cut", path_, errno);
      fail_errno("write", path_, code);
    }
    done += static_cast<size_t>(n);
  }
  size_ += record.size();
}

void AppendFile::sync() {
  if (fd_ >= 0 && ::fdatasync(fd_) != 0) fail_errno("sync", path_, errno);
}

}  // namespace lyceum
