// From tokens to the tree that the interpreter walks: the grammar of Jinja2's parser for what chat templates
// use. Tags that load other templates or change the language are refused by name.
#pragma once

#include <string>
#include <string_view>

#include "text/template/ast.h"

namespace lyceum::jinja {

// Throws Error{kCorruptData} or {kUnsupported}: "where:line:column: ...". Expressions are at most 200 deep,
// statements 100.
Body parse(std::string_view source, const std::string& where);

}  // namespace lyceum::jinja
