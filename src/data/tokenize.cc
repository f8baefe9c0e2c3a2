#include "data/tokenize.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/progress.h"
#include "base/threads.h"
#include "data/epoch.h"
#include "data/loader.h"
#include "formats/token_shards.h"

namespace lyceum {
namespace {

struct EncodedFile {
  std::vector<int32_t> ids;
  std::vector<size_t> ends;  // of each document
  std::vector<uint32_t> domains;
  std::vector<size_t> bytes;
};

uint32_t domain_id(const std::vector<std::string>& names, const std::string& name) {
  const auto it = std::find(names.begin(), names.end(), name);
  ensure(it != names.end(), "tokenize", "no id for domain ", name);
  return static_cast<uint32_t>(it - names.begin());
}

void encode(const Tokenizer& tokenizer, const std::string& text, uint32_t domain, EncodedFile& out) {
  EncodeOptions plain;
  plain.add_special = false;
  const std::vector<int32_t> ids = tokenizer.encode(text, plain);
  out.ids.insert(out.ids.end(), ids.begin(), ids.end());
  out.ids.push_back(tokenizer.eos_id());
  out.ends.push_back(out.ids.size());
  out.domains.push_back(domain);
  out.bytes.push_back(text.size());
}

void write_encoded(const EncodedFile& file, TokenShardWriter& writer, bool heldout,
                   std::vector<TokenizedDomain>& counts) {
  size_t begin = 0;
  for (size_t i = 0; i < file.ends.size(); ++i) {
    const size_t n = file.ends[i] - begin;
    writer.add(std::span<const int32_t>(file.ids).subspan(begin, n), file.domains[i]);
    TokenizedDomain& d = counts[file.domains[i]];
    (heldout ? d.heldout_documents : d.documents) += 1;
    (heldout ? d.heldout_bytes : d.bytes) += file.bytes[i];
    (heldout ? d.heldout_tokens : d.tokens) += n;
    begin = file.ends[i];
  }
}

void write_train(const TokenizeOptions& options, const Tokenizer& tokenizer,
                 const std::vector<std::string>& domains, const std::string& out,
                 std::vector<TokenizedDomain>& counts) {
  const std::vector<std::string> names = document_files(options.folder + "/documents");
  TokenShardWriter writer(out + "/train", tokenizer.vocab_size(), domains);
  Progress progress("tokenize", static_cast<double>(names.size()), "files");
  // In groups, so that memory stays bounded and the order that of the files.
  const size_t group = static_cast<size_t>(4 * thread_count());
  for (size_t begin = 0; begin < names.size(); begin += group) {
    const size_t n = std::min(group, names.size() - begin);
    std::vector<EncodedFile> encoded(n);
    parallel_for(static_cast<int64_t>(n), [&](int64_t task, int) {
      const std::string& name = names[begin + static_cast<size_t>(task)];
      const std::vector<Document> documents = read_own_documents(options.folder + "/documents/" + name);
      std::vector<Attributes> rows(documents.size());
      for (const char* tagger : {"filter", "dedup", "split"}) {
        const std::string path = options.folder + "/attributes/" + tagger + "/" + name;
        if (file_exists(path)) merge_attributes(rows, read_attributes(path, documents));
      }
      for (size_t i = 0; i < documents.size(); ++i) {
        if (options.allow_drops && !drop_reason(rows[i]).empty()) continue;
        encode(tokenizer, options.mask_pii ? mask_text(documents[i].text, rows[i]) : documents[i].text,
               domain_id(domains, documents[i].domain), encoded[static_cast<size_t>(task)]);
      }
      progress.add(1);
    });
    for (const EncodedFile& file : encoded) write_encoded(file, writer, false, counts);
  }
  check(writer.n_documents() > 0, "tokenize", "no document of ", options.folder,
        " is left to train on; see its filter_report.json and dedup_report.json");
  writer.finish();
}

void write_heldout(const TokenizeOptions& options, const Tokenizer& tokenizer,
                   const std::vector<std::string>& domains, const std::string& out,
                   std::vector<TokenizedDomain>& counts) {
  if (!directory_exists(options.folder + "/heldout")) return;
  std::vector<std::string> names;
  for (const std::string& name : list_directory(options.folder + "/heldout"))
    if (name.ends_with(".jsonl")) names.push_back(name);
  if (names.empty()) return;
  TokenShardWriter writer(out + "/heldout", tokenizer.vocab_size(), domains);
  std::vector<EncodedFile> encoded(names.size());
  parallel_for(static_cast<int64_t>(names.size()), [&](int64_t task, int) {
    const auto i = static_cast<size_t>(task);
    for (const Document& d : read_own_documents(options.folder + "/heldout/" + names[i]))
      encode(tokenizer, d.text, domain_id(domains, d.domain), encoded[i]);
  });
  for (const EncodedFile& file : encoded) write_encoded(file, writer, true, counts);
  writer.finish();
  nlohmann::ordered_json facts;
  facts["domains"] = nlohmann::ordered_json::array();
  for (const TokenizedDomain& d : counts)
    if (d.heldout_documents > 0)
      facts["domains"].push_back({{"name", d.name},
                                  {"documents", d.heldout_documents},
                                  {"bytes", d.heldout_bytes},
                                  {"tokens", d.heldout_tokens}});
  write_file(out + "/heldout.json", facts.dump(2) + "\n");
}

}  // namespace

size_t TokenizeReport::tokens() const {
  size_t n = 0;
  for (const TokenizedDomain& d : domains) n += d.tokens;
  return n;
}
size_t TokenizeReport::bytes() const {
  size_t n = 0;
  for (const TokenizedDomain& d : domains) n += d.bytes;
  return n;
}

std::vector<std::string> domain_names_of(const std::string& folder) {
  std::vector<std::string> names;
  if (file_exists(folder + "/domains.json")) {
    const auto list = nlohmann::json::parse(read_file(folder + "/domains.json", 1 << 24), nullptr, false);
    check_data(list.is_array(), "data", folder, "/domains.json: wanted a list of names");
    for (const auto& name : list)
      if (name.is_string()) names.push_back(name.get<std::string>());
  }
  for (const std::string& file : document_files(folder + "/documents")) {  // documents/<domain>/x.jsonl.zst
    const size_t slash = file.find('/');
    const std::string name = slash == std::string::npos ? "documents" : file.substr(0, slash);
    if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
  }
  return names;
}

TokenizeReport tokenize(const TokenizeOptions& options) {
  const Tokenizer tokenizer = Tokenizer::load(options.tokenizer);
  check(tokenizer.eos_id() >= 0, "tokenize", options.tokenizer,
        " has no end-of-text token; name one as eos_token in tokenizer_config.json");
  const std::vector<std::string> domains = domain_names_of(options.folder);
  const std::string out = options.out.empty() ? options.folder + "/tokens" : options.out;
  real_files().make_directories(out);
  TokenizeReport report;
  for (const std::string& name : domains) report.domains.push_back({name, 0, 0, 0, 0, 0, 0});
  write_train(options, tokenizer, domains, out, report.domains);
  write_heldout(options, tokenizer, domains, out, report.domains);
  write_file(out + "/tokenize_report.json", tokenize_report_json(report));
  return report;
}

std::string tokenize_report_json(const TokenizeReport& report) {
  nlohmann::ordered_json out;
  out["tokens"] = report.tokens();
  out["bytes"] = report.bytes();
  out["domains"] = nlohmann::ordered_json::array();
  for (const TokenizedDomain& d : report.domains)
    out["domains"].push_back(
        {{"name", d.name},
         {"documents", d.documents},
         {"bytes", d.bytes},
         {"tokens", d.tokens},
         {"bytes_per_token",
          d.tokens == 0 ? 0.0 : static_cast<double>(d.bytes) / static_cast<double>(d.tokens)},
         {"heldout_documents", d.heldout_documents},
         {"heldout_bytes", d.heldout_bytes},
         {"heldout_tokens", d.heldout_tokens}});
  return out.dump(2) + "\n";
}

std::vector<MixedDomain> mix(const MixOptions& options) {
  check(options.temperature >= 1 && options.max_copies > 0, "mix",
        "wanted temperature >= 1 and max_copies above 0");
  std::vector<TokenShard> shards;
  std::vector<MixedDomain> domains;
  std::vector<uint32_t> domain_of;
  std::vector<std::pair<size_t, int64_t>> place;  // shard, document
  for (const std::string& prefix : options.shards) {
    shards.emplace_back(prefix);
    const TokenShard& s = shards.back();
    std::vector<uint32_t> global;
    for (const std::string& name : s.has_domains() ? s.domain_names() : std::vector<std::string>{"text"}) {
      const auto it =
          std::find_if(domains.begin(), domains.end(), [&](const MixedDomain& d) { return d.name == name; });
      global.push_back(static_cast<uint32_t>(it - domains.begin()));
      if (it == domains.end()) domains.push_back({name, 0, 0, 0});
    }
    for (int64_t i = 0; i < s.n_documents(); ++i) {
      domain_of.push_back(global[s.domain(i)]);
      place.push_back({shards.size() - 1, i});
      domains[domain_of.back()].tokens_before += s.document_tokens(i);
    }
  }
  check(!domains.empty(), "mix", "no shards given");
  std::vector<int64_t> tokens;
  std::vector<std::string> names;
  int64_t total = 0;
  for (const MixedDomain& d : domains)
    tokens.push_back(d.tokens_before), names.push_back(d.name), total += d.tokens_before;
  std::vector<double> copies =
      domain_copies(tokens, parse_weights(options.weights, names), options.temperature, options.max_copies);
  if (options.tokens > 0)
    for (double& c : copies)
      c = std::min(options.max_copies, c * static_cast<double>(options.tokens) / static_cast<double>(total));
  int64_t vocab = 1;
  for (const TokenShard& s : shards)
    vocab = std::max<int64_t>(vocab, s.id_type() == IdType::kU16 ? 65535 : INT32_MAX);
  TokenShardWriter writer(options.out, vocab, names);
  std::vector<int32_t> ids;
  for (const int32_t d : epoch_documents(RandomKey(options.seed), domain_of, copies)) {
    const auto [shard, document] = place[static_cast<size_t>(d)];
    ids.resize(static_cast<size_t>(shards[shard].document_tokens(document)));
    shards[shard].read(shards[shard].document_begin(document), ids, vocab);
    const uint32_t domain = domain_of[static_cast<size_t>(d)];
    writer.add(ids, domain);
    domains[domain].tokens += static_cast<int64_t>(ids.size());
    ++domains[domain].documents;
  }
  writer.finish();
  return domains;
}

}  // namespace lyceum
