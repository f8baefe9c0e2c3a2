// How well a model predicts text: negative log-likelihood, perplexity per token and bits per byte, by domain
// and source.
//
// Documents of one group are read as one stream, an end-of-text id before each and after the last, as in
// training. The stream is cut into windows of `window` tokens that advance by `stride`: each token is
// predicted once, with at least window - stride tokens of context where there are that many. Bits per byte =
// nll / (ln 2 * bytes of text); the end-of-text ids are predicted too and cost bits, but are no bytes.
#pragma once

#include <functional>
#include <map>

#include "models/model.h"

namespace lyceum {

struct Likelihood {
  double nll = 0;  // sum over predicted tokens, natural logarithm
  int64_t tokens = 0, bytes = 0, documents = 0;
  double bits_per_byte() const;
  double perplexity() const;  // exp(nll / tokens)
  Likelihood& operator+=(const Likelihood& other);
};

struct EncodedDocument {
  std::vector<int32_t> ids;  // without end-of-text
  int64_t bytes = 0;         // of the text
  int32_t domain = 0;
};

struct LikelihoodOptions {
  int64_t window = 512, stride = 256;
  int64_t batch_tokens = 8192;  // windows are packed into batches of about this many tokens
  int32_t eos = 0;
};

// The likelihood of documents that belong together (one domain, one source). `progress` sees tokens done.
Likelihood likelihood(const Model& model, const std::vector<EncodedDocument>& documents,
                      const LikelihoodOptions& options,
                      const std::function<void(int64_t tokens)>& progress = {}, Taps* taps = nullptr);

}  // namespace lyceum
