#include "formats/token_shards.h"

#include <algorithm>
#include <cstring>
#include <filesystem>

#include "base/error.h"
#include "formats/checksum.h"
#include "formats/hashed_file.h"

namespace lyceum {
namespace {

std::string without_extension(const std::string& path) {
  for (const char* extension : {".bin", ".idx", ".domains"})
    if (path.ends_with(extension)) return path.substr(0, path.size() - std::strlen(extension));
  return path;
}

std::span<const uint8_t> bytes_of(const MappedFile& file) { return {file.data(), file.size()}; }

struct BadId {
  size_t place;
  int64_t id = 0;
};

// Widens ids; returns the first one outside of [0, vocab), or a place of out.size().
template <class T>
BadId widen(const uint8_t* from, std::span<int32_t> out, int64_t vocab) {
  BadId bad{out.size()};
  for (size_t i = 0; i < out.size(); ++i) {
    T id;
    std::memcpy(&id, from + i * sizeof(T), sizeof(T));
    const auto value = static_cast<int64_t>(id);
    if ((value < 0 || value >= vocab) && i < bad.place) bad = {i, value};
    out[i] = static_cast<int32_t>(value);
  }
  return bad;
}

}  // namespace

TokenShard::TokenShard(const std::string& prefix) : prefix_(without_extension(prefix)) {
  if (!file_exists(prefix_ + ".idx") || !file_exists(prefix_ + ".bin"))
    fail(ErrorKind::kNotFound, prefix_.c_str(), "no token shard here: wanted ", prefix_, ".bin and .idx",
         file_exists(prefix_ + ".bin") ? "; .idx is missing" : "");
  bin_ = MappedFile(prefix_ + ".bin");
  index_file_ = MappedFile(prefix_ + ".idx");
  index_ = parse_token_index(bytes_of(index_file_), bin_.size(), index_file_.path());
  if (!file_exists(prefix_ + ".domains")) return;
  domains_file_ = MappedFile(prefix_ + ".domains");
  domains_ = parse_domains(bytes_of(domains_file_), domains_file_.path());
  check_data(domains_.n_documents == index_.n_documents && domains_.n_tokens == index_.n_tokens,
             domains_file_.path().c_str(), "describes ", domains_.n_documents, " documents and ",
             domains_.n_tokens, " tokens, but the index has ", index_.n_documents, " and ", index_.n_tokens,
             "; the files do not belong together");
  check_data(domains_.index_checksum == checksum_of(index_file_.data(), index_file_.size()),
             domains_file_.path().c_str(), "was written for another index than the one beside it");
}

int64_t TokenShard::document_begin(int64_t document) const {
  check(document >= 0 && document <= n_documents(), prefix_.c_str(), "wanted a document below ",
        n_documents(), ", got ", document);
  return index_.document_begin(document);
}

int64_t TokenShard::document_at(int64_t position) const {
  check(position >= 0 && position < n_tokens(), prefix_.c_str(), "wanted a token below ", n_tokens(),
        ", got ", position);
  int64_t low = 0, high = n_documents();  // begin(low) <= position < begin(high)
  while (high - low > 1) {
    const int64_t middle = low + (high - low) / 2;
    (index_.document_begin(middle) <= position ? low : high) = middle;
  }
  return low;
}

void TokenShard::read(int64_t begin, std::span<int32_t> out, int64_t vocab) const {
  const auto count = static_cast<int64_t>(out.size());
  check(begin >= 0 && begin <= n_tokens() && count <= n_tokens() - begin, prefix_.c_str(), "wanted tokens ",
        begin, " to ", begin + count, " of ", n_tokens());
  const uint8_t* from = bin_.data() + begin * id_bytes(index_.type);
  BadId bad{out.size()};
  switch (index_.type) {
    case IdType::kU8:
      bad = widen<uint8_t>(from, out, vocab);
      break;
    case IdType::kI8:
      bad = widen<int8_t>(from, out, vocab);
      break;
    case IdType::kI16:
      bad = widen<int16_t>(from, out, vocab);
      break;
    case IdType::kU16:
      bad = widen<uint16_t>(from, out, vocab);
      break;
    case IdType::kI32:
      bad = widen<int32_t>(from, out, vocab);
      break;
    case IdType::kI64:
      bad = widen<int64_t>(from, out, vocab);
      break;
  }
  if (bad.place < out.size()) {
    const int64_t position = begin + static_cast<int64_t>(bad.place), document = document_at(position);
    fail(ErrorKind::kCorruptData, bin_.path().c_str(), "document ", document, " has the id ", bad.id,
         " at its token ", position - index_.document_begin(document), "; the vocabulary has ", vocab,
         ": wrong tokenizer, or a damaged file");
  }
}

uint32_t TokenShard::domain(int64_t document) const {
  check(document >= 0 && document < n_documents(), prefix_.c_str(), "wanted a document below ", n_documents(),
        ", got ", document);
  return has_domains() ? domains_.domain(document) : 0;
}

void TokenShard::check_ids(int64_t vocab) const {
  std::vector<int32_t> ids(1 << 14);
  for (int64_t at = 0; at < n_tokens(); at += static_cast<int64_t>(ids.size()))
    read(at, std::span(ids).first(static_cast<size_t>(std::min<int64_t>(n_tokens() - at, 1 << 14))), vocab);
}

void TokenShard::verify() const {
  if (!has_domains()) return;
  check_data(domains_.bin_checksum == checksum_of(bin_.data(), bin_.size()), bin_.path().c_str(),
             "its checksum differs from the one in .domains; the file is damaged");
}

struct TokenShardWriter::State {
  std::string prefix;
  int64_t vocab = 0;
  std::vector<std::string> names;
  FileSystem& files;
  HashedFile bin;
  std::vector<int32_t> lengths;
  std::vector<uint32_t> domains;
  std::vector<uint16_t> narrow;
  int64_t n_tokens = 0;
  bool finished = false;

