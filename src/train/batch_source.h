// Where a trainer's batches come from: token shards through the loader, or sequences in memory (tests).
#pragma once

#include <string>
#include <vector>

#include "nn/batch.h"

namespace lyceum {

class BatchSource {
 public:
  virtual ~BatchSource() = default;
  // Fills `batch` with the next micro-batch; what it held is overwritten, its memory used again.
  virtual void next(Batch& batch) = 0;
  // Where it stands, as JSON text: seek(cursor()) makes next() give the same batches again.
  virtual std::string cursor() const = 0;
  // Throws kInvalidArgument or kCorruptData when the text is no cursor of this source.
  virtual void seek(const std::string& cursor) = 0;
  // How often each id occurs, [domains, vocab]; empty if the source cannot say. domains = 1 counts all text.
  virtual std::vector<double> id_counts(int64_t domains, int64_t vocab) const { return {}; }
};

// Windows of one row of ids, drawn by (seed, number of the batch).
class MemorySource : public BatchSource {
 public:
  MemorySource(std::vector<int32_t> ids, int64_t sequence, int64_t sequences, uint64_t seed);
  void next(Batch& batch) override;
  std::string cursor() const override { return std::to_string(batches_); }
  void seek(const std::string& cursor) override;
  std::vector<double> id_counts(int64_t domains, int64_t vocab) const override;

 private:
  std::vector<int32_t> ids_;
  int64_t sequence_, sequences_;
  uint64_t seed_, batches_ = 0;
};

}  // namespace lyceum
