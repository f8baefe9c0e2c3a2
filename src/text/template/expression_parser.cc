#include "text/template/expression_parser.h"

#include <charconv>
#include <cstdlib>

#include "base/error.h"

namespace lyceum::jinja {
namespace {

constexpr int kDeepestExpression = 200;

std::string spelled(const Token& t) {
  switch (t.kind) {
    case TokenKind::kEnd:
      return "the end of the template";
    case TokenKind::kText:
      return "text";
    case TokenKind::kPrintEnd:
      return "}}";
    case TokenKind::kBlockEnd:
      return "%}";
    case TokenKind::kPrintBegin:
      return "{{";
    case TokenKind::kBlockBegin:
      return "{%";
    default:
      return quote(t.text).str();
  }
}

}  // namespace

bool ExpressionParser::skip_sign(std::string_view sign) {
  if (!is_sign(sign)) return false;
  next();
  return true;
}
bool ExpressionParser::skip_name(std::string_view name) {
  if (!is_name(name)) return false;
  next();
  return true;
}
void ExpressionParser::want_sign(std::string_view sign) {
  if (!skip_sign(sign)) bad(std::string(sign));
}
std::string ExpressionParser::want_name(const char* what) {
  if (now().kind != TokenKind::kName) bad(what);
  return next().text;
}
void ExpressionParser::bad(const std::string& wanted) const {
  fail_here("wanted " + wanted + ", found " + spelled(now()));
}

// Trees are bounded, so that everything that walks them is.
ExprPtr ExpressionParser::make(ExprKind kind, Place place, std::vector<ExprPtr> children, std::string name) {
  auto e = std::make_unique<Expr>();
  e->kind = kind;
  e->place = place;
  e->name = std::move(name);
  for (const ExprPtr& child : children)
    if (child) e->depth = std::max(e->depth, child->depth + 1);
  if (e->depth > kDeepestExpression)
    fail_at(where_, place, "wanted expressions at most 200 deep, found a deeper one");
  e->children = std::move(children);
  return e;
}

namespace {
std::vector<ExprPtr> list_of(ExprPtr a, ExprPtr b = nullptr, ExprPtr c = nullptr) {
  std::vector<ExprPtr> out;
  out.push_back(std::move(a));
  if (b) out.push_back(std::move(b));
  if (c) out.push_back(std::move(c));
  return out;
}
}  // namespace

// condition: or_expression [if or_expression [else condition]]
ExprPtr ExpressionParser::expression(bool with_if) {
  if (++nesting_ > kDeepestExpression) fail_here("wanted expressions at most 200 deep, found a deeper one");
  ExprPtr value = or_expression();
  while (with_if && is_name("if")) {
    const Place place = next().place;
    ExprPtr condition = or_expression(), otherwise;
    if (skip_name("else")) otherwise = expression();
    std::vector<ExprPtr> parts = list_of(std::move(condition), std::move(value));
    parts.push_back(std::move(otherwise));
    value = make(ExprKind::kIf, place, std::move(parts));
  }
  --nesting_;
  return value;
}

ExprPtr ExpressionParser::or_expression() {
  ExprPtr left = and_expression();
  while (is_name("or")) {
    const Place place = next().place;
    ExprPtr right = and_expression();
    left = make(ExprKind::kOr, place, list_of(std::move(left), std::move(right)));
  }
  return left;
}

ExprPtr ExpressionParser::and_expression() {
  ExprPtr left = not_expression();
  while (is_name("and")) {
    const Place place = next().place;
    ExprPtr right = not_expression();
    left = make(ExprKind::kAnd, place, list_of(std::move(left), std::move(right)));
  }
  return left;
}

ExprPtr ExpressionParser::not_expression() {
  if (!is_name("not")) return comparison();
  if (++nesting_ > kDeepestExpression) fail_here("wanted expressions at most 200 deep, found a deeper one");
  const Place place = next().place;
  ExprPtr value = make(ExprKind::kNot, place, list_of(not_expression()));
  --nesting_;
  return value;
}

ExprPtr ExpressionParser::comparison() {
  ExprPtr first = sum();
  std::vector<ExprPtr> parts;
  std::vector<std::string> ops;
  const Place place = now().place;
  while (true) {
    std::string op;
    for (const char* sign : {"==", "!=", "<", "<=", ">", ">="})
      if (is_sign(sign)) op = sign;
    if (op.empty() && is_name("in")) op = "in";
    if (op.empty() && is_name("not") && ahead().kind == TokenKind::kName && ahead().text == "in") {
      next();
      op = "not in";
    }
    if (op.empty()) break;
    next();
    if (parts.empty()) parts.push_back(std::move(first));
    parts.push_back(sum());
    ops.push_back(op);
  }
  if (parts.empty()) return first;
  ExprPtr value = make(ExprKind::kCompare, place, std::move(parts));
  value->ops = std::move(ops);
  return value;
}

ExprPtr ExpressionParser::sum() {
  ExprPtr left = concat();
  while (is_sign("+") || is_sign("-")) {
    const Token& op = next();
    const Place place = op.place;
    const std::string sign = op.text;
    ExprPtr right = concat();
    left = make(ExprKind::kBinary, place, list_of(std::move(left), std::move(right)), sign);
  }
  return left;
}

ExprPtr ExpressionParser::concat() {
  ExprPtr first = product();
  if (!is_sign("~")) return first;
  const Place place = now().place;
  std::vector<ExprPtr> parts = list_of(std::move(first));
  while (skip_sign("~")) parts.push_back(product());
  return make(ExprKind::kConcat, place, std::move(parts));
}

ExprPtr ExpressionParser::product() {
  ExprPtr left = power();
  while (is_sign("*") || is_sign("/") || is_sign("//") || is_sign("%")) {
    const Token& op = next();
    const Place place = op.place;
    const std::string sign = op.text;
    ExprPtr right = power();
    left = make(ExprKind::kBinary, place, list_of(std::move(left), std::move(right)), sign);
  }
  return left;
}

ExprPtr ExpressionParser::power() {
  ExprPtr left = unary(true);
  while (is_sign("**")) {
    const Place place = next().place;
    ExprPtr right = unary(true);
    left = make(ExprKind::kBinary, place, list_of(std::move(left), std::move(right)), "**");
  }
  return left;
}

ExprPtr ExpressionParser::unary(bool with_filters) {
  if (++nesting_ > kDeepestExpression) fail_here("wanted expressions at most 200 deep, found a deeper one");
  ExprPtr value;
  if (is_sign("-") || is_sign("+")) {
    const ExprKind kind = is_sign("-") ? ExprKind::kNegative : ExprKind::kPositive;
    const Place place = next().place;
    value = make(kind, place, list_of(unary(false)));
  } else {
    value = primary();
  }
  value = postfix(std::move(value));
  if (with_filters) value = filters_and_tests(std::move(value));
  --nesting_;
  return value;
}

ExprPtr ExpressionParser::number() {
  const Token t = next();
  ExprPtr value = make(ExprKind::kConst, t.place, {});
  if (t.kind == TokenKind::kFloat) {
    value->value = Value(std::strtod(t.text.c_str(), nullptr));
    return value;
  }
  int base = 10;
  std::string_view digits = t.text;
  if (digits.size() > 1 && digits[0] == '0' && (digits[1] | 32) >= 'b') {
    base = (digits[1] | 32) == 'x' ? 16 : (digits[1] | 32) == 'o' ? 8 : 2;
    digits.remove_prefix(2);
  }
  int64_t n = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), n, base);
  if (error != std::errc() || end != digits.data() + digits.size())
    fail_at(where_, t.place, detail::join("wanted a whole number below 2^63, found ", quote(t.text)));
  value->value = Value(n);
  return value;
}

