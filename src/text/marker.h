// U+2581, the sign that SentencePiece and Metaspace write for a space, and where texts may be cut before it.
#pragma once

#include <string_view>

namespace lyceum {

inline constexpr std::string_view kMarker = "\xe2\x96\x81";

// True if a marker stands behind another character.
inline bool marker_inside(std::string_view piece) {
  while (piece.starts_with(kMarker)) piece.remove_prefix(kMarker.size());
  return piece.find(kMarker) != std::string_view::npos;
}

// The first place above 0, at or after `from`, where a word with its run of markers begins, or the end. If no
// piece has a marker inside, what stands before and behind is independent.
inline size_t find_marker_cut(std::string_view text, size_t from) {
  for (size_t i = text.find(kMarker, from); i != std::string_view::npos; i = text.find(kMarker, i + 3))
    if (i > 0 && !text.substr(0, i).ends_with(kMarker)) return i;
  return text.size();
}

}  // namespace lyceum
