// What lies beside the ids of a token shard: Megatron's index and our table of domains, parsed and checked.
//
//   prefix.idx (little-endian, unaligned): "MMIDIDX\0\0", u64 version 1, u8 type of the ids, u64 sequences S,
//              u64 entries of the document index D, i32 lengths [S], i64 byte offsets in prefix.bin [S],
//              i64 first sequence of each document [D], which begins with 0 and ends with S
//   prefix.domains: "LYDOMAIN", u32 version 1, u32 bytes of a domain id (2 or 4), u64 documents, u64 tokens,
//              u32 domains, u32 0, u64 XXH3-64 of prefix.bin, u64 of prefix.idx, the names (u32 length,
//              UTF-8), one domain id per document, u64 XXH3-64 of everything before
//
// Both may come from anyone; after parsing every number is in range, and the lengths add up to the ids
// exactly. Source of the first: megatron/core/datasets/indexed_dataset.py.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace lyceum {

// The numbers of Megatron's table of types. Floats exist there and are refused.
enum class IdType : uint8_t { kU8 = 1, kI8 = 2, kI16 = 3, kI32 = 4, kI64 = 5, kU16 = 8 };
int id_bytes(IdType type);

// A checked index; points into the mapped file.
struct TokenIndex {
  IdType type = IdType::kI32;
  int64_t n_sequences = 0, n_documents = 0, n_tokens = 0;

  // Position of the first token of a document; document n_documents begins at n_tokens.
  int64_t document_begin(int64_t document) const;
  // Position of the first token of a sequence, likewise. (A document may be cut into sequences, as
  // sentences.)
  int64_t sequence_begin(int64_t sequence) const;

  const uint8_t* offsets = nullptr;         // i64 [n_sequences], unaligned
  const uint8_t* first_sequence = nullptr;  // i64 [n_documents + 1], unaligned
};

// `bin_bytes`: size of prefix.bin. Throws kCorruptData, or kUnsupported for ids that are no integers and for
// multimodal indexes.
TokenIndex parse_token_index(std::span<const uint8_t> file, uint64_t bin_bytes, const std::string& path);

struct DomainTable {
  std::vector<std::string> names;
  int64_t n_documents = 0, n_tokens = 0;
  uint64_t bin_checksum = 0, index_checksum = 0;
  int width = 2;                 // bytes of an id
  const uint8_t* ids = nullptr;  // [n_documents], unaligned
  uint32_t domain(int64_t document) const;
};

// Throws kCorruptData.
DomainTable parse_domains(std::span<const uint8_t> file, const std::string& path);

}  // namespace lyceum
