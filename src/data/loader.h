// Token shards to training batches.
//
// An epoch draws the documents in a new order (data/epoch.h), strings them into one stream and cuts it into
// instances of sequence_length tokens; the instances are visited in an order of their own, so that the pieces
// of a long document lie far apart. Invariants:
//   1. Instance k of epoch e is a function of (shards, config, e, k): not of threads, batch sizes or calls
//   before.
//   2. A cursor is where the next instance comes from; seek() to it and the same batches follow, bit for bit.
//   3. Every document ends with the end-of-document id; in the stream it also stands before the next
//   document, whose
//      first token it predicts. With isolate_documents it begins the next document's attention span.
//
//   construct -> next() ... next() -> cursor()      seek(cursor) -> next() ...
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/fields.h"
#include "nn/batch.h"

namespace lyceum {

struct LoaderConfig {
  int64_t sequence_length = 512;
  int64_t seed = 6198;
  bool isolate_documents = false;
  bool mask_repetitions = true;
  double temperature = 1;
  double max_copies = 4;
  std::vector<std::string> weights;  // "c=2", by name of domain; 1 where none is given, 0 leaves a domain out

  void fields(Fields& f) {
    f.add("sequence_length", sequence_length, "tokens of an instance", at_least(2), at_most(1 << 22));
    f.add("seed", seed, "order of documents and instances", at_least(0));
    f.add("isolate_documents", isolate_documents, "attention and positions end at documents");
    f.add("mask_repetitions", mask_repetitions,
          "no loss on instances that repeat an n-gram 32 times (n <= 13)");
    f.add("temperature", temperature, "share of a domain ~ tokens^(1/temperature); 1 = as in the data",
          at_least(1));
    f.add("max_copies", max_copies, "most often that a document is read in an epoch", at_least(1));
    f.add("weights", weights, "shares of domains multiply by these: [\"c=2\", \"shell=0.5\"]");
  }
};

// A number for each name: 1, or what a "name=weight" says. Throws kInvalidArgument for a name that is not
// there.
std::vector<double> parse_weights(const std::vector<std::string>& texts,
                                  const std::vector<std::string>& names);

// Where a loader stands; a line of text in a checkpoint.
struct Cursor {
  int64_t epoch = 0;
  int64_t instance = 0;      // of this epoch, in visiting order
  uint64_t data = 0;         // of shards and config: seek() refuses a cursor of other data
  std::string text() const;  // "epoch=2 instance=1234 data=0123456789abcdef"
  static Cursor parse(const std::string& text);  // throws kCorruptData
  bool operator==(const Cursor&) const = default;
};

class DataLoader {
 public:
  // Opens the shards. `vocab`: of the model; ids outside are refused when they are read. `end_id`: of the end
  // of a document. Throws kInvalidArgument when the data are shorter than one instance.
  DataLoader(const LoaderConfig& config, const std::vector<std::string>& shard_prefixes, int64_t vocab,
             int32_t end_id);
  ~DataLoader();
  DataLoader(DataLoader&&) noexcept;

  // The next tokens / sequence_length instances; `tokens` must be a multiple of sequence_length. Goes on into
  // the next epoch by itself.
  Batch next(int64_t tokens);
  // Passes over instances, for ranks that share a step.
  void skip(int64_t instances);

  Cursor cursor() const;
  void seek(const Cursor& cursor);

  // Names of domains by id, as Batch::domains counts them.
  const std::vector<std::string>& domain_names() const;
  // Tokens of each domain in the shards, and copies of it in an epoch.
  const std::vector<int64_t>& domain_tokens() const;
  const std::vector<double>& copies() const;
  // How often each id occurs in the shards, [domains, vocab]; domains = 1 counts all text together.
  std::vector<double> id_counts(int64_t domains, int64_t vocab) const;
  int64_t instances_in_epoch() const;  // of the epoch where the cursor stands
  // Instances whose loss was masked for repetition since construction.
  int64_t masked_instances() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace lyceum
