#include "kernels/layout.h"

#include <cstring>

namespace lyceum {
namespace {

// Visits the runs of a matrix that are contiguous on both sides: f(logical, physical, length), one pair or
// one element of a row at a time. Positions move by additions; WeightLayout::index() divides twice an
// element, which cost three times the product that the packed matrix was for.
template <int kPair, class F>
void for_each_run(const WeightLayout& w, F&& f) {
  const int64_t step = WeightLayout::kPanel * kPair, whole = w.k / kPair * kPair;
  for (int64_t part = 0; part < w.parts; ++part)
    for (int64_t row = 0; row < w.n; ++row) {
      int64_t logical = (part * w.n + row) * w.k, physical = w.index(part, row, 0);
      const int64_t end = logical + whole;
      for (; logical < end; logical += kPair, physical += step) f(logical, physical, kPair);
      if (whole < w.k) f(logical, physical, 1);
    }
}

template <class F>
void for_each_run(const WeightLayout& w, F&& f) {
  if (w.pair() == 2) for_each_run<2>(w, f);
  else for_each_run<1>(w, f);
}

template <class Element>
void pack(const WeightLayout& layout, const Element* logical, Element* physical) {
  std::memset(physical, 0, static_cast<size_t>(layout.size()) * sizeof(Element));
  for_each_run(layout, [=](int64_t from, int64_t to, int64_t n) {
    for (int64_t i = 0; i < n; ++i) physical[to + i] = logical[from + i];
  });
}

template <class Element>
void unpack(const WeightLayout& layout, const Element* physical, Element* logical) {
  for_each_run(layout, [=](int64_t to, int64_t from, int64_t n) {
    for (int64_t i = 0; i < n; ++i) logical[to + i] = physical[from + i];
  });
}

}  // namespace

void pack_weight(const WeightLayout& layout, const void* logical, void* physical, size_t element_size) {
  if (element_size == 2)
    pack(layout, static_cast<const uint16_t*>(logical), static_cast<uint16_t*>(physical));
  else pack(layout, static_cast<const uint32_t*>(logical), static_cast<uint32_t*>(physical));
}

void unpack_weight(const WeightLayout& layout, const void* physical, void* logical, size_t element_size) {
  if (element_size == 2)
    unpack(layout, static_cast<const uint16_t*>(physical), static_cast<uint16_t*>(logical));
  else unpack(layout, static_cast<const uint32_t*>(physical), static_cast<uint32_t*>(logical));
}

}  // namespace lyceum
