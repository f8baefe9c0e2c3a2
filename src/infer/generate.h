// Text, one id after the other, from a model and the keys and values of what it has read.
#pragma once

#include <functional>

#include "infer/sampler.h"
#include "models/model.h"

namespace lyceum {

// One sequence that is being read and continued. The result equals that of a full forward pass over all its
// ids.
class TextSequence {
 public:
  // `capacity`: most tokens, prompt and continuation together. `vocab`: ids that may be chosen (the output
  // matrix may have padding rows beyond them); 0: all. `domain`: of the text, for a model whose experts are
  // chosen by domain and id; throws kInvalidArgument if such a model gets none, or another model one.
  // `source`: the text that the encoder of a model with one reads.
  TextSequence(const Model& model, int64_t capacity, int64_t vocab = 0, int32_t domain = -1,
               std::span<const int32_t> source = {});

  // Reads ids and returns the logits after the last one; valid until the next call. f32 [vocab]
  std::span<const float> read(std::span<const int32_t> ids);
  int64_t length() const { return state_.length; }
  int64_t capacity() const { return state_.capacity; }

 private:
  const Model& model_;
  int64_t vocab_;
  int32_t domain_;
  std::vector<int32_t> source_;
  SequenceState state_;
  std::vector<float> logits_;
};

struct GenerateOptions {
  int64_t max_tokens = 256;
  int32_t domain = -1;  // of the text; -1: none
  SamplingOptions sampling;
  std::vector<int32_t> stop_ids;  // end of text; not part of the result
};

// Continues `prompt`, or answers it where the model has an encoder that reads it; `sink` sees each new id at
// once and may end the text by returning false. Returns the new ids. Throws kInvalidArgument for an empty
// prompt.
std::vector<int32_t> generate(const Model& model, std::span<const int32_t> prompt,
                              const GenerateOptions& options, int64_t vocab = 0,
                              const std::function<bool(int32_t)>& sink = {});

}  // namespace lyceum
