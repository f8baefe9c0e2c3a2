#include "data/man_text.h"

#include <algorithm>
#include <array>
#include <map>
#include <vector>

#include "data/utf8.h"

namespace lyceum {
namespace {

using View = std::string_view;

// Two-letter special characters \(xx; groff_char(7). Pod::Man's strings \*(xx map to the same names.
const std::map<View, View> kCharacters = {
    {"bu", "*"},     {"em", "--"},  {"en", "-"},  {"hy", "-"},    {"mi", "-"},   {"lq", "\""},  {"rq", "\""},
    {"oq", "'"},     {"cq", "'"},   {"aq", "'"},  {"dq", "\""},   {"ga", "`"},   {"ha", "^"},   {"ti", "~"},
    {"rs", "\\"},    {"ba", "|"},   {"br", "|"},  {"bv", "|"},    {"or", "|"},   {"co", "(C)"}, {"rg", "(R)"},
    {"tm", "(TM)"},  {"pl", "+"},   {"eq", "="},  {"->", "->"},   {"<-", "<-"},  {"<=", "<="},  {">=", ">="},
    {"!=", "!="},    {"+-", "+/-"}, {"mu", "x"},  {"de", "°"},    {"at", "@"},   {"sh", "#"},   {"Do", "$"},
    {"sl", "/"},     {"ul", "_"},   {"ff", "ff"}, {"fi", "fi"},   {"fl", "fl"},  {"Fo", "«"},   {"Fc", "»"},
    {"fo", "‹"},     {"fc", "›"},   {"'e", "é"},  {"`e", "è"},    {"^e", "ê"},   {":e", "ë"},   {"`a", "à"},
    {"'a", "á"},     {"^a", "â"},   {":a", "ä"},  {"^i", "î"},    {":i", "ï"},   {"'i", "í"},   {"^o", "ô"},
    {":o", "ö"},     {"'o", "ó"},   {"`u", "ù"},  {"'u", "ú"},    {"^u", "û"},   {":u", "ü"},   {",c", "ç"},
    {"~n", "ñ"},     {"ss", "ß"},   {":A", "Ä"},  {":O", "Ö"},    {":U", "Ü"},   {"'E", "É"},   {"Eu", "€"},
    {"12", "1/2"},   {"sc", "§"},   {"--", "-"},  {"L\"", "\""},  {"R\"", "\""}, {"C+", "C++"}, {"lB", "["},
    {"rB", "]"},     {"lC", "{"},   {"rC", "}"},  {"la", "<"},    {"ra", ">"},   {"C`", ""},    {"C'", ""},
    {"PI", "pi"},    {"ps", ""},    {"S", "(R)"}, {"Tm", "(TM)"}, {"Aq", "'"},   {"**", "*"},   {"if", "inf"},
    {"*a", "alpha"}, {"*p", "pi"},  {"tf", ""},   {"Bq", "\""},   {"lh", ""},
};

View trim(View s) {
  while (!s.empty() && (s.front() == ' ' || s.front() == '\t')) s.remove_prefix(1);
  while (!s.empty() && (s.back() == ' ' || s.back() == '\t' || s.back() == '\r')) s.remove_suffix(1);
  return s;
}

// Text with roff escapes resolved.
class Escapes {
 public:
  std::map<std::string, std::string> strings;  // .ds name value

  std::string plain(View s, int depth = 0) const {
    std::string out;
    for (size_t i = 0; i < s.size();) {
      if (s[i] != '\\') {
        out += s[i++];
        continue;
      }
      if (++i >= s.size()) break;
      const char c = s[i++];
      switch (c) {
        case '"':
        case '#':
          return out;  // comment to the end of the line
        case '-':
          out += '-';
          break;
        case 'e':
        case '\\':
          out += '\\';
          break;
        case ' ':
        case '~':
        case '0':
          out += ' ';
          break;
        case 't':
          out += '\t';
          break;
        case '\'':
        case '`':
        case '.':
          out += c;
          break;
        case '&':
        case '/':
        case ',':
        case '|':
        case '^':
        case ':':
        case '%':
        case 'c':
        case ')':
        case '!':
        case 'p':
        case 'd':
        case 'u':
        case 'a':
        case 'r':
          break;
        case '(':
          out += named(s.substr(i, 2)), i = std::min(s.size(), i + 2);
          break;
        case '[':
          bracketed(s, i, out);
          break;
        case '*':
        case 'n':
          string(s, i, c, depth, out);
          break;
        case 'f':
        case 'F':
        case 'm':
        case 'M':
        case 'g':
        case 'k':
          skip_name(s, i);
          break;
        case 's':
          skip_size(s, i);
          break;
        case 'h':
        case 'v':
        case 'w':
        case 'l':
        case 'L':
        case 'D':
        case 'o':
        case 'b':
        case 'x':
        case 'N':
        case 'H':
        case 'S':
        case 'X':
        case 'Z':
        case 'A':
        case 'B':
        case 'C':
        case 'R':
        case 'Y':
          skip_quoted(s, i);
          break;
        default:
          out += c;
      }
    }
    return out;
  }

