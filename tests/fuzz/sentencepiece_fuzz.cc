// SentencePiece models, and a text through whatever tokenizer they make.
#include <cstdlib>

#include "base/threads.h"
#include "fuzz/bad_text_files.h"
#include "fuzz/fuzz.h"
#include "text/tokenizer.h"

namespace lyceum {

void run_target(std::span<const uint8_t> bytes) {
  set_thread_count(1);
  const Tokenizer tokenizer = Tokenizer::from_sentencepiece(std::string(as_text(bytes)), "f");
  const std::vector<int32_t> ids = tokenizer.encode("  Hello, w\xc3\xb6rld ab!  <s> <user>12\n\xff");
  StreamDecoder stream(tokenizer, false);
  for (const int32_t id : ids) {
    if (id < 0 || id >= tokenizer.vocab_size()) std::abort();
    stream.push(id);
  }
  stream.finish();
  tokenizer.decode(ids);
}

std::vector<BadFile> target_seeds() { return sentencepiece_corpus(); }

}  // namespace lyceum
