#include "text/normalizer.h"

#include <utf8proc.h>

#include <algorithm>
#include <cstring>
#include <optional>

#include "base/error.h"
#include "text/regex.h"
#include "text/unicode.h"

namespace lyceum {
namespace {

class UnicodeNormalizer : public Normalizer {
 public:
  explicit UnicodeNormalizer(UnicodeForm form) : form_(form) {}
  bool is_local() const override { return true; }

  // Text falls into stretches that no form looks across: before every character that NFC leaves alone, and
  // around every opaque one. Only stretches that something can happen to go through utf8proc.
  std::string_view apply(std::string_view text, std::string& buffer) const override {
    const size_t first = find_active(text, 0);
    if (first == text.size()) return text;
    buffer.clear();
    buffer.reserve(text.size() + text.size() / 8);
    size_t done = 0;
    for (size_t active = first; active < text.size();) {
      const size_t begin = stretch_begin(text, done, active);
      const size_t end = stretch_end(text, active);
      buffer.append(text.substr(done, begin - done));
      normalize_stretch(text.substr(begin, end - begin), buffer);
      done = end;
      active = find_active(text, end);
    }
    buffer.append(text.substr(done));
    return buffer;
  }

 private:
  bool is_active(uint16_t bits, uint32_t c) const {
    if (form_ == UnicodeForm::kNfc) return (bits & kNfcActive) != 0;
    return c >= 0x80 && !(bits & kOpaque);  // the other forms are rare: let utf8proc look at all
  }

  size_t find_active(std::string_view text, size_t i) const {
    while (i < text.size()) {
      if (static_cast<uint8_t>(text[i]) < 0x80) {
        uint64_t word;
        while (i + 8 <= text.size() && (std::memcpy(&word, &text[i], 8), !(word & 0x8080808080808080ull)))
          i += 8;
        if (i < text.size() && static_cast<uint8_t>(text[i]) < 0x80) ++i;
        continue;
      }
      int bytes;
      const uint32_t c = decode_char(&text[i], &bytes);
      if (is_active(char_class(c), c)) return i;
      i += bytes;
    }
    return i;
  }

  // The character before an active one may compose with it, unless it is opaque.
  static size_t stretch_begin(std::string_view text, size_t done, size_t active) {
    if (active == done) return done;
    size_t before = active - 1;
    while (before > done && is_continuation(text[before])) --before;
    int bytes;
    return char_class(decode_char(&text[before], &bytes)) & kOpaque ? active : before;
  }

  size_t stretch_end(std::string_view text, size_t i) const {
    while (i < text.size()) {
      int bytes;
      const uint32_t c = decode_char(&text[i], &bytes);
      if (!is_active(char_class(c), c)) break;
      i += bytes;
    }
    return i;
  }

  // utf8proc_map in three steps of our own, as the middle one is quadratic in utf8proc: decompose each
  // character, sort every run of marks by its combining class, compose.
  void normalize_stretch(std::string_view text, std::string& out) const {
    const bool compose = form_ == UnicodeForm::kNfc || form_ == UnicodeForm::kNfkc;
    int options = UTF8PROC_STABLE | UTF8PROC_DECOMPOSE;
    if (form_ == UnicodeForm::kNfkc || form_ == UnicodeForm::kNfkd) options |= UTF8PROC_COMPAT;
    std::vector<utf8proc_int32_t> points;
    points.reserve(text.size());
    for (size_t i = 0; i < text.size();) {
      int bytes, last_class = 0;
      const auto c = static_cast<utf8proc_int32_t>(decode_char(&text[i], &bytes));
      i += bytes;
      constexpr int kLongest = 18;  // characters that one becomes (U+FDFA)
      const size_t n = points.size();
      points.resize(n + kLongest);
      const utf8proc_ssize_t made = utf8proc_decompose_char(
          c, &points[n], kLongest, static_cast<utf8proc_option_t>(options), &last_class);
      ensure(made >= 0 && made <= kLongest, "normalize", utf8proc_errmsg(made));
      points.resize(n + static_cast<size_t>(made));
    }
    sort_marks(points);
    auto n = static_cast<utf8proc_ssize_t>(points.size());
    if (compose)
      n = utf8proc_normalize_utf32(points.data(), n,
                                   static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
    ensure(n >= 0, "normalize", utf8proc_errmsg(n));
    for (utf8proc_ssize_t i = 0; i < n; ++i)
      append_char(out, static_cast<uint32_t>(points[static_cast<size_t>(i)]));
  }

  static void sort_marks(std::vector<utf8proc_int32_t>& points) {
    const auto combining_class = [](utf8proc_int32_t c) { return utf8proc_get_property(c)->combining_class; };
    for (auto begin = points.begin(); begin != points.end();) {
      auto end = begin;
      while (end != points.end() && combining_class(*end) != 0) ++end;
      if (end - begin > 1)
        std::stable_sort(begin, end, [&](utf8proc_int32_t a, utf8proc_int32_t b) {
          return combining_class(a) < combining_class(b);
        });
      begin = end == points.end() ? end : end + 1;
    }
  }

  UnicodeForm form_;
};

class Prepend : public Normalizer {
 public:
  explicit Prepend(const std::string& prefix) : prefix_(prefix) {}
  std::string_view apply(std::string_view text, std::string& buffer) const override {
    if (text.empty()) return text;
    buffer.assign(prefix_).append(text);
    return buffer;
  }