 private:
  static View named(View name) {
    const auto it = kCharacters.find(name);
    return it == kCharacters.end() ? View() : it->second;
  }
  static void bracketed(View s, size_t& i, std::string& out) {  // \[name] or \[uXXXX]
    const size_t end = s.find(']', i);
    if (end == View::npos) return;
    const View name = s.substr(i, end - i);
    i = end + 1;
    if (name.size() >= 5 && name.size() <= 7 && name[0] == 'u') {
      char32_t code = 0;
      for (const char c : name.substr(1)) {
        const int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
        if (digit < 0) return;
        code = code * 16 + static_cast<char32_t>(digit);
      }
      if (code >= 0x20 && code <= 0x10ffff && (code < 0xd800 || code > 0xdfff)) append_code_point(out, code);
    } else {
      out += named(name);
    }
  }
  static std::string name_at(View s, size_t& i) {
    if (i >= s.size()) return {};
    if (s[i] == '(') {
      const View name = s.substr(i + 1, 2);
      i = std::min(s.size(), i + 3);
      return std::string(name);
    }
    if (s[i] == '[') {
      const size_t end = std::min(s.find(']', i), s.size());
      const View name = s.substr(i + 1, end - i - 1);
      i = std::min(s.size(), end + 1);
      return std::string(name);
    }
    return std::string(1, s[i++]);
  }
  void string(View s, size_t& i, char kind, int depth, std::string& out) const {
    if (kind == 'n' && i < s.size() && (s[i] == '+' || s[i] == '-')) ++i;
    const std::string name = name_at(s, i);
    if (kind == 'n') return;  // number registers set type, they are not read
    const auto it = strings.find(name);
    if (const View known = named(name); !known.empty()) out += known;
    else if (it != strings.end() && depth < 4 && out.size() < 1 << 20) out += plain(it->second, depth + 1);
  }
  static void skip_name(View s, size_t& i) { name_at(s, i); }
  static void skip_size(View s, size_t& i) {
    if (i < s.size() && (s[i] == '+' || s[i] == '-')) ++i;
    if (i < s.size() && (s[i] == '(' || s[i] == '[')) name_at(s, i);
    else if (i < s.size() && s[i] >= '0' && s[i] <= '9') ++i;
  }
  static void skip_quoted(View s, size_t& i) {
    if (i >= s.size()) return;
    const size_t end = s.find(s[i], i + 1);
    i = end == View::npos ? s.size() : end + 1;
  }
};

// Words of a request's line: blanks separate, double quotes join, "" inside quotes is a quote.
std::vector<std::string> arguments(View s) {
  std::vector<std::string> out;
  for (size_t i = 0; i < s.size();) {
    if (s[i] == ' ' || s[i] == '\t') {
      ++i;
      continue;
    }
    if (s.substr(i, 2) == "\\\"") break;  // a comment
    std::string word;
    if (s[i] == '"') {
      for (++i; i < s.size(); ++i) {
        if (s[i] == '"') {
          if (i + 1 < s.size() && s[i + 1] == '"') ++i;
          else break;
        }
        word += s[i];
      }
      ++i;
    } else {
      for (; i < s.size() && s[i] != ' ' && s[i] != '\t'; ++i) {
        word += s[i];
        if (s[i] == '\\' && i + 1 < s.size()) word += s[++i];
      }
    }
    out.push_back(std::move(word));
  }
  return out;
}

class ManPage {
 public:
  std::string read(View roff) {
    while (!roff.empty()) {
      const size_t end = std::min(roff.find('\n'), roff.size());
      View line = roff.substr(0, end);
      roff.remove_prefix(std::min(end + 1, roff.size()));
      while (line.ends_with("\\") && !line.ends_with("\\\\") && !roff.empty()) {  // continued line
        const size_t next = std::min(roff.find('\n'), roff.size());
        joined_.assign(line.substr(0, line.size() - 1)).append(roff.substr(0, next));
        roff.remove_prefix(std::min(next + 1, roff.size()));
        line_ = joined_, line = line_;
      }
      one_line(line);
      if (out_.size() > (size_t{64} << 20)) break;
    }
    end_paragraph();
    // a two-byte name or a delimiter may have cut a character of hostile input
    return included_ ? std::string() : clean_text(without_invalid_utf8(std::move(out_)));
  }

