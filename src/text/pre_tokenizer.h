// Pre-tokenizers: how a normalised text is split into the words that the model sees one by one.
//
// A pre-tokenizer maps a list of pieces to a list of pieces. Each equals the one of the same name in Hugging
// Face `tokenizers`; the usual chains are also one hand-written scanner, see scan().
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "text/scanner.h"

namespace lyceum {

// Text that is still to be split. It points into the input or into an arena of changed texts.
struct Piece {
  std::string_view text;
  bool at_start = false;  // begins where the text that the user gave begins
};
using TextArena = std::deque<std::string>;

// What becomes of the text that a pattern matches.
enum class SplitBehavior { kRemoved, kIsolated, kMergedWithPrevious, kMergedWithNext, kContiguous };

class PreTokenizer {
 public:
  virtual ~PreTokenizer() = default;
  // Replaces `pieces` by their parts, in order, none empty. Thread: any.
  virtual void split(std::vector<Piece>& pieces, TextArena& arena) const = 0;
  // A scanner that does the same as split(), if there is one. Never depends on Piece::at_start.
  virtual Scan scan() const { return nullptr; }
  // True if it leaves pieces as they are (it may be byte_level still).
  virtual bool is_identity() const { return false; }
  // True if words go to the model as bytes: GPT-2's mapping of bytes to printable characters belongs to the
  // spelling of the vocabulary, so nothing is mapped while encoding.
  virtual bool byte_level() const { return false; }
};

using PreTokenizerPtr = std::unique_ptr<const PreTokenizer>;

PreTokenizerPtr make_split(const std::string& pattern, bool is_regex, SplitBehavior behavior, bool invert);
PreTokenizerPtr make_digits(bool individual);
PreTokenizerPtr make_punctuation(SplitBehavior behavior);
PreTokenizerPtr make_whitespace();        // \w+|[^\w\s]+
PreTokenizerPtr make_whitespace_split();  // what stands between white space
PreTokenizerPtr make_bert_split();        // white space removed, punctuation isolated
PreTokenizerPtr make_unicode_scripts();   // where the script changes
PreTokenizerPtr make_char_delimiter(char32_t delimiter);
PreTokenizerPtr make_fixed_length(size_t characters);
PreTokenizerPtr make_byte_level(bool add_prefix_space, bool use_regex);
enum class PrependScheme { kFirst, kNever, kAlways };
PreTokenizerPtr make_metaspace(const std::string& replacement, PrependScheme scheme, bool split);
PreTokenizerPtr make_sequence(std::vector<PreTokenizerPtr> parts);

}  // namespace lyceum
