// The header of a safetensors file, parsed and checked against the bytes that follow it.
//
//   u64 little-endian n | n bytes of JSON, '{' first, blanks may pad the end | data
//   {"__metadata__": {text: text}, "name": {"dtype": "BF16", "shape": [2, 3], "data_offsets": [begin, end]}}
//
// The file may come from anyone, so nothing in it is believed. After parsing:
//   1. n <= 100,000,000 and the header is UTF-8 JSON without duplicate names;
//   2. every tensor's bytes are the product of its shape times its type, computed without overflow;
//   3. the tensors cover the data exactly: no overlap, no hole, nothing after the last one.
// Rank 0 (one element) and dimensions of zero are allowed. A key this reader does not know is refused, for it
// could change what the bytes mean. Source: the README of huggingface/safetensors and its src/tensor.rs.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace lyceum {

// Element types, in the order of the safetensors library.
enum class FileDType : uint8_t {
  kBool,
  kF4,
  kF6E2M3,
  kF6E3M2,
  kU8,
  kI8,
  kF8E5M2,
  kF8E4M3,
  kF8E8M0,
  kF8E4M3Fnuz,
  kF8E5M2Fnuz,
  kI16,
  kU16,
  kF16,
  kBF16,
  kI32,
  kU32,
  kF32,
  kC64,
  kF64,
  kI64,
  kU64,
};

const char* file_dtype_name(FileDType dtype);  // as in the file: "BF16"
int file_dtype_bits(FileDType dtype);          // of one element
// False if the name is unknown.
bool parse_file_dtype(std::string_view name, FileDType& dtype);

// "[2, 3]"
std::string shape_text(const std::vector<int64_t>& shape);

// Bytes of a tensor; throws kCorruptData ("where: tensor ...") if the product overflows, a dimension is
// negative, or the elements (of 4 or 6 bits) do not fill whole bytes.
uint64_t tensor_bytes(const char* where, std::string_view name, FileDType dtype,
                      const std::vector<int64_t>& shape);

// One tensor as it lies in a file. `data` is borrowed from the mapping. Files of others may place it at any
// address: copy elements out with memcpy, or check the alignment first.
struct StoredTensor {
  std::string name;
  FileDType dtype = FileDType::kF32;
  std::vector<int64_t> shape;
  const uint8_t* data = nullptr;
  uint64_t bytes = 0;
};

struct SafetensorsHeader {
  std::vector<StoredTensor> tensors;  // in the order of the file
  std::map<std::string, std::string> metadata;
};

// Throws kCorruptData or kUnsupported; the message names `path`, the tensor, what was expected and found.
SafetensorsHeader parse_safetensors(std::span<const uint8_t> file, const std::string& path);

}  // namespace lyceum
