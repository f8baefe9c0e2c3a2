#include "data/split.h"

#include <xxhash.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <unordered_map>

#include "base/error.h"
#include "base/log.h"
#include "base/progress.h"
#include "data/utf8.h"
#include "data/words.h"

namespace lyceum {
namespace {

constexpr int kShingleWords = 5;
constexpr double kContained = 0.8;
constexpr size_t kContainedShingles = 20;

struct Entry {
  size_t file = 0, row = 0, bytes = 0;
  uint64_t draw = 0;
  std::string id;
};
struct HeldDocument {
  std::string id;
  size_t shingles = 0;
};
struct Near {
  int held = -1;
  double similarity = 0;
};

// Documents of a domain in the order of their draw; the first that fit are held out.
std::vector<Entry> draw(std::vector<Entry> entries, const SplitOptions& options) {
  std::sort(entries.begin(), entries.end(),
            [](const Entry& a, const Entry& b) { return a.draw != b.draw ? a.draw < b.draw : a.id < b.id; });
  size_t total = 0;
  for (const Entry& e : entries) total += e.bytes;
  const size_t room = std::min(options.heldout_bytes,
                               static_cast<size_t>(options.most_of_domain * static_cast<double>(total)));
  std::vector<Entry> held;
  size_t taken = 0;
  for (const Entry& e : entries) {
    if (e.bytes > options.heldout_bytes / 4 || taken + e.bytes > room) continue;
    held.push_back(e);
    taken += e.bytes;
  }
  if (held.empty() && entries.size() >= 2) {  // a small domain: its smallest document, if that leaves half
    const auto least = std::min_element(entries.begin(), entries.end(),
                                        [](const Entry& a, const Entry& b) { return a.bytes < b.bytes; });
    if (least->bytes <= total / 2 && least->bytes <= options.heldout_bytes) held.push_back(*least);
  }
  return held;
}

// Which held-out documents hold a shingle.
using Index = std::unordered_map<uint64_t, std::vector<int32_t>>;

Near nearest(const std::vector<uint64_t>& shingles, const Index& index, const std::vector<HeldDocument>& held,
             const SplitOptions& options) {
  std::unordered_map<int32_t, size_t> common;
  for (const uint64_t s : shingles)
    if (const auto it = index.find(s); it != index.end())
      for (const int32_t h : it->second) ++common[h];
  Near best;
  for (const auto& [h, n] : common) {
    const size_t size = held[static_cast<size_t>(h)].shingles;
    const double similarity = static_cast<double>(n) / static_cast<double>(shingles.size() + size - n);
    const bool contained =
        size >= kContainedShingles && static_cast<double>(n) >= kContained * static_cast<double>(size);
    if (similarity < options.near_threshold && !contained) continue;
    if (best.held < 0 || similarity > best.similarity || (similarity == best.similarity && h < best.held))
      best = {h, similarity};
  }
  return best;
}

void write_heldout(const SplitOptions& options,
                   std::map<std::string, std::vector<std::pair<uint64_t, Document>>>& by_domain) {
  const std::string folders[] = {options.folder + "/heldout", options.folder + "/heldout_text"};
  const auto partial = [&](int i) { return folders[i] + ".partial"; };
  FileSystem& files = real_files();
  for (int i : {0, 1}) files.remove_all(partial(i)), files.make_directories(partial(i));
  for (auto& [domain, list] : by_domain) {
    std::sort(list.begin(), list.end(), [](const auto& a, const auto& b) {
      return a.first != b.first ? a.first < b.first : a.second.id < b.second.id;
    });
    std::vector<Document> documents;
    std::string text;
    for (auto& [draw_value, d] : list) {
      text += d.text;
      documents.push_back(std::move(d));
    }
    write_documents(partial(0) + "/" + domain + ".jsonl", documents);
    write_file(partial(1) + "/" + domain + ".txt", text);
  }
  for (int i : {0, 1}) files.remove_all(folders[i]), files.rename(partial(i), folders[i]);
}

}  // namespace

SplitReport split(const SplitOptions& options) {
  check(options.most_of_domain >= 0 && options.most_of_domain < 1, "split", "wanted a share below 1, found ",
        options.most_of_domain);
  const std::vector<std::string> names = document_files(options.folder + "/documents");
  real_files().remove_all(options.folder + "/attributes/split");
  std::vector<std::vector<std::pair<std::string, Entry>>> found(names.size());
  for_each_file(
      options.folder, {"filter", "dedup"}, "draw held-out",
      [&](size_t file, const std::string&, auto& documents, auto& rows) {
        for (size_t i = 0; i < documents.size(); ++i)
          if (drop_reason(rows[i]).empty()) {
            const std::string& id = documents[i].id;
            const uint64_t value = XXH3_64bits_withSeed(id.data(), id.size(), options.seed);
            found[file].push_back({documents[i].domain, {file, i, documents[i].text.size(), value, id}});
          }
      });
  std::map<std::string, std::vector<Entry>> by_domain;
  for (auto& list : found)
    for (auto& [domain, entry] : list) by_domain[domain].push_back(std::move(entry));
  check(!by_domain.empty(), "split", "no document is left after the filters; see filter_report.json in ",
        options.folder);
  std::map<std::pair<size_t, size_t>, uint64_t> held_rows;  // (file, row) -> draw
  for (const auto& [domain, entries] : by_domain) {
    const std::vector<Entry> held_out = draw(entries, options);
    for (const Entry& e : held_out) held_rows[{e.file, e.row}] = e.draw;
    if (held_out.empty() && options.heldout_bytes > 0)
      log_warn("data", "nothing of domain ", domain, " is held out: of its ", entries.size(),
               " documents none has ", human_bytes(static_cast<double>(options.heldout_bytes)),
               " or less and leaves half of it; a larger --heldout, or more documents, help");
  }

  // The held-out documents and their shingles.
  std::map<std::string, std::vector<std::pair<uint64_t, Document>>> heldout;
  std::vector<HeldDocument> held;
  Index index;
  for (size_t file = 0; file < names.size(); ++file) {
    const auto begin = held_rows.lower_bound({file, 0}), end = held_rows.lower_bound({file + 1, 0});
    if (begin == end) continue;
    std::vector<Document> documents = read_own_documents(options.folder + "/documents/" + names[file]);
    const std::string tags = options.folder + "/attributes/filter/" + names[file];
    const std::vector<Attributes> rows =
        file_exists(tags) ? read_attributes(tags, documents) : std::vector<Attributes>(documents.size());
    for (auto it = begin; it != end; ++it) {
      Document& d = documents[it->first.second];
      const std::vector<uint64_t> shingles = shingles_of(d.text, kShingleWords);
      for (const uint64_t s : shingles) index[s].push_back(static_cast<int32_t>(held.size()));
      held.push_back({d.id, shingles.size()});
      if (options.mask_pii) d.text = mask_text(d.text, rows[it->first.second]);
      heldout[d.domain].push_back({it->second, std::move(d)});
    }
  }

  struct FileResult {
    std::map<std::string, SplitDomain> domains;
    std::vector<std::string> examples;
  };
  std::vector<FileResult> results(names.size());
  for_each_file(options.folder, {"filter", "dedup"}, "keep held-out apart",
                [&](size_t file, const std::string& name, auto& documents, auto& rows) {
                  for (size_t i = 0; i < documents.size(); ++i) {
                    const bool dropped = !drop_reason(rows[i]).empty();
                    const Document& d = documents[i];
                    rows[i].spans.clear();
                    if (dropped) continue;
                    SplitDomain& count = results[file].domains[d.domain];
                    const auto characters = static_cast<int64_t>(count_code_points(d.text));
                    if (held_rows.count({file, i})) {
                      rows[i].spans["split__heldout"] = {{0, characters, 1}};
                      ++count.heldout_documents;
                      count.heldout_bytes += d.text.size();
                      continue;
                    }
                    const Near near = nearest(shingles_of(d.text, kShingleWords), index, held, options);
                    if (near.held < 0) continue;
                    rows[i].spans["split__near_heldout"] = {{0, characters, near.similarity}};
                    ++count.near_documents;
                    count.near_bytes += d.text.size();
                    results[file].examples.push_back(d.id + " ~ " + held[static_cast<size_t>(near.held)].id +
                                                     " (" + std::to_string(near.similarity).substr(0, 4) +
                                                     ")");
                  }
                  write_attributes(options.folder + "/attributes/split/" + name, rows);
                });
  write_heldout(options, heldout);
  SplitReport report;
  std::map<std::string, SplitDomain> domains;
  for (const FileResult& r : results) {
    for (const auto& [name, from] : r.domains) {
      SplitDomain& to = domains[name];
      to.name = name;
      to.heldout_documents += from.heldout_documents, to.heldout_bytes += from.heldout_bytes;
      to.near_documents += from.near_documents, to.near_bytes += from.near_bytes;
    }
    for (const std::string& e : r.examples)
      if (report.examples.size() < 12) report.examples.push_back(e);
  }
  for (auto& [name, d] : domains) report.domains.push_back(std::move(d));
  write_file(options.folder + "/split_report.json", split_report_json(report));
  return report;
}

std::string split_report_json(const SplitReport& report) {
  nlohmann::ordered_json out;
  out["domains"] = nlohmann::ordered_json::array();
  for (const SplitDomain& d : report.domains)
    out["domains"].push_back({{"name", d.name},
                              {"heldout_documents", d.heldout_documents},
                              {"heldout_bytes", d.heldout_bytes},
                              {"near_documents", d.near_documents},
                              {"near_bytes", d.near_bytes}});
  out["examples"] = report.examples;
  return out.dump(2) + "\n";
}

}  // namespace lyceum
