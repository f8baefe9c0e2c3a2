#include "text/pre_tokenizer.h"

#include <optional>

#include "base/error.h"
#include "text/bpe.h"
#include "text/regex.h"
#include "text/unicode.h"

namespace lyceum {
namespace {

struct Span {
  size_t begin, end;
  bool match;
};

// Pieces of `text` from spans that cover it, as `behavior` joins or drops them.
void join_spans(const Piece& piece, std::vector<Span>& spans, SplitBehavior behavior,
                std::vector<Piece>& out) {
  std::vector<Span> joined;
  bool previous = false;
  const auto merge = [&](const Span& s, bool into_last) {
    if (into_last && !joined.empty())
      joined.back().begin = std::min(joined.back().begin, s.begin),
      joined.back().end = std::max(joined.back().end, s.end);
    else joined.push_back(s);
    previous = s.match;
  };
  switch (behavior) {
    case SplitBehavior::kIsolated:
      joined = spans;
      break;
    case SplitBehavior::kRemoved:
      for (const Span& s : spans)
        if (!s.match) joined.push_back(s);
      break;
    case SplitBehavior::kContiguous:
      for (const Span& s : spans) merge(s, s.match == previous);
      break;
    case SplitBehavior::kMergedWithPrevious:
      for (const Span& s : spans) merge(s, s.match && !previous);
      break;
    case SplitBehavior::kMergedWithNext:
      for (size_t i = spans.size(); i-- > 0;) merge(spans[i], spans[i].match && !previous);
      joined = {joined.rbegin(), joined.rend()};
      break;
  }
  for (const Span& s : joined)
    if (s.begin < s.end)
      out.push_back({piece.text.substr(s.begin, s.end - s.begin), piece.at_start && s.begin == 0});
}

// Splits every piece at what find(text, from, &begin, &end) finds.
template <class Find>
void split_all(std::vector<Piece>& pieces, SplitBehavior behavior, bool invert, const Find& find) {
  std::vector<Piece> out;
  std::vector<Span> spans;
  for (const Piece& piece : pieces) {
    spans.clear();
    size_t done = 0, from = 0, begin, end;
    while (from <= piece.text.size() && find(piece.text, from, &begin, &end)) {
      if (done < begin) spans.push_back({done, begin, invert});
      spans.push_back({begin, end, !invert});
      done = end;
      from = end > begin ? end : end < piece.text.size() ? end + char_length(piece.text[end]) : end + 1;
    }
    if (done < piece.text.size()) spans.push_back({done, piece.text.size(), invert});
    join_spans(piece, spans, behavior, out);
  }
  pieces = std::move(out);
}

// Splits at single characters of which `is` holds.
template <class Is>
void split_chars(std::vector<Piece>& pieces, SplitBehavior behavior, const Is& is) {
  split_all(pieces, behavior, false, [&](std::string_view text, size_t from, size_t* begin, size_t* end) {
    for (int bytes; from < text.size(); from += bytes) {
      if (is(decode_char(&text[from], &bytes))) {
        *begin = from;
        *end = from + bytes;
        return true;
      }
    }
    return false;
  });
}

void scan_all(std::vector<Piece>& pieces, Scan scan) {
  std::vector<Piece> out;
  for (const Piece& piece : pieces) {
    const char *p = piece.text.data(), *end = p + piece.text.size();
    for (const char* next; p < end; p = next) {
      next = scan(p, end);
      out.push_back({{p, static_cast<size_t>(next - p)}, piece.at_start && p == piece.text.data()});
    }
  }
  pieces = std::move(out);
}

class Split : public PreTokenizer {
 public:
  Split(const std::string& pattern, bool is_regex, SplitBehavior behavior, bool invert)
      : behavior_(behavior), invert_(invert) {
    const SplitPattern* known = is_regex ? find_split_pattern(pattern) : nullptr;
    if (known && behavior == SplitBehavior::kIsolated && !invert) scan_ = known->scan;
    else if (is_regex) regex_.emplace(pattern, "tokenizer pre_tokenizer Split");
    else literal_ = pattern;
  }
  Scan scan() const override { return scan_; }
  void split(std::vector<Piece>& pieces, TextArena&) const override {
    if (scan_) return scan_all(pieces, scan_);
    if (regex_)
      return split_all(pieces, behavior_, invert_,
                       [&](std::string_view text, size_t from, size_t* b, size_t* e) {
                         return regex_->find(text, from, b, e);
                       });
    split_all(pieces, behavior_, invert_, [&](std::string_view text, size_t from, size_t* b, size_t* e) {
      *b = find_text(text, literal_, from);
      *e = *b + literal_.size();
      return *b != std::string_view::npos;
    });
  }

