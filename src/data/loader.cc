#include "data/loader.h"

#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <optional>

#include "base/error.h"
#include "data/epoch.h"
#include "data/repeats.h"
#include "formats/checksum.h"
#include "formats/token_shards.h"

namespace lyceum {
namespace {

constexpr int64_t kMaxPeriod = 13, kRepetitions = 32;  // OLMoE

}  // namespace

std::vector<double> parse_weights(const std::vector<std::string>& texts,
                                  const std::vector<std::string>& names) {
  std::vector<double> weights(names.size(), 1.0);
  for (const std::string& text : texts) {
    const size_t equals = text.rfind('=');
    check(equals != std::string::npos, "weights", "wanted name=weight, found \"", text, "\"");
    const std::string name = text.substr(0, equals);
    const auto it = std::find(names.begin(), names.end(), name);
    if (it == names.end()) {
      const std::string near = nearest_name(name, names);
      fail(ErrorKind::kInvalidArgument, "weights", "no domain \"", name, "\" in the data",
           near.empty() ? "" : "; did you mean \"" + near + "\"?", " (there are ", listed(names), ")");
    }
    char* end = nullptr;
    const double weight = std::strtod(text.c_str() + equals + 1, &end);
    check(end && *end == 0 && end != text.c_str() + equals + 1 && weight >= 0 && weight < 1e9, "weights",
          "wanted a number of at least 0 for ", name, ", found \"", text.substr(equals + 1), "\"");
    weights[static_cast<size_t>(it - names.begin())] = weight;
  }
  return weights;
}

std::string Cursor::text() const {
  char line[128];
  std::snprintf(line, sizeof line, "epoch=%" PRId64 " instance=%" PRId64 " data=%016" PRIx64, epoch, instance,
                data);
  return line;
}

Cursor Cursor::parse(const std::string& text) {
  Cursor c;
  int used = 0;
  const int n = std::sscanf(text.c_str(), "epoch=%" SCNd64 " instance=%" SCNd64 " data=%" SCNx64 "%n",
                            &c.epoch, &c.instance, &c.data, &used);
  check_data(n == 3 && static_cast<size_t>(used) == text.size() && c.epoch >= 0 && c.instance >= 0,
             "data cursor", "wanted \"epoch=N instance=N data=HEX\", found \"", text.substr(0, 100), "\"");
  return c;
}

struct DataLoader::State {
  LoaderConfig config;
  int64_t vocab;
  int32_t end_id;
  std::vector<TokenShard> shards;
  std::vector<int32_t> shard_of;           // [documents]
  std::vector<int64_t> document_in_shard;  // [documents]
  std::vector<uint32_t> domain_of;         // [documents]
  std::vector<std::string> names;
  std::vector<int64_t> tokens;  // [domains]
  std::vector<double> copies;   // [domains]
  uint64_t data = 0;
  int64_t masked = 0;

  // The epoch at hand.
  int64_t epoch = -1, instance = 0, n_instances = 0;
  std::vector<int32_t> order;   // documents of the stream
  std::vector<int64_t> begins;  // [order + 1] places in the stream
  std::optional<Permutation> visit;

  void open(const std::vector<std::string>& prefixes) {
    check(!prefixes.empty(), "data loader",
          "wanted token shards, found none; make them with `lyceum data tokenize`");
    Checksum sum;
    for (const std::string& prefix : prefixes) {
      shards.emplace_back(prefix);
      const TokenShard& shard = shards.back();
      const std::vector<std::string> own =
          shard.has_domains() ? shard.domain_names() : std::vector<std::string>{"text"};
      std::vector<uint32_t> global;  // shards may number the same names differently
      for (const std::string& name : own) {
        const auto it = std::find(names.begin(), names.end(), name);
        global.push_back(static_cast<uint32_t>(it - names.begin()));
        if (it == names.end()) names.push_back(name), tokens.push_back(0);
      }
      for (int64_t i = 0; i < shard.n_documents(); ++i) {
        const uint32_t domain = global[shard.domain(i)];
        const int64_t n = shard.document_tokens(i);
        shard_of.push_back(static_cast<int32_t>(shards.size() - 1));
        document_in_shard.push_back(i);
        domain_of.push_back(domain);
        tokens[domain] += n;
        const int64_t facts[2] = {n, static_cast<int64_t>(domain)};
        sum.update(facts, sizeof facts);
      }
    }
    check(domain_of.size() < (size_t{1} << 31), "data loader", "more than 2^31 documents");
    for (const std::string& name : names) sum.update(name.c_str(), name.size() + 1);
    const uint64_t settings = fields_hash(fields_of(config));
    sum.update(&settings, sizeof settings);
    data = sum.value();
    copies =
        domain_copies(tokens, parse_weights(config.weights, names), config.temperature, config.max_copies);
  }

  void start_epoch(int64_t number) {
    if (number == epoch) return;
    const RandomKey key = RandomKey(static_cast<uint64_t>(config.seed)).with(static_cast<uint64_t>(number));
    order = epoch_documents(key, domain_of, copies);
    begins.assign(1, 0);
    begins.reserve(order.size() + 1);
    for (const int32_t d : order) begins.push_back(begins.back() + document_tokens(d));
    n_instances = begins.back() < 1
                      ? 0
                      : (begins.back() - 1) / config.sequence_length;  // one more token: the last target
    check(n_instances > 0, "data loader", "the data have ", begins.back(),
          " tokens, fewer than one instance of ", config.sequence_length,
          " and its last target; shorten sequence_length or add text");
    visit.emplace(key.with(3), n_instances);
    epoch = number;
  }

