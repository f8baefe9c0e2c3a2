// HTML to plain text, for documentation that exists as web pages only.
#pragma once

#include <string>
#include <string_view>

namespace lyceum {

// The words of a page: one line per paragraph, "- " before list items, preformatted text unchanged, cells of
// a table row separated by tabs, entities resolved. Scripts, styles, head, navigation, footers and the
// anchors of headings are left out. Unclosed and stray tags are tolerated; any valid UTF-8 is safe.
std::string html_to_text(std::string_view html);

}  // namespace lyceum
