// The middle of some measurements.
#pragma once

#include <algorithm>
#include <vector>

namespace lyceum {

// Of an even number the upper of the two in the middle; 0 of none.
inline double median(std::vector<double> v) {
  if (v.empty()) return 0;
  const auto middle = v.begin() + static_cast<std::ptrdiff_t>(v.size() / 2);
  std::nth_element(v.begin(), middle, v.end());
  return *middle;
}

}  // namespace lyceum
