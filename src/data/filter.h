// `data filter`: which documents are not worth training on, and why.
#pragma once

#include <string>
#include <vector>

#include "data/attributes.h"
#include "data/document.h"

namespace lyceum {

struct FilterOptions {
  std::string folder;  // holds documents/; attributes go to attributes/filter
  size_t min_bytes = 48, max_bytes = size_t{8} << 20;
  double min_letters =
      0.25;  // share of letters among characters that are not blank (text), half of it (code)
  size_t longest_word = 2000;  // bytes between two blanks: encoded data
  bool languages = true;       // the machine's prose must be in the language of its domain
  bool pii = true;             // find personal data
};

struct FilteredDomain {
  std::string name;
  size_t documents = 0, bytes = 0, kept = 0, kept_bytes = 0;
  Reasons dropped;  // documents, by reason
  Reasons dropped_bytes;
  Reasons personal_data;  // spans, by kind
};
struct FilterReport {
  std::vector<FilteredDomain> domains;
  std::vector<std::string> examples;  // "reason: id", a few of each reason
};

// The attributes of one document. Reasons, the first that holds:
//   too_short, too_long       bytes
//   repeated_ngram            an n-gram of words stands 32 times in a row, n = 1 .. 13 (OLMoE)
//   frequent_word             code: one word is more than 30 % of all, or two more than 50 % (StarCoder's
//   part of OLMoE) unbroken_run              a word of more than longest_word bytes few_letters tables,
//   encoded data other_language            the machine's prose: at least ten frequent words of another
//   language, twice as many as of
//                             the expected one
Attributes judge(const Document& document, const FilterOptions& options);

// Writes attributes/filter and filter_report.json.
FilterReport filter(const FilterOptions& options);

std::string filter_report_json(const FilterReport& report);

}  // namespace lyceum
