// Chat templates: the bytes are a template, which is rendered with some messages.
#include <cstdlib>

#include "fuzz/bad_text_files.h"
#include "fuzz/fuzz.h"
#include "text/chat_template.h"
#include "text/unicode.h"

namespace lyceum {

void run_target(std::span<const uint8_t> bytes) {
  const ChatTemplate chat = ChatTemplate::parse(as_text(bytes), "t");
  const char* variables =
      R"({"messages":[{"role":"system","content":" be <b> "},{"role":"user","content":"h\u00e4 \u4e2d\n"}],)"
      R"("tools":[{"function":{"name":"f","arguments":{"x":1.5,"y":null,"z":[true,"q"]}}}],"a":3,"s":"text","l":[3,1,2]})";
  for (const MarkedText& part :
       chat.render(variables, R"({"bos_token":"<s>"})", {.steps = 200'000, .bytes = 16 << 20}, 0))
    if (valid_utf8_prefix(part.text) != part.text.size()) std::abort();
}

std::vector<BadFile> target_seeds() { return chat_template_corpus(); }

}  // namespace lyceum
