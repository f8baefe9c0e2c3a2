// Token shards: the ids of many documents in one mapped file, with the place and the domain of each document.
//
// Files: <prefix>.bin and .idx in Megatron's layout, readable by its IndexedDataset; <prefix>.domains beside
// them (formats/token_index.h has the bytes).
//
// Invariants of the writer:
//   1. The index is put in place last, the index of an older shard of this name is removed first. So a reader
//      finds the old shard, no shard, or the new shard, whenever the writer dies.
//   2. Files grow under temporary names; an abandoned writer leaves the shard of before.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/file.h"
#include "formats/token_index.h"

namespace lyceum {

// Reads a shard. Everything is checked when it is opened except the ids themselves (check_ids, verify).
// Thread: any number of readers.
class TokenShard {
 public:
  // `prefix` without extension (one of the three names is taken too). Throws kNotFound, kCorruptData,
  // kUnsupported.
  explicit TokenShard(const std::string& prefix);

  const std::string& prefix() const { return prefix_; }
  IdType id_type() const { return index_.type; }
  int64_t n_documents() const { return index_.n_documents; }
  int64_t n_tokens() const { return index_.n_tokens; }
  // Position of the first token of a document, 0 <= document <= n_documents (which gives n_tokens).
  int64_t document_begin(int64_t document) const;
  int64_t document_tokens(int64_t document) const {
    return document_begin(document + 1) - document_begin(document);
  }
  // The document that holds the token at `position`.
  int64_t document_at(int64_t position) const;
  // Copies the ids at [begin, begin + out.size()) of the shard. Throws kCorruptData for an id outside of
  // [0, vocab), naming the document: check every batch with the vocabulary of the model and nothing can
  // break.
  void read(int64_t begin, std::span<int32_t> out, int64_t vocab) const;

  // Shards of others have no domains: then every document is of domain 0 and there are no names.
  bool has_domains() const { return domains_file_.data() != nullptr; }
  const std::vector<std::string>& domain_names() const { return domains_.names; }
  uint32_t domain(int64_t document) const;

  // Holds every id against the vocabulary. Throws kCorruptData naming the document and place.
  void check_ids(int64_t vocab) const;
  // Holds the files against the checksums in .domains (nothing to hold without it). Throws kCorruptData.
  void verify() const;

 private:
  std::string prefix_;
  MappedFile bin_, index_file_, domains_file_;
  TokenIndex index_;
  DomainTable domains_;
};

// Writes a shard document by document; ids are 16-bit when the vocabulary has fewer than 65536 of them.
class TokenShardWriter {
 public:
  // `domain_names`: names of domains 0, 1, ...; at least one.
  TokenShardWriter(const std::string& prefix, int64_t vocab, std::vector<std::string> domain_names,
                   FileSystem& files = real_files());
  ~TokenShardWriter();  // without finish(): nothing happened

  // One document. Throws kInvalidArgument for an id outside of [0, vocab) or a domain without a name.
  void add(std::span<const int32_t> ids, uint32_t domain);
  // Puts the shard in its place.
  void finish();

  int64_t n_documents() const;
  int64_t n_tokens() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace lyceum
