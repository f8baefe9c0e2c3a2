#include "data/attributes.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/progress.h"
#include "base/threads.h"
#include "data/compressed.h"
#include "data/utf8.h"

namespace lyceum {
namespace {

using Json = nlohmann::ordered_json;

bool parse_spans(const Json& list, std::vector<Span>& spans) {
  if (!list.is_array()) return false;
  for (const Json& s : list) {
    if (!s.is_array() || s.size() != 3 || !s[0].is_number_integer() || !s[1].is_number_integer() ||
        !s[2].is_number())
      return false;
    spans.push_back({s[0].get<int64_t>(), s[1].get<int64_t>(), s[2].get<double>()});
  }
  return true;
}

}  // namespace

void write_attributes(const std::string& path, const std::vector<Attributes>& rows, FileSystem& files) {
  std::string text;
  for (const Attributes& row : rows) {
    Json spans = Json::object();
    for (const auto& [key, list] : row.spans) {
      Json& out = spans[key] = Json::array();
      for (const Span& s : list) out.push_back(Json::array({s.begin, s.end, s.score}));
    }
    text += Json{{"id", row.id}, {"attributes", spans}}.dump() + "\n";
  }
  write_file(path, compression_of(path) == Compression::kZstd ? zstd_compress(text) : text, files);
}

std::vector<Attributes> read_attributes(const std::string& path, const std::vector<Document>& documents) {
  std::vector<Attributes> rows;
  LineReader lines(path);
  const auto wrong = [&](const char* what) {
    fail(ErrorKind::kCorruptData, "attributes", path, ": line ", lines.line_number(), ": ", what,
         "; run `lyceum data filter`, `dedup` and `split` again");
  };
  for (std::string_view line; lines.next(line);) {
    const Json row = Json::parse(line.begin(), line.end(), nullptr, false);
    if (!row.is_object() || !row.contains("id") || !row["id"].is_string() || !row.contains("attributes") ||
        !row["attributes"].is_object())
      wrong("not a row of attributes");
    Attributes a{row["id"].get<std::string>(), {}};
    if (rows.size() >= documents.size() || documents[rows.size()].id != a.id)
      wrong("not the document of this row");
    for (const auto& [key, list] : row["attributes"].items())
      if (!parse_spans(list, a.spans[key])) wrong("spans that are not [begin, end, score]");
    rows.push_back(std::move(a));
  }
  if (rows.size() != documents.size()) wrong("fewer rows than documents");
  return rows;
}

void merge_attributes(std::vector<Attributes>& rows, std::vector<Attributes>&& more) {
  for (size_t i = 0; i < rows.size(); ++i)
    for (auto& [key, spans] : more[i].spans) rows[i].spans[key] = std::move(spans);
}

std::string drop_reason(const Attributes& attributes) {
  for (const auto& [key, spans] : attributes.spans)
    if (key.starts_with("filter__") || key.starts_with("dedup__") || key.starts_with("split__")) return key;
  return "";
}

std::string mask_text(const std::string& text, const Attributes& attributes) {
  struct Mask {
    int64_t begin, end;
    std::string with;
  };
  std::vector<Mask> masks;
  for (const auto& [key, spans] : attributes.spans) {
    if (!key.starts_with("pii__")) continue;
    std::string kind = key.substr(5);
    for (char& c : kind) c = static_cast<char>(c >= 'a' && c <= 'z' ? c - 32 : c);
    for (const Span& s : spans) masks.push_back({s.begin, s.end, "|||" + kind + "|||"});
  }
  if (masks.empty()) return text;
  std::sort(masks.begin(), masks.end(), [](const Mask& a, const Mask& b) { return a.begin < b.begin; });
  std::string out;
  int64_t character = 0;
  size_t at = 0;
  const auto walk_to = [&](int64_t wanted, bool keep) {
    const size_t from = at;
    while (character < wanted && at < text.size()) next_code_point(text, at), ++character;
    if (keep) out.append(text, from, at - from);
  };
  for (const Mask& m : masks) {
    if (m.begin < character) continue;  // inside the one before
    walk_to(m.begin, true);
    out += m.with;
    walk_to(m.end, false);
  }
  out.append(text, at, std::string::npos);
  return out;
}

void for_each_file(const std::string& folder, const std::vector<std::string>& taggers, const char* title,
                   FileWork work, void* context) {
  const std::vector<std::string> names = document_files(folder + "/documents");
  Progress progress(title, static_cast<double>(names.size()), "files");
  parallel_for(static_cast<int64_t>(names.size()), [&](int64_t i, int) {
    const std::string& name = names[static_cast<size_t>(i)];
    std::vector<Document> documents = read_own_documents(folder + "/documents/" + name);
    std::vector<Attributes> rows(documents.size());
    for (size_t k = 0; k < rows.size(); ++k) rows[k].id = documents[k].id;
    for (const std::string& tagger : taggers) {
      const std::string path = folder + "/attributes/" + tagger + "/" + name;
      if (file_exists(path)) merge_attributes(rows, read_attributes(path, documents));
    }
    work(context, static_cast<size_t>(i), name, documents, rows);
    progress.add(1);
  });
}

}  // namespace lyceum
