// What `xz -9` makes of a text: the baseline that the quick start's bits per byte stand beside.
#pragma once

#include <cstdint>
#include <string_view>

namespace lyceum {

// Bytes of the .xz file: preset 9, CRC64, one block, as `xz -9 -T1` writes it.
int64_t xz_bytes(std::string_view text);

}  // namespace lyceum
