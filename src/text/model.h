// The model of a tokenizer: from one word to ids. bpe.h, unigram.h, word_piece.h; each has a row in
// model_json.cc.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace lyceum {

// Memory that one thread works in while it encodes: caches of words, buffers.
class ModelScratch {
 public:
  virtual ~ModelScratch() = default;
};

class TokenModel {
 public:
  virtual ~TokenModel() = default;
  virtual std::unique_ptr<ModelScratch> make_scratch() const = 0;
  // Appends the ids of a word (valid UTF-8, not empty). Thread: any, one scratch each.
  virtual void encode(std::string_view word, ModelScratch& scratch, std::vector<int32_t>& out) const = 0;
  // The first place above 0, at or after `from`, where a word may be cut without a change of its ids; its
  // size if there is none.
  virtual size_t find_cut(std::string_view word, size_t from) const { return word.size(); }
};

}  // namespace lyceum
