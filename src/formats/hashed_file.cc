#include "formats/hashed_file.h"

#include <unistd.h>

#include <filesystem>

#include "base/error.h"

namespace lyceum {

namespace {
constexpr size_t kBuffer = size_t{1} << 18;
}

HashedFile::HashedFile(std::string path, FileSystem& files)
    : path_(std::move(path)), temporary_(path_ + ".tmp" + std::to_string(::getpid())), files_(files) {
  const std::string parent = std::filesystem::path(path_).parent_path().string();
  if (!parent.empty()) files_.make_directories(parent);
  out_ = files_.create(temporary_);
}

HashedFile::~HashedFile() {
  if (published_) return;
  out_.reset();
  try {
    files_.remove_all(temporary_);
  } catch (...) {  // a failing disk: the temporary file stays, nobody reads it
  }
}

void HashedFile::flush() {
  if (!buffer_.empty()) out_->write(buffer_.data(), buffer_.size());
  buffer_.clear();
}

void HashedFile::write(const void* data, size_t bytes) {
  ensure(!finished_, "HashedFile", path_, " was finished before");
  checksum_.update(data, bytes);
  bytes_ += bytes;
  if (buffer_.size() + bytes > kBuffer) flush();
  if (bytes > kBuffer) {
    out_->write(data, bytes);
  } else {
    const char* p = static_cast<const char*>(data);
    buffer_.insert(buffer_.end(), p, p + bytes);
  }
}

void HashedFile::finish() {
  if (finished_) return;
  flush();
  out_->sync();
  out_->close();
  finished_ = true;
}

void HashedFile::publish() {
  finish();
  files_.rename(temporary_, path_);
  published_ = true;
  files_.sync_directory(std::filesystem::path(path_).parent_path().string());
}

}  // namespace lyceum
