// Byte pair encoding (Sennrich, Haddow & Birch 2016, arXiv:1508.07909): a word begins as characters, or
// bytes; of all neighbours that the list of merges knows, the pair that stands first in the list is joined
// (the leftmost one, if it occurs more than once), until no pair is left. Ids equal those of Hugging Face
// `tokenizers`.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "text/model.h"

namespace lyceum {

struct BpeSpec {
  std::vector<std::pair<std::string, int32_t>> vocab;       // piece as spelled in the file -> id
  std::vector<std::pair<std::string, std::string>> merges;  // first is merged first
  std::vector<float> scores;                                // [id] instead of merges, as SentencePiece has it
  std::vector<bool> control;                                // [id] never made from text
  std::string unk_token, continuing_prefix, word_suffix;    // empty: none
  bool fuse_unk = false, byte_fallback = false, ignore_merges = false;
  bool byte_level = false;  // words are bytes and pieces are spelled in GPT-2's alphabet
};

// Throws kCorruptData when merges name pieces that the vocabulary lacks, kUnsupported above 2^21 ids.
std::unique_ptr<const TokenModel> make_bpe(BpeSpec spec);

// GPT-2's alphabet: a printable character for each byte (bytes_to_unicode of openai/gpt-2 encoder.py).
uint32_t byte_to_char(uint8_t byte);
// The bytes that `piece` spells; false if a character is not of the alphabet.
bool piece_to_bytes(std::string_view piece, std::string& bytes);

}  // namespace lyceum
