// The files beside tokenizer.json: which token begins and ends a text, what `transformers` wants to know.
// Private to src/text.
#pragma once

#include <memory>
#include <string>

#include "text/sentencepiece.h"
#include "text/tokenizer.h"

namespace lyceum {

// tokenizer_json.cc: the pieces of a tokenizer from the text of its file.
std::shared_ptr<Tokenizer::State> read_tokenizer_json(std::string text, const std::string& where);

// Finds bos, eos and pad in the configuration files ("" where there is none), else by their usual names, and
// writes the files that are missing.
void read_tokenizer_config(Tokenizer::State& state, std::string config, std::string special_tokens,
                           const std::string& where);

// What they say of a SentencePiece model. `added`: added_tokens.json.
SentencePieceExtras read_sentencepiece_extras(const std::string& config, const std::string& special_tokens,
                                              const std::string& added, const std::string& where);

}  // namespace lyceum
