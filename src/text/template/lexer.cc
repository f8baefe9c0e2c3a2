#include "text/template/lexer.h"

#include <algorithm>

#include "base/error.h"
#include "text/template/strings.h"
#include "text/unicode.h"

namespace lyceum::jinja {

void fail_at(const std::string& where, Place place, const std::string& message) {
  fail(ErrorKind::kCorruptData, detail::join(where, ":", place.line, ":", place.column).c_str(), message);
}

namespace {

// All line ends as one; the last one goes.
std::string plain_lines(std::string_view source) {
  std::string out;
  for (size_t i = 0; i < source.size(); ++i) {
    if (source[i] != '\r') {
      out.push_back(source[i]);
      continue;
    }
    out.push_back('\n');
    if (i + 1 < source.size() && source[i + 1] == '\n') ++i;
  }
  if (out.ends_with('\n')) out.pop_back();
  return out;
}

class Lexer {
 public:
  Lexer(std::string source, const std::string& where) : source_(std::move(source)), where_(where) {}

  std::vector<Token> run() {
    while (at_ < source_.size()) text();
    add(TokenKind::kEnd, "");
    return std::move(tokens_);
  }

 private:
  std::string_view rest() const { return std::string_view(source_).substr(at_); }
  bool ahead(std::string_view sign) const { return rest().starts_with(sign); }

  Place place_of(size_t at) {
    for (; counted_ < at; ++counted_) {
      if (source_[counted_] == '\n') ++place_.line, place_.column = 1;
      else if (!is_continuation(source_[counted_])) ++place_.column;
    }
    return place_;
  }
  void add(TokenKind kind, std::string text) { tokens_.push_back({kind, std::move(text), place_of(at_)}); }

  void skip_space() {
    while (at_ < source_.size() && is_space_at(source_, at_))
      at_ += static_cast<size_t>(char_length(source_[at_]));
  }

  // Text up to the next tag, and the tag.
  void text() {
    size_t tag = at_;
    while ((tag = source_.find('{', tag)) != std::string::npos && tag + 1 < source_.size() &&
           std::string_view("{%#").find(source_[tag + 1]) == std::string_view::npos)
      ++tag;
    if (tag == std::string::npos || tag + 1 >= source_.size()) {
      add(TokenKind::kText, std::string(rest()));
      at_ = source_.size();
      return;
    }
    const char kind = source_[tag + 1];
    const char sign = tag + 2 < source_.size() ? source_[tag + 2] : ' ';
    strip_and_add(std::string_view(source_).substr(at_, tag - at_), sign, kind != '{');
    at_ = tag;
    const Place begin = place_of(tag);
    at_ += sign == '-' || sign == '+' ? 3 : 2;
    if (kind == '#') return comment(begin);
    if (kind == '{') return expression(begin, TokenKind::kPrintBegin, TokenKind::kPrintEnd);
    const size_t before = at_;
    skip_space();
    if (ahead("raw")) {
      at_ += 3;
      skip_space();
      if (ahead("%}") || ahead("-%}")) return raw(begin);
    }
    at_ = before;
    expression(begin, TokenKind::kBlockBegin, TokenKind::kBlockEnd);
  }

  void strip_and_add(std::string_view text, char sign, bool is_block) {
    const Place place = place_of(at_);
    if (sign == '-') {
      text = strip_right(text);
    } else if (sign != '+' && is_block) {
      const size_t line = text.rfind('\n') + 1;  // 0 where there is none
      if ((line > 0 || line_begins_) && strip_right(text.substr(line)).empty()) text = text.substr(0, line);
    }
    if (!text.empty()) tokens_.push_back({TokenKind::kText, std::string(text), place});
  }

  // The end of a comment or block at at_, with what its sign takes behind it. False if there is none here.
  bool close(std::string_view end) {
    if (ahead(end)) {
      at_ += end.size();
      if (end != "}}" && ahead("\n")) ++at_;
    } else if (rest().size() > end.size() && rest()[0] == '-' && rest().substr(1).starts_with(end)) {
      at_ += 1 + end.size();
      skip_space();
    } else if (end != "}}" && rest().size() > end.size() && rest()[0] == '+' &&
               rest().substr(1).starts_with(end)) {
      at_ += 1 + end.size();
    } else {
      return false;
    }
    line_begins_ = source_[at_ - 1] == '\n';
    return true;
  }

