// Reads a SentencePiece model (github.com/google/sentencepiece): BPE and Unigram with their normaliser, byte
// fallback and user-defined symbols. Ids equal those of the `sentencepiece` library.
//
// SentencePiece itself knows no control tokens in text; Hugging Face's classes cut them out before. So do we:
// the file's control and unknown pieces, what the configuration beside it adds, and for Yuan's model, whose
// control tokens are ordinary pieces, the tokens that its loader adds. Private to src/text.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "text/tokenizer.h"

namespace lyceum {

// What tokenizer_config.json and its like say of a SentencePiece model.
struct SentencePieceExtras {
  std::vector<AddedToken> added;
  std::string tokenizer_class;
  int add_bos = -1, add_eos = -1;  // -1: not said
};

// Throws kCorruptData and kUnsupported, naming `where` and the piece.
std::shared_ptr<Tokenizer::State> read_sentencepiece(std::string model, const SentencePieceExtras& extras,
                                                     const std::string& where);

// Yuan ends its texts with a token of its own, whatever the files beside its model say; -1 for other models.
int32_t yuan_end_of_text(const Tokenizer::State& s);

}  // namespace lyceum
