// Held-out text by domain, evaluated while training: bits per byte, so that tokenizers can be compared.
#pragma once

#include "eval/likelihood.h"
#include "runs/metrics.h"

namespace lyceum {

class Tokenizer;

struct HeldOutSet {
  std::vector<std::string> domains;
  std::vector<std::vector<EncodedDocument>> documents;  // by domain
  int64_t window = 512;
  int32_t eos = 0;
  bool empty() const { return domains.empty(); }
};

// Whole documents of each domain from token shards, in their order, until the domain's equal part of `tokens`
// is full. Bytes are those of the decoded text.
HeldOutSet read_held_out(const std::vector<std::string>& prefixes, const Tokenizer& tokenizer, int64_t vocab,
                         int64_t tokens, int64_t window);

// Bits per byte of each domain and "all", the total weighted by bytes. Where bytes are not known: nats per
// token.
NamedNumbers evaluate(const Model& model, const HeldOutSet& held_out);

}  // namespace lyceum
