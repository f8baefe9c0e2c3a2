// What SentencePiece does with text before and behind its model: white space becomes U+2581, rules that were
// compiled into the file are applied, and back.
#pragma once

#include <string>
#include <vector>

#include "text/decoder.h"
#include "text/normalizer.h"
#include "text/precompiled.h"

namespace lyceum {

struct SentencePieceRules {
  CharsMap rules;
  std::vector<std::string> user_defined;  // text that no rule touches
  bool dummy_prefix = true;               // a space before the text (behind it, with `suffix`)
  bool remove_extra_spaces = true;        // at the ends, and of several all but one
  bool escape_spaces = true;              // ' ' becomes U+2581
  bool suffix = false;                    // white space belongs to the word before it
  std::string unk_piece, unk_surface;     // how the unknown token is spelled and decoded
};

NormalizerPtr make_sentencepiece_normalizer(const SentencePieceRules& rules);
DecoderPtr make_sentencepiece_decoder(const SentencePieceRules& rules);

}  // namespace lyceum