 private:
  void one_line(View line) {
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    if (!skip_until_.empty()) {  // inside a macro definition or an ignored block
      const View s = trim(line);
      if (s == skip_until_) skip_until_.clear();
      return;
    }
    if (skip_braces_ > 0) {
      count_braces(line);
      return;
    }
    if (line.starts_with(".") || line.starts_with("'")) {
      request(trim(line.substr(1)));
    } else {
      text(escapes_.plain(line));
    }
  }

  void count_braces(View line) {
    for (size_t i = 0; i + 1 < line.size(); ++i)
      if (line[i] == '\\') {
        if (line[i + 1] == '{') ++skip_braces_;
        if (line[i + 1] == '}') --skip_braces_;
        ++i;
      }
    skip_braces_ = std::max(skip_braces_, 0);
  }

  // Text either flows into the current paragraph or, in an example, stays as it is.
  void text(std::string s) {
    if (table_) {
      if (s.ends_with(".") && !table_body_) table_body_ = true;  // the format ends with a full stop
      else if (table_body_ && s != "T{" && s != "_" && s != "=") verbatim(s);
      return;
    }
    if (verbatim_) {
      verbatim(s);
      return;
    }
    const View t = trim(s);
    if (t.empty()) {
      end_paragraph();
      return;
    }
    if (want_tag_) {
      want_tag_ = false;
      tag_ = std::string(t);
      return;
    }
    if (!paragraph_.empty() && !paragraph_.ends_with(" ") && !glue_) paragraph_ += ' ';
    glue_ = false;
    paragraph_ += t;
  }

  void verbatim(View s) {
    if (!paragraph_.empty() || !tag_.empty()) flush_paragraph();
    if (!s.empty()) out_.append(static_cast<size_t>(4 * (indent_ + hang_)), ' ').append(s);
    out_ += '\n';
  }

  void flush_paragraph() {
    if (!tag_.empty()) {
      out_.append(static_cast<size_t>(4 * indent_), ' ').append(tag_);
      out_ += '\n';
      tag_.clear();
    }
    if (!paragraph_.empty()) {
      out_.append(static_cast<size_t>(4 * (indent_ + hang_)), ' ').append(paragraph_);
      out_ += '\n';
      paragraph_.clear();
    }
  }
  void end_paragraph() {
    const bool any = !paragraph_.empty() || !tag_.empty();
    flush_paragraph();
    if (any || verbatim_) out_ += '\n';
  }
  void line_break() {
    if (!paragraph_.empty()) flush_paragraph();
  }
  void heading(const std::string& title, bool sub) {
    end_paragraph();
    indent_ = hang_ = 0;
    verbatim_ = table_ = want_tag_ = want_heading_ = false;
    if (title.empty()) {
      want_heading_ = true;
      return;
    }
    if (!out_.empty() && !out_.ends_with("\n\n")) out_ += '\n';
    out_ += (sub ? "  " : "") + title + "\n";
  }

  std::string joined_words(const std::vector<std::string>& words, size_t from, View between) const {
    std::string s;
    for (size_t i = from; i < words.size(); ++i) {
      if (i > from) s += between;
      s += escapes_.plain(words[i]);
    }
    return s;
  }

  void request(View line) {
    size_t n = 0;
    while (n < line.size() && line[n] != ' ' && line[n] != '\t' && line[n] != '\\') ++n;
    const View name = line.substr(0, n);
    const View rest = trim(line.substr(n));
    if (name.empty()) return;  // comment or empty request
    if (name == "so") {
      included_ = out_.empty() && paragraph_.empty();
      return;
    }
    if (definition(name, rest) || structure(name, rest) || fonts(name, rest)) return;
    mdoc(name, rest);
  }

