// Added tokens: strings that are found in the text before the model sees it, and become one id each.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
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
  // Special, or spelled as a control token is ("<think>", "[INST]"): many files forget the flag. Such tokens
  // are never found in text of a user.
  bool is_control() const;
};

// Which added tokens may be found where.
struct AllowedTokens {
  bool special = false;  // control tokens by their flag, everywhere
  // If there is one: control tokens in these stretches alone, [begin, end) in bytes, in order; others
  // everywhere.
  const std::vector<std::pair<size_t, size_t>>* trusted = nullptr;
  bool no_control = false;  // none of them, whatever the flag says

  bool allow(const AddedToken& token, size_t begin, size_t end) const;
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
  // Appends the segments of `text`, which cover it except for what strip rules take. Tokens that are not
  // allowed stay text.
  void split(std::string_view text, const AllowedTokens& allowed, std::vector<TextSegment>& out) const;

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
