// One file of whatever kind becomes documents, or a reason why it does not.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "data/document.h"

namespace lyceum {

// How a file's bytes become text.
enum class TextForm {
  kByName,    // HTML and manual pages by their name and contents, JSONL by its name, all else plain
  kPlain,     // as it is
  kFortunes,  // one document between lines of a single '%'
};

struct Extracted {
  std::vector<Document> documents;  // id and text are set; domain when a row of JSONL named one
  Reasons refused;                  // files and rows that gave nothing, by reason
  size_t bytes_read = 0;            // on disk
};

// Reads `path`, decompresses, decides what it is and cleans it (data/utf8.h: clean_text). `name` becomes the
// id; several documents of one file are "name#1", "name#2". Never throws for what is in a file: reasons are
// "empty", "binary", "not valid UTF-8", "unreadable", "damaged compression", "larger than 256 MiB" and those
// of parse_document.
Extracted extract_file(const std::string& path, const std::string& name, TextForm form);

// What follows the last '/'.
inline std::string_view base_name(std::string_view path) { return path.substr(path.rfind('/') + 1); }

// "code" for the usual extensions of program sources, else "text".
const char* kind_of_name(std::string_view name);

}  // namespace lyceum
