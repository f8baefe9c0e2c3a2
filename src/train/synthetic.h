// Made-up text for measurements: ids with the frequencies of real text.
#pragma once

#include "nn/batch.h"

namespace lyceum {

// `sequences` of `length` tokens whose ids follow Zipf's law, so that rows of the embedding are hit as
// unevenly as in training; targets are the next ids; weights sum to one.
Batch synthetic_batch(int64_t sequences, int64_t length, int64_t vocab, uint64_t seed);

}  // namespace lyceum
