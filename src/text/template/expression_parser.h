// Tokens and expressions; parser.cc builds statements on it.
#pragma once

#include <string>
#include <vector>

#include "text/template/lexer.h"

namespace lyceum::jinja {

class ExpressionParser {
 public:
  ExpressionParser(std::vector<Token> tokens, std::string where)
      : tokens_(std::move(tokens)), where_(std::move(where)) {}

 protected:
  const Token& now() const { return tokens_[at_]; }
  const Token& ahead() const { return tokens_[std::min(at_ + 1, tokens_.size() - 1)]; }
  const Token& next() { return tokens_[at_ + 1 < tokens_.size() ? at_++ : at_]; }
  bool is_sign(std::string_view sign) const { return now().kind == TokenKind::kSign && now().text == sign; }
  bool is_name(std::string_view name) const { return now().kind == TokenKind::kName && now().text == name; }
  bool skip_sign(std::string_view sign);
  bool skip_name(std::string_view name);
  void want_sign(std::string_view sign);
  std::string want_name(const char* what);
  [[noreturn]] void bad(const std::string& wanted) const;  // "wanted ..., found <the token>"
  [[noreturn]] void fail_here(const std::string& message) const { fail_at(where_, now().place, message); }

  ExprPtr expression(bool with_if = true);
  // a, b, c is a tuple; `simple`: names and literals only (targets of assignments).
  ExprPtr tuple(bool simple, bool with_if, bool parentheses);
  ExprPtr target();  // of for, set, with
  ExprPtr filters(ExprPtr value, bool begun);
  ExprPtr postfix(ExprPtr value);
  ExprPtr primary(bool target = false);

  std::vector<Token> tokens_;
  std::string where_;
  size_t at_ = 0;
  // names that the macro being read uses
  bool uses_varargs_ = false, uses_kwargs_ = false, uses_caller_ = false;

 private:
  ExprPtr make(ExprKind kind, Place place, std::vector<ExprPtr> children, std::string name = "");
  ExprPtr or_expression();
  ExprPtr and_expression();
  ExprPtr not_expression();
  ExprPtr comparison();
  ExprPtr sum();
  ExprPtr concat();
  ExprPtr product();
  ExprPtr power();
  ExprPtr unary(bool with_filters);
  ExprPtr filters_and_tests(ExprPtr value);
  ExprPtr test(ExprPtr value);
  ExprPtr call(ExprPtr callee, ExprKind kind, std::string name);
  ExprPtr subscript(ExprPtr value);
  ExprPtr subscript_part();
  ExprPtr number();

  int nesting_ = 0;  // calls of ours that are open
};

}  // namespace lyceum::jinja
