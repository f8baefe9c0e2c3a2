// WordPiece as BERT uses it (Wu et al. 2016, arXiv:1609.08144; greedy form of google-research/bert): from the
// left, always the longest piece that fits; pieces inside a word are spelled with a prefix ("##"). A word
// that cannot be covered, or has too many characters, is the unknown token as a whole. WordLevel: whole words
// or the unknown token. Ids equal those of Hugging Face `tokenizers`.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "text/model.h"

namespace lyceum {

struct WordPieceSpec {
  std::vector<std::pair<std::string, int32_t>> vocab;  // piece as spelled in the file -> id
  std::vector<bool> control;                           // [id] never made from text
  std::string unk_token = "[UNK]", continuing_prefix = "##";
  size_t longest_word = 100;  // in characters
  bool whole_words = false;   // WordLevel
};

// Throws kCorruptData if the vocabulary lacks the unknown token.
std::unique_ptr<const TokenModel> make_word_piece(WordPieceSpec spec);

}  // namespace lyceum
