// Made-up text for measurements: ids with the frequencies of real text.
#pragma once

#include "nn/batch.h"

namespace lyceum {

// n ids by Zipf's law.
std::vector<int32_t> synthetic_ids(int64_t n, int64_t vocab, uint64_t seed);

// `sequences` of `length` tokens whose ids follow Zipf's law: rows of the embedding are hit as
// unevenly as in training; targets are the next ids; weights sum to one.
Batch synthetic_batch(int64_t sequences, int64_t length, int64_t vocab, uint64_t seed);

}  // namespace lyceum
