#include "data/epoch.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace lyceum {

Permutation::Permutation(RandomKey key, int64_t n) : key_(key), n_(n), half_bits_(1) {
  while (half_bits_ < 31 && (int64_t{1} << (2 * half_bits_)) < n) ++half_bits_;
}

int64_t Permutation::operator()(int64_t i) const {
  const uint64_t mask = (uint64_t{1} << half_bits_) - 1;
  uint64_t x = static_cast<uint64_t>(i);
  do {
    uint64_t left = x >> half_bits_, right = x & mask;
    for (uint64_t round = 0; round < 4; ++round) {
      const uint64_t next = left ^ (key_.with(round).bits(right) & mask);
      left = right;
      right = next;
    }
    x = left << half_bits_ | right;
  } while (x >= static_cast<uint64_t>(n_));
  return static_cast<int64_t>(x);
}

std::vector<double> domain_copies(const std::vector<int64_t>& tokens, const std::vector<double>& weights,
                                  double temperature, double max_copies) {
  const size_t n = tokens.size();
  double total = 0;
  for (const int64_t t : tokens) total += static_cast<double>(t);
  std::vector<double> wanted(n), copies(n, 0.0);  // wanted: tokens of the stream
  std::vector<bool> full(n, false);
  for (size_t d = 0; d < n; ++d)
    wanted[d] =
        tokens[d] == 0 ? 0.0 : std::pow(static_cast<double>(tokens[d]) / total, 1 / temperature) * weights[d];
  // Domains at their most copies are settled; the rest of the stream is shared by the others, until nothing
  // changes.
  for (size_t round = 0; round <= n; ++round) {
    double left = total, sum = 0;
    for (size_t d = 0; d < n; ++d)
      if (full[d]) left -= copies[d] * static_cast<double>(tokens[d]);
      else sum += wanted[d];
    if (sum <= 0) break;
    bool changed = false;
    for (size_t d = 0; d < n; ++d) {
      if (full[d] || tokens[d] == 0) continue;
      copies[d] = std::max(0.0, left) * wanted[d] / sum / static_cast<double>(tokens[d]);
      if (copies[d] > max_copies) copies[d] = max_copies, full[d] = changed = true;
    }
    if (!changed) break;
  }
  double stream = 0;
  for (size_t d = 0; d < n; ++d) stream += copies[d] * static_cast<double>(tokens[d]);
  check(stream > 0, "mix", "wanted a weight above zero for some domain that has text; found none");
  return copies;
}

std::vector<int32_t> epoch_documents(RandomKey key, const std::vector<uint32_t>& domain_of_document,
                                     const std::vector<double>& copies) {
  std::vector<int32_t> order;
  order.reserve(domain_of_document.size());
  const RandomKey draw = key.with(1), shuffle = key.with(2);
  for (size_t i = 0; i < domain_of_document.size(); ++i) {
    const double wanted = copies[domain_of_document[i]] + 1e-9;  // 0.9999999... of a computed 1 is whole
    const double whole = std::floor(wanted);
    const int64_t n = static_cast<int64_t>(whole) + (draw.uniform(i) < wanted - whole - 1e-9 ? 1 : 0);
    for (int64_t k = 0; k < n; ++k) order.push_back(static_cast<int32_t>(i));
  }
  for (size_t i = order.size(); i > 1; --i)
    std::swap(order[i - 1], order[shuffle.below(i, i)]);  // Fisher & Yates
  return order;
}

}  // namespace lyceum
