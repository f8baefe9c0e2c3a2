#include "formats/tensor_files.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"
#include "base/fields.h"
#include "base/log.h"
#include "formats/checksum.h"

namespace lyceum {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

constexpr size_t kMaxIndexBytes = 100'000'000;

// Keeps the two-level texts of weight_map, walks over everything else.
class IndexEvents : public nlohmann::json_sax<Json> {
 public:
  explicit IndexEvents(const std::string& path) : path_(path) {}
  std::map<std::string, std::string> weight_map;
  bool seen = false;

  bool null() override { return other(); }
  bool boolean(bool) override { return other(); }
  bool number_integer(int64_t) override { return other(); }
  bool number_unsigned(uint64_t) override { return other(); }
  bool number_float(double, const std::string&) override { return other(); }
  bool binary(Json::binary_t&) override { return other(); }
  bool string(std::string& file) override {
    if (!in_map_) return other();
    check_data(!file.empty() && file.find('/') == file.npos && file.find('\\') == file.npos && file != "." &&
                   file != "..",
               path_.c_str(), "tensor ", quote(tensor_), " lies in ", quote(file),
               "; wanted a file name without folders");
    weight_map[tensor_] = file;
    return true;
  }
  bool start_object(size_t) override {
    const bool is_map = depth_ == 1 && top_key_ == "weight_map";
    if (depth_ > 0 && !is_map) other();
    in_map_ = is_map;
    ++depth_;
    return true;
  }
  bool key(std::string& text) override {
    if (in_map_) {
      check_data(!weight_map.contains(text), path_.c_str(), "weight_map names ", quote(text), " twice");
      tensor_ = text;
    } else if (depth_ == 1) {
      check_data(text != "weight_map" || !seen, path_.c_str(), "holds two weight_maps");
      seen = seen || text == "weight_map";
      top_key_ = text;
    }
    return true;
  }
  bool end_object() override {
    in_map_ = false;
    --depth_;
    return true;
  }
  bool start_array(size_t) override {
    other();
    ++depth_;
    return true;
  }
  bool end_array() override {
    --depth_;
    return true;
  }
  bool parse_error(size_t position, const std::string&, const nlohmann::detail::exception&) override {
    fail(ErrorKind::kCorruptData, path_.c_str(), "is not JSON at byte ", position);
  }

 private:
  // Anything but an object of texts where the map should be; elsewhere everything is allowed.
  bool other() {
    check_data(depth_ > 0, path_.c_str(), "wants an object with a weight_map");
    check_data(!in_map_, path_.c_str(), "tensor ", quote(tensor_), " wants the name of a file");
    check_data(depth_ > 1 || top_key_ != "weight_map", path_.c_str(), "weight_map wants to be an object");
    return true;
  }
  const std::string& path_;
  std::string top_key_, tensor_;
  int depth_ = 0;
  bool in_map_ = false;
};

// What a folder without our weights holds, for the error.
std::string found_instead(const std::string& folder) {
  std::string text;
  for (const std::string& name : list_directory(folder)) {
    const std::string extension = fs::path(name).extension().string();
    if (extension == ".bin" || extension == ".pt" || extension == ".pth")
      return "found " + name + ", a pickle, which this program never loads: convert it to safetensors first";
    if (extension == ".safetensors" || extension == ".gguf") text += (text.empty() ? "found " : ", ") + name;
    if (text.size() > 200) break;
  }
  return text.empty() ? "is this a model folder?" : text;
}

std::string shard_name(const std::string& stem, size_t i, size_t n) {
  char text[64];
  std::snprintf(text, sizeof text, "-%05zu-of-%05zu.safetensors", i + 1, n);
  return stem + text;
}

}  // namespace

std::map<std::string, std::string> parse_shard_index(std::string_view json, const std::string& path) {
  check_data(json.size() <= kMaxIndexBytes, path.c_str(), "wants an index of at most ", kMaxIndexBytes,
             " bytes, found ", json.size());
  check_data(json.find('\0') == json.npos, path.c_str(), "holds a zero byte; it is not JSON");
  IndexEvents events(path);
  Json::sax_parse(json.begin(), json.end(), &events);
  check_data(events.seen, path.c_str(), "has no weight_map");
  return std::move(events.weight_map);
}

TensorFiles::TensorFiles(const std::string& path, const std::string& stem) : path_(path) {
  const std::string single = path + "/" + stem + ".safetensors", index = single + ".index.json";
  if (!directory_exists(path) && path.ends_with(".index.json")) {
    open_shards(path);
  } else if (!directory_exists(path)) {
    files_.emplace_back(path);
  } else if (file_exists(single)) {
    files_.emplace_back(single);
  } else {
    if (!file_exists(index))
      fail(ErrorKind::kNotFound, path.c_str(), "wants ", stem, ".safetensors or ", stem,
           ".safetensors.index.json; ", found_instead(path));
    open_shards(index);
  }
  if (tensors_.empty())
    for (const SafetensorsFile& file : files_)
      for (const StoredTensor& t : file.tensors()) tensors_.emplace(t.name, &t);
  for (const auto& [name, tensor] : tensors_) {
    names_.emplace_back(name);
    total_bytes_ += tensor->bytes;
  }
  std::sort(names_.begin(), names_.end());
}

