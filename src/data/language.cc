#include "data/language.h"

#include <algorithm>
#include <array>
#include <unordered_map>
#include <vector>

#include "data/utf8.h"

namespace lyceum {
namespace {

struct Words {
  std::string_view language;
  std::array<std::string_view, 30> list;
};
// Frequent words that are not also frequent in another of these languages (a few shared ones are left in
// both).
constexpr std::array<Words, 8> kWords = {{
    {"en", {"the", "of",   "and", "to",  "is",  "that", "for",  "it",   "with",   "as",
            "be",  "this", "by",  "are", "not", "from", "or",   "have", "which",  "you",
            "if",  "will", "can", "has", "but", "they", "when", "was",  "should", "all"}},
    {"fr", {"le",  "les",  "des", "et",   "est", "une",  "du",    "dans", "pour", "qui",
            "que", "sur",  "pas", "par",  "ce",  "avec", "cette", "sont", "au",   "aux",
            "ou",  "être", "ne",  "vous", "ces", "plus", "été",   "leur", "où",   "fichier"}},
    {"de", {"der",  "die",  "und",   "das",  "den",  "von",  "zu",   "ist",    "mit", "für",
            "ein",  "eine", "nicht", "auf",  "dem",  "des",  "wird", "werden", "im",  "sie",
            "oder", "als",  "auch",  "sich", "kann", "wenn", "bei",  "einer",  "aus", "datei"}},
    {"es", {"el",  "los",  "las",  "y",    "que",    "en",   "una",   "para",  "con",     "por",
            "del", "como", "está", "ser",  "lo",     "este", "esta",  "sus",   "más",     "o",
            "si",  "se",   "al",   "pero", "cuando", "son",  "puede", "sobre", "fichero", "archivo"}},
    {"it", {"il",  "di",     "che", "gli",   "per",    "della", "non", "una",   "del",    "sono",
            "con", "nel",    "è",   "viene", "questo", "alla",  "dei", "delle", "essere", "come",
            "più", "questa", "dal", "ha",    "anche",  "se",    "lo",  "nella", "ed",     "file"}},
    {"pt", {"os",  "não",    "uma",  "para", "com", "do",  "da",   "em",   "no",     "na",
            "dos", "das",    "por",  "mais", "são", "ser", "ou",   "como", "ao",     "pode",
            "se",  "também", "pela", "pelo", "é",   "à",   "esta", "este", "quando", "você"}},
    {"nl", {"het",  "een",   "van",    "en",   "dat",  "niet", "zijn", "op",   "te",  "met",
            "voor", "wordt", "worden", "deze", "naar", "aan",  "ook",  "bij",  "kan", "uit",
            "dit",  "als",   "maar",   "om",   "door", "of",   "wel",  "geen", "er",  "bestand"}},
    {"pl", {"i",     "w",     "na",    "z",     "nie", "się",  "jest", "do",   "to",    "że",
            "jak",   "od",    "przez", "dla",   "po",  "oraz", "lub",  "są",   "tylko", "może",
            "który", "które", "przy",  "jeśli", "być", "plik", "ten",  "tego", "pliku", "za"}},
}};

// Words of each script's letters, for scripts that name their language.
struct Scripts {
  int han = 0, kana = 0, hangul = 0, cyrillic = 0, greek = 0, arabic = 0, hebrew = 0, latin = 0;
};

struct Counts {
  std::array<int, 8> words{};
  Scripts scripts;
};

Counts count(std::string_view text) {
  static const auto* index = [] {
    auto* map = new std::unordered_map<std::string_view, std::vector<int>>;
    for (size_t l = 0; l < kWords.size(); ++l)
      for (const std::string_view w : kWords[l].list) (*map)[w].push_back(static_cast<int>(l));
    return map;
  }();
  Counts counts;
  std::string word;
  const auto end_word = [&] {
    if (word.empty()) return;
    if (const auto it = index->find(word); it != index->end())
      for (const int l : it->second) ++counts.words[static_cast<size_t>(l)];
    word.clear();
  };
  text = text.substr(0, std::min<size_t>(text.size(), size_t{1} << 16));  // enough to judge
  while (!text.empty() && (static_cast<unsigned char>(text.back()) & 0xc0) == 0x80) text.remove_suffix(1);
  if (!text.empty() && static_cast<unsigned char>(text.back()) >= 0xc0) text.remove_suffix(1);
  bool address = false;  // inside "https://github.com/x", "a.b", "name@host": no words of a language
  for (size_t at = 0; at < text.size();) {
    const char32_t c = next_code_point(text, at);
    if (c == ' ' || c == '\n' || c == '\t') address = false;
    const bool mark = c == '/' || c == '@' || c == '_' || c == '=' || c == '.' || c == ':';
    if (mark && at < text.size() && static_cast<unsigned char>(text[at]) > ' ') {
      address = true;
      word.clear();
    }
    const bool upper = (c >= 'A' && c <= 'Z') || (c >= 0xc0 && c <= 0xde && c != 0xd7);
    const bool latin = upper || (c >= 'a' && c <= 'z') || (c >= 0xdf && c <= 0x17f && c != 0xf7);
    if (latin) {
      if (!address) append_code_point(word, upper ? c + 32 : c);
      ++counts.scripts.latin;
      continue;
    }
    end_word();
    Scripts& s = counts.scripts;
    if (c >= 0x3040 && c <= 0x30ff) ++s.kana;
    else if (c >= 0xac00 && c <= 0xd7a3) ++s.hangul;
    else if (is_unspaced_script(c)) ++s.han;
    else if (c >= 0x400 && c <= 0x4ff) ++s.cyrillic;
    else if (c >= 0x370 && c <= 0x3ff) ++s.greek;
    else if (c >= 0x600 && c <= 0x6ff) ++s.arabic;
    else if (c >= 0x590 && c <= 0x5ff) ++s.hebrew;
  }
  end_word();
  return counts;
}

// A character of a dense script weighs like a third of a Latin word's letters would.
LanguageGuess by_script(const Scripts& s) {
  const int east = s.han + s.kana + s.hangul;
  const int latin = s.latin / 3;
  if (east > latin && east >= 4)
    return {s.hangul > s.han + s.kana ? "ko" : s.kana * 8 > s.han ? "ja" : "zh", east};
  const std::array<std::pair<const char*, int>, 4> others = {
      {{"ru", s.cyrillic}, {"el", s.greek}, {"ar", s.arabic}, {"he", s.hebrew}}};
  for (const auto& [name, n] : others)
    if (n > s.latin && n >= 20) return {name, n};
  return {"und", 0};
}

}  // namespace

LanguageGuess guess_language(std::string_view text) {
  const Counts counts = count(text);
  if (LanguageGuess g = by_script(counts.scripts); g.hits > 0) return g;
  const auto best = std::max_element(counts.words.begin(), counts.words.end());
  if (*best < 5) return {"und", 0};
  return {std::string(kWords[static_cast<size_t>(best - counts.words.begin())].language), *best};
}

int language_hits(std::string_view text, std::string_view language) {
  const Counts counts = count(text);
  for (size_t l = 0; l < kWords.size(); ++l)
    if (kWords[l].language == language) return counts.words[l];
  const LanguageGuess g = by_script(counts.scripts);
  if (g.language == language) return g.hits;
  return language == "zh" ? counts.scripts.han : 0;
}

}  // namespace lyceum
