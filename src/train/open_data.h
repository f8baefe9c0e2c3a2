// From the paths of a recipe to what a trainer works with: shards, held-out text, tokenizer, vocabulary.
#pragma once

#include <memory>

#include "train/held_out.h"
#include "train/shard_source.h"
#include "train/trainer.h"

namespace lyceum {

class Tokenizer;

struct OpenedData {
  TrainConfig config;  // with the vocabulary and, with train.from, the model of that checkpoint
  std::unique_ptr<ShardSource> source;
  HeldOutSet held_out;
  std::map<std::string, std::string> texts;  // tokenizer files
  TrainParts parts();
};

// Says what a recipe leaves open: the vocabulary of its tokenizer and, with train.from, the model of that
// checkpoint. Returns the tokenizer.
Tokenizer resolve_model(TrainConfig& config);

// Throws kNotFound, kCorruptData or kInvalidArgument naming the path and the key.
OpenedData open_data(const TrainConfig& config);

}  // namespace lyceum