 private:
  std::string prefix_;
};

class Replace : public Normalizer {
 public:
  Replace(const std::string& pattern, bool is_regex, const std::string& content) : content_(content) {
    if (is_regex) regex_.emplace(pattern, "tokenizer normalizer Replace");
    else literal_ = pattern;
  }
  std::string_view apply(std::string_view text, std::string& buffer) const override {
    buffer.clear();
    size_t done = 0, from = 0, begin, end;
    while (from <= text.size() && find(text, from, &begin, &end)) {
      buffer.append(text.substr(done, begin - done)).append(content_);
      done = end;
      from = end > begin ? end : end < text.size() ? end + char_length(text[end]) : end + 1;
    }
    if (done == 0 && buffer.empty()) return text;
    buffer.append(text.substr(done));
    return buffer;
  }

 private:
  bool find(std::string_view text, size_t from, size_t* begin, size_t* end) const {
    if (regex_) return regex_->find(text, from, begin, end);
    *begin = find_text(text, literal_, from);
    *end = *begin + literal_.size();
    return *begin != std::string_view::npos;
  }
  std::optional<Regex> regex_;
  std::string literal_, content_;
};

class Strip : public Normalizer {
 public:
  Strip(bool left, bool right) : left_(left), right_(right) {}
  std::string_view apply(std::string_view text, std::string&) const override {
    int bytes;
    while (left_ && !text.empty() && (char_class(decode_char(text.data(), &bytes)) & kSpace))
      text.remove_prefix(bytes);
    while (right_ && !text.empty()) {
      size_t last = text.size() - 1;
      while (is_continuation(text[last])) --last;
      if (!(char_class(decode_char(&text[last], &bytes)) & kSpace)) break;
      text.remove_suffix(text.size() - last);
    }
    return text;
  }

 private:
  bool left_, right_;
};

class Lowercase : public Normalizer {
 public:
  bool is_local() const override { return true; }
  std::string_view apply(std::string_view text, std::string& buffer) const override {
    return map_chars(text, buffer, [](uint32_t c, std::string& out) {
      if (c == 0x130) out.append("i\xcc\x87");  // the one letter whose lower case is two characters
      else append_char(out, static_cast<uint32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(c))));
    });
  }
};

class StripAccents : public Normalizer {
 public:
  bool is_local() const override { return true; }
  std::string_view apply(std::string_view text, std::string& buffer) const override {
    return map_chars(text, buffer, [](uint32_t c, std::string& out) {
      if ((char_class(c) & (kMark | kOpaque)) != kMark) append_char(out, c);
    });
  }
};

class NormalizerSequence : public Normalizer {
 public:
  explicit NormalizerSequence(std::vector<NormalizerPtr> parts) : parts_(std::move(parts)) {}
  bool is_local() const override {
    for (const NormalizerPtr& part : parts_)
      if (!part->is_local()) return false;
    return true;
  }
  std::string_view apply(std::string_view text, std::string& buffer) const override {
    std::string other;
    for (const NormalizerPtr& part : parts_) {
      // `text` is the input, or part of `buffer`: the next result goes elsewhere
      const std::string_view result = part->apply(text, other);
      const bool moved = result.data() == other.data() && !other.empty();
      if (moved) {
        buffer.swap(other);
        text = std::string_view(buffer.data(), result.size());
      } else {
        text = result;
      }
    }
    return text;
  }

 private:
  std::vector<NormalizerPtr> parts_;
};

}  // namespace

NormalizerPtr make_unicode_normalizer(UnicodeForm form) { return std::make_unique<UnicodeNormalizer>(form); }
NormalizerPtr make_prepend(const std::string& prefix) { return std::make_unique<Prepend>(prefix); }
NormalizerPtr make_replace(const std::string& pattern, bool is_regex, const std::string& content) {
  check(!pattern.empty(), "tokenizer normalizer Replace", "wanted a pattern, found an empty one");
  return std::make_unique<Replace>(pattern, is_regex, content);
}
NormalizerPtr make_strip(bool left, bool right) { return std::make_unique<Strip>(left, right); }
NormalizerPtr make_lowercase() { return std::make_unique<Lowercase>(); }
NormalizerPtr make_strip_accents() { return std::make_unique<StripAccents>(); }
NormalizerPtr make_normalizer_sequence(std::vector<NormalizerPtr> parts) {
  return std::make_unique<NormalizerSequence>(std::move(parts));
}

}  // namespace lyceum
