#include "kernels/layout.h"

#include <algorithm>
#include <cstring>

namespace lyceum {
namespace {

// Visits the runs of a matrix that are contiguous on both sides, one pair or one element of a row at a time,
// panel by panel in physical order: that side is walked once from front to back, the other as the 16 rows of
// a panel. Positions move by additions; WeightLayout::index() divides twice an element, which cost three
// times the product that the packed matrix was for. f(logical, physical) copies kPair elements, last(..) one.
template <int kPair, class F, class G>
void for_each_run(const WeightLayout& w, F&& f, G&& last) {
  constexpr int64_t kPanel = WeightLayout::kPanel;
  const int64_t whole = w.k / kPair * kPair;
  for (int64_t part = 0; part < w.parts; ++part)
    for (int64_t row = 0; row < w.n; row += kPanel) {
      const int64_t rows = std::min(kPanel, w.n - row);
      const int64_t logical = (part * w.n + row) * w.k;
      int64_t physical = w.index(part, row, 0);
      for (int64_t column = 0; column < whole; column += kPair, physical += kPanel * kPair)
        for (int64_t r = 0; r < rows; ++r) f(logical + r * w.k + column, physical + r * kPair);
      if (whole < w.k)
        for (int64_t r = 0; r < rows; ++r) last(logical + r * w.k + whole, physical + r * kPair);
    }
}

template <int kPair, class Element>
void pack(const WeightLayout& w, const Element* logical, Element* physical) {
  if (w.n != w.n_padded() || w.k != w.k_padded())
    std::memset(physical, 0, static_cast<size_t>(w.size()) * sizeof(Element));
  for_each_run<kPair>(
      w,
      [=](int64_t from, int64_t to) { std::memcpy(physical + to, logical + from, kPair * sizeof(Element)); },
      [=](int64_t from, int64_t to) { physical[to] = logical[from]; });
}

template <int kPair, class Element>
void unpack(const WeightLayout& w, const Element* physical, Element* logical) {
  for_each_run<kPair>(
      w,
      [=](int64_t to, int64_t from) { std::memcpy(logical + to, physical + from, kPair * sizeof(Element)); },
      [=](int64_t to, int64_t from) { logical[to] = physical[from]; });
}

template <class Element>
void pack(const WeightLayout& w, const void* logical, void* physical) {
  const auto* from = static_cast<const Element*>(logical);
  auto* to = static_cast<Element*>(physical);
  w.pair() == 2 ? pack<2>(w, from, to) : pack<1>(w, from, to);
}

template <class Element>
void unpack(const WeightLayout& w, const void* physical, void* logical) {
  const auto* from = static_cast<const Element*>(physical);
  auto* to = static_cast<Element*>(logical);
  w.pair() == 2 ? unpack<2>(w, from, to) : unpack<1>(w, from, to);
}

}  // namespace

void pack_weight(const WeightLayout& layout, const void* logical, void* physical, size_t element_size) {
  if (element_size == 2) pack<uint16_t>(layout, logical, physical);
  else pack<uint32_t>(layout, logical, physical);
}

void unpack_weight(const WeightLayout& layout, const void* physical, void* logical, size_t element_size) {
  if (element_size == 2) unpack<uint16_t>(layout, physical, logical);
  else unpack<uint32_t>(layout, physical, logical);
}

}  // namespace lyceum
