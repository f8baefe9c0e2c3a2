// Tokenizers: from text to ids and back, the same ids as Hugging Face `tokenizers` gives from the same
// tokenizer.json.
//
// On the road of a token this is the first station: added tokens are cut out of the text, the rest is
// normalised (normalizer.h), split into words (pre_tokenizer.h), each word becomes ids (model.h), special
// tokens are put around them; decoder.h goes the way back.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "text/added_tokens.h"

namespace lyceum {

struct EncodeOptions {
  // Put the special tokens of the post-processor (begin of text, ...) around the ids.
  bool add_special = true;
  // Let "<|endoftext|>" in the text become that control token. Only for text that we wrote ourselves (chat
  // templates): whatever a user or a document says stays text by default.
  bool allow_special = false;
};

// Part of a text, and whether we wrote it.
struct MarkedText {
  std::string text;
  bool trusted = false;  // control tokens are recognised here and nowhere else
};

class Tokenizer {
 public:
  // Reads a tokenizer.json or a SentencePiece model, or the folder that holds one; tokenizer_config.json,
  // special_tokens_map.json and added_tokens.json are read where they stand beside it. Throws kNotFound,
  // kCorruptData, kUnsupported naming file and piece.
  static Tokenizer load(const std::string& path);
  // The same from the text of a tokenizer.json; `where` stands in error messages.
  static Tokenizer from_json(std::string tokenizer_json, const std::string& where);
  static Tokenizer from_sentencepiece(std::string model, const std::string& where);

  // Ids of a text. Invalid UTF-8 counts as U+FFFD, one per maximal invalid part (Python's errors="replace").
  // Long texts are encoded on all threads; the ids do not depend on how many. Thread: any.
  std::vector<int32_t> encode(std::string_view text, const EncodeOptions& options = {}) const;
  // Ids of the parts as one text. A control token (AddedToken::is_control) is found only where all of it
  // stands in one trusted part: what a user or a document says never becomes one, whatever stands beside it.
  std::vector<int32_t> encode_marked(std::span<const MarkedText> parts, bool add_special = false) const;
  // [texts] the ids of each, on all threads.
  std::vector<std::vector<int32_t>> encode_batch(std::span<const std::string_view> texts,
                                                 const EncodeOptions& options = {}) const;

  // Text of ids, valid UTF-8: what is no character becomes U+FFFD. Ids that do not exist are passed over.
  std::string decode(std::span<const int32_t> ids, bool skip_special = true) const;

  // One more than the largest id.
  int32_t vocab_size() const;
  // Id of a piece or added token as the file spells it, or -1.
  int32_t id_of(std::string_view piece) const;
  // Spelling of an id, "" if there is none.
  const std::string& piece(int32_t id) const;
  const std::vector<AddedToken>& added_tokens() const;
  bool is_special(int32_t id) const;
  int32_t bos_id() const;  // -1 where there is none
  int32_t eos_id() const;
  int32_t pad_id() const;
  // Type of the model and of the pieces around it, for people: "BPE, 50280 ids, NFC, ByteLevel, ...".
  const std::string& description() const;

  // Writes tokenizer.json (or tokenizer.model), tokenizer_config.json and special_tokens_map.json into a
  // folder, as `transformers` reads them; files that were loaded are written back as they were.
  void save(const std::string& folder, FileSystem& files = real_files()) const;

  struct State;

 private:
  friend class StreamDecoder;
  explicit Tokenizer(std::shared_ptr<const State> state) : state_(std::move(state)) {}
  std::shared_ptr<const State> state_;
};

// Decodes ids one by one and never emits part of a character.
class StreamDecoder {
 public:
  explicit StreamDecoder(const Tokenizer& tokenizer, bool skip_special = true);
  // The text that became certain with this id, often empty inside a character.
  std::string push(int32_t id);
  // The rest; the decoder begins anew.
  std::string finish();

 private:
  size_t begun_character() const;
  Tokenizer tokenizer_;
  bool skip_special_;
  std::string bytes_;         // byte level: what may still grow into a character
  std::vector<int32_t> ids_;  // other decoders: the ids that the next text may depend on
  size_t sent_ids_ = 0;       // ids whose text was emitted
};

}  // namespace lyceum