  void comment(Place begin) {
    for (; at_ < source_.size(); ++at_)
      if (close("#}")) return;
    fail_at(where_, begin, "wanted #} behind this comment, found the end of the template");
  }

  void raw(Place begin) {
    at_ += ahead("-") ? 1 : 0;
    const bool strip = source_[at_ - 1] == '-';
    at_ += 2;
    if (strip) skip_space();
    for (size_t tag = source_.find("{%", at_); tag != std::string::npos; tag = source_.find("{%", tag + 2)) {
      const char sign = tag + 2 < source_.size() ? source_[tag + 2] : ' ';
      const size_t data = at_;
      at_ = tag + (sign == '-' || sign == '+' ? 3 : 2);
      skip_space();
      if (ahead("endraw")) {
        at_ += 6;
        skip_space();
        const size_t behind = at_;
        if (close("%}")) {
          const size_t next = at_;
          const bool line_begins = line_begins_;
          at_ = data;
          line_begins_ = false;
          strip_and_add(std::string_view(source_).substr(data, tag - data), sign, true);
          at_ = next;
          line_begins_ = line_begins;
          return;
        }
        at_ = behind;
      }
      at_ = data;
    }
    fail_at(where_, begin, "wanted {% endraw %} behind this {% raw %}, found the end of the template");
  }

  void expression(Place begin, TokenKind first, TokenKind last) {
    tokens_.push_back({first, "", begin});
    const std::string_view end = last == TokenKind::kPrintEnd ? "}}" : "%}";
    std::string open;  // brackets
    while (true) {
      skip_space();
      if (at_ >= source_.size())
        fail_at(where_, begin,
                detail::join("wanted ", end, " behind this tag, found the end of the template"));
      const Place place = place_of(at_);
      if (open.empty() && close(end)) {
        tokens_.push_back({last, "", place});
        return;
      }
      token(place, open);
    }
  }

  void token(Place place, std::string& open) {
    const char c = source_[at_];
    const auto is_digit = [&](size_t i) {
      return i < source_.size() && source_[i] >= '0' && source_[i] <= '9';
    };
    if (c == '"' || c == '\'') return string(place);
    if (is_digit(at_)) return number(place);
    if (is_word_at(at_)) {
      const size_t begin = at_;
      while (at_ < source_.size() && is_word_at(at_)) at_ += static_cast<size_t>(char_length(source_[at_]));
      tokens_.push_back({TokenKind::kName, source_.substr(begin, at_ - begin), place});
      return;
    }
    static constexpr std::string_view kSigns[] = {"//", "**", "==", "!=", ">=", "<=", "+", "-", "/",
                                                  "*",  "%",  "~",  "[",  "]",  "(",  ")", "{", "}",
                                                  ">",  "<",  "=",  ".",  ":",  "|",  ",", ";"};
    for (const std::string_view sign : kSigns) {
      if (!ahead(sign)) continue;
      if (sign == "(" || sign == "[" || sign == "{") open += sign == "(" ? ')' : sign == "[" ? ']' : '}';
      if (sign == ")" || sign == "]" || sign == "}") {
        if (open.empty() || open.back() != sign[0])
          fail_at(where_, place,
                  detail::join("found ", sign, ", wanted ",
                               open.empty() ? std::string("none here") : open.substr(open.size() - 1)));
        open.pop_back();
      }
      tokens_.push_back({TokenKind::kSign, std::string(sign), place});
      at_ += sign.size();
      return;
    }
    fail_at(
        where_, place,
        detail::join("found the character ", quote(rest().substr(0, static_cast<size_t>(char_length(c))))));
  }

  bool is_word_at(size_t i) const {
    int n;
    return source_[i] == '_' || (char_class(decode_char(&source_[i], &n)) & kWord) != 0;
  }

