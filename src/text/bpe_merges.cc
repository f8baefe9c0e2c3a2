#include "text/bpe_merges.h"

#include "base/error.h"

namespace lyceum {

void BpeMerges::add(int32_t left, int32_t right, BpeMerge merge) {
  if (merges_.size() >= size_t{1} << 22)
    fail(ErrorKind::kUnsupported, "tokenizer model", "merges: wanted at most 4194304, found more");
  keys_.push_back(make_key(left, right));
  merges_.push_back(merge);
}

void BpeMerges::build() {
  int bits = 4;
  while ((size_t{1} << bits) < keys_.size() * 2) ++bits;
  shift_ = 64 - bits;
  slots_.assign(size_t{1} << bits, kEmpty);
  for (size_t i = 0; i < keys_.size(); ++i) slots_[probe(keys_[i])] = keys_[i] << 22 | i;
  keys_ = {};
}

}  // namespace lyceum
