// Manual pages to plain text: a small reader of the roff macros that manual pages use (man and mdoc).
#pragma once

#include <string>
#include <string_view>

namespace lyceum {

// The page as a person reads it: headings in their own line, one line per paragraph, lists and indented
// paragraphs by four blanks a level, examples unchanged; fonts, comments, conditionals for typesetters and
// macro definitions removed. Empty for a page that only includes another (".so"). What is not understood is
// left out rather than shown as code. `roff` must be valid UTF-8; any input is safe.
std::string man_to_text(std::string_view roff);

// Does the text look like a manual page's source: a .TH or .Dd request among its first lines?
bool looks_like_man(std::string_view text);

}  // namespace lyceum