ExprPtr ExpressionParser::primary(bool target) {
  const Token& t = now();
  const Place place = t.place;
  switch (t.kind) {
    case TokenKind::kName: {
      const std::string name = next().text;
      if (target && is_sign(".")) {
        next();
        const std::string attribute = want_name("the name of an attribute");
        ExprPtr base = make(ExprKind::kName, place, {}, name);
        return make(ExprKind::kAttr, place, list_of(std::move(base)), attribute);
      }
      ExprPtr value = make(ExprKind::kConst, place, {});
      if (name == "true" || name == "True") value->value = Value(true);
      else if (name == "false" || name == "False") value->value = Value(false);
      else if (name == "none" || name == "None") value->value = Value::none();
      else {
        value->kind = ExprKind::kName;
        value->name = name;
        uses_varargs_ |= name == "varargs";
        uses_kwargs_ |= name == "kwargs";
        uses_caller_ |= name == "caller";
      }
      return value;
    }
    case TokenKind::kString: {
      std::string text;
      while (now().kind == TokenKind::kString) text += next().text;
      ExprPtr value = make(ExprKind::kConst, place, {});
      value->value = Value::text(text);
      return value;
    }
    case TokenKind::kInteger:
    case TokenKind::kFloat:
      return number();
    default:
      break;
  }
  if (skip_sign("(")) {
    ExprPtr value = tuple(false, true, true);
    want_sign(")");
    return value;
  }
  const bool list = is_sign("[");
  if (!list && !is_sign("{")) bad("an expression");
  next();
  std::vector<ExprPtr> items;
  const char* close = list ? "]" : "}";
  while (!is_sign(close)) {
    if (!items.empty()) want_sign(",");
    if (is_sign(close)) break;
    items.push_back(expression());
    if (list) continue;
    want_sign(":");
    items.push_back(expression());
  }
  next();
  return make(list ? ExprKind::kList : ExprKind::kDict, place, std::move(items));
}

