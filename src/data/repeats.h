// Runs of a repeated n-gram: the one rule by which documents are dropped and instances are masked.
#pragma once

#include <cstdint>
#include <span>

namespace lyceum {

// True if some n-gram with n <= `max_period` follows itself so that it stands at least `count` times in a
// row. A run of m positions with x[i] == x[i - n] holds (m + n) / n whole copies. Source: OLMoE (Muennighoff
// et al. 2024, section 2), n from 1 to 13 and 32 times; find_periodic_sequences in allenai/OLMo counts the
// same.
template <class T>
bool repeats_ngram(std::span<const T> x, int64_t max_period = 13, int64_t count = 32) {
  const int64_t n = static_cast<int64_t>(x.size());
  for (int64_t period = 1; period <= max_period && period * count <= n; ++period) {
    int64_t run = 0;
    const int64_t needed = period * (count - 1);  // matches that make `count` copies
    // Only every needed-th position can be skipped safely: a run that is long enough covers one of them. If
    // it does not match there, no such run passes through it.
    for (int64_t i = period; i < n;) {
      if (x[static_cast<size_t>(i)] == x[static_cast<size_t>(i - period)]) {
        if (++run >= needed) return true;
        ++i;
        continue;
      }
      run = 0;
      ++i;
      while (i + needed <= n &&
             x[static_cast<size_t>(i + needed - 1)] != x[static_cast<size_t>(i + needed - 1 - period)])
        i += needed;
    }
  }
  return false;
}

}  // namespace lyceum
