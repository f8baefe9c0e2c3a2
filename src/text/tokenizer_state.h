// What a Tokenizer holds. Private to src/text: tokenizer_json.cc fills it, tokenizer.cc runs it.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "text/added_tokens.h"
#include "text/decoder.h"
#include "text/model.h"
#include "text/normalizer.h"
#include "text/pre_tokenizer.h"
#include "text/tokenizer.h"

namespace lyceum {

// A model, and the scratch memory of threads that do not encode with it now.
struct SharedModel {
  std::unique_ptr<const TokenModel> model;
  mutable std::mutex mutex;
  mutable std::vector<std::unique_ptr<ModelScratch>> free_scratch;
};

struct Tokenizer::State {
  // stations of the road; null: nothing happens there
  NormalizerPtr normalizer;
  PreTokenizerPtr pre_tokenizer;
  SharedModel model;
  // For marked text: the same without pieces that are control tokens by their spelling alone; without a model
  // where there are none.
  SharedModel marked_model;
  DecoderPtr decoder;
  std::vector<int32_t> prefix, suffix;  // of the post-processor

  std::vector<AddedToken> added;
  std::vector<std::string> added_normalized;  // [added] what is looked for in normalised text
  AddedTokenMatcher raw_matcher, normalized_matcher;
  AddedTokenMatcher marked_matcher;  // for marked text: all of raw_matcher, and every control token

  std::vector<std::string> pieces;  // [id] as decoders see them
  std::unordered_map<std::string, int32_t> ids;
  std::vector<bool> special;             // [id]
  std::vector<std::string> piece_bytes;  // [id] only with the byte-level decoder
  int32_t bos = -1, eos = -1, pad = -1;
  bool yuan = false;  // see sentencepiece.h
  std::string description;

  // the files as they were, or as they will be written
  std::pair<std::string, std::string> model_file;  // name in a folder, contents
  std::string config_json, special_tokens_json;

  // True if a text may be cut between a letter and the white space behind it (see find_cut): no station looks
  // across.
  bool may_cut = false;
};

}  // namespace lyceum
