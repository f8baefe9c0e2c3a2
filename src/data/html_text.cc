#include "data/html_text.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <map>

#include "data/utf8.h"

namespace lyceum {
namespace {

using View = std::string_view;

const std::map<View, View> kEntities = {
    {"amp", "&"},    {"lt", "<"},     {"gt", ">"},     {"quot", "\""},  {"apos", "'"},   {"nbsp", " "},
    {"copy", "(C)"}, {"reg", "(R)"},  {"mdash", "—"},  {"ndash", "–"},  {"hellip", "…"}, {"lsquo", "‘"},
    {"rsquo", "’"},  {"ldquo", "“"},  {"rdquo", "”"},  {"bull", "•"},   {"middot", "·"}, {"times", "×"},
    {"eacute", "é"}, {"egrave", "è"}, {"agrave", "à"}, {"ccedil", "ç"}, {"ouml", "ö"},   {"auml", "ä"},
    {"uuml", "ü"},   {"szlig", "ß"},  {"laquo", "«"},  {"raquo", "»"},  {"rarr", "→"},   {"larr", "←"},
    {"para", ""},    {"sect", "§"},   {"deg", "°"},    {"le", "≤"},     {"ge", "≥"},     {"ne", "≠"},
    {"ecirc", "ê"},  {"ocirc", "ô"},  {"iuml", "ï"},   {"ntilde", "ñ"}, {"oacute", "ó"}, {"aacute", "á"},
    {"pound", "£"},  {"euro", "€"},   {"minus", "−"},  {"thinsp", " "}, {"shy", ""},     {"trade", "(TM)"},
};

// Elements whose content is not text, and parts of a page that are not its subject.
constexpr std::array<View, 14> kSkipped = {"script", "style",    "head",     "nav",     "footer",
                                           "svg",    "noscript", "form",     "iframe",  "object",
                                           "button", "select",   "textarea", "template"};
constexpr std::array<View, 9> kSkippedClasses = {"sphinxsidebar", "related",         "navheader",
                                                 "navfooter",     "footer",          "headerlink",
                                                 "mobile-nav",    "toctree-wrapper", "toc"};
constexpr std::array<View, 26> kBlocks = {
    "p",     "div",  "section", "article", "blockquote", "table", "ul",      "ol",    "dl",
    "h1",    "h2",   "h3",      "h4",      "h5",         "h6",    "pre",     "hr",    "main",
    "aside", "body", "header",  "figure",  "tbody",      "thead", "address", "center"};
constexpr std::array<View, 6> kLines = {"br", "li", "tr", "dt", "dd", "caption"};
constexpr std::array<View, 8> kVoid = {"br", "hr", "img", "input", "link", "meta", "col", "wbr"};

template <size_t n>
bool contains(const std::array<View, n>& list, View word) {
  return std::find(list.begin(), list.end(), word) != list.end();
}

std::string lower(View s) {
  std::string out(s);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  return out;
}

// The value of an attribute inside a tag, or "".
View attribute(View tag, View name) {
  for (size_t at = tag.find(name); at != View::npos; at = tag.find(name, at + 1)) {
    size_t i = at + name.size();
    if (at == 0 || !(tag[at - 1] == ' ' || tag[at - 1] == '\n' || tag[at - 1] == '\t')) continue;
    if (i + 1 >= tag.size() || tag[i] != '=') continue;
    const char quote = tag[++i];
    if (quote != '"' && quote != '\'') return tag.substr(i, tag.find_first_of(" \n>", i) - i);
    const size_t end = tag.find(quote, i + 1);
    return end == View::npos ? View() : tag.substr(i + 1, end - i - 1);
  }
  return {};
}

bool has_skipped_class(View tag) {
  View classes = attribute(tag, "class");
  if (attribute(tag, "role") == "navigation") return true;
  while (!classes.empty()) {
    const size_t end = std::min(classes.find(' '), classes.size());
    if (contains(kSkippedClasses, classes.substr(0, end))) return true;
    classes.remove_prefix(std::min(end + 1, classes.size()));
  }
  return false;
}

class HtmlPage {
 public:
  std::string read(View html) {
    for (size_t i = 0; i < html.size();) {
      if (html[i] == '<') i = markup(html, i);
      else if (html[i] == '&') i = entity(html, i);
      else if (depth_skipped_ > 0) i = std::min(html.find('<', i), html.size());
      else put(html[i++]);
    }
    return clean_text(without_invalid_utf8(std::move(out_)));
  }

