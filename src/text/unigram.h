// Unigram language model (Kudo 2018, arXiv:1804.10959): of all ways to cut a word into pieces, the one whose
// sum of log probabilities is highest, found by Viterbi's algorithm from left to right.
//
//   best(end) = max over pieces that end there of best(begin) + score(piece)
//
// A character that no piece covers alone costs 10 more than the worst piece. Ids equal those of Hugging Face
// `tokenizers`, whose sums from the beginning of the text are rounded to double, and of SentencePiece, which
// keeps them as float: where two ways are equally good, that decides.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "text/model.h"

namespace lyceum {

struct UnigramPiece {
  std::string text;
  double score = 0;
  bool in_text = true;        // false: a control token, a byte: never found in text
  bool user_defined = false;  // always preferred to the pieces that it covers
  bool counts = true;         // among the scores whose worst an unknown character is held against
};

struct UnigramSpec {
  std::vector<UnigramPiece> pieces;  // [id]
  int32_t unk = -1;
  bool byte_fallback = false;
  bool float_sums = false;  // as SentencePiece
};

std::unique_ptr<const TokenModel> make_unigram(UnigramSpec spec);

}  // namespace lyceum
