// Cuts a template into tokens as Jinja2 does with trim_blocks and lstrip_blocks, which is how `transformers`
// reads chat templates: the line end behind a block goes, and so does white space before it on its line.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "text/template/ast.h"

namespace lyceum::jinja {

enum class TokenKind {
  kText,
  kPrintBegin,
  kPrintEnd,
  kBlockBegin,
  kBlockEnd,
  kName,
  kString,
  kInteger,
  kFloat,
  kSign,
  kEnd
};

struct Token {
  TokenKind kind;
  std::string text;  // of strings: without quotes, escapes replaced
  Place place;
};

// Throws Error{kCorruptData}: "where:line:column: wanted ..., found ...".
std::vector<Token> tokenize(std::string_view source, const std::string& where);

[[noreturn]] void fail_at(const std::string& where, Place place, const std::string& message);

}  // namespace lyceum::jinja