 private:
  SplitBehavior behavior_;
  bool invert_;
  Scan scan_ = nullptr;
  std::optional<Regex> regex_;
  std::string literal_;
};

bool is_punctuation(uint32_t c) {
  const bool ascii = (c > 32 && c < 48) || (c > 57 && c < 65) || (c > 90 && c < 97) || (c > 122 && c < 127);
  return ascii || (char_class(c) & kPunctuation) != 0;
}
bool is_space(uint32_t c) { return (char_class(c) & kSpace) != 0; }

class Digits : public PreTokenizer {
 public:
  explicit Digits(bool individual) : individual_(individual) {}
  void split(std::vector<Piece>& pieces, TextArena&) const override {
    split_chars(pieces, individual_ ? SplitBehavior::kIsolated : SplitBehavior::kContiguous,
                [](uint32_t c) { return (char_class(c) & kNumeric) != 0; });
  }

 private:
  bool individual_;
};

class Punctuation : public PreTokenizer {
 public:
  explicit Punctuation(SplitBehavior behavior) : behavior_(behavior) {}
  void split(std::vector<Piece>& pieces, TextArena&) const override {
    split_chars(pieces, behavior_, is_punctuation);
  }

 private:
  SplitBehavior behavior_;
};

class Whitespace : public PreTokenizer {
 public:
  void split(std::vector<Piece>& pieces, TextArena&) const override {
    std::vector<Piece> out;
    const auto kind = [](uint32_t c) { return char_class(c) & kWord ? 1 : is_space(c) ? 0 : 2; };
    for (const Piece& piece : pieces) {
      int bytes;
      for (size_t i = 0, next; i < piece.text.size(); i = next) {
        const int first = kind(decode_char(&piece.text[i], &bytes));
        next = i + bytes;
        while (next < piece.text.size() && kind(decode_char(&piece.text[next], &bytes)) == first)
          next += bytes;
        if (first != 0) out.push_back({piece.text.substr(i, next - i), piece.at_start && i == 0});
      }
    }
    pieces = std::move(out);
  }
};

class WhitespaceSplit : public PreTokenizer {
 public:
  void split(std::vector<Piece>& pieces, TextArena&) const override {
    split_chars(pieces, SplitBehavior::kRemoved, is_space);
  }
};

class BertSplit : public PreTokenizer {
 public:
  void split(std::vector<Piece>& pieces, TextArena&) const override {
    split_chars(pieces, SplitBehavior::kRemoved, is_space);
    split_chars(pieces, SplitBehavior::kIsolated, is_punctuation);
  }
};

// Where the script changes. Characters of none belong to what stands before; before the first script they are
// dropped, as in Hugging Face `tokenizers`.
class UnicodeScripts : public PreTokenizer {
 public:
  void split(std::vector<Piece>& pieces, TextArena&) const override {
    std::vector<Piece> out;
    for (const Piece& piece : pieces) {
      uint8_t last = 0;
      size_t begin = 0;
      int bytes;
      const auto flush = [&](size_t end) {
        if (last != 0) out.push_back({piece.text.substr(begin, end - begin), piece.at_start && begin == 0});
      };
      for (size_t i = 0; i < piece.text.size(); i += bytes) {
        const uint8_t script = char_script(decode_char(&piece.text[i], &bytes));
        if (script == 0 || script == last) continue;
        flush(i);
        begin = i;
        last = script;
      }
      flush(piece.text.size());
    }
    pieces = std::move(out);
  }
};

class CharDelimiter : public PreTokenizer {
 public:
  explicit CharDelimiter(char32_t delimiter) : delimiter_(delimiter) {}
  void split(std::vector<Piece>& pieces, TextArena&) const override {
    split_chars(pieces, SplitBehavior::kRemoved, [&](uint32_t c) { return c == delimiter_; });
  }

 private:
  char32_t delimiter_;
};

class FixedLength : public PreTokenizer {
 public:
  explicit FixedLength(size_t characters) : characters_(characters) {}
  void split(std::vector<Piece>& pieces, TextArena&) const override {
    std::vector<Piece> out;
    for (const Piece& piece : pieces) {
      for (size_t i = 0, next; i < piece.text.size(); i = next) {
        next = i;
        for (size_t n = 0; n < characters_ && next < piece.text.size(); ++n)
          next += char_length(piece.text[next]);
        out.push_back({piece.text.substr(i, next - i), piece.at_start && i == 0});
      }
    }
    pieces = std::move(out);
  }

 private:
  size_t characters_;
};

void prepend(Piece& piece, const std::string& prefix, TextArena& arena) {
  arena.push_back(prefix + std::string(piece.text));
  piece.text = arena.back();
}

class ByteLevel : public PreTokenizer {
 public:
  ByteLevel(bool add_prefix_space, bool use_regex) : prefix_(add_prefix_space), use_regex_(use_regex) {}
  Scan scan() const override { return use_regex_ && !prefix_ ? kGpt2Pattern.scan : nullptr; }
  bool is_identity() const override { return !prefix_ && !use_regex_; }
  bool byte_level() const override { return true; }
  void split(std::vector<Piece>& pieces, TextArena& arena) const override {
    if (prefix_)
      for (Piece& piece : pieces)
        if (!piece.text.starts_with(' ')) prepend(piece, " ", arena);
    if (use_regex_) scan_all(pieces, kGpt2Pattern.scan);
  }