  // Macro definitions and conditionals: typesetting, not text. True when handled.
  bool definition(View name, View rest) {
    if (name == "de" || name == "de1" || name == "am" || name == "ig") {
      const auto words = arguments(rest);
      const size_t at = name == "ig" ? 0 : 1;
      skip_until_ = words.size() > at ? "." + words[at] : "..";
      return true;
    }
    if (name == "ds" || name == "as") {
      const size_t blank = std::min(rest.find(' '), rest.size());
      View value = trim(rest.substr(blank));
      if (value.starts_with("\"")) value.remove_prefix(1);
      if (escapes_.strings.size() < 4096) escapes_.strings[std::string(rest.substr(0, blank))] = value;
      return true;
    }
    if (name == "if" || name == "ie" || name == "while" || name == "el") {
      View body = rest;
      bool taken = false;
      if (name == "el") {
        taken = !last_condition_;
      } else {
        const size_t blank = std::min(body.find(' '), body.size());
        const View condition = body.substr(0, blank);
        taken = condition == "n" || condition == "!t";  // as nroff, the text device
        body = trim(body.substr(blank));
        if (name == "ie") last_condition_ = taken;
      }
      if (!taken) {
        count_braces(body);
      } else if (body.starts_with("\\{")) {
        body.remove_prefix(2);
        if (!trim(body).empty() && trim(body) != "\\") one_line(trim(body));
      } else if (!body.empty()) {
        one_line(body);
      }
      return true;
    }
    return false;
  }

  // Paragraphs, headings, lists, examples of man(7). True when handled.
  bool structure(View name, View rest) {
    if (name == "SH" || name == "SS" || name == "Sh" || name == "Ss") {
      heading(joined_words(arguments(rest), 0, " "), name[1] == 'S' || name[1] == 's');
    } else if (name == "PP" || name == "P" || name == "LP" || name == "Pp" || name == "Lp" || name == "HP") {
      end_paragraph();
      hang_ = 0;
    } else if (name == "sp") {
      end_paragraph();
    } else if (name == "br") {
      line_break();
    } else if (name == "TP" || name == "TQ") {
      if (name == "TP") end_paragraph();
      else flush_paragraph();
      hang_ = 1;
      want_tag_ = true;
    } else if (name == "IP") {
      end_paragraph();
      hang_ = 1;
      const auto words = arguments(rest);
      const std::string tag = words.empty() ? "" : escapes_.plain(words[0]);
      if (tag == "*" || tag == "-" || tag == "o" || tag == "\u2022") {
        hang_ = 0;
        paragraph_ = tag + " ";
      } else {
        tag_ = tag;
      }
    } else if (name == "RS") {
      end_paragraph();
      if (indent_ < 8) ++indent_;
      hang_ = 0;
    } else if (name == "RE") {
      end_paragraph();
      if (indent_ > 0) --indent_;
    } else if (name == "nf" || name == "EX" || name == "Vb") {
      line_break();
      verbatim_ = true;
    } else if (name == "fi" || name == "EE" || name == "Ve") {
      verbatim_ = false;
    } else if (name == "TS") {
      end_paragraph();
      table_ = true, table_body_ = false;
    } else if (name == "TE") {
      table_ = false;
    } else if (name == "UR" || name == "MT") {
      link_ = joined_words(arguments(rest), 0, " ");
    } else if (name == "UE" || name == "ME") {
      text("<" + link_ + ">" + joined_words(arguments(rest), 0, ""));
    } else {
      return false;
    }
    return true;
  }

  // Alternating fonts set their words without blanks between. True when handled.
  bool fonts(View name, View rest) {
    static constexpr std::array<View, 6> kAlternating = {"BR", "RB", "BI", "IB", "IR", "RI"};
    const bool alternating = std::find(kAlternating.begin(), kAlternating.end(), name) != kAlternating.end();
    const bool single =
        name == "B" || name == "I" || name == "SM" || name == "SB" || name == "R" || name == "CW";
    if (!alternating && !single) return false;
    if (rest.empty()) return true;  // the font of the next line
    const std::string s = joined_words(arguments(rest), 0, alternating ? "" : " ");
    if (want_heading_) heading(s, false);
    else text(s);
    return true;
  }

