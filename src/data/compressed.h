// Files that may be compressed, read as one stream: wherever a text file is accepted, .gz and .zst are too.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

namespace lyceum {

enum class Compression { kNone, kGzip, kZstd };

// By the last extension of the name: ".gz", ".zst", else none.
Compression compression_of(std::string_view path);
// "a/b.txt.gz" -> "a/b.txt"; unchanged without such an extension.
std::string_view without_compression(std::string_view path);

// A stream of plain bytes. Several gzip members or zstd frames after one another are one stream, as for zcat.
class ByteStream {
 public:
  virtual ~ByteStream() = default;
  // Fills up to `bytes`; 0 only at the end. Throws kCorruptData naming the file when it is truncated or
  // damaged.
  virtual size_t read(char* out, size_t bytes) = 0;
};
std::unique_ptr<ByteStream> open_stream(const std::string& path);

// Lines of a stream without their line feed (a trailing carriage return is removed too).
class LineReader {
 public:
  // A line of more than `max_line` bytes is an error: it would have to be held in memory.
  explicit LineReader(const std::string& path, size_t max_line = size_t{256} << 20);
  // False at the end. `line` is valid until the next call.
  bool next(std::string_view& line);
  size_t line_number() const { return line_number_; }  // of the line last returned, from 1

 private:
  std::string path_, buffer_;
  std::unique_ptr<ByteStream> stream_;
  size_t max_line_, begin_ = 0, line_number_ = 0;
  bool ended_ = false;
};

// All bytes of a file, decompressed. Throws kInvalidArgument above `limit` (a small file can claim
// terabytes).
std::string read_decompressed(const std::string& path, size_t limit);

// One zstd frame with checksum.
std::string zstd_compress(std::string_view plain, int level = 3);

}  // namespace lyceum
