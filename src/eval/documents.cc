#include "eval/documents.h"

#include <algorithm>
#include <filesystem>

#include "base/progress.h"
#include "data/extract.h"

namespace lyceum {
namespace {

namespace fs = std::filesystem;

bool is_rows(const std::string& path) {
  return path.ends_with(".jsonl") || path.ends_with(".jsonl.gz") || path.ends_with(".jsonl.zst");
}

void read_one(const std::string& path, std::vector<Document>& out) {
  const std::string parent = fs::path(path).parent_path().filename().string();
  std::vector<Document> fresh;
  if (is_rows(path)) {
    Reasons bad;
    fresh = read_documents(path, bad);
  } else {
    fresh = extract_file(path, path, TextForm::kByName).documents;
  }
  for (Document& d : fresh) {
    if (d.domain.empty()) d.domain = parent.empty() ? "text" : parent;
    if (d.source.empty()) d.source = parent.empty() ? "text" : parent;
    out.push_back(std::move(d));
  }
}

}  // namespace

std::vector<Document> read_evaluation_documents(const std::vector<std::string>& paths) {
  std::vector<Document> out;
  for (const std::string& path : paths) {
    if (directory_exists(path)) {
      std::vector<std::string> files;
      for (const auto& entry : fs::recursive_directory_iterator(path))
        if (entry.is_regular_file()) files.push_back(entry.path().string());
      std::sort(files.begin(), files.end());
      for (const std::string& file : files) read_one(file, out);
    } else {
      if (!file_exists(path)) fail(ErrorKind::kNotFound, "eval", "no file or folder ", path);
      read_one(path, out);
    }
  }
  if (out.empty())
    fail(ErrorKind::kNotFound, "eval", "no documents in ", paths.empty() ? std::string("nothing") : paths[0]);
  return out;
}

std::vector<EncodedDocument> encode_documents(const Tokenizer& tokenizer,
                                              const std::vector<const Document*>& documents) {
  std::vector<std::string_view> texts;
  for (const Document* d : documents) texts.push_back(d->text);
  EncodeOptions options;
  options.add_special = false;
  std::vector<std::vector<int32_t>> ids = tokenizer.encode_batch(texts, options);
  std::vector<EncodedDocument> out;
  for (size_t i = 0; i < ids.size(); ++i)
    out.push_back({std::move(ids[i]), static_cast<int64_t>(texts[i].size()), 0});
  return out;
}

std::vector<GroupLikelihood> evaluate_documents(const Model& model, const Tokenizer& tokenizer,
                                                const std::vector<Document>& documents,
                                                const LikelihoodOptions& options, const char* title) {
  std::vector<GroupLikelihood> groups;
  std::vector<std::vector<const Document*>> members;
  for (const Document& d : documents) {
    size_t g = 0;
    while (g < groups.size() && (groups[g].domain != d.domain || groups[g].source != d.source)) ++g;
    if (g == groups.size()) groups.push_back({d.domain, d.source, {}}), members.emplace_back();
    members[g].push_back(&d);
  }
  std::vector<std::vector<EncodedDocument>> encoded;
  int64_t total = 0, done = 0;
  for (const auto& m : members) {
    encoded.push_back(encode_documents(tokenizer, m));
    for (const EncodedDocument& d : encoded.back()) total += static_cast<int64_t>(d.ids.size()) + 1;
  }
  Progress progress(title, static_cast<double>(total), "tokens");
  for (size_t g = 0; g < groups.size(); ++g) {
    groups[g].likelihood = likelihood(model, encoded[g], options, [&](int64_t tokens) {
      progress.update(static_cast<double>(done + tokens), groups[g].domain);
    });
    done += groups[g].likelihood.tokens;
  }
  progress.finish();
  return groups;
}

}  // namespace lyceum
