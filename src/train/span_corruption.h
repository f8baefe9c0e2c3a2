// Span corruption (Raffel et al. 2020, arXiv:1910.10683, section 3.1.4): what a model with an encoder learns
// from plain text. Spans of a sequence are cut out and replaced by sentinels in the source; the target lists
// each sentinel with what it stands for.
//   text    a b c d e f g h          source  a b <0> f g <1>          target  <0> c d e <1> h
// noise = 15 % of the tokens in spans of 3 on average: round(n noise) tokens in round(noisy / mean) spans,
// both cut at random places, kept and noisy parts alternate, the first is kept. Sentinel i is id vocab - 1 -
// i. The decoder reads the target behind its start token. Which spans: a function of the key alone.
#pragma once

#include <optional>

#include "base/random.h"
#include "models/config.h"
#include "train/batch_source.h"

namespace lyceum {

struct SpanCorruption {
  double noise = 0.15, mean_span = 3;
  int64_t vocab = 0;
  int32_t start = 0;  // that the decoder begins with

  // A batch of texts to one of targets with its sources.
  Batch apply(const Batch& text, RandomKey key) const;
};

SpanCorruption span_corruption_of(const ModelConfig& model);

// Any source of texts, corrupted: its cursor is the inner one's and the number of the batch.
class CorruptedSource : public BatchSource {
 public:
  CorruptedSource(BatchSource& texts, SpanCorruption form, uint64_t seed)
      : texts_(texts), form_(form), seed_(seed) {}
  void next(Batch& batch) override;
  std::string cursor() const override { return std::to_string(batches_) + " " + texts_.cursor(); }
  void seek(const std::string& cursor) override;

 private:
  BatchSource& texts_;
  SpanCorruption form_;
  uint64_t seed_, batches_ = 0;
};

// What a model learns from when it is given these texts: corrupted, if it has an encoder; nothing: as they
// are.
std::optional<CorruptedSource> corrupted_source(const ModelConfig& model, BatchSource& texts, int64_t seed);

}  // namespace lyceum