  // Digits with underscores between them; then what makes a float of them.
  void number(Place place) {
    const size_t begin = at_;
    const auto digits = [&](const char* allowed) {
      while (at_ < source_.size() &&
             (std::string_view(allowed).find(source_[at_]) != std::string_view::npos ||
              (source_[at_] == '_' && at_ > begin && source_[at_ - 1] != '_')))
        ++at_;
    };
    const char* kDecimal = "0123456789";
    if (source_[at_] == '0' && at_ + 1 < source_.size() &&
        std::string_view("xXoObB").find(source_[at_ + 1]) != std::string_view::npos) {
      at_ += 2;
      digits("0123456789abcdefABCDEF");
      return add_number(TokenKind::kInteger, begin, place);
    }
    digits(kDecimal);
    const auto digit_at = [&](size_t i) {
      return i < source_.size() && source_[i] >= '0' && source_[i] <= '9';
    };
    bool is_float = false;
    const bool after_dot = begin > 0 && source_[begin - 1] == '.';  // a.0.1 is no float
    if (!after_dot && at_ < source_.size() && source_[at_] == '.' && digit_at(at_ + 1)) {
      ++at_;
      digits(kDecimal);
      is_float = true;
    }
    if (!after_dot && at_ < source_.size() && (source_[at_] | 32) == 'e') {
      const size_t sign =
          at_ + 1 < source_.size() && (source_[at_ + 1] == '+' || source_[at_ + 1] == '-') ? 1 : 0;
      if (digit_at(at_ + 1 + sign)) {
        at_ += 1 + sign;
        digits(kDecimal);
        is_float = true;
      }
    }
    add_number(is_float ? TokenKind::kFloat : TokenKind::kInteger, begin, place);
  }
  void add_number(TokenKind kind, size_t begin, Place place) {
    std::string text = source_.substr(begin, at_ - begin);
    std::erase(text, '_');
    tokens_.push_back({kind, text, place});
  }

  void string(Place place) {
    const char mark = source_[at_++];
    std::string out;
    const auto code = [&](int n) {
      uint32_t c = 0;
      for (int i = 0; i < n; ++i, ++at_) {
        const char d = at_ < source_.size() ? source_[at_] : ' ';
        const int value = d >= '0' && d <= '9'                 ? d - '0'
                          : (d | 32) >= 'a' && (d | 32) <= 'f' ? (d | 32) - 'a' + 10
                                                               : -1;
        if (value < 0) fail_at(where_, place, "this string has an escape with too few hexadecimal digits");
        c = c * 16 + static_cast<uint32_t>(value);
      }
      return c;
    };
    while (true) {
      if (at_ >= source_.size()) fail_at(where_, place, "this string has no end");
      const char c = source_[at_++];
      if (c == mark) break;
      if (c != '\\') {
        out.push_back(c);
        continue;
      }
      if (at_ >= source_.size()) fail_at(where_, place, "this string has no end");
      const char e = source_[at_++];
      static constexpr std::string_view kFrom = "abfnrtv\\'\"", kTo = "\a\b\f\n\r\t\v\\'\"";
      if (const size_t i = kFrom.find(e); i != std::string_view::npos) {
        out.push_back(kTo[i]);
      } else if (e == 'x' || e == 'u' || e == 'U') {
        uint32_t c2 = code(e == 'x' ? 2 : e == 'u' ? 4 : 8);
        if (c2 >= 0x110000 || (c2 >= 0xd800 && c2 < 0xe000))
          fail_at(where_, place, "this string names no character");
        append_char(out, c2);
      } else if (e >= '0' && e <= '7') {
        uint32_t value = static_cast<uint32_t>(e - '0');
        for (int i = 0; i < 2 && at_ < source_.size() && source_[at_] >= '0' && source_[at_] <= '7'; ++i)
          value = value * 8 + static_cast<uint32_t>(source_[at_++] - '0');
        append_char(out, value);
      } else if (e != '\n') {
        (out += '\\') += e;
      }
    }
    tokens_.push_back({TokenKind::kString, out, place});
  }

  std::string source_, where_;
  size_t at_ = 0, counted_ = 0;
  Place place_;
  bool line_begins_ = true;  // what stood before at_ ended a line
  std::vector<Token> tokens_;
};

}  // namespace

std::vector<Token> tokenize(std::string_view source, const std::string& where) {
  return Lexer(plain_lines(source), where).run();
}

}  // namespace lyceum::jinja
