// Which language a text is in, by its script and its most frequent words.
#pragma once

#include <string>
#include <string_view>

namespace lyceum {

struct LanguageGuess {
  std::string language;  // ISO 639-1, or "und" when there are too few words to say
  int hits = 0;          // frequent words (or characters of the script) that speak for it
};

// One of en fr de es it pt nl pl zh ja ko ru el ar he, or und. Thirty frequent words a language decide for
// Latin script, so a text needs some sentences; program code is mostly "und" or "en" by its comments.
LanguageGuess guess_language(std::string_view text);

// Hits of one language, to hold an expectation against the guess.
int language_hits(std::string_view text, std::string_view language);

}  // namespace lyceum
