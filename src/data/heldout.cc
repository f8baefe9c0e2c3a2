#include "data/heldout.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "formats/token_shards.h"

namespace lyceum {

HeldOut::HeldOut(const std::string& prefix, int64_t vocab, int32_t end_id) {
  const TokenShard shard(prefix);
  for (const std::string& name : shard.domain_names())
    domains_.push_back({name, static_cast<int32_t>(domains_.size()), 0, 0, 0, {end_id}});
  for (int64_t i = 0; i < shard.n_documents(); ++i) {
    HeldOutDomain& d = domains_.at(shard.domain(i));
    std::vector<int32_t> ids(static_cast<size_t>(shard.document_tokens(i)));
    shard.read(shard.document_begin(i), ids, vocab);
    d.ids.insert(d.ids.end(), ids.begin(), ids.end());
    ++d.documents;
    d.tokens += static_cast<int64_t>(ids.size());
  }
  const std::string path = prefix + ".json";
  const auto facts = nlohmann::json::parse(read_file(path, 1 << 24), nullptr, false);
  const auto rows = facts.is_object() ? facts.find("domains") : facts.end();
  check_data(facts.is_object() && rows != facts.end() && rows->is_array(), "held-out", path,
             ": wanted {\"domains\": [...]}; run `lyceum data tokenize` again");
  for (const auto& row : *rows) {
    const bool sound = row.is_object() && row.contains("name") && row["name"].is_string() &&
                       row.contains("bytes") && row["bytes"].is_number_integer();
    check_data(sound, "held-out", path, ": a domain without name and bytes");
    for (HeldOutDomain& d : domains_)
      if (d.name == row["name"].get<std::string>()) d.bytes = row["bytes"].get<int64_t>();
  }
  domains_.erase(std::remove_if(domains_.begin(), domains_.end(),
                                [](const HeldOutDomain& d) { return d.documents == 0; }),
                 domains_.end());
  for (const HeldOutDomain& d : domains_)
    check_data(d.bytes > 0, "held-out", path, ": no bytes for domain ", d.name,
               "; run `lyceum data tokenize` again");
}

std::vector<Batch> HeldOut::batches(size_t domain, int64_t sequence_length, int64_t context,
                                    int64_t instances) const {
  check(domain < domains_.size(), "held-out", "no domain ", domain);
  check(sequence_length > 0 && context >= 0 && context < sequence_length && instances > 0, "held-out",
        "wanted 0 <= context < ", sequence_length, ", found ", context);
  const std::vector<int32_t>& ids = domains_[domain].ids;
  const int64_t n_targets = static_cast<int64_t>(ids.size()) - 1;
  std::vector<Batch> out;
  int64_t in_batch = instances;
  for (int64_t begin = 0, scored = 0; scored < n_targets; begin += sequence_length - context) {
    if (in_batch == instances) {
      out.emplace_back();
      out.back().offsets.push_back(0);
      in_batch = 0;
    }
    Batch& batch = out.back();
    const int64_t end = std::min(begin + sequence_length, n_targets);
    for (int64_t i = begin; i < end; ++i) {
      batch.ids.push_back(ids[static_cast<size_t>(i)]);
      batch.positions.push_back(static_cast<int32_t>(i - begin));
      batch.domains.push_back(domains_[domain].id);
      batch.targets.push_back(ids[static_cast<size_t>(i + 1)]);
      batch.weights.push_back(i >= scored ? 1.0f : 0.0f);
    }
    batch.offsets.push_back(static_cast<int32_t>(batch.ids.size()));
    scored = end;
    ++in_batch;
  }
  return out;
}

}  // namespace lyceum
