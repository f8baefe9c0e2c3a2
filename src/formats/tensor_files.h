// The weights of a model folder: one safetensors file, or shards with an index, seen as one set of named
// tensors.
//
//   model.safetensors
//   model-00001-of-00003.safetensors ... + model.safetensors.index.json
//     {"metadata": {"total_size": bytes}, "weight_map": {"tensor": "model-00001-of-00003.safetensors"}}
//
// Source: the layout of Hugging Face transformers.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "formats/safetensors.h"

namespace lyceum {

class TensorFiles {
 public:
  // `path`: a .safetensors file, an index, or a folder that holds <stem>.safetensors or
  // <stem>.safetensors.index.json (the single file wins, as in transformers). Every header is read and
  // checked; data pages are touched only when used. Throws kNotFound when there are no weights (naming what
  // is there instead), kCorruptData for an index that names a missing shard or puts a tensor into the wrong
  // one. Tensors that the index does not list are left out with a warning.
  explicit TensorFiles(const std::string& path, const std::string& stem = "model");

  const std::vector<std::string>& names() const { return names_; }  // sorted
  const StoredTensor* find(std::string_view name) const;            // null when absent
  // Throws kNotFound with the nearest name.
  const StoredTensor& at(std::string_view name) const;
  const std::vector<SafetensorsFile>& files() const { return files_; }
  const std::string& path() const { return path_; }
  uint64_t total_bytes() const { return total_bytes_; }  // of tensors

 private:
  void open_shards(const std::string& index_path);
  std::string path_;
  std::vector<SafetensorsFile> files_;
  std::vector<std::string> names_;
  std::unordered_map<std::string_view, const StoredTensor*> tensors_;
  uint64_t total_bytes_ = 0;
};

// The weight_map of an index: tensor -> file name without folder. Throws kCorruptData for anything that is
// not such a map: not JSON, names given twice, file names with a path in them.
std::map<std::string, std::string> parse_shard_index(std::string_view json, const std::string& path);

// Writes the tensors into `folder` as one file or, above `max_shard_bytes` of data, as shards (cut in the
// order given, at tensors) and the index last. Throws kInvalidArgument if the folder already holds weights of
// this stem. Returns every file written, the index included.
std::vector<WrittenFile> write_tensor_files(const std::string& folder,
                                            const std::vector<TensorSource>& tensors,
                                            uint64_t max_shard_bytes = uint64_t{5} << 30,
                                            const std::string& stem = "model",
                                            FileSystem& files = real_files());

}  // namespace lyceum
