// What every reader of tokenizer files does at the end, whatever the format: ids of added tokens, the
// spelling of every id, which ids are control tokens, what is looked for in a text. Private to src/text.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "text/tokenizer_state.h"

namespace lyceum {

using Vocab = std::vector<std::pair<std::string, int32_t>>;  // piece as spelled in the file -> id

// Gives each added token its id and puts it into the state: the id of the vocabulary's piece of that name,
// else the next free one, whatever the file says (as Hugging Face `tokenizers` does).
void assign_added_ids(std::vector<AddedToken>& tokens, const Vocab& vocab, Tokenizer::State& s,
                      const std::string& where);

// [id] pieces, bytes and special marks, and the matchers of added tokens; after normaliser and decoder stand.
// Throws kCorruptData for ids above 2^21.
void index_pieces(const Vocab& vocab, Tokenizer::State& s, const std::string& where);

// Makes a model in which text never becomes an id of `control`.
using ModelMaker = std::function<std::unique_ptr<const TokenModel>(const std::vector<bool>& control)>;

// The models of a state, after index_pieces.
void make_models(const ModelMaker& make, const Vocab& vocab, Tokenizer::State& s);

// True if no added token contains, or by its strip and word rules looks across, a letter and white space
// behind.
bool added_tokens_allow_cuts(const Tokenizer::State& s);

}  // namespace lyceum
