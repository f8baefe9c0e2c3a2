// Training of byte-level BPE tokenizers: the merges that Hugging Face's BpeTrainer would learn, on all cores.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "text/tokenizer.h"

namespace lyceum {

struct BpeTrainerOptions {
  int64_t vocab_size = 16384;  // special tokens and the 256 bytes included
  int64_t min_frequency = 2;   // a pair that is seen less often is not merged
  // Ids 0, 1, ...; the first is the end of text.
  std::vector<std::string> special_tokens = {"<|endoftext|>", "<|padding|>"};
  // gpt2, llama3 or qwen2 (scanner.h). llama3 keeps indentation and line ends of code together, lets a word
  // take the bracket or dot before it, and splits numbers into groups of three; Chinese falls into clauses,
  // inside which BPE finds the words; and every engine knows it by name.
  std::string pattern = "llama3";
  bool progress = false;  // show a bar while pairs are merged
};

class BpeTrainer {
 public:
  // Throws kInvalidArgument: unknown pattern, a vocabulary that does not hold the bytes and special tokens.
  explicit BpeTrainer(const BpeTrainerOptions& options);
  ~BpeTrainer();
  BpeTrainer(const BpeTrainer&) = delete;
  BpeTrainer& operator=(const BpeTrainer&) = delete;

  // Counts the words of some texts, on all threads; the texts are not kept. Call as often as needed: the
  // result depends neither on how texts are grouped nor on the number of threads.
  void add(std::span<const std::string_view> texts);
  uint64_t bytes() const;    // of text seen so far
  uint64_t n_words() const;  // distinct words seen so far

  // Learns the merges. Throws kInvalidArgument when no text was added. The vocabulary is smaller than asked
  // for when the text has no more pairs of min_frequency.
  Tokenizer train();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace lyceum