ExprPtr ExpressionParser::tuple(bool simple, bool with_if, bool parentheses) {
  const Place place = now().place;
  std::vector<ExprPtr> items;
  bool is_tuple = false;
  const auto at_end = [&] {
    return now().kind == TokenKind::kPrintEnd || now().kind == TokenKind::kBlockEnd || is_sign(")") ||
           (simple && is_name("in")) || (!simple && !with_if && is_name("recursive"));
  };
  while (true) {
    if (!items.empty()) want_sign(",");
    if (at_end()) break;
    items.push_back(simple ? primary(true) : expression(with_if));
    if (!is_sign(",")) break;
    is_tuple = true;
  }
  if (!is_tuple && !items.empty()) return std::move(items[0]);
  if (!is_tuple && !parentheses) bad("an expression");
  return make(ExprKind::kTuple, place, std::move(items));
}

ExprPtr ExpressionParser::target() {
  const Place place = now().place;
  ExprPtr value = tuple(true, false, false);
  const auto assignable = [](const Expr& e) {
    return e.kind == ExprKind::kName || e.kind == ExprKind::kAttr;
  };
  bool good = assignable(*value) || value->kind == ExprKind::kTuple;
  if (value->kind == ExprKind::kTuple)
    for (const ExprPtr& child : value->children) good = good && assignable(*child);
  if (!good) fail_at(where_, place, "wanted a name to assign to, found another expression");
  return value;
}

ExprPtr ExpressionParser::postfix(ExprPtr value) {
  while (true) {
    if (is_sign(".") || is_sign("[")) value = subscript(std::move(value));
    else if (is_sign("(")) value = call(std::move(value), ExprKind::kCall, "");
    else return value;
  }
}

ExprPtr ExpressionParser::filters_and_tests(ExprPtr value) {
  while (true) {
    if (is_sign("|")) value = filters(std::move(value), false);
    else if (is_name("is")) value = test(std::move(value));
    else if (is_sign("(")) value = call(std::move(value), ExprKind::kCall, "");
    else return value;
  }
}

ExprPtr ExpressionParser::filters(ExprPtr value, bool begun) {
  while (begun || is_sign("|")) {
    if (!begun) next();
    begun = false;
    const Place place = now().place;
    const std::string name = want_name("the name of a filter");
    if (is_sign("(")) value = call(std::move(value), ExprKind::kFilter, name);
    else {
      std::vector<ExprPtr> children;
      children.push_back(std::move(value));
      value = make(ExprKind::kFilter, place, std::move(children), name);
    }
  }
  return value;
}

