// Hand-written equals of the regular expressions that most byte-level tokenizers split text with: PCRE2 with
// its JIT takes several times longer. tests/text_scanner_test.cc holds each against its pattern.
#pragma once

#include <string_view>

namespace lyceum {

// The end of the word that begins at p < end; text from p to end is valid UTF-8.
using Scan = const char* (*)(const char* p, const char* end);

struct SplitPattern {
  const char* name;   // as `lyceum tokenizer train --pattern` knows it
  const char* regex;  // as tokenizer.json files spell it
  Scan scan;
};

// GPT-2, GPT-NeoX, OLMo: words with their leading space, numbers, runs of other signs, white space.
extern const SplitPattern kGpt2Pattern;
// cl100k and Llama 3: words may take any one sign before them, numbers go in groups of three, line ends stay
// with the signs before them, contractions in any case.
extern const SplitPattern kLlama3Pattern;
// Qwen 2: the same with single digits.
extern const SplitPattern kQwen2Pattern;

// The pattern with this name or this regular expression, or null.
const SplitPattern* find_split_pattern(std::string_view name_or_regex);

}  // namespace lyceum
