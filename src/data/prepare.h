// `data prepare`: from text on the machine to shards that a trainer opens, in one call. Every stage that is
// up to date is passed over.
//
//   ingest -> filter -> dedup -> split -> train tokenizer -> tokenize -> data_report.json
//
// A stage is up to date when its key in stamps.json is the hash of its options and of the stage before; the
// first key covers path, size and time of change of every file that could be read. Stamps are written after
// their stage, so an interrupted run repeats the stage it was in.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/dedup.h"
#include "data/filter.h"
#include "data/ingest.h"
#include "data/split.h"
#include "data/tokenize.h"

namespace lyceum {

struct PrepareOptions {
  std::string folder;    // everything is made here
  IngestOptions ingest;  // out is set to folder
  FilterOptions filter;  // likewise for the folders of the other stages
  DedupOptions dedup;
  SplitOptions split;
  bool mask_pii = false;
  std::string tokenizer;                      // an existing tokenizer.json or its folder; "" = train one
  int64_t vocab_size = 16384;                 // of the one that is trained
  std::string pattern = "llama3";             // how it cuts words (text/bpe_trainer.h)
  size_t tokenizer_bytes = size_t{48} << 20;  // of text to train it on, in equal shares of the domains
};

struct PreparedDomain {
  std::string name;
  int64_t documents = 0, bytes = 0, tokens = 0;  // to train on
  int64_t heldout_documents = 0, heldout_bytes = 0, heldout_tokens = 0;
};

struct PreparedData {
  std::string train_shard;     // prefix: folder/tokens/train
  std::string heldout_shard;   // prefix: folder/tokens/heldout, for HeldOut; "" when nothing was held out
  std::string heldout_folder;  // <domain>.jsonl; beside it heldout_text/<domain>.txt
  std::string tokenizer;       // folder with tokenizer.json
  std::string report;          // data_report.json
  std::vector<PreparedDomain> domains;  // by id
  std::vector<std::string> stages_done, stages_reused;
  int64_t tokens() const, bytes() const, heldout_bytes() const;
};

PreparedData prepare(const PrepareOptions& options);

// Trains a byte-level BPE tokenizer on the documents that are kept; writes it into out/.
void train_tokenizer(const std::string& folder, const std::string& out, int64_t vocab_size,
                     const std::string& pattern, size_t bytes);

}  // namespace lyceum