ExprPtr ExpressionParser::test(ExprPtr value) {
  const Place place = next().place;
  const bool negated = skip_name("not");
  const std::string name = want_name("the name of a test");
  if (is_sign("(")) {
    value = call(std::move(value), ExprKind::kTest, name);
  } else {
    const TokenKind kind = now().kind;
    const bool operand = kind == TokenKind::kString || kind == TokenKind::kInteger ||
                         kind == TokenKind::kFloat || is_sign("[") || is_sign("{") ||
                         (kind == TokenKind::kName && !is_name("else") && !is_name("or") && !is_name("and") &&
                          !is_name("if") && !is_name("in") && !is_name("not"));
    std::vector<ExprPtr> children = list_of(std::move(value));
    if (operand && is_name("is")) fail_here("tests cannot be chained with is");
    if (operand) children.push_back(postfix(primary()));
    value = make(ExprKind::kTest, place, std::move(children), name);
  }
  return negated ? make(ExprKind::kNot, place, list_of(std::move(value))) : std::move(value);
}

// The part in brackets of a call, filter or test.
ExprPtr ExpressionParser::call(ExprPtr callee, ExprKind kind, std::string name) {
  const Place place = now().place;
  want_sign("(");
  std::vector<ExprPtr> children;
  children.push_back(std::move(callee));
  std::vector<std::pair<std::string, ExprPtr>> named;
  ExprPtr star, star_star;
  int deepest = 0;
  for (bool first = true; !is_sign(")"); first = false) {
    if (!first) want_sign(",");
    if (is_sign(")")) break;
    if (skip_sign("*")) {
      if (star || star_star) fail_here("found a second * in a call");
      star = expression();
    } else if (skip_sign("**")) {
      if (star_star) fail_here("found a second ** in a call");
      star_star = expression();
    } else if (now().kind == TokenKind::kName && ahead().kind == TokenKind::kSign && ahead().text == "=") {
      const std::string key = next().text;
      next();
      named.emplace_back(key, expression());
      deepest = std::max(deepest, named.back().second->depth);
    } else {
      if (star || star_star || !named.empty()) fail_here("found a value behind named arguments of a call");
      children.push_back(expression());
    }
  }
  want_sign(")");
  ExprPtr value = make(kind, place, std::move(children), std::move(name));
  for (const ExprPtr* e : {&star, &star_star})
    if (*e) deepest = std::max(deepest, (*e)->depth);
  value->depth = std::max(value->depth, deepest + 1);
  value->named = std::move(named);
  value->star = std::move(star);
  value->star_star = std::move(star_star);
  return value;
}

ExprPtr ExpressionParser::subscript(ExprPtr value) {
  const Token t = next();
  if (t.text == ".") {
    if (now().kind == TokenKind::kName)
      return make(ExprKind::kAttr, t.place, list_of(std::move(value)), next().text);
    if (now().kind != TokenKind::kInteger) bad("a name or a number");
    ExprPtr index = number();
    return make(ExprKind::kItem, t.place, list_of(std::move(value), std::move(index)));
  }
  ExprPtr index = subscript_part();
  if (is_sign(",")) fail_here("several subscripts are not supported");
  want_sign("]");
  return make(ExprKind::kItem, t.place, list_of(std::move(value), std::move(index)));
}

ExprPtr ExpressionParser::subscript_part() {
  const Place place = now().place;
  std::vector<ExprPtr> parts(3);
  if (!is_sign(":")) {
    parts[0] = expression();
    if (!is_sign(":")) return std::move(parts[0]);
  }
  next();
  if (!is_sign(":") && !is_sign("]") && !is_sign(",")) parts[1] = expression();
  if (skip_sign(":") && !is_sign("]") && !is_sign(",")) parts[2] = expression();
  return make(ExprKind::kSlice, place, std::move(parts));
}

}  // namespace lyceum::jinja
