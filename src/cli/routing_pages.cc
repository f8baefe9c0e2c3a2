#include "cli/routing_pages.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <map>

#include "base/error.h"
#include "base/file.h"
#include "base/progress.h"
#include "cli/model_folder.h"
#include "eval/documents.h"
#include "formats/checkpoint.h"

namespace lyceum {
namespace {

struct DomainTexts {
  std::vector<std::string> names;
  std::vector<RoutedText> texts;  // one stream for each domain, documents joined by end-of-text
};

DomainTexts encode_by_domain(const ModelFolder& folder, const std::vector<Document>& documents) {
  DomainTexts out;
  std::map<std::string, std::vector<const Document*>> members;
  for (const Document& d : documents) members[d.domain].push_back(&d);
  for (const auto& [name, list] : members) {
    RoutedText text;
    text.domain = static_cast<int32_t>(out.names.size());
    for (const EncodedDocument& d : encode_documents(folder.tokenizer, list)) {
      text.ids.push_back(std::max(0, folder.eos()));
      text.ids.insert(text.ids.end(), d.ids.begin(), d.ids.end());
    }
    out.names.push_back(name);
    out.texts.push_back(std::move(text));
  }
  return out;
}

double step_of(const std::string& path, size_t position) {
  const std::string name = std::filesystem::path(path).filename().string();
  return name.starts_with("step-") ? std::strtod(name.c_str() + 5, nullptr) : static_cast<double>(position);
}

CollectedRouting collect(const ModelFolder& folder, const DomainTexts& texts, const CollectOptions& o,
                         const std::string& title) {
  int64_t total = 0;
  for (const RoutedText& t : texts.texts)
    total += std::min<int64_t>(static_cast<int64_t>(t.ids.size()), o.tokens_per_domain);
  Progress progress(title, static_cast<double>(total), "tokens");
  return collect_routing(*folder.model, texts.texts, o,
                         [&](int64_t tokens) { progress.update(static_cast<double>(tokens)); });
}

}  // namespace

std::vector<std::string> checkpoints_of(const std::vector<std::string>& models) {
  std::vector<std::string> out;
  for (const std::string& path : models) {
    if (!file_exists(path + "/config.json") && directory_exists(path + "/checkpoints")) {
      for (const auto& found : complete_checkpoints(path + "/checkpoints")) out.push_back(found.path);
    } else {
      out.push_back(path);
    }
  }
  if (out.empty())
    fail(ErrorKind::kNotFound, "analyze", "no checkpoint in ", models.empty() ? "" : models[0]);
  return out;
}

RoutingPages read_routing(const std::vector<std::string>& paths, const std::vector<Document>& documents,
                          CollectOptions o, const std::string& dtype) {
  const ModelFolder last = open_model_folder(paths.back(), dtype);
  const DomainTexts texts = encode_by_domain(last, documents);
  o.n_domains = static_cast<int64_t>(texts.names.size());
  o.window = std::min(o.window, last.model->config().max_positions);
  CollectedRouting newest = collect(last, texts, o, "routing");
  RoutingPages out{routing_report(newest.counts, texts.names,
                                  [&](int32_t id) {
                                    return last.tokenizer.decode({&id, 1}, false);
                                  }),
                   std::move(newest.counts)};
  for (size_t i = 0; i + 1 < paths.size(); ++i) {
    const ModelFolder earlier = open_model_folder(paths[i], dtype);
    const CollectedRouting routing = collect(
        earlier, texts, o, "routing " + std::to_string(i + 1) + "/" + std::to_string(paths.size() - 1));
    SaturationPoint point;
    point.step = step_of(paths[i], i);
    for (size_t l = 0; l < routing.chosen.size(); ++l)
      point.by_layer.push_back(
          router_saturation(routing.chosen[l], newest.chosen[l], last.model->config().top_k));
    out.report.saturation.push_back(std::move(point));
  }
  return out;
}

}  // namespace lyceum
