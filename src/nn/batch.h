// The one shape of input: a ragged batch of packed sequences. There is no padded [batch, sequence] tensor
// anywhere.
//
// Packed training documents and continuous batching are the same shape. Attention spans (offsets) and
// positions are independent of each other; a sequence may cross domains.
#pragma once

#include <cstdint>
#include <vector>

namespace lyceum {

struct Batch {
  std::vector<int32_t> ids;        // [tokens]
  std::vector<int32_t> positions;  // [tokens] for the rotary embedding
  std::vector<int32_t> domains;    // [tokens] domain id of the document each token came from
  std::vector<int32_t> targets;    // [tokens] next id; ignored where the weight is 0; empty when not training
  std::vector<float> weights;      // [tokens] weight of each token's loss; empty when not training
  std::vector<int32_t> offsets;    // [sequences + 1] attention spans: 0 = offsets[0] < ... = tokens

  std::vector<Batch> source;  // of a model with an encoder: none or one, as many sequences as this one

  int64_t tokens() const { return static_cast<int64_t>(ids.size()); }
  int64_t sequences() const { return offsets.empty() ? 0 : static_cast<int64_t>(offsets.size()) - 1; }
};

}  // namespace lyceum
