#include "formats/token_index.h"

#include <bit>
#include <cstring>

#include "base/error.h"
#include "formats/checksum.h"

namespace lyceum {
namespace {

static_assert(std::endian::native == std::endian::little, "the files are little-endian and read as they lie");

template <class T>
T load(const uint8_t* p) {
  T value;
  std::memcpy(&value, p, sizeof value);
  return value;
}

constexpr size_t kIndexHeader = 34, kDomainHeader = 56;
constexpr uint32_t kMaxDomains = 1u << 20, kMaxDomainName = 1u << 10;

// The header of an index: type and counts, and that the file is exactly as long as they say.
TokenIndex parse_header(std::span<const uint8_t> file, const char* where) {
  check_data(file.size() >= kIndexHeader && std::memcmp(file.data(), "MMIDIDX\0\0", 9) == 0, where,
             "does not begin with MMIDIDX; this is not an index of token shards");
  const auto version = load<uint64_t>(file.data() + 9);
  check_data(version == 1, where, "wants version 1, found ", version);
  const int code = file[17];
  if (code == 6 || code == 7)
    fail(ErrorKind::kUnsupported, where, "wants ids of an integer type, found floats (type ", code, ")");
  check_data((code >= 1 && code <= 5) || code == 8, where, "has the unknown type of ids ", code);
  const auto sequences = load<uint64_t>(file.data() + 18), entries = load<uint64_t>(file.data() + 26);
  const uint64_t rest = file.size() - kIndexHeader;
  check_data(sequences <= rest / 12 && entries <= rest / 8, where, "announces ", sequences, " sequences and ",
             entries, " document entries, more than its ", file.size(),
             " bytes hold; it is truncated or damaged");
  const uint64_t wanted = sequences * 12 + entries * 8;
  if (rest == wanted + sequences && sequences > 0)
    fail(ErrorKind::kUnsupported, where, "is a multimodal index; only text is read");
  check_data(rest == wanted, where, "wants ", kIndexHeader + wanted, " bytes for ", sequences,
             " sequences and ", entries, " document entries, found ", file.size(),
             "; it is truncated or damaged");
  check_data(entries >= 1, where, "has an empty document index; wanted at least the 0 it begins with");
  TokenIndex index;
  index.type = static_cast<IdType>(code);
  index.n_sequences = static_cast<int64_t>(sequences);
  index.n_documents = static_cast<int64_t>(entries) - 1;
  index.offsets = file.data() + kIndexHeader + 4 * sequences;
  index.first_sequence = index.offsets + 8 * sequences;
  return index;
}

}  // namespace

int id_bytes(IdType type) {
  switch (type) {
    case IdType::kU8:
    case IdType::kI8:
      return 1;
    case IdType::kI16:
    case IdType::kU16:
      return 2;
    case IdType::kI32:
      return 4;
    case IdType::kI64:
      return 8;
  }
  return 0;
}

int64_t TokenIndex::sequence_begin(int64_t sequence) const {
  return sequence == n_sequences ? n_tokens : load<int64_t>(offsets + 8 * sequence) / id_bytes(type);
}

int64_t TokenIndex::document_begin(int64_t document) const {
  return sequence_begin(load<int64_t>(first_sequence + 8 * document));
}

TokenIndex parse_token_index(std::span<const uint8_t> file, uint64_t bin_bytes, const std::string& path) {
  const char* where = path.c_str();
  TokenIndex index = parse_header(file, where);
  const auto width = static_cast<uint64_t>(id_bytes(index.type));
  const uint8_t* lengths = file.data() + kIndexHeader;
  uint64_t position =
      0;  // cannot overflow: below 2^31 * 8 bytes for each of at most 2^60 sequences in memory
  for (int64_t i = 0; i < index.n_sequences; ++i) {
    const auto length = load<int32_t>(lengths + 4 * i);
    const auto offset = load<int64_t>(index.offsets + 8 * i);
    check_data(length >= 0, where, "sequence ", i, " has the length ", length);
    check_data(offset >= 0 && static_cast<uint64_t>(offset) == position, where, "sequence ", i,
               " wants to begin at byte ", position, " of the ids, found ", offset,
               "; the lengths and pointers do not add up");
    position += static_cast<uint64_t>(length) * width;
    check_data(position <= bin_bytes, where, "sequence ", i, " ends at byte ", position,
               ", but the .bin beside it has only ", bin_bytes, "; it is truncated");
  }
  check_data(position == bin_bytes, where, "the lengths add up to ", position,
             " bytes of ids, but the .bin has ", bin_bytes, "; the two files do not belong together");
  index.n_tokens = static_cast<int64_t>(position / width);
  int64_t before = 0;
  for (int64_t d = 0; d <= index.n_documents; ++d) {
    const auto first = load<int64_t>(index.first_sequence + 8 * d);
    check_data(d > 0 || first == 0, where, "the document index wants to begin with 0, found ", first);
    check_data(first >= before && first <= index.n_sequences, where, "document ", d, " begins at sequence ",
               first, "; wanted ", before, " to ", index.n_sequences);
    before = first;
  }
  check_data(before == index.n_sequences, where, "the document index ends at sequence ", before, "; wanted ",
             index.n_sequences);
  return index;
}

uint32_t DomainTable::domain(int64_t document) const {
  return width == 2 ? load<uint16_t>(ids + 2 * document) : load<uint32_t>(ids + 4 * document);
}

DomainTable parse_domains(std::span<const uint8_t> file, const std::string& path) {
  const char* where = path.c_str();
  check_data(file.size() >= kDomainHeader + 8 && std::memcmp(file.data(), "LYDOMAIN", 8) == 0, where,
             "does not begin with LYDOMAIN; this is not a table of domains");
  const auto version = load<uint32_t>(file.data() + 8);
  check_data(version == 1, where, "wants version 1, found ", version);
  check_data(checksum_of(file.data(), file.size() - 8) == load<uint64_t>(file.data() + file.size() - 8),
             where, "its checksum differs; the file is damaged");
  DomainTable table;
  table.width = static_cast<int>(load<uint32_t>(file.data() + 12));
  check_data(table.width == 2 || table.width == 4, where, "wants domain ids of 2 or 4 bytes, found ",
             table.width);
  const auto documents = load<uint64_t>(file.data() + 16), tokens = load<uint64_t>(file.data() + 24);
  const auto n_names = load<uint32_t>(file.data() + 32);
  table.bin_checksum = load<uint64_t>(file.data() + 40);
  table.index_checksum = load<uint64_t>(file.data() + 48);
  check_data(n_names <= kMaxDomains, where, "wants at most ", kMaxDomains, " domains, found ", n_names);

  size_t at = kDomainHeader;
  const size_t end = file.size() - 8;
  for (uint32_t i = 0; i < n_names; ++i) {
    check_data(end - at >= 4, where, "ends within the name of domain ", i);
    const auto length = load<uint32_t>(file.data() + at);
    at += 4;
    check_data(length <= kMaxDomainName && length <= end - at, where, "domain ", i, " has a name of ", length,
               " bytes");
    table.names.emplace_back(reinterpret_cast<const char*>(file.data()) + at, length);
    at += length;
  }
  check_data(documents <= (end - at) / static_cast<size_t>(table.width) &&
                 end - at == documents * static_cast<size_t>(table.width),
             where, "wants ", documents, " domain ids of ", table.width, " bytes, found ", end - at,
             " bytes");
  check_data(tokens <= uint64_t{INT64_MAX}, where, "announces ", tokens, " tokens");
  table.ids = file.data() + at;
  table.n_documents = static_cast<int64_t>(documents);
  table.n_tokens = static_cast<int64_t>(tokens);
  for (int64_t d = 0; d < table.n_documents; ++d)
    check_data(table.domain(d) < n_names, where, "document ", d, " has the domain ", table.domain(d), " of ",
               n_names);
  return table;
}

}  // namespace lyceum
