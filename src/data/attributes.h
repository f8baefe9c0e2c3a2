// Attributes beside documents, as Dolma's taggers write them: a row per document, in the same order, each
// with spans [begin, end, score] in characters. Documents are never rewritten: a threshold changes, only
// attributes do.
//
//   attributes/filter   "filter__<reason>"  the document is dropped      "pii__email" ... spans to mask
//                       "language__fr"      what it seems to be written in
//   attributes/dedup    "dedup__exact", "dedup__near"  dropped, another document like it is kept
//   attributes/split    "split__heldout"    held out     "split__near_heldout"  too like a held-out one to
//   train on
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/file.h"
#include "data/document.h"

namespace lyceum {

struct Span {
  int64_t begin = 0, end = 0;  // in characters
  double score = 1;
  bool operator==(const Span&) const = default;
};

struct Attributes {
  std::string id;
  std::map<std::string, std::vector<Span>> spans;
};

void write_attributes(const std::string& path, const std::vector<Attributes>& rows,
                      FileSystem& files = real_files());

// Throws kCorruptData naming file and row unless there is a row for every document with its id.
std::vector<Attributes> read_attributes(const std::string& path, const std::vector<Document>& documents);

// Adds the spans of `more` to `rows`, row by row.
void merge_attributes(std::vector<Attributes>& rows, std::vector<Attributes>&& more);

// The reason ("filter__too_short") for which a document is not trained on, or "".
std::string drop_reason(const Attributes& attributes);

// The text with every "pii__<kind>" span replaced by "|||KIND|||", as Dolma masks (|||EMAIL_ADDRESS|||, ...).
std::string mask_text(const std::string& text, const Attributes& attributes);

// Runs work(name, documents, rows) for every file under folder/documents, on all threads; rows hold the
// merged attributes of those `taggers` that exist under folder/attributes.
using FileWork = void (*)(void* context, size_t file, const std::string& name,
                          std::vector<Document>& documents, std::vector<Attributes>& rows);
void for_each_file(const std::string& folder, const std::vector<std::string>& taggers, const char* title,
                   FileWork work, void* context);
template <class F>
void for_each_file(const std::string& folder, const std::vector<std::string>& taggers, const char* title,
                   F&& f) {
  for_each_file(
      folder, taggers, title,
      [](void* context, size_t file, const std::string& name, std::vector<Document>& documents,
         std::vector<Attributes>& rows) {
        (*static_cast<std::remove_reference_t<F>*>(context))(file, name, documents, rows);
      },
      &f);
}

}  // namespace lyceum
