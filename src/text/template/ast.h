// What a template is made of after parsing: expressions and statements, each with its place.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "text/template/value.h"

namespace lyceum::jinja {

struct Place {
  int line = 1, column = 1;
};

enum class ExprKind {
  kConst,   // value
  kName,    // name
  kList,    // children
  kTuple,   // children
  kDict,    // children: key, value, key, value, ...
  kAttr,    // children[0].name
  kItem,    // children[0][children[1]]
  kSlice,   // children: begin, end, step; null where absent (only inside kItem)
  kCall,    // children[0](children[1..], named, star, star_star)
  kFilter,  // children[0] | name(...); children[0] is null in a filter block
  kTest,    // children[0] is name(...)
  kNot,
  kNegative,
  kPositive,
  kBinary,   // children[0] name children[1]
  kCompare,  // children[0] ops[0] children[1] ops[1] ...
  kConcat,   // children joined by ~
  kAnd,
  kOr,
  kIf,  // children: condition, then, else (may be null)
};

struct Expr;
using ExprPtr = std::unique_ptr<Expr>;

struct Expr {
  ExprKind kind;
  Place place;
  int depth = 1;  // of the tree below; bounded, so that walking it is
  std::string name;
  Value value;
  std::vector<ExprPtr> children;
  std::vector<std::string> ops;
  std::vector<std::pair<std::string, ExprPtr>> named;
  ExprPtr star, star_star;
};

enum class StatementKind {
  kText,      // text
  kPrint,     // exprs
  kFor,       // target in exprs[0] if exprs[1]; bodies: loop, else
  kIf,        // exprs[i] -> bodies[i]; one more body: else
  kSet,       // target = exprs[0]
  kSetBlock,  // target = bodies[0], through the filters of exprs[0] if there is one
  kMacro,     // name(parameters) bodies[0]
  kCall,      // exprs[0] is the call; bodies[0] is its caller(parameters)
  kFilter,    // bodies[0] through exprs[0]
  kWith,      // targets of children of `target` = exprs; bodies[0]
  kScope,     // bodies[0], its text as a whole
  kBreak,
  kContinue,
};

struct Statement;
using Body = std::vector<std::unique_ptr<Statement>>;

struct Statement {
  StatementKind kind;
  Place place;
  std::string text;  // or name
  ExprPtr target;    // a name, a tuple of names, or namespace.attribute
  std::vector<ExprPtr> exprs;
  std::vector<Body> bodies;
  std::vector<std::pair<std::string, ExprPtr>> parameters;  // with default or null
  bool recursive = false;
  bool uses_varargs = false, uses_kwargs = false, uses_caller = false;  // a macro's body
};

}  // namespace lyceum::jinja