 private:
  bool prefix_, use_regex_;
};

class Metaspace : public PreTokenizer {
 public:
  Metaspace(const std::string& replacement, PrependScheme scheme, bool split)
      : replacement_(replacement), scheme_(scheme), split_(split) {}
  void split(std::vector<Piece>& pieces, TextArena& arena) const override {
    for (Piece& piece : pieces) {
      std::string text;
      for (const char c : piece.text)
        if (c == ' ') text += replacement_;
        else text.push_back(c);
      const bool wanted =
          scheme_ == PrependScheme::kAlways || (scheme_ == PrependScheme::kFirst && piece.at_start);
      if (wanted && !text.starts_with(replacement_)) text.insert(0, replacement_);
      arena.push_back(std::move(text));
      piece.text = arena.back();
    }
    if (!split_) return;
    split_all(pieces, SplitBehavior::kMergedWithNext, false,
              [&](std::string_view text, size_t from, size_t* b, size_t* e) {
                *b = text.find(replacement_, from);
                *e = *b + replacement_.size();
                return *b != std::string_view::npos;
              });
  }

 private:
  std::string replacement_;
  PrependScheme scheme_;
  bool split_;
};

class Sequence : public PreTokenizer {
 public:
  explicit Sequence(std::vector<PreTokenizerPtr> parts) : parts_(std::move(parts)) {
    size_t working = 0;
    for (const PreTokenizerPtr& part : parts_) {
      check(!(byte_level_ && part->byte_level()), "tokenizer pre_tokenizer",
            "wanted ByteLevel once in a Sequence, found it twice");
      byte_level_ = byte_level_ || part->byte_level();
      if (part->is_identity()) continue;
      ++working;
      scan_ = part->scan();
    }
    if (working != 1) scan_ = nullptr;
    identity_ = working == 0;
  }
  Scan scan() const override { return scan_; }
  bool is_identity() const override { return identity_; }
  bool byte_level() const override { return byte_level_; }
  void split(std::vector<Piece>& pieces, TextArena& arena) const override {
    bool bytes = false, spelled = false;
    for (const PreTokenizerPtr& part : parts_) {
      // what stands behind ByteLevel sees its alphabet, in which some bytes of characters are digits, say
      if (bytes && !spelled && !part->is_identity()) {
        for (Piece& piece : pieces) {
          std::string text;
          for (const char c : piece.text) append_char(text, byte_to_char(static_cast<uint8_t>(c)));
          arena.push_back(std::move(text));
          piece.text = arena.back();
        }
        spelled = true;
      }
      part->split(pieces, arena);
      bytes = bytes || part->byte_level();
    }
    for (size_t i = 0; spelled && i < pieces.size(); ++i) {
      std::string text;
      piece_to_bytes(pieces[i].text, text);
      arena.push_back(std::move(text));
      pieces[i].text = arena.back();
    }
  }

 private:
  std::vector<PreTokenizerPtr> parts_;
  bool byte_level_ = false, identity_ = false;
  Scan scan_ = nullptr;
};

}  // namespace

PreTokenizerPtr make_split(const std::string& pattern, bool is_regex, SplitBehavior behavior, bool invert) {
  check(!pattern.empty(), "tokenizer pre_tokenizer Split", "wanted a pattern, found an empty one");
  return std::make_unique<Split>(pattern, is_regex, behavior, invert);
}
PreTokenizerPtr make_digits(bool individual) { return std::make_unique<Digits>(individual); }
PreTokenizerPtr make_punctuation(SplitBehavior behavior) { return std::make_unique<Punctuation>(behavior); }
PreTokenizerPtr make_whitespace() { return std::make_unique<Whitespace>(); }
PreTokenizerPtr make_whitespace_split() { return std::make_unique<WhitespaceSplit>(); }
PreTokenizerPtr make_bert_split() { return std::make_unique<BertSplit>(); }
PreTokenizerPtr make_unicode_scripts() { return std::make_unique<UnicodeScripts>(); }
PreTokenizerPtr make_char_delimiter(char32_t delimiter) { return std::make_unique<CharDelimiter>(delimiter); }
PreTokenizerPtr make_fixed_length(size_t characters) {
  check(characters > 0, "tokenizer pre_tokenizer FixedLength", "wanted a length above 0, found 0");
  return std::make_unique<FixedLength>(characters);
}
PreTokenizerPtr make_byte_level(bool add_prefix_space, bool use_regex) {
  return std::make_unique<ByteLevel>(add_prefix_space, use_regex);
}
PreTokenizerPtr make_metaspace(const std::string& replacement, PrependScheme scheme, bool split) {
  return std::make_unique<Metaspace>(replacement, scheme, split);
}
PreTokenizerPtr make_sequence(std::vector<PreTokenizerPtr> parts) {
  return std::make_unique<Sequence>(std::move(parts));
}

}  // namespace lyceum
