#include "data/ingest.h"

#include <xxhash.h>

#include <algorithm>
#include <ctime>
#include <filesystem>
#include <iterator>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/progress.h"
#include "base/threads.h"
#include "data/machine.h"

namespace lyceum {
namespace {

namespace fs = std::filesystem;

constexpr size_t kCutAbove = size_t{256} << 10, kPiece = size_t{32} << 10;
constexpr size_t kFileBytes = size_t{4} << 20;  // of text in one file of documents: the unit of parallel work

std::string now_text() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

// Domains become folder names, also when a row of somebody's JSONL names them.
std::string safe_domain(std::string name) {
  for (char& c : name)
    if (static_cast<unsigned char>(c) < 33 || c == '/' || c == '\\') c = '_';
  if (name.empty() || name[0] == '.') name.insert(0, "_");
  if (name.size() > 100) name.resize(100);
  return name;
}

struct Collector {
  const IngestOptions& options;
  std::string added;
  Progress& progress;
  std::map<std::string, std::vector<Document>> documents;  // by domain
  std::map<std::string, IngestedDomain> counts;

  // Extracts candidates in their given order, in parallel blocks, until the share is full. What does not fit
  // a group's quarter is put off until all else is taken.
  void collect(const std::string& domain, std::vector<Candidate> candidates, size_t share) {
    std::sort(candidates.begin(), candidates.end(), [&](const Candidate& a, const Candidate& b) {
      const uint64_t x = XXH3_64bits_withSeed(a.name.data(), a.name.size(), options.seed);
      const uint64_t y = XXH3_64bits_withSeed(b.name.data(), b.name.size(), options.seed);
      return x != y ? x < y : a.name < b.name;
    });
    IngestedDomain& count = counts[domain];
    count.files_found += candidates.size();
    size_t taken = 0;
    std::map<std::string, size_t> by_group;
    std::vector<Candidate> later;
    for (int round = 0; round < 2 && !candidates.empty(); ++round) {
      for (size_t at = 0; at < candidates.size();) {
        std::vector<Candidate> block;
        for (; at < candidates.size() && block.size() < 128; ++at) {
          Candidate& c = candidates[at];
          if (share != 0 && taken >= share) ++count.files_beyond_budget;
          else if (share != 0 && round == 0 && !c.group.empty() && by_group[c.group] >= share / 4)
            later.push_back(std::move(c));
          else block.push_back(std::move(c));
        }
        std::vector<Extracted> results(block.size());
        parallel_for(static_cast<int64_t>(block.size()), [&](int64_t i, int) {
          const Candidate& c = block[static_cast<size_t>(i)];
          results[static_cast<size_t>(i)] = extract_file(c.path, c.name, c.form);
        });
        for (size_t i = 0; i < block.size(); ++i) {
          if (share != 0 && taken >= share) {
            ++count.files_beyond_budget;
            continue;
          }
          const size_t n =
              accept(domain, block[i], std::move(results[i]), share == 0 ? SIZE_MAX : share - taken);
          taken += n;
          by_group[block[i].group] += n;
        }
      }
      candidates = std::exchange(later, {});
    }
  }

