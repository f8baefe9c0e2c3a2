// One safetensors file: mapped for reading without a copy, streamed for writing without one.
#pragma once

#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/file.h"
#include "formats/safetensors_header.h"

namespace lyceum {

// A file that was read and checked; tensors point into the mapping and live as long as this object (moving it
// keeps them valid). A file that shrinks while it is mapped ends the program (SIGBUS): replace files, never
// truncate them.
class SafetensorsFile {
 public:
  // Throws kNotFound, kIo, kCorruptData, kUnsupported; the message names the file, the tensor and what is
  // wrong.
  explicit SafetensorsFile(const std::string& path);

  const std::string& path() const { return file_.path(); }
  const std::vector<StoredTensor>& tensors() const { return header_.tensors; }  // in the order of the file
  const std::map<std::string, std::string>& metadata() const { return header_.metadata; }
  const StoredTensor* find(std::string_view name) const;  // null when absent
  // Throws kNotFound with the nearest name.
  const StoredTensor& at(std::string_view name) const;

 private:
  MappedFile file_;
  SafetensorsHeader header_;
  std::unordered_map<std::string_view, size_t> index_;
};

// Takes the bytes of a tensor piece by piece, in row-major order.
using ByteSink = std::function<void(const void* data, size_t bytes)>;

// A tensor to be written. `stream` is called once, when its turn comes, and hands its bytes to the sink: a
// model that is larger than memory, or that must be converted on the way, never exists twice.
struct TensorSource {
  std::string name;
  FileDType dtype = FileDType::kF32;
  std::vector<int64_t> shape;
  std::function<void(const ByteSink& sink)> stream;
};
// One that lies in memory as a whole (borrowed until it is written).
TensorSource tensor_in_memory(std::string name, FileDType dtype, std::vector<int64_t> shape,
                              const void* data);

// What was written, for manifests: checksums are XXH3-64, of the tensor's bytes and of the whole file.
struct WrittenTensor {
  std::string name;
  uint64_t checksum = 0;
};
struct WrittenFile {
  std::string name;  // without folder
  uint64_t bytes = 0;
  uint64_t checksum = 0;
  std::vector<WrittenTensor> tensors;
};

// {"format": "pt"}: what transformers expects.
std::map<std::string, std::string> default_metadata();

// Writes `path` atomically. The header is padded to 8 bytes and wider types come first, so every tensor of
// this writer is aligned to its elements; tensors of one width keep the order given. Throws kInvalidArgument
// for a name used twice, a bad shape, or a stream that hands over more or fewer bytes than its shape has.
WrittenFile write_safetensors(const std::string& path, const std::vector<TensorSource>& tensors,
                              const std::map<std::string, std::string>& metadata = default_metadata(),
                              FileSystem& files = real_files());

}  // namespace lyceum
