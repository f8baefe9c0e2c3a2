// The data loader as a trainer sees it.
#pragma once

#include "data/loader.h"
#include "train/batch_source.h"

namespace lyceum {

class ShardSource : public BatchSource {
 public:
  // Micro-batches of `sequences` instances; see DataLoader.
  ShardSource(const LoaderConfig& config, const std::vector<std::string>& prefixes, int64_t vocab,
              int32_t end_id, int64_t sequences)
      : loader_(config, prefixes, vocab, end_id), tokens_(sequences * config.sequence_length) {}
  void next(Batch& batch) override { batch = loader_.next(tokens_); }
  std::string cursor() const override { return loader_.cursor().text(); }
  void seek(const std::string& cursor) override { loader_.seek(Cursor::parse(cursor)); }
  std::vector<double> id_counts(int64_t domains, int64_t vocab) const override {
    return loader_.id_counts(domains, vocab);
  }
  const DataLoader& loader() const { return loader_; }

 private:
  DataLoader loader_;
  int64_t tokens_;
};

}  // namespace lyceum