  State(const std::string& prefix, int64_t vocab, std::vector<std::string> names, FileSystem& files)
      : prefix(prefix), vocab(vocab), names(std::move(names)), files(files), bin(prefix + ".bin", files) {}
  bool is_narrow() const { return vocab < 65536; }
  void write_index(HashedFile& out) const;
  void write_domains(HashedFile& out, uint64_t index_checksum) const;
};

namespace {
template <class T>
void put(HashedFile& out, T value) {
  out.write(&value, sizeof value);
}
}  // namespace

void TokenShardWriter::State::write_index(HashedFile& out) const {
  out.write("MMIDIDX\0\0", 9);
  put<uint64_t>(out, 1);
  put<uint8_t>(out, static_cast<uint8_t>(is_narrow() ? IdType::kU16 : IdType::kI32));
  put<uint64_t>(out, lengths.size());
  put<uint64_t>(out, lengths.size() + 1);
  out.write(lengths.data(), lengths.size() * sizeof(int32_t));
  int64_t offset = 0;
  for (const int32_t length : lengths) {
    put(out, offset);
    offset += int64_t{length} * (is_narrow() ? 2 : 4);
  }
  for (size_t d = 0; d <= lengths.size(); ++d)
    put<int64_t>(out, static_cast<int64_t>(d));  // one sequence each
}

void TokenShardWriter::State::write_domains(HashedFile& out, uint64_t index_checksum) const {
  const bool narrow_ids = names.size() <= 65536;
  out.write("LYDOMAIN", 8);
  put<uint32_t>(out, 1);
  put<uint32_t>(out, narrow_ids ? 2 : 4);
  put<uint64_t>(out, domains.size());
  put<uint64_t>(out, static_cast<uint64_t>(n_tokens));
  put<uint32_t>(out, static_cast<uint32_t>(names.size()));
  put<uint32_t>(out, 0);
  put<uint64_t>(out, bin.checksum());
  put<uint64_t>(out, index_checksum);
  for (const std::string& name : names) {
    put<uint32_t>(out, static_cast<uint32_t>(name.size()));
    out.write(name.data(), name.size());
  }
  for (const uint32_t d : domains) {
    if (narrow_ids) put<uint16_t>(out, static_cast<uint16_t>(d));
    else put<uint32_t>(out, d);
  }
  put<uint64_t>(out, out.checksum());
}

TokenShardWriter::TokenShardWriter(const std::string& prefix, int64_t vocab,
                                   std::vector<std::string> domain_names, FileSystem& files) {
  const std::string base = without_extension(prefix);
  check(vocab > 0 && vocab <= INT32_MAX, base.c_str(), "wants a vocabulary of 1 to ", INT32_MAX, ", got ",
        vocab);
  check(!domain_names.empty() && domain_names.size() <= (1u << 20), base.c_str(), "wants 1 to ", 1 << 20,
        " domain names, got ", domain_names.size());
  for (const std::string& name : domain_names)
    check(name.size() <= 1024, base.c_str(), "the domain name ", quote(name), " is longer than 1024 bytes");
  state_ = std::make_unique<State>(base, vocab, std::move(domain_names), files);
}
TokenShardWriter::~TokenShardWriter() = default;

void TokenShardWriter::add(std::span<const int32_t> ids, uint32_t domain) {
  State& s = *state_;
  const char* where = s.prefix.c_str();
  ensure(!s.finished, where, "a document after finish()");
  check(domain < s.names.size(), where, "wanted a domain below ", s.names.size(), ", got ", domain);
  check(ids.size() <= INT32_MAX, where, "a document of ", ids.size(), " tokens; the format ends at ",
        INT32_MAX);
  for (const int32_t id : ids)
    check(id >= 0 && id < s.vocab, where, "wanted ids below ", s.vocab, ", got ", id);
  if (s.is_narrow()) {
    s.narrow.resize(ids.size());
    std::transform(ids.begin(), ids.end(), s.narrow.begin(),
                   [](int32_t id) { return static_cast<uint16_t>(id); });
    s.bin.write(s.narrow.data(), 2 * ids.size());
  } else {
    s.bin.write(ids.data(), 4 * ids.size());
  }
  s.lengths.push_back(static_cast<int32_t>(ids.size()));
  s.domains.push_back(domain);
  s.n_tokens += static_cast<int64_t>(ids.size());
}

void TokenShardWriter::finish() {
  State& s = *state_;
  ensure(!s.finished, s.prefix.c_str(), "finish() twice");
  s.finished = true;
  HashedFile index(s.prefix + ".idx", s.files), domains(s.prefix + ".domains", s.files);
  s.write_index(index);
  s.write_domains(domains, index.checksum());
  s.bin.finish();
  index.finish();
  domains.finish();
  s.files.remove_all(s.prefix + ".idx");  // invariant 1
  s.files.sync_directory(std::filesystem::path(s.prefix).parent_path().string());
  s.bin.publish();
  domains.publish();
  index.publish();
}

int64_t TokenShardWriter::n_documents() const { return static_cast<int64_t>(state_->lengths.size()); }
int64_t TokenShardWriter::n_tokens() const { return state_->n_tokens; }

}  // namespace lyceum
