#include "data/compressed.h"

#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "base/file.h"

namespace lyceum {
namespace {

bool ends_with(std::string_view text, std::string_view tail) {
  return text.size() >= tail.size() && text.substr(text.size() - tail.size()) == tail;
}

class PlainStream : public ByteStream {
 public:
  explicit PlainStream(const std::string& path) : file_(path) {}
  size_t read(char* out, size_t bytes) override {
    const size_t n = std::min(bytes, file_.size() - at_);
    if (n > 0) std::memcpy(out, file_.data() + at_, n);
    at_ += n;
    return n;
  }

 private:
  MappedFile file_;
  size_t at_ = 0;
};

class GzipStream : public ByteStream {
 public:
  explicit GzipStream(const std::string& path) : file_(path) {
    ensure(inflateInit2(&state_, 15 + 16) == Z_OK, "gzip", "cannot start zlib");
  }
  ~GzipStream() override { inflateEnd(&state_); }
  GzipStream(const GzipStream&) = delete;
  GzipStream& operator=(const GzipStream&) = delete;

  size_t read(char* out, size_t bytes) override {
    state_.next_out = reinterpret_cast<Bytef*>(out);
    state_.avail_out = static_cast<uInt>(std::min<size_t>(bytes, 1u << 30));
    const uInt wanted = state_.avail_out;
    while (state_.avail_out == wanted) {
      if (state_.avail_in == 0) {
        const size_t n = std::min<size_t>(file_.size() - at_, 1u << 30);
        if (n == 0) {
          check_data(between_members_, "read", file_.path(), ": the gzip stream is truncated");
          return 0;
        }
        state_.next_in = const_cast<Bytef*>(file_.data() + at_);
        state_.avail_in = static_cast<uInt>(n);
        at_ += n;
      }
      if (between_members_ && members_ > 0 &&
          *state_.next_in == 0) {  // padding after the last member, as on tapes
        ++state_.next_in, --state_.avail_in;
        continue;
      }
      between_members_ = false;
      const int code = inflate(&state_, Z_NO_FLUSH);
      check_data(code == Z_OK || code == Z_STREAM_END || code == Z_BUF_ERROR, "read", file_.path(),
                 ": not a sound gzip stream (", state_.msg ? state_.msg : "damaged", ")");
      if (code == Z_STREAM_END) {
        inflateReset(&state_);
        between_members_ = true;
        ++members_;
      }
    }
    return wanted - state_.avail_out;
  }

 private:
  MappedFile file_;
  z_stream state_{};
  size_t at_ = 0, members_ = 0;
  bool between_members_ = true;
};

class ZstdStream : public ByteStream {
 public:
  explicit ZstdStream(const std::string& path) : file_(path), state_(ZSTD_createDStream()) {
    ensure(state_ != nullptr, "zstd", "cannot start zstd");
  }
  ~ZstdStream() override { ZSTD_freeDStream(state_); }
  ZstdStream(const ZstdStream&) = delete;
  ZstdStream& operator=(const ZstdStream&) = delete;

  size_t read(char* out, size_t bytes) override {
    ZSTD_outBuffer to{out, bytes, 0};
    ZSTD_inBuffer from{file_.data(), file_.size(), at_};
    while (to.pos == 0) {
      const size_t before = from.pos;
      const size_t code = ZSTD_decompressStream(state_, &to, &from);
      check_data(!ZSTD_isError(code), "read", file_.path(), ": not a sound zstd stream (",
                 ZSTD_getErrorName(code), ")");
      if (to.pos > 0 || from.pos != before) {
        frame_ended_ = code == 0;
        continue;
      }
      check_data(from.pos == from.size && frame_ended_, "read", file_.path(),
                 ": the zstd stream is truncated");
      break;
    }
    at_ = from.pos;
    return to.pos;
  }

 private:
  MappedFile file_;
  ZSTD_DStream* state_;
  size_t at_ = 0;
  bool frame_ended_ = true;
};

}  // namespace

Compression compression_of(std::string_view path) {
  if (ends_with(path, ".gz")) return Compression::kGzip;
  if (ends_with(path, ".zst")) return Compression::kZstd;
  return Compression::kNone;
}

std::string_view without_compression(std::string_view path) {
  const Compression c = compression_of(path);
  return c == Compression::kGzip   ? path.substr(0, path.size() - 3)
         : c == Compression::kZstd ? path.substr(0, path.size() - 4)
                                   : path;
}

std::unique_ptr<ByteStream> open_stream(const std::string& path) {
  switch (compression_of(path)) {
    case Compression::kGzip:
      return std::make_unique<GzipStream>(path);
    case Compression::kZstd:
      return std::make_unique<ZstdStream>(path);
    case Compression::kNone:
      break;
  }
  return std::make_unique<PlainStream>(path);
}

LineReader::LineReader(const std::string& path, size_t max_line)
    : path_(path), stream_(open_stream(path)), max_line_(max_line) {}

bool LineReader::next(std::string_view& line) {
  size_t searched = begin_;
  while (true) {
    const size_t end = buffer_.find('\n', searched);
    if (end != std::string::npos || (ended_ && begin_ < buffer_.size())) {
      const size_t stop = std::min(end, buffer_.size());
      line = std::string_view(buffer_).substr(begin_, stop - begin_);
      if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
      begin_ = std::min(stop + 1, buffer_.size());
      ++line_number_;
      return true;
    }
    if (ended_) return false;
    buffer_.erase(0, begin_);
    begin_ = 0;
    searched = buffer_.size();
    check_data(buffer_.size() <= max_line_, "read", path_, ": line ", line_number_ + 1, " has more than ",
               max_line_, " bytes");
    constexpr size_t kPiece = size_t{1} << 18;
    buffer_.resize(searched + kPiece);
    const size_t n = stream_->read(buffer_.data() + searched, kPiece);
    buffer_.resize(searched + n);
    ended_ = n == 0;
  }
}

std::string read_decompressed(const std::string& path, size_t limit) {
  const auto stream = open_stream(path);
  std::string out;
  for (size_t used = 0;;) {
    out.resize(std::max<size_t>(used + (size_t{1} << 16), used + used / 2));
    const size_t n = stream->read(out.data() + used, out.size() - used);
    used += n;
    check(used <= limit, "read", path, " holds more than the ", limit,
          " bytes that are sensible for one text");
    if (n == 0) {
      out.resize(used);
      return out;
    }
  }
}

std::string zstd_compress(std::string_view plain, int level) {
  std::string out(ZSTD_compressBound(plain.size()), '\0');
  ZSTD_CCtx* state = ZSTD_createCCtx();
  ensure(state != nullptr, "zstd", "cannot start zstd");
  ZSTD_CCtx_setParameter(state, ZSTD_c_compressionLevel, level);
  ZSTD_CCtx_setParameter(state, ZSTD_c_checksumFlag, 1);
  const size_t n = ZSTD_compress2(state, out.data(), out.size(), plain.data(), plain.size());
  ZSTD_freeCCtx(state);
  ensure(!ZSTD_isError(n), "zstd", ZSTD_getErrorName(n));
  out.resize(n);
  return out;
}

}  // namespace lyceum
