// The other side of tools/check_safetensors.py: lists a file as JSON lines, writes a fixed set of tensors,
// copies a model folder, writes the hand-made bad files.
#include <cstdio>
#include <cstring>

#include "base/error.h"
#include "formats/tensor_files.h"
#include "formats/token_shards.h"
#include "fuzz/bad_files.h"

namespace lyceum {
namespace {

void list(const std::string& path) {
  const TensorFiles files(path);
  for (const std::string& name : files.names()) {
    const StoredTensor& t = files.at(name);
    std::string hex;
    for (uint64_t i = 0; i < t.bytes; ++i) {
      hex += "0123456789abcdef"[t.data[i] >> 4];
      hex += "0123456789abcdef"[t.data[i] & 15];
    }
    std::printf("{\"name\": \"%s\", \"dtype\": \"%s\", \"shape\": %s, \"hex\": \"%s\"}\n", name.c_str(),
                file_dtype_name(t.dtype), shape_text(t.shape).c_str(), hex.c_str());
  }
}

// Tensors "s.<DTYPE>.<i>" whose byte j is (7 j + length of the name) mod 251 (mod 2 for BOOL).
void write(const std::string& folder) {
  std::vector<TensorSource> tensors;
  for (int d = 0; d <= static_cast<int>(FileDType::kU64); ++d) {
    const auto dtype = static_cast<FileDType>(d);
    const std::string type = file_dtype_name(dtype);
    if (type.starts_with("F4") || type.starts_with("F6_") || type.ends_with("FNUZ") || type == "F8_E8M0")
      continue;
    const std::vector<std::vector<int64_t>> shapes = {{}, {3, 0}, {5}, {2, 3, 4}};
    for (size_t i = 0; i < shapes.size(); ++i) {
      const std::string name = "s." + type + "." + std::to_string(i);
      const uint64_t bytes = tensor_bytes("write", name, dtype, shapes[i]);
      tensors.push_back({name, dtype, shapes[i], [=](const ByteSink& sink) {
                           for (uint64_t j = 0; j < bytes; ++j) {
                             const auto byte =
                                 static_cast<uint8_t>((j * 7 + name.size()) % (type == "BOOL" ? 2 : 251));
                             sink(&byte, 1);
                           }
                         }});
    }
  }
  write_tensor_files(folder + "/one", tensors);
  write_tensor_files(folder + "/many", tensors, 300);
}

void copy(const std::string& from, const std::string& to) {
  const TensorFiles files(from);
  std::vector<TensorSource> tensors;
  for (const std::string& name : files.names()) {
    const StoredTensor& t = files.at(name);
    tensors.push_back(tensor_in_memory(t.name, t.dtype, t.shape, t.data));
  }
  write_tensor_files(to, tensors, 10'000);
}

// Document d of 100 holds (7919 i + d) mod vocab for i in [0, 31 d mod 57 + 1).
void write_tokens(const std::string& prefix, int64_t vocab) {
  TokenShardWriter writer(prefix, vocab, {"a", "b"});
  for (int64_t d = 0; d < 100; ++d) {
    std::vector<int32_t> ids;
    for (int64_t i = 0; i < d * 31 % 57 + 1; ++i) ids.push_back(static_cast<int32_t>((i * 7919 + d) % vocab));
    writer.add(ids, static_cast<uint32_t>(d % 2));
  }
  writer.finish();
}

void list_tokens(const std::string& prefix) {
  const TokenShard shard(prefix);
  for (int64_t d = 0; d < shard.n_documents(); ++d) {
    std::vector<int32_t> ids(static_cast<size_t>(shard.document_tokens(d)));
    shard.read(shard.document_begin(d), ids, INT32_MAX);
    std::printf("[");
    for (size_t i = 0; i < ids.size(); ++i) std::printf("%s%d", i ? ", " : "", ids[i]);
    std::printf("]\n");
  }
}

int run(const std::vector<std::string>& words) {
  if (words.size() == 2 && words[0] == "list") list(words[1]);
  else if (words.size() == 2 && words[0] == "write") write(words[1]);
  else if (words.size() == 3 && words[0] == "copy") copy(words[1], words[2]);
  else if (words.size() == 3 && words[0] == "write-tokens") write_tokens(words[1], std::stoll(words[2]));
  else if (words.size() == 2 && words[0] == "list-tokens") list_tokens(words[1]);
  else if (words.size() == 2 && words[0] == "bad")
    for (const BadFile& f : safetensors_corpus()) write_file(words[1] + "/" + f.name, f.bytes);
  else
    fail(ErrorKind::kInvalidArgument, "usage",
         "list PATH | write FOLDER | copy FROM TO | bad FOLDER | write-tokens PREFIX VOCAB | list-tokens "
         "PREFIX");
  return 0;
}

}  // namespace
}  // namespace lyceum

int main(int count, char** words) {
  try {
    return lyceum::run({words + 1, words + count});
  } catch (const lyceum::Error& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 1;
  }
}
