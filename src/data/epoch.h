// One pass over the documents: which are read, how often, in which order, and in which order the instances
// are cut from them. Everything is a function of the seed and the number of the epoch.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/random.h"

namespace lyceum {

// A permutation of [0, n) that needs no memory: a Feistel network of four rounds over the next even power of
// two, walked until the result falls inside (Black & Rogaway 2002, "Ciphers with arbitrary finite domains").
class Permutation {
 public:
  Permutation(RandomKey key, int64_t n);
  int64_t operator()(int64_t i) const;

 private:
  RandomKey key_;
  int64_t n_;
  int half_bits_;
};

// Copies of each document per epoch, by domain: the share of a domain in the stream over its share in the
// data.
//   natural share n_d = tokens_d / sum;  temperature T: p_d ~ n_d^(1/T);  weights multiply p_d;
//   copies_d = p_d / n_d, at most max_copies (what is cut there goes to the others while they have room).
// Throws kInvalidArgument for a weight of an unknown domain or none above zero.
std::vector<double> domain_copies(const std::vector<int64_t>& tokens, const std::vector<double>& weights,
                                  double temperature, double max_copies);

// The documents of an epoch in order. A domain of 2.3 copies has every document twice and each a third time
// with probability 0.3, drawn by (key, document).
std::vector<int32_t> epoch_documents(RandomKey key, const std::vector<uint32_t>& domain_of_document,
                                     const std::vector<double>& copies);

}  // namespace lyceum
