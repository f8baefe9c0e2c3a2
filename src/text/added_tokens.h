// Added tokens: strings that are found in the text before the model sees it, and become one id each.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace lyceum {

struct AddedToken {
  int32_t id = -1;
  std::string content;
  bool single_word = false;  // only where no word character touches it
  bool lstrip = false;       // takes the white space before it
  bool rstrip = false;       // takes the white space behind it
  bool normalized = true;    // looked for in the normalised text rather than in the given one
  bool special = false;      // a control token
};

// A stretch of text, or an added token with its id.
struct TextSegment {
  std::string_view text;
  int32_t id = -1;  // -1: text
};

// Finds the leftmost longest of many strings.
class AddedTokenMatcher {
 public:
  AddedTokenMatcher() = default;
  // `content[i]` is what is looked for and `tokens[i]` whose it is; both stay with the caller.
  void add(std::string_view content, const AddedToken* token);
  bool empty() const { return nodes_.empty(); }
  // Bytes of the longest content that `text` begins with, or 0.
  size_t longest_prefix(std::string_view text) const {
    size_t length = 0;
    if (!nodes_.empty()) longest(text.data(), text.data() + text.size(), &length);
    return length;
  }
  // Appends the segments of `text`, which cover it except for what strip rules take. Special tokens stay text
  // unless `allow_special`.
  void split(std::string_view text, bool allow_special, std::vector<TextSegment>& out) const;

 private:
  struct Node {
    int32_t token = -1;                               // index into tokens_
    std::vector<std::pair<uint8_t, uint32_t>> edges;  // byte -> node, sorted
  };
  const AddedToken* longest(const char* p, const char* end, size_t* length) const;

  std::vector<Node> nodes_;
  std::vector<const AddedToken*> tokens_;
  std::vector<uint64_t> starts_;  // bit first_byte * 256 + second_byte: a match may begin here
};

}  // namespace lyceum
