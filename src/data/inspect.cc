#include "data/inspect.h"

#include <algorithm>
#include <map>
#include <mutex>

#include "base/error.h"
#include "base/file.h"
#include "base/progress.h"
#include "base/random.h"
#include "data/attributes.h"
#include "data/compressed.h"
#include "formats/token_shards.h"
#include "text/tokenizer.h"

namespace lyceum {
namespace {

std::string padded(std::string s, size_t width, bool right) {
  if (s.size() < width) s.insert(right ? 0 : s.size(), width - s.size(), ' ');
  return s;
}

struct Count {
  size_t documents = 0, bytes = 0;
  Reasons dropped;
};

// The documents with the least hash of seed and number: a fair draw in one pass.
struct Sample {
  uint64_t draw;
  std::string title, text;
  bool operator<(const Sample& other) const { return draw < other.draw; }
};
void offer(std::vector<Sample>& best, Sample s, const InspectOptions& o) {
  best.push_back(std::move(s));
  std::sort(best.begin(), best.end());
  if (best.size() > static_cast<size_t>(std::max<int64_t>(0, o.samples))) best.pop_back();
}

std::string shortened(std::string text, const InspectOptions& o) {
  if (text.size() <= static_cast<size_t>(o.sample_bytes)) return text;
  size_t end = static_cast<size_t>(o.sample_bytes);
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  return text.substr(0, end) + "\n[... " + std::to_string(text.size() - end) + " bytes more]\n";
}

std::string table(const std::map<std::string, Count>& domains, const std::vector<Sample>& samples,
                  const InspectOptions& o) {
  std::string out =
      padded("domain", 16, false) + padded("documents", 11, true) + padded("bytes", 13, true) + "  dropped\n";
  size_t documents = 0, bytes = 0;
  for (const auto& [name, c] : domains) {
    out += padded(name, 16, false) + padded(std::to_string(c.documents), 11, true) +
           padded(human_bytes(static_cast<double>(c.bytes)), 13, true) + " ";
    for (const auto& [reason, n] : c.dropped) out += " " + reason + " " + std::to_string(n);
    out += "\n";
    documents += c.documents, bytes += c.bytes;
  }
  out += padded("all", 16, false) + padded(std::to_string(documents), 11, true) +
         padded(human_bytes(static_cast<double>(bytes)), 13, true) + "\n";
  for (const Sample& s : samples) out += "\n--- " + s.title + "\n" + shortened(s.text, o);
  return out;
}

void see(const Document& d, const std::string& reason, size_t number, std::map<std::string, Count>& domains,
         std::vector<Sample>& samples, const InspectOptions& o) {
  Count& c = domains[d.domain];
  ++c.documents;
  c.bytes += d.text.size();
  if (!reason.empty()) ++c.dropped[reason];
  if (o.domain.empty() || d.domain == o.domain)
    offer(samples,
          {RandomKey(o.seed).bits(number),
           d.id + " (" + d.domain + (reason.empty() ? "" : ", " + reason) + ")", d.text},
          o);
}

std::string inspect_folder(const InspectOptions& o) {
  std::map<std::string, Count> domains;
  std::vector<Sample> samples;
  std::mutex mutex;
  for_each_file(o.path, {"filter", "dedup", "split"}, "read",
                [&](size_t file, const std::string&, auto& documents, auto& rows) {
                  const std::lock_guard<std::mutex> lock(mutex);
                  for (size_t i = 0; i < documents.size(); ++i)
                    see(documents[i], drop_reason(rows[i]), file << 24 | i, domains, samples, o);
                });
  return table(domains, samples, o);
}

std::string inspect_file(const InspectOptions& o) {
  std::map<std::string, Count> domains;
  std::vector<Sample> samples;
  Reasons bad;
  size_t number = 0;
  for (const Document& d : read_documents(o.path, bad)) see(d, "", number++, domains, samples, o);
  std::string out = table(domains, samples, o);
  for (const auto& [reason, n] : bad) out += "bad rows: " + std::to_string(n) + " " + reason + "\n";
  return out;
}

std::string inspect_shard(const InspectOptions& o) {
  const TokenShard shard(o.path);
  shard.verify();
  std::map<std::string, std::pair<int64_t, int64_t>> domains;  // documents, tokens
  std::vector<Sample> samples;
  const auto name_of = [&](int64_t i) {
    return shard.has_domains() ? shard.domain_names()[shard.domain(i)] : std::string("text");
  };
  for (int64_t i = 0; i < shard.n_documents(); ++i) {
    const std::string name = name_of(i);
    domains[name].first += 1;
    domains[name].second += shard.document_tokens(i);
    if (o.domain.empty() || name == o.domain)
      offer(samples, {RandomKey(o.seed).bits(static_cast<uint64_t>(i)), std::to_string(i), ""}, o);
  }
  for (Sample& s : samples) {
    const int64_t i = std::stoll(s.title);
    std::vector<int32_t> ids(
        static_cast<size_t>(std::min<int64_t>(shard.document_tokens(i), o.sample_bytes)));
    shard.read(shard.document_begin(i), ids, INT32_MAX);
    s.title = "document " + s.title + " (" + name_of(i) + ", " + std::to_string(shard.document_tokens(i)) +
              " tokens)";
    if (!o.tokenizer.empty()) s.text = Tokenizer::load(o.tokenizer).decode(ids, false) + "\n";
    else
      for (const int32_t id : ids) s.text += std::to_string(id) + " ";
    if (s.text.empty() || s.text.back() != '\n') s.text += "\n";
  }
  std::string out =
      padded("domain", 16, false) + padded("documents", 11, true) + padded("tokens", 13, true) + "\n";
  for (const auto& [name, n] : domains)
    out += padded(name, 16, false) + padded(std::to_string(n.first), 11, true) +
           padded(std::to_string(n.second), 13, true) + "\n";
  out += padded("all", 16, false) + padded(std::to_string(shard.n_documents()), 11, true) +
         padded(std::to_string(shard.n_tokens()), 13, true) + "\n";
  for (const Sample& s : samples) out += "\n--- " + s.title + "\n" + shortened(s.text, o);
  return out;
}

}  // namespace

std::string inspect(const InspectOptions& options) {
  if (directory_exists(options.path)) return inspect_folder(options);
  if (without_compression(options.path).ends_with(".jsonl")) return inspect_file(options);
  return inspect_shard(options);
}

}  // namespace lyceum
