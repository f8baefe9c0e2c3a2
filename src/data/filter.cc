#include "data/filter.h"

#include <algorithm>
#include <array>
#include <mutex>
#include <nlohmann/json.hpp>
#include <unordered_map>

#include "data/language.h"
#include "data/pii.h"
#include "data/repeats.h"
#include "data/utf8.h"
#include "data/words.h"

namespace lyceum {
namespace {

// The machine's domains of prose, and what they should be written in.
constexpr std::array<std::pair<std::string_view, std::string_view>, 8> kLanguages = {{{"documentation", "en"},
                                                                                      {"manual", "en"},
                                                                                      {"english", "en"},
                                                                                      {"chinese", "zh"},
                                                                                      {"french", "fr"},
                                                                                      {"german", "de"},
                                                                                      {"spanish", "es"},
                                                                                      {"italian", "it"}}};

// Shares of the most frequent word and of the two most frequent.
std::pair<double, double> frequent_shares(const std::vector<uint64_t>& words) {
  std::unordered_map<uint64_t, size_t> count;
  size_t first = 0, second = 0;
  for (const uint64_t w : words) ++count[w];
  for (const auto& [word, n] : count) {
    if (n > first) second = first, first = n;
    else if (n > second) second = n;
  }
  const double total = static_cast<double>(std::max<size_t>(1, words.size()));
  return {static_cast<double>(first) / total, static_cast<double>(first + second) / total};
}

struct Shape {
  double letters = 0;       // share among characters that are not blank
  size_t longest_word = 0;  // bytes
};
Shape shape_of(const std::string& text) {
  size_t letters = 0, visible = 0, run = 0;
  Shape shape;
  for (size_t at = 0; at < text.size();) {
    const size_t here = at;
    const char32_t c = next_code_point(text, at);
    const bool blank = c == ' ' || c == '\n' || c == '\t' || c == 0xa0 || c == 0x3000;
    run = blank || is_unspaced_script(c) || (c >= 0x3000 && c <= 0x303f) || (c >= 0xff00 && c <= 0xffef)
              ? 0
              : run + at - here;
    shape.longest_word = std::max(shape.longest_word, run);
    if (blank) continue;
    ++visible;
    letters += (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= 0xc0 && c < 0x2000) ||
               is_unspaced_script(c);
  }
  shape.letters = visible == 0 ? 0 : static_cast<double>(letters) / static_cast<double>(visible);
  return shape;
}

std::string reason_against(const Document& d, const FilterOptions& o, LanguageGuess& language) {
  if (d.text.size() < o.min_bytes) return "too_short";
  if (d.text.size() > o.max_bytes) return "too_long";
  const std::vector<uint64_t> words = blank_separated_hashes(d.text);
  if (repeats_ngram(std::span<const uint64_t>(words))) return "repeated_ngram";
  if (d.kind == "code") {
    const auto [one, two] = frequent_shares(words);
    if (one > 0.3 || two > 0.5) return "frequent_word";
  }
  const Shape shape = shape_of(d.text);
  if (shape.longest_word > o.longest_word) return "unbroken_run";
  if (shape.letters < (d.kind == "code" ? o.min_letters / 2 : o.min_letters)) return "few_letters";
  language = guess_language(d.text);
  if (o.languages && d.source == "machine")
    for (const auto& [domain, expected] : kLanguages)
      if (d.domain == domain && language.language != expected && language.hits >= 10 &&
          language.hits >= 2 * language_hits(d.text, expected))
        return "other_language";
  return "";
}

}  // namespace

Attributes judge(const Document& document, const FilterOptions& options) {
  Attributes out{document.id, {}};
  const auto length = static_cast<int64_t>(count_code_points(document.text));
  LanguageGuess language;
  const std::string reason = reason_against(document, options, language);
  if (!reason.empty()) out.spans["filter__" + reason] = {{0, length, 1}};
  if (language.hits > 0)
    out.spans["language__" + language.language] = {{0, length, static_cast<double>(language.hits)}};
  if (options.pii && reason.empty()) {
    size_t byte = 0;
    int64_t character = 0;
    const auto to_character = [&](size_t wanted) {
      for (; byte < wanted; ++byte)
        character += (static_cast<unsigned char>(document.text[byte]) & 0xc0) != 0x80;
      return character;
    };
    for (const PiiSpan& s : find_pii(document.text)) {
      const int64_t begin = to_character(s.begin);
      out.spans[std::string("pii__") + pii_name(s.kind)].push_back({begin, to_character(s.end), 1});
    }
  }
  return out;
}

FilterReport filter(const FilterOptions& options) {
  const std::vector<std::string> names = document_files(options.folder + "/documents");
  struct FileResult {
    std::map<std::string, FilteredDomain> domains;
    std::vector<std::pair<std::string, std::string>> examples;  // reason, id
  };
  std::vector<FileResult> results(names.size());
  real_files().remove_all(options.folder + "/attributes/filter");
  for_each_file(options.folder, {}, "filter",
                [&](size_t file, const std::string& name, auto& documents, auto& rows) {
                  FileResult& result = results[file];
                  for (size_t i = 0; i < documents.size(); ++i) {
                    rows[i] = judge(documents[i], options);
                    FilteredDomain& d = result.domains[documents[i].domain];
                    const size_t bytes = documents[i].text.size();
                    ++d.documents;
                    d.bytes += bytes;
                    for (const auto& [key, spans] : rows[i].spans)
                      if (key.starts_with("pii__")) d.personal_data[key.substr(5)] += spans.size();
                    const std::string reason = drop_reason(rows[i]);
                    if (reason.empty()) {
                      ++d.kept;
                      d.kept_bytes += bytes;
                      continue;
                    }
                    const std::string word = reason.substr(8);
                    ++d.dropped[word];
                    d.dropped_bytes[word] += bytes;
                    result.examples.push_back({word, documents[i].id});
                  }
                  write_attributes(options.folder + "/attributes/filter/" + name, rows);
                });
  FilterReport report;
  std::map<std::string, FilteredDomain> all;
  std::map<std::string, int> shown;
  for (const FileResult& result : results) {
    for (const auto& [name, from] : result.domains) {
      FilteredDomain& to = all[name];
      to.name = name;
      to.documents += from.documents, to.bytes += from.bytes, to.kept += from.kept,
          to.kept_bytes += from.kept_bytes;
      for (const auto& [k, n] : from.dropped) to.dropped[k] += n;
      for (const auto& [k, n] : from.dropped_bytes) to.dropped_bytes[k] += n;
      for (const auto& [k, n] : from.personal_data) to.personal_data[k] += n;
    }
    for (const auto& [reason, id] : result.examples)
      if (shown[reason]++ < 5) report.examples.push_back(reason + ": " + id);
  }
  for (auto& [name, domain] : all) report.domains.push_back(std::move(domain));
  write_file(options.folder + "/filter_report.json", filter_report_json(report));
  return report;
}

std::string filter_report_json(const FilterReport& report) {
  nlohmann::ordered_json out;
  out["domains"] = nlohmann::ordered_json::array();
  for (const FilteredDomain& d : report.domains)
    out["domains"].push_back({{"name", d.name},
                              {"documents", d.documents},
                              {"bytes", d.bytes},
                              {"kept", d.kept},
                              {"kept_bytes", d.kept_bytes},
                              {"dropped", d.dropped},
                              {"dropped_bytes", d.dropped_bytes},
                              {"personal_data", d.personal_data}});
  out["examples"] = report.examples;
  return out.dump(2) + "\n";
}

}  // namespace lyceum