  // Adds the documents of one file; returns the bytes of text taken.
  size_t accept(const std::string& domain, const Candidate& from, Extracted&& file, size_t room) {
    IngestedDomain& count = counts[domain];
    ++count.files_read;
    for (const auto& [reason, n] : file.refused) count.refused[reason] += n;
    size_t bytes = 0;
    for (Document& d : file.documents) {
      if (bytes >= room) break;  // only files of many documents are cut short
      bytes += d.text.size();
      d.domain = safe_domain(
          d.domain.empty() || !from.kind.empty() || d.domain == parent_name(from.path) ? domain : d.domain);
      d.source = d.source.empty() ? (options.machine ? "machine" : "folder") : d.source;
      d.added = d.added.empty() ? added : d.added;
      if (!from.kind.empty()) d.kind = from.kind;
      std::vector<std::string> pieces = cut_text(d.text, kCutAbove, kPiece);
      for (size_t i = 0; i < pieces.size(); ++i) {
        Document piece = d;
        if (pieces.size() > 1) piece.id += "#" + std::to_string(i + 1);
        piece.text = std::move(pieces[i]);
        IngestedDomain& target = counts[piece.domain];
        ++target.documents;
        target.bytes += piece.text.size();
        documents[piece.domain].push_back(std::move(piece));
      }
    }
    progress.add(static_cast<double>(bytes));
    return bytes;
  }
  static std::string parent_name(const std::string& path) {
    return fs::path(path).parent_path().filename().string();
  }
};

void write_all(const std::string& folder, std::map<std::string, std::vector<Document>>& documents) {
  struct Task {
    std::string path;
    const Document* begin;
    const Document* end;
  };
  std::vector<Task> tasks;
  for (const auto& [domain, list] : documents) {
    size_t begin = 0, bytes = 0, number = 0;
    for (size_t i = 0; i < list.size(); ++i) {
      bytes += list[i].text.size();
      if (bytes < kFileBytes && i + 1 < list.size()) continue;
      char name[32];
      std::snprintf(name, sizeof name, "/%05zu.jsonl.zst", number++);
      tasks.push_back({folder + "/" + domain + name, list.data() + begin, list.data() + i + 1});
      begin = i + 1, bytes = 0;
    }
  }
  parallel_for(static_cast<int64_t>(tasks.size()), [&](int64_t i, int) {
    const Task& task = tasks[static_cast<size_t>(i)];
    write_documents(task.path, std::vector<Document>(task.begin, task.end));
  });
}

// One name, one document: a second one gets a number behind it.
void make_ids_unique(std::map<std::string, std::vector<Document>>& documents) {
  std::map<std::string, size_t> seen;
  for (auto& [domain, list] : documents)
    for (Document& d : list)
      if (const size_t n = seen[d.id]++; n > 0) d.id += "#again" + std::to_string(n);
}

[[noreturn]] void fail_empty(const IngestReport& report) {
  Reasons all;
  for (const IngestedDomain& d : report.domains)
    for (const auto& [reason, n] : d.refused) all[reason] += n;
  std::string text;
  for (const auto& [reason, n] : all) text += (text.empty() ? "" : ", ") + std::to_string(n) + " " + reason;
  fail(ErrorKind::kInvalidArgument, "ingest", "no usable text was found (", text.empty() ? "no files" : text,
       "); give a folder with text files in UTF-8 (plain, HTML, JSONL, .gz or .zst) with --text");
}

}  // namespace

std::vector<Candidate> ingest_candidates(const IngestOptions& options, std::vector<std::string>* notes) {
  std::vector<Candidate> all;
  if (options.machine) {
    std::vector<std::string> roots = options.roots;
    if (!options.packages.empty() && directory_exists(options.packages)) {
      for (const std::string& name : list_directory(options.packages))
        if (directory_exists(options.packages + "/" + name)) roots.push_back(options.packages + "/" + name);
    } else if (!options.packages.empty() && notes) {
      notes->push_back("no folder " + options.packages +
                       ": going on with what the machine has (tools/fetch_text.sh fills it)");
    }
    all = machine_candidates(roots);
  }
  for (const std::string& folder : options.texts) {
    auto more = folder_candidates(folder);
    std::move(more.begin(), more.end(), std::back_inserter(all));
  }
  return all;
}

size_t IngestReport::documents() const {
  size_t n = 0;
  for (const IngestedDomain& d : domains) n += d.documents;
  return n;
}
size_t IngestReport::bytes() const {
  size_t n = 0;
  for (const IngestedDomain& d : domains) n += d.bytes;
  return n;
}

std::vector<size_t> shares_of(size_t budget, const std::vector<size_t>& sizes) {
  std::vector<size_t> sorted = sizes;
  std::sort(sorted.begin(), sorted.end());
  size_t left = budget, level = 0;
  for (size_t i = 0; i < sorted.size(); ++i) {
    const size_t each = left / (sorted.size() - i);
    if (sorted[i] > each) {
      level = each;
      break;
    }
    left -= sorted[i];
    level = SIZE_MAX;  // all fit so far
  }
  std::vector<size_t> shares;
  for (const size_t size : sizes)
    shares.push_back(budget == 0 ? 0 : std::max<size_t>(1, std::min(size, level)));
  return shares;
}

std::vector<std::string> cut_text(const std::string& text, size_t above, size_t piece) {
  if (text.size() <= above) return {text};
  std::vector<std::string> out;
  for (size_t begin = 0; begin < text.size();) {
    size_t end = text.size();
    if (end - begin > piece + piece / 2) {
      const size_t least = begin + piece / 2, most = begin + piece;
      size_t at = text.rfind("\n\n", most);
      if (at != std::string::npos && at >= least) end = at + 2;
      else if ((at = text.rfind('\n', most)) != std::string::npos && at >= least) end = at + 1;
      else
        for (end = most; (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80;) ++end;
    }
    out.push_back(text.substr(begin, end - begin));
    begin = end;
  }
  return out;
}

IngestReport ingest(const IngestOptions& options) {
  check(options.machine || !options.texts.empty(), "ingest",
        "no source given; use --machine, --text FOLDER or both");
  IngestReport report;
  std::map<std::string, std::vector<Candidate>> by_domain;
  for (Candidate& c : ingest_candidates(options, &report.notes))
    by_domain[safe_domain(c.domain)].push_back(std::move(c));

  std::vector<std::string> names;
  std::vector<size_t> sizes;
  for (const std::string& name : options.machine ? machine_domains() : std::vector<std::string>{}) {
    if (by_domain.count(name)) names.push_back(name);
    else report.notes.push_back("no text of the domain " + name + " on this machine");
  }
  for (const auto& [name, list] : by_domain)
    if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
  for (const std::string& name : names) {
    size_t bytes = 0;
    for (const Candidate& c : by_domain[name]) bytes += c.bytes;
    sizes.push_back(bytes);
  }
  const std::vector<size_t> shares = shares_of(options.budget, sizes);
  size_t total = 0;
  for (size_t i = 0; i < names.size(); ++i) total += shares[i] == 0 ? sizes[i] : shares[i];

  Progress progress("collect text", static_cast<double>(total), "bytes");
  Collector collector{options, options.added.empty() ? now_text() : options.added, progress, {}, {}};
  for (size_t i = 0; i < names.size(); ++i) {
    // Where everything fits by estimate, nothing may be cut by it: markup shrinks, but packed rows may grow.
    const size_t share = shares[i] >= sizes[i] && options.budget == 0 ? 0 : shares[i];
    collector.collect(names[i], std::move(by_domain[names[i]]), share);
  }
  for (const auto& [name, count] : collector.counts)
    if (std::find(names.begin(), names.end(), name) == names.end())
      names.push_back(name);  // named by rows of JSONL
  for (const std::string& name : names) {
    IngestedDomain& d = collector.counts[name];
    d.name = name;
    report.domains.push_back(d);
  }
  progress.finish();
  if (report.documents() == 0) fail_empty(report);

  make_ids_unique(collector.documents);
  const std::string partial = options.out + "/documents.partial", final_folder = options.out + "/documents";
  FileSystem& files = real_files();
  files.remove_all(partial);
  files.make_directories(partial);
  write_all(partial, collector.documents);
  files.remove_all(final_folder);
  files.rename(partial, final_folder);
  std::vector<std::string> ids;
  for (const IngestedDomain& d : report.domains)
    if (d.documents > 0) ids.push_back(d.name);
  write_file(options.out + "/domains.json", nlohmann::ordered_json(ids).dump() + "\n");
  write_file(options.out + "/ingest_report.json", ingest_report_json(report));
  return report;
}

std::string ingest_report_json(const IngestReport& report) {
  nlohmann::ordered_json out;
  out["documents"] = report.documents();
  out["bytes"] = report.bytes();
  out["domains"] = nlohmann::ordered_json::array();
  for (const IngestedDomain& d : report.domains) {
    nlohmann::ordered_json refused = nlohmann::ordered_json::object();
    for (const auto& [reason, n] : d.refused) refused[reason] = n;
    out["domains"].push_back({{"name", d.name},
                              {"files_found", d.files_found},
                              {"files_read", d.files_read},
                              {"files_beyond_budget", d.files_beyond_budget},
                              {"documents", d.documents},
                              {"bytes", d.bytes},
                              {"refused", refused}});
  }
  out["notes"] = report.notes;
  return out.dump(2) + "\n";
}

}  // namespace lyceum
