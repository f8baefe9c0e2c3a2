// `data tokenize`: documents that are kept become token shards; held-out documents a shard of their own.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/attributes.h"
#include "text/tokenizer.h"

namespace lyceum {

struct TokenizedDomain {
  std::string name;
  size_t documents = 0, bytes = 0, tokens = 0;  // to train on; ends of documents count as tokens
  size_t heldout_documents = 0, heldout_bytes = 0, heldout_tokens = 0;
};
struct TokenizeReport {
  std::vector<TokenizedDomain> domains;  // in the order of their ids
  size_t tokens() const, bytes() const;  // of the training part
};

struct TokenizeOptions {
  std::string folder;     // a data folder: documents/, attributes/, heldout/
  std::string tokenizer;  // tokenizer.json or the folder that holds it
  std::string
      out;  // folder of the shards: out/train.*, out/heldout.* and out/heldout.json; "" = folder/tokens
  bool mask_pii = false;
  bool allow_drops = true;  // leave out what attributes drop; false takes every document
};

// Names of the domains of a data folder by id: those of domains.json, then others found, sorted.
std::vector<std::string> domain_names_of(const std::string& folder);

// Every document is encoded without special tokens and ends with the tokenizer's end-of-text id. Documents
// keep the order of their files, so the shards are the same at any thread count. Throws kInvalidArgument when
// the tokenizer has no end-of-text id.
TokenizeReport tokenize(const TokenizeOptions& options);

std::string tokenize_report_json(const TokenizeReport& report);

// Writes a new shard in which domains stand in the proportions of data/epoch.h: documents repeated or
// sampled.
struct MixOptions {
  std::vector<std::string> shards;
  std::string out;                   // prefix of the new shard
  std::vector<std::string> weights;  // "c=2"
  double temperature = 1, max_copies = 4;
  int64_t tokens = 0;  // about so many in all; 0 = as many as there are
  uint64_t seed = 1;
};
struct MixedDomain {
  std::string name;
  int64_t tokens_before = 0, tokens = 0, documents = 0;
};
std::vector<MixedDomain> mix(const MixOptions& options);

}  // namespace lyceum