  // mdoc(7), the form of BSD pages: markup macros nest within a line.
  void mdoc(View name, View rest) {
    const bool macro =
        name.size() == 2 && name[0] >= 'A' && name[0] <= 'Z' && (name[1] >= 'a' || name[1] == '1');
    if (!macro || name == "Dd" || name == "Dt" || name == "Os" || name == "Bk" || name == "Ek") return;
    if (name == "Bl") {
      end_paragraph();
      if (indent_ < 8) ++indent_;
      return;
    }
    if (name == "El") {
      end_paragraph();
      if (indent_ > 0) --indent_;
      hang_ = 0;
      return;
    }
    if (name == "Bd") {
      end_paragraph();
      verbatim_ = rest.find("-filled") == View::npos && rest.find("-ragged") == View::npos;
      return;
    }
    if (name == "Ed") {
      verbatim_ = false;
      end_paragraph();
      return;
    }
    if (name == "It") {
      end_paragraph();
      hang_ = 1;
      tag_ = mdoc_line(arguments(rest), 0);
      return;
    }
    if (name == "D1" || name == "Dl") {
      line_break();
      verbatim(mdoc_line(arguments(rest), 0));
      return;
    }
    auto words = arguments(rest);
    words.insert(words.begin(), std::string(name));
    if (name == "Nm" && words.size() > 1 && program_.empty()) program_ = escapes_.plain(words[1]);
    const std::string s = mdoc_line(words, 0);
    if (!s.empty()) text(s);
  }

  std::string mdoc_line(const std::vector<std::string>& words, size_t from) const {
    std::string out, closing;
    bool blank = false, flag = false;
    const auto put = [&](const std::string& s) {
      if (s.empty()) return;
      const bool mark = s.size() == 1 && View(".,;:)]?!").find(s[0]) != View::npos;
      if (blank && !mark && !out.empty() && !out.ends_with("[") && !out.ends_with("(") && !out.ends_with("<"))
        out += ' ';
      out += s;
      blank = true;
    };
    for (size_t i = from; i < words.size(); ++i) {
      const std::string& w = words[i];
      if (w == "Fl") flag = true;
      else if (w == "Op" || w == "Oo" || w == "Bq") put("["), closing.insert(0, "]");
      else if (w == "Aq") put("<"), closing.insert(0, ">");
      else if (w == "Pq" || w == "Po") put("("), closing.insert(0, ")");
      else if (w == "Dq" || w == "Qq") put("\""), blank = false, closing.insert(0, "\"");
      else if (w == "Sq" || w == "Ql") put("'"), blank = false, closing.insert(0, "'");
      else if (w == "Oc") put("]"), closing = closing.empty() ? closing : closing.substr(1);
      else if (w == "Pc") put(")"), closing = closing.empty() ? closing : closing.substr(1);
      else if (w == "Nm" && (i + 1 == words.size() || words[i + 1].size() <= 2)) put(program_);
      else if (w == "Nd") put("-");
      else if (w == "Ns") blank = false;
      else if (w == "Xr" && i + 2 < words.size())
        put(escapes_.plain(words[i + 1]) + "(" + escapes_.plain(words[i + 2]) + ")"), i += 2;
      else if (w.size() == 2 && w[0] >= 'A' && w[0] <= 'Z' && w[1] >= 'a' && w[1] <= 'z') continue;  // a font
      else put((flag ? "-" : "") + escapes_.plain(w)), flag = false;
    }
    if (flag) put("-");
    return out + closing;
  }

  Escapes escapes_;
  std::string out_, paragraph_, tag_, link_, program_, skip_until_, joined_, line_;
  int indent_ = 0, hang_ = 0, skip_braces_ = 0;
  bool verbatim_ = false, table_ = false, table_body_ = false, want_tag_ = false, want_heading_ = false;
  bool glue_ = false, last_condition_ = false, included_ = false;
};

}  // namespace

std::string man_to_text(std::string_view roff) { return ManPage().read(roff); }

bool looks_like_man(std::string_view text) {
  for (int line = 0; line < 300 && !text.empty(); ++line) {
    if (text.starts_with(".TH ") || text.starts_with(".Dd ") || text.starts_with(".Dt ")) return true;
    const size_t end = text.find('\n');
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
  }
  return false;
}

}  // namespace lyceum
