// The index of a token shard and its table of domains (the latter with a checksum that fits, else the search
// ends there).
#include <cstdlib>

#include "formats/checksum.h"
#include "formats/token_index.h"
#include "fuzz/fuzz.h"

namespace lyceum {

namespace {
void walk(const TokenIndex& index, uint64_t bin_bytes) {
  int64_t before = 0;
  for (int64_t d = 0; d <= index.n_documents; ++d) {
    const int64_t begin = index.document_begin(d);
    if (begin < before || begin > index.n_tokens) std::abort();
    before = begin;
  }
  if (static_cast<uint64_t>(index.n_tokens * id_bytes(index.type)) != bin_bytes) std::abort();
}
}  // namespace

void run_target(std::span<const uint8_t> bytes) {
  if (as_text(bytes).starts_with("LYDOMAIN")) {
    const std::string fitted =
        std::string(as_text(bytes)) + little_endian(checksum_of(bytes.data(), bytes.size()), 8);
    const DomainTable table =
        parse_domains({reinterpret_cast<const uint8_t*>(fitted.data()), fitted.size()}, "f");
    for (int64_t d = 0; d < table.n_documents; ++d)
      if (table.domain(d) >= table.names.size()) std::abort();
    return;
  }
  walk(parse_token_index(bytes, kCorpusBinBytes, "f"), kCorpusBinBytes);
}

std::vector<BadFile> target_seeds() {
  std::vector<BadFile> seeds = token_index_corpus();
  const std::string counts = little_endian(2, 8) + little_endian(6, 8) + little_endian(2, 4) +
                             little_endian(0, 4) + little_endian(1, 8) + little_endian(2, 8);
  const std::string names = little_endian(1, 4) + "c" + little_endian(2, 4) + "en";
  for (const uint64_t width : {2, 4})
    seeds.push_back({"domains_" + std::to_string(width),
                     "LYDOMAIN" + little_endian(1, 4) + little_endian(width, 4) + counts + names +
                         little_endian(0, width) + little_endian(1, width),
                     ""});
  return seeds;
}

}  // namespace lyceum
