// tokenizer.json, and a text through whatever tokenizer it makes.
#include <cstdlib>

#include "base/threads.h"
#include "fuzz/fuzz.h"
#include "text/tokenizer.h"

namespace lyceum {

void run_target(std::span<const uint8_t> bytes) {
  set_thread_count(1);
  const Tokenizer tokenizer = Tokenizer::from_json(std::string(as_text(bytes)), "f");
  const std::vector<int32_t> ids = tokenizer.encode("Hello, w\xc3\xb6rld!  <s> 12\n\xff");
  for (const int32_t id : ids)
    if (id < 0 || id >= tokenizer.vocab_size()) std::abort();
  tokenizer.decode(ids);
}

std::vector<BadFile> target_seeds() {
  const std::string model = R"("model":{"type":"BPE","vocab":{"H":0,"e":1,"l":2,"o":3,"He":4,"ll":5},)"
                            R"("merges":["H e",["l","l"]],"byte_fallback":false,"unk_token":"e"})";
  const std::string added = R"("added_tokens":[{"id":6,"content":"<s>","special":true,"lstrip":false,)"
                            R"("rstrip":true,"normalized":false,"single_word":false}])";
  const std::string around =
      R"("normalizer":{"type":"Sequence","normalizers":[{"type":"NFC"},{"type":"Replace",)"
      R"("pattern":{"String":" "},"content":"_"}]},"pre_tokenizer":{"type":"Sequence","pretokenizers":[)"
      R"({"type":"Split","pattern":{"Regex":"\\p{L}+|\\s+"},"behavior":"Isolated","invert":false},)"
      R"({"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":false}]},)"
      R"("decoder":{"type":"ByteLevel"},"post_processor":{"type":"TemplateProcessing","single":)"
      R"([{"SpecialToken":{"id":"<s>","type_id":0}},{"Sequence":{"id":"A","type_id":0}}],)"
      R"("special_tokens":{"<s>":{"id":"<s>","ids":[6],"tokens":["<s>"]}}})";
  const std::string good = R"({"version":"1.0",)" + added + "," + around + "," + model + "}";
  return {
      {"good", good, ""},
      {"plain", "{" + model + "}", ""},
      {"unigram",
       R"({"model":{"type":"Unigram","unk_id":0,"vocab":[["<unk>",0],["l",-1],["ll",-2.5],["o",-3]]},"normalizer":)"
       R"({"type":"Precompiled","precompiled_charsmap":"CAAAAAAAAAAAAAAA"},"pre_tokenizer":{"type":"Metaspace",)"
       R"("replacement":"_","prepend_scheme":"first"},"decoder":{"type":"CTC"}})",
       ""},
      {"wordpiece",
       R"({"model":{"type":"WordPiece","unk_token":"u","vocab":{"u":0,"H":1,"##e":2,"##llo":3}},"normalizer":)"
       R"({"type":"BertNormalizer"},"pre_tokenizer":{"type":"Sequence","pretokenizers":[{"type":"UnicodeScripts"},)"
       R"({"type":"BertPreTokenizer"}]},"decoder":{"type":"WordPiece"}})",
       ""},
      {"words",
       R"({"model":{"type":"WordLevel","unk_token":"u","vocab":{"u":0,"Hello":1}},"normalizer":{"type":"Nmt"}})",
       ""},
      {"cut", good.substr(0, good.size() / 2), "not JSON"},
      {"list", "[]", ""},
      {"nothing", "", ""}};
}

}  // namespace lyceum