  int64_t document_tokens(int32_t d) const {
    return shards[static_cast<size_t>(shard_of[static_cast<size_t>(d)])].document_tokens(
        document_in_shard[static_cast<size_t>(d)]);
  }

  // Copies ids and domains of the stream from `place` on.
  void read_stream(int64_t place, std::vector<int32_t>& ids, std::vector<int32_t>& domains) const {
    size_t at =
        static_cast<size_t>(std::upper_bound(begins.begin(), begins.end(), place) - begins.begin()) - 1;
    for (size_t done = 0; done < ids.size(); ++at) {
      const auto d = static_cast<size_t>(order[at]);
      const TokenShard& shard = shards[static_cast<size_t>(shard_of[d])];
      const int64_t skip = place + static_cast<int64_t>(done) - begins[at];
      const size_t n = std::min(ids.size() - done, static_cast<size_t>(begins[at + 1] - begins[at] - skip));
      shard.read(shard.document_begin(document_in_shard[d]) + skip, std::span(ids).subspan(done, n), vocab);
      std::fill_n(domains.begin() + static_cast<int64_t>(done), n, static_cast<int32_t>(domain_of[d]));
      done += n;
    }
  }

  void append_instance(Batch& batch) {
    const int64_t length = config.sequence_length;
    std::vector<int32_t> ids(static_cast<size_t>(length + 1)), domains(ids.size());
    read_stream((*visit)(instance)*length, ids, domains);
    const bool repeats = config.mask_repetitions &&
                         repeats_ngram(std::span<const int32_t>(ids).first(static_cast<size_t>(length)),
                                       kMaxPeriod, kRepetitions);
    masked += repeats;
    const int32_t first = static_cast<int32_t>(batch.ids.size());
    int32_t position = 0;
    for (int64_t i = 0; i < length; ++i) {
      const int32_t id = ids[static_cast<size_t>(i)];
      if (config.isolate_documents && id == end_id && i > 0) {
        batch.offsets.push_back(first + static_cast<int32_t>(i));
        position = 0;
      }
      batch.ids.push_back(id);
      batch.positions.push_back(position++);
      batch.domains.push_back(domains[static_cast<size_t>(i)]);
      batch.targets.push_back(ids[static_cast<size_t>(i + 1)]);
      batch.weights.push_back(repeats ? 0.0f : 1.0f);
    }
    batch.offsets.push_back(first + static_cast<int32_t>(length));
  }
};

DataLoader::DataLoader(const LoaderConfig& config, const std::vector<std::string>& shard_prefixes,
                       int64_t vocab, int32_t end_id)
    : state_(std::make_unique<State>()) {
  state_->config = config;
  state_->vocab = vocab;
  state_->end_id = end_id;
  state_->open(shard_prefixes);
  state_->start_epoch(0);
}
DataLoader::~DataLoader() = default;
DataLoader::DataLoader(DataLoader&&) noexcept = default;

Batch DataLoader::next(int64_t tokens) {
  const int64_t length = state_->config.sequence_length;
  check(tokens > 0 && tokens % length == 0 && tokens < (int64_t{1} << 31), "data loader",
        "wanted a number of tokens that sequence_length ", length, " divides, found ", tokens);
  Batch batch;
  batch.offsets.push_back(0);
  for (int64_t i = 0; i < tokens / length; ++i) {
    state_->append_instance(batch);
    skip(1);
  }
  return batch;
}

void DataLoader::skip(int64_t instances) {
  for (State& s = *state_; instances > 0;) {
    const int64_t n = std::min(instances, s.n_instances - s.instance);
    s.instance += n;
    instances -= n;
    if (s.instance == s.n_instances) {
      s.start_epoch(s.epoch + 1);
      s.instance = 0;
    }
  }
}

Cursor DataLoader::cursor() const { return {state_->epoch, state_->instance, state_->data}; }

void DataLoader::seek(const Cursor& cursor) {
  check(cursor.data == state_->data, "data cursor",
        "the checkpoint was made with other data or data settings; give the same shards, seed, "
        "sequence_length and mix, or "
        "start the data anew (a second phase has its own loader)");
  state_->start_epoch(cursor.epoch);
  check_data(cursor.instance < state_->n_instances, "data cursor", "instance ", cursor.instance, " of epoch ",
             cursor.epoch, " that has ", state_->n_instances);
  state_->instance = cursor.instance;
}

std::vector<double> DataLoader::id_counts(int64_t domains, int64_t vocab) const {
  std::vector<double> out(static_cast<size_t>(domains * vocab));
  std::vector<int32_t> ids;
  for (size_t d = 0; d < state_->domain_of.size(); ++d) {
    const TokenShard& shard = state_->shards[static_cast<size_t>(state_->shard_of[d])];
    const int64_t document = state_->document_in_shard[d], row = domains == 1 ? 0 : state_->domain_of[d];
    if (row >= domains) continue;
    ids.resize(static_cast<size_t>(shard.document_tokens(document)));
    shard.read(shard.document_begin(document), ids, vocab);
    for (int32_t id : ids) ++out[static_cast<size_t>(row * vocab + id)];
  }
  return out;
}

const std::vector<std::string>& DataLoader::domain_names() const { return state_->names; }
const std::vector<int64_t>& DataLoader::domain_tokens() const { return state_->tokens; }
const std::vector<double>& DataLoader::copies() const { return state_->copies; }
int64_t DataLoader::instances_in_epoch() const { return state_->n_instances; }
int64_t DataLoader::masked_instances() const { return state_->masked; }

}  // namespace lyceum
