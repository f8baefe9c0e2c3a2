// Documents on disk: Dolma's JSONL, one object a line, usually compressed.
//
//   documents/<domain>/00000.jsonl.zst   {"id", "text", "source", "added", "metadata": {"domain", "kind",
//   ...}} attributes/<tagger>/<domain>/00000.jsonl.zst   the same rows in the same order, {"id",
//   "attributes": {...}}
//
// Source: docs/data-format.md of allenai/dolma.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"

namespace lyceum {

struct Document {
  std::string id;             // unique; a file that became several documents: "path#2"
  std::string text;           // valid UTF-8, ends with a line feed
  std::string source;         // where it was taken from: "machine", the name of the user's folder
  std::string domain;         // travels with every token into every batch
  std::string kind = "text";  // "text" or "code": some rules differ
  std::string added;          // when it was collected, RFC 3339; may be empty
};

// How often something happened, by reason.
using Reasons = std::map<std::string, size_t>;

// One line of JSON without line feed.
std::string document_row(const Document& document);
// False with `reason` set when the row is not a document: "not JSON", "no text", "invalid UTF-8", ...
// A missing id becomes `default_id`, a missing domain `default_domain`.
bool parse_document(std::string_view row, const std::string& default_id, const std::string& default_domain,
                    Document& document, std::string& reason);

// All documents of a .jsonl, .jsonl.gz or .jsonl.zst file; bad rows are counted by reason and skipped. Throws
// kCorruptData when the compression is damaged.
std::vector<Document> read_documents(const std::string& path, Reasons& bad_rows);
// As this program writes them; any bad row is an error that names file and line.
std::vector<Document> read_own_documents(const std::string& path);
// Atomic; compressed when the name ends in .zst.
void write_documents(const std::string& path, const std::vector<Document>& documents,
                     FileSystem& files = real_files());

// Names below `folder` ("c/00000.jsonl.zst") of all files of documents, sorted. Throws kNotFound with what to
// do when there are none.
std::vector<std::string> document_files(const std::string& folder);

}  // namespace lyceum
