#include "formats/safetensors.h"

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <unordered_set>

#include "base/error.h"
#include "base/fields.h"
#include "formats/checksum.h"
#include "formats/hashed_file.h"

namespace lyceum {

SafetensorsFile::SafetensorsFile(const std::string& path) : file_(path) {
  header_ = parse_safetensors({file_.data(), file_.size()}, path);
  index_.reserve(header_.tensors.size());
  for (size_t i = 0; i < header_.tensors.size(); ++i) index_.emplace(header_.tensors[i].name, i);
}

const StoredTensor* SafetensorsFile::find(std::string_view name) const {
  const auto found = index_.find(name);
  return found == index_.end() ? nullptr : &header_.tensors[found->second];
}

const StoredTensor& SafetensorsFile::at(std::string_view name) const {
  if (const StoredTensor* tensor = find(name)) return *tensor;
  std::vector<std::string> names;
  for (const StoredTensor& t : header_.tensors) names.push_back(t.name);
  const std::string near = nearest_name(name, names);
  fail(ErrorKind::kNotFound, path().c_str(), "no tensor ", quote(name), " among ", names.size(),
       near.empty() ? "" : "; the nearest name is " + quote(near).str());
}

TensorSource tensor_in_memory(std::string name, FileDType dtype, std::vector<int64_t> shape,
                              const void* data) {
  const uint64_t bytes = tensor_bytes("tensor_in_memory", name, dtype, shape);
  return {std::move(name), dtype, std::move(shape), [=](const ByteSink& sink) { sink(data, bytes); }};
}

std::map<std::string, std::string> default_metadata() { return {{"format", "pt"}}; }

namespace {

// The 8 bytes of length and the JSON, padded with blanks so that the data begin at a multiple of 8.
std::string header_text(const std::vector<const TensorSource*>& order, const std::vector<uint64_t>& bytes,
                        const std::map<std::string, std::string>& metadata) {
  std::string json = "{";
  const auto add = [&](const std::string& name, const nlohmann::ordered_json& value) {
    json += (json.size() > 1 ? "," : "") + nlohmann::json(name).dump() + ":" + value.dump();
  };
  if (!metadata.empty()) add("__metadata__", metadata);
  uint64_t position = 0;
  for (size_t i = 0; i < order.size(); ++i) {
    add(order[i]->name, {{"dtype", file_dtype_name(order[i]->dtype)},
                         {"shape", order[i]->shape},
                         {"data_offsets", {position, position + bytes[i]}}});
    position += bytes[i];
  }
  json += "}";
  json.resize((json.size() + 7) / 8 * 8, ' ');
  std::string length(8, '\0');
  for (size_t i = 0; i < 8; ++i) length[i] = static_cast<char>(json.size() >> (8 * i) & 255);
  return length + json;
}

}  // namespace

WrittenFile write_safetensors(const std::string& path, const std::vector<TensorSource>& tensors,
                              const std::map<std::string, std::string>& metadata, FileSystem& files) {
  const char* where = path.c_str();
  std::vector<const TensorSource*> order;
  std::unordered_set<std::string_view> names;
  for (const TensorSource& t : tensors) {
    check(t.name != "__metadata__" && names.insert(t.name).second, where, "the tensor name ", quote(t.name),
          " is taken");
    order.push_back(&t);
  }
  std::stable_sort(order.begin(), order.end(), [](const TensorSource* a, const TensorSource* b) {
    return file_dtype_bits(a->dtype) > file_dtype_bits(b->dtype);
  });
  std::vector<uint64_t> bytes;
  for (const TensorSource* t : order) bytes.push_back(tensor_bytes(where, t->name, t->dtype, t->shape));

  std::string header;
  try {
    header = header_text(order, bytes, metadata);
  } catch (const nlohmann::json::exception&) {
    fail(ErrorKind::kInvalidArgument, where, "wants tensor names and metadata in UTF-8");
  }
  check(header.size() - 8 <= 100'000'000, where, "the header would have ", header.size() - 8,
        " bytes, more than readers take; write several shards");
  HashedFile out(path, files);
  out.write(header.data(), header.size());
  WrittenFile written;
  for (size_t i = 0; i < order.size(); ++i) {
    Checksum checksum;
    uint64_t done = 0;
    order[i]->stream([&](const void* data, size_t n) {
      check(n <= bytes[i] - done, where, "tensor ", quote(order[i]->name), " hands over more than its ",
            bytes[i], " bytes");
      checksum.update(data, n);
      out.write(data, n);
      done += n;
    });
    check(done == bytes[i], where, "tensor ", quote(order[i]->name), " wants ", bytes[i], " bytes, got ",
          done);
    written.tensors.push_back({order[i]->name, checksum.value()});
  }
  out.publish();
  written.name = std::filesystem::path(path).filename().string();
  written.bytes = out.bytes();
  written.checksum = out.checksum();
  return written;
}

}  // namespace lyceum
