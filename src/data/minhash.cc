#include "data/minhash.h"

#include <algorithm>

#include "base/random.h"

namespace lyceum {
namespace {

// h_i(x) = high half of (a_i x + b_i) mod 2^64 with odd a_i: a 2-universal family (Dietzfelbinger 1996).
struct Family {
  std::array<uint64_t, kMinHashes> a, b;
  Family() {
    const RandomKey key(0x6d696e68617368ull);
    for (size_t i = 0; i < kMinHashes; ++i) a[i] = key.bits(2 * i) | 1, b[i] = key.bits(2 * i + 1);
  }
};

uint64_t band_key(const MinHash& signature, int band) {
  uint64_t h = static_cast<uint64_t>(band) + 1;
  for (int r = 0; r < kMinHashRows; ++r)
    h = mix64(h ^
              (static_cast<uint64_t>(signature[static_cast<size_t>(band * kMinHashRows + r)]) + (h << 7)));
  return h;
}

}  // namespace

MinHash minhash_of(const std::vector<uint64_t>& set) {
  static const Family family;
  MinHash out;
  out.fill(UINT32_MAX);
  for (const uint64_t x : set)
    for (size_t i = 0; i < kMinHashes; ++i)
      out[i] = std::min(out[i], static_cast<uint32_t>((family.a[i] * x + family.b[i]) >> 32));
  return out;
}

void MinHashIndex::add(const MinHash& signature, int32_t entry) {
  for (int band = 0; band < kMinHashBands; ++band) buckets_[band_key(signature, band)].push_back(entry);
}

void MinHashIndex::candidates(const MinHash& signature, std::vector<int32_t>& out) const {
  out.clear();
  for (int band = 0; band < kMinHashBands; ++band)
    if (const auto it = buckets_.find(band_key(signature, band)); it != buckets_.end())
      out.insert(out.end(), it->second.begin(), it->second.end());
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
}

}  // namespace lyceum
