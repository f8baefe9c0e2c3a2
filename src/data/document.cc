#include "data/document.h"

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "data/compressed.h"
#include "data/utf8.h"

namespace lyceum {
namespace {

using Json = nlohmann::ordered_json;

const std::string* text_at(const Json& object, const char* key) {
  const auto it = object.find(key);
  return it != object.end() && it->is_string() ? it->get_ptr<const std::string*>() : nullptr;
}

template <class OnRow, class OnBad>
void for_each_document(const std::string& path, const OnRow& on_row, const OnBad& on_bad) {
  LineReader lines(path);
  const std::string name = std::filesystem::path(path).filename().string();
  const std::string folder = std::filesystem::path(path).parent_path().filename().string();
  for (std::string_view line; lines.next(line);) {
    if (line.find_first_not_of(" \t") == std::string_view::npos) continue;
    Document document;
    std::string reason;
    if (parse_document(line, name + "#" + std::to_string(lines.line_number()), folder, document, reason))
      on_row(std::move(document));
    else on_bad(lines.line_number(), reason);
  }
}

}  // namespace

std::string document_row(const Document& d) {
  Json row;
  row["id"] = d.id;
  row["text"] = d.text;
  row["source"] = d.source;
  if (!d.added.empty()) row["added"] = d.added;
  row["metadata"] = {{"domain", d.domain}, {"kind", d.kind}};
  return row.dump();
}

bool parse_document(std::string_view row, const std::string& default_id, const std::string& default_domain,
                    Document& document, std::string& reason) {
  const auto refuse = [&](const char* why) {
    reason = why;
    return false;
  };
  if (first_invalid_utf8(row) != row.size()) return refuse("row is not valid UTF-8");
  const Json object =
      Json::parse(row.begin(), row.end(), nullptr, false);  // iterative: nesting costs no stack
  if (object.is_discarded()) return refuse("row is not JSON");
  if (!object.is_object()) return refuse("row is not a JSON object");
  const std::string* text = text_at(object, "text");
  if (!text) text = text_at(object, "content");
  if (!text) return refuse("row has no \"text\"");
  if (first_invalid_utf8(*text) != text->size()) return refuse("text is not valid UTF-8");
  document = Document{};
  document.text = *text;
  const auto id = object.find("id");
  document.id = id == object.end()        ? default_id
                : id->is_string()         ? id->get<std::string>()
                : id->is_number_integer() ? id->dump()
                                          : default_id;
  if (const std::string* source = text_at(object, "source")) document.source = *source;
  if (const std::string* added = text_at(object, "added")) document.added = *added;
  document.domain = default_domain;
  const auto metadata = object.find("metadata");
  if (metadata != object.end() && metadata->is_object()) {
    if (const std::string* domain = text_at(*metadata, "domain")) document.domain = *domain;
    if (const std::string* kind = text_at(*metadata, "kind"))
      if (*kind == "code" || *kind == "text") document.kind = *kind;
  }
  return true;
}

std::vector<Document> read_documents(const std::string& path, Reasons& bad_rows) {
  std::vector<Document> documents;
  for_each_document(
      path, [&](Document&& d) { documents.push_back(std::move(d)); },
      [&](size_t, const std::string& reason) { ++bad_rows[reason]; });
  return documents;
}

std::vector<Document> read_own_documents(const std::string& path) {
  std::vector<Document> documents;
  for_each_document(
      path, [&](Document&& d) { documents.push_back(std::move(d)); },
      [&](size_t line, const std::string& reason) {
        fail(ErrorKind::kCorruptData, "documents", path, ": line ", line, ": ", reason,
             "; remove the folder and run `lyceum data ingest` again");
      });
  return documents;
}

void write_documents(const std::string& path, const std::vector<Document>& documents, FileSystem& files) {
  std::string rows;
  for (const Document& d : documents) rows += document_row(d), rows += '\n';
  write_file(path, compression_of(path) == Compression::kZstd ? zstd_compress(rows) : rows, files);
}

std::vector<std::string> document_files(const std::string& folder) {
  namespace fs = std::filesystem;
  std::vector<std::string> names;
  if (directory_exists(folder))
    for (const fs::directory_entry& entry : fs::recursive_directory_iterator(folder)) {
      const std::string path = entry.path().string();
      if (entry.is_regular_file() && without_compression(path).ends_with(".jsonl"))
        names.push_back(fs::relative(entry.path(), folder).string());
    }
  if (names.empty())
    fail(ErrorKind::kNotFound, "documents", "no .jsonl, .jsonl.gz or .jsonl.zst under ", folder,
         "; make them with `lyceum data ingest`");
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace lyceum