 private:
  size_t markup(View html, size_t i) {
    if (html.substr(i, 4) == "<!--") return after(html, "-->", i);
    if (i + 1 < html.size() && (html[i + 1] == '!' || html[i + 1] == '?')) return after(html, ">", i);
    const bool closing = i + 1 < html.size() && html[i + 1] == '/';
    size_t begin = i + 1 + closing, n = begin;
    while (n < html.size() &&
           ((html[n] | 32) >= 'a' ? (html[n] | 32) <= 'z' : html[n] >= '0' && html[n] <= '9'))
      ++n;
    if (n == begin) {  // a lone '<' is text
      if (depth_skipped_ == 0) put('<');
      return i + 1;
    }
    const std::string name = lower(html.substr(begin, n - begin));
    const size_t end = tag_end(html, n);
    const View tag = html.substr(n, end - n);
    if (!closing && (name == "script" || name == "style")) {  // its content is not markup
      const size_t stop = find_closing(html, end, name);
      return after(html, ">", stop);
    }
    if (depth_skipped_ > 0) {
      skip(name, closing, tag);
    } else if (!closing && !contains(kVoid, name) && !tag.ends_with("/") &&
               (contains(kSkipped, name) || has_skipped_class(tag))) {
      skipped_ = name;
      depth_skipped_ = 1;
    } else {
      element(name, closing);
    }
    return std::min(end + 1, html.size());
  }

  void skip(const std::string& name, bool closing, View tag) {
    if (name == skipped_ && !tag.ends_with("/")) depth_skipped_ += closing ? -1 : 1;
    else if (skipped_ == "head" && name == "body" && !closing)
      depth_skipped_ = 0;  // the head was never closed
  }

  void element(const std::string& name, bool closing) {
    if (contains(kBlocks, name)) {
      if (name == "pre") preformatted_ = std::max(0, preformatted_ + (closing ? -1 : 1));
      lines(name == "div" || name == "body" ? 1 : 2);
      if (name == "pre" && !closing) at_pre_begin_ = true;
    } else if (contains(kLines, name)) {
      if (name == "br") new_line();
      else lines(1);
      if (name == "li" && !closing) out_ += "- ", marked_ = true;
      if (name == "dd" && !closing) out_ += "    ", marked_ = true;
    } else if ((name == "td" || name == "th") && !closing && !out_.empty() && !out_.ends_with("\n")) {
      out_ += '\t';
    }
  }

  static size_t after(View html, View what, size_t from) {
    const size_t at = html.find(what, from);
    return at == View::npos ? html.size() : at + what.size();
  }
  static size_t tag_end(View html, size_t i) {
    for (char quote = 0; i < html.size(); ++i) {
      if (quote) quote = html[i] == quote ? 0 : quote;
      else if (html[i] == '"' || html[i] == '\'') quote = html[i];
      else if (html[i] == '>') return i;
    }
    return html.size();
  }
  static size_t find_closing(View html, size_t from, const std::string& name) {
    for (size_t at = html.find("</", from); at != View::npos; at = html.find("</", at + 2))
      if (lower(html.substr(at + 2, name.size())) == name) return at;
    return html.size();
  }

  size_t entity(View html, size_t i) {
    const size_t end = html.find(';', i);
    if (end == View::npos || end - i > 12) {
      if (depth_skipped_ == 0) put('&');
      return i + 1;
    }
    if (depth_skipped_ > 0) return end + 1;
    const View name = html.substr(i + 1, end - i - 1);
    if (name.starts_with("#")) {
      const bool hex = name.size() > 1 && (name[1] | 32) == 'x';
      uint32_t code = 0;
      for (const char c : name.substr(hex ? 2 : 1)) {
        const int digit = c >= '0' && c <= '9'                        ? c - '0'
                          : hex && (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10
                                                                      : 99;
        if (digit > 15) return i + 1;
        code = std::min<uint32_t>(code * (hex ? 16 : 10) + static_cast<uint32_t>(digit), 0x110000);
      }
      if (code == 160) put(' ');
      else if (code >= 32 && code < 0x110000 && (code < 0xd800 || code > 0xdfff) && code != 0xb6) {
        std::string s;
        append_code_point(s, code);
        for (const char c : s) put(c);
      }
      return end + 1;
    }
    const auto it = kEntities.find(name);
    if (it == kEntities.end()) {
      put('&');
      return i + 1;
    }
    for (const char c : it->second) put(c);
    return end + 1;
  }

  void put(char c) {
    if (preformatted_ > 0) {
      if (at_pre_begin_ && c == '\n') {
        at_pre_begin_ = false;
        return;
      }
      at_pre_begin_ = false;
      out_ += c;
      return;
    }
    if (c == '\n' || c == '\r' || c == '\t' || c == ' ') {
      if (!out_.empty() && out_.back() != '\n' && out_.back() != ' ') out_ += ' ';
      return;
    }
    marked_ = false;
    out_ += c;
  }
  void new_line() {
    if (out_.empty()) return;
    out_ += '\n';
  }
  // At least n line feeds before what follows; a list mark just written stays on its line.
  void lines(int n) {
    if (out_.empty() || marked_) return;
    while (out_.back() == ' ') {
      out_.pop_back();
      if (out_.empty()) return;
    }
    const int have = out_.ends_with("\n\n") ? 2 : out_.ends_with("\n") ? 1 : 0;
    for (int i = have; i < n; ++i) out_ += '\n';
  }

  std::string out_, skipped_;
  int depth_skipped_ = 0, preformatted_ = 0;
  bool at_pre_begin_ = false, marked_ = false;
};

}  // namespace

std::string html_to_text(std::string_view html) { return HtmlPage().read(html); }

}  // namespace lyceum
