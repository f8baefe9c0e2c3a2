#include "train/batch_source.h"

#include <cerrno>
#include <cstdlib>

#include "base/error.h"
#include "base/random.h"

namespace lyceum {

MemorySource::MemorySource(std::vector<int32_t> ids, int64_t sequence, int64_t sequences, uint64_t seed)
    : ids_(std::move(ids)), sequence_(sequence), sequences_(sequences), seed_(seed) {
  check(static_cast<int64_t>(ids_.size()) > sequence, "memory source", "wanted more than ", sequence,
        " ids, found ", ids_.size());
}

void MemorySource::next(Batch& b) {
  const RandomKey key = RandomKey(seed_).with(batches_++);
  b.ids.clear(), b.positions.clear(), b.domains.clear(), b.targets.clear(), b.weights.clear();
  b.offsets.assign(1, 0);
  for (int64_t s = 0; s < sequences_; ++s) {
    const uint64_t places = ids_.size() - static_cast<size_t>(sequence_);
    const size_t begin = key.below(static_cast<uint64_t>(s), places);
    for (size_t t = 0; t < static_cast<size_t>(sequence_); ++t) {
      b.ids.push_back(ids_[begin + t]);
      b.targets.push_back(ids_[begin + t + 1]);
      b.positions.push_back(static_cast<int32_t>(t));
      b.domains.push_back(0);
      b.weights.push_back(1);
    }
    b.offsets.push_back(static_cast<int32_t>(b.ids.size()));
  }
}

void MemorySource::seek(const std::string& cursor) {
  char* end = nullptr;
  errno = 0;
  const unsigned long long n = std::strtoull(cursor.c_str(), &end, 10);
  check_data(errno == 0 && end != cursor.c_str() && *end == 0, "memory source", "no cursor: ", quote(cursor));
  batches_ = n;
}

std::vector<double> MemorySource::id_counts(int64_t domains, int64_t vocab) const {
  std::vector<double> out(static_cast<size_t>(domains * vocab));
  for (int32_t id : ids_) ++out[static_cast<size_t>(id)];  // all of domain 0
  return out;
}

}  // namespace lyceum