void TensorFiles::open_shards(const std::string& index_path) {
  const MappedFile index(index_path);
  const auto weight_map = parse_shard_index(index.text(), index_path);
  const char* where = index.path().c_str();
  check_data(!weight_map.empty(), where, "the weight_map is empty");
  const std::string folder = fs::path(index_path).parent_path().string();

  std::map<std::string, size_t> shards;  // file name -> place in files_
  for (const auto& [tensor, file] : weight_map) shards.emplace(file, 0);
  files_.reserve(shards.size());
  for (auto& [file, place] : shards) {
    const std::string shard = (fs::path(folder) / file).string();
    if (!file_exists(shard))
      fail(ErrorKind::kNotFound, where, "lists the shard ", quote(file),
           ", which is not in the folder; fetch it, or the whole model again");
    place = files_.size();
    files_.emplace_back(shard);
  }
  for (const auto& [tensor, file] : weight_map) {
    const StoredTensor* stored = files_[shards[file]].find(tensor);
    if (stored == nullptr) {
      std::string other = "no shard has it";
      for (const SafetensorsFile& f : files_)
        if (f.find(tensor)) other = "it lies in " + fs::path(f.path()).filename().string();
      fail(ErrorKind::kCorruptData, where, "puts tensor ", quote(tensor), " into ", quote(file), ", but ",
           other);
    }
    tensors_.emplace(stored->name, stored);
  }
  size_t unlisted = 0;
  std::string example;
  for (const SafetensorsFile& f : files_)
    for (const StoredTensor& t : f.tensors())
      if (!tensors_.contains(t.name) && unlisted++ == 0) example = t.name;
  if (unlisted > 0)
    log_warn("formats", index_path, " does not list ", unlisted,
             " tensors of its shards, which are left out (", quote(example), ")");
}

const StoredTensor* TensorFiles::find(std::string_view name) const {
  const auto found = tensors_.find(name);
  return found == tensors_.end() ? nullptr : found->second;
}

const StoredTensor& TensorFiles::at(std::string_view name) const {
  if (const StoredTensor* tensor = find(name)) return *tensor;
  const std::string near = nearest_name(name, names_);
  fail(ErrorKind::kNotFound, path_.c_str(), "no tensor ", quote(name), " among ", names_.size(),
       near.empty() ? "" : "; the nearest name is " + quote(near).str());
}

std::vector<WrittenFile> write_tensor_files(const std::string& folder,
                                            const std::vector<TensorSource>& tensors,
                                            uint64_t max_shard_bytes, const std::string& stem,
                                            FileSystem& files) {
  if (directory_exists(folder))
    for (const std::string& name : list_directory(folder))
      check(!(name == stem + ".safetensors" || name == stem + ".safetensors.index.json" ||
              (name.starts_with(stem + "-") && name.ends_with(".safetensors"))),
            folder.c_str(), "already holds weights (", name, "); choose another folder or remove them");

  std::vector<std::vector<TensorSource>> shards(1);
  std::set<std::string_view> names;
  uint64_t in_shard = 0, total = 0;
  for (const TensorSource& t : tensors) {
    check(names.insert(t.name).second, folder.c_str(), "the tensor name ", quote(t.name), " is taken");
    const uint64_t bytes = tensor_bytes(folder.c_str(), t.name, t.dtype, t.shape);
    if (!shards.back().empty() && in_shard + bytes > max_shard_bytes) shards.emplace_back(), in_shard = 0;
    shards.back().push_back(t);
    in_shard += bytes, total += bytes;
  }
  const std::string single = folder + "/" + stem + ".safetensors";
  if (shards.size() == 1) return {write_safetensors(single, shards[0], default_metadata(), files)};

  std::vector<WrittenFile> written;
  std::map<std::string, std::string> weight_map;
  for (size_t i = 0; i < shards.size(); ++i) {
    const std::string name = shard_name(stem, i, shards.size());
    written.push_back(write_safetensors(folder + "/" + name, shards[i], default_metadata(), files));
    for (const TensorSource& t : shards[i]) weight_map[t.name] = name;
  }
  const std::string index =
      nlohmann::ordered_json{{"metadata", {{"total_size", total}}}, {"weight_map", weight_map}}.dump(2) +
      "\n";
  write_file(single + ".index.json", index, files);
  written.push_back(
      {stem + ".safetensors.index.json", index.size(), checksum_of(index.data(), index.size()), {}});
  return written;
}

}  // namespace lyceum
