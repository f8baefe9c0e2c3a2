#include "kernels/layout.h"

#include <cstring>

namespace lyceum {
namespace {

template <class Element>
void pack(const WeightLayout& layout, const Element* logical, Element* physical) {
  std::memset(physical, 0, static_cast<size_t>(layout.size()) * sizeof(Element));
  for (int64_t part = 0; part < layout.parts; ++part)
    for (int64_t row = 0; row < layout.n; ++row) {
      const Element* from = logical + (part * layout.n + row) * layout.k;
      for (int64_t column = 0; column < layout.k; ++column)
        physical[layout.index(part, row, column)] = from[column];
    }
}

template <class Element>
void unpack(const WeightLayout& layout, const Element* physical, Element* logical) {
  for (int64_t part = 0; part < layout.parts; ++part)
    for (int64_t row = 0; row < layout.n; ++row) {
      Element* to = logical + (part * layout.n + row) * layout.k;
      for (int64_t column = 0; column < layout.k; ++column)
        to[column] = physical[layout.index(part, row, column)];
    }
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
