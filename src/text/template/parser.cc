#include "text/template/parser.h"

#include <algorithm>

#include "base/error.h"
#include "text/template/expression_parser.h"

namespace lyceum::jinja {
namespace {

constexpr int kDeepestStatement = 100;

class Parser : ExpressionParser {
 public:
  using ExpressionParser::ExpressionParser;

  Body run() {
    Body out = body({});
    return out;
  }

 private:
  using StatementPtr = std::unique_ptr<Statement>;

  StatementPtr make(StatementKind kind, Place place) {
    auto s = std::make_unique<Statement>();
    s->kind = kind;
    s->place = place;
    return s;
  }

  // Statements up to a tag that is one of `ends`, which stays to be read: {% and its name are behind us.
  Body body(const std::vector<std::string>& ends) {
    if (++nesting_ > kDeepestStatement) fail_here("wanted statements at most 100 deep, found a deeper one");
    const Place begin = now().place;
    Body out;
    while (true) {
      const Token& t = now();
      if (t.kind == TokenKind::kEnd) {
        if (!ends.empty())
          fail_at(where_, begin,
                  "wanted {% " + ends.back() + " %} for the tag before this, found the end of the template");
        break;
      }
      if (t.kind == TokenKind::kText) {
        StatementPtr s = make(StatementKind::kText, t.place);
        s->text = next().text;
        out.push_back(std::move(s));
      } else if (t.kind == TokenKind::kPrintBegin) {
        StatementPtr s = make(StatementKind::kPrint, next().place);
        s->exprs.push_back(tuple(false, true, false));
        if (now().kind != TokenKind::kPrintEnd) bad("}}");
        next();
        out.push_back(std::move(s));
      } else {
        if (t.kind != TokenKind::kBlockBegin) bad("a tag");
        next();
        if (now().kind != TokenKind::kName) bad("the name of a tag");
        if (std::find(ends.begin(), ends.end(), now().text) != ends.end()) break;
        out.push_back(tag());
      }
    }
    --nesting_;
    return out;
  }

  void end_tag() {
    if (now().kind != TokenKind::kBlockEnd) bad("%}");
    next();
  }
  // The body of a tag, and the end of the tag behind it.
  Body closed_body(const std::string& end) {
    end_tag();
    Body out = body({end});
    next();
    end_tag();
    return out;
  }

  StatementPtr tag() {
    const Token t = next();
    if (t.text == "for") return for_tag(t.place);
    if (t.text == "if") return if_tag(t.place);
    if (t.text == "set") return set_tag(t.place);
    if (t.text == "macro") return macro_tag(t.place);
    if (t.text == "call") return call_tag(t.place);
    if (t.text == "with") return with_tag(t.place);
    StatementPtr s = make(StatementKind::kPrint, t.place);
    if (t.text == "print") {
      while (now().kind != TokenKind::kBlockEnd) {
        if (!s->exprs.empty()) want_sign(",");
        s->exprs.push_back(expression());
      }
      end_tag();
    } else if (t.text == "filter") {
      s->kind = StatementKind::kFilter;
      s->exprs.push_back(filters(nullptr, true));
      s->bodies.push_back(closed_body("endfilter"));
    } else if (t.text == "generation") {
      s->kind = StatementKind::kScope;
      s->bodies.push_back(closed_body("endgeneration"));
    } else if (t.text == "break" || t.text == "continue") {
      if (loops_ == 0) fail_at(where_, t.place, "found " + t.text + " outside of a loop");
      s->kind = t.text == "break" ? StatementKind::kBreak : StatementKind::kContinue;
      end_tag();
    } else {
      fail(ErrorKind::kUnsupported, detail::join(where_, ":", t.place.line, ":", t.place.column).c_str(),
           "the tag ", quote(t.text),
           " is not supported; known are break, call, continue, filter, for, generation, "
           "if, macro, print, raw, set, with");
    }
    return s;
  }

  StatementPtr for_tag(Place place) {
    StatementPtr s = make(StatementKind::kFor, place);
    s->target = target();
    if (!skip_name("in")) bad("in");
    s->exprs.push_back(tuple(false, false, false));
    s->exprs.push_back(skip_name("if") ? expression() : nullptr);
    s->recursive = skip_name("recursive");
    end_tag();
    ++loops_;
    s->bodies.push_back(body({"else", "endfor"}));
    --loops_;
    if (next().text == "else") s->bodies.push_back(closed_body("endfor"));
    else end_tag();
    return s;
  }

  StatementPtr if_tag(Place place) {
    StatementPtr s = make(StatementKind::kIf, place);
    for (std::string end = "elif"; end != "endif";) {
      if (end == "elif") s->exprs.push_back(tuple(false, false, false));
      end_tag();
      s->bodies.push_back(end == "else" ? body({"endif"}) : body({"elif", "else", "endif"}));
      end = next().text;
    }
    end_tag();
    return s;
  }

  StatementPtr set_tag(Place place) {
    StatementPtr s = make(StatementKind::kSet, place);
    s->target = target();
    if (skip_sign("=")) {
      s->exprs.push_back(tuple(false, true, false));
      end_tag();
      return s;
    }
    s->kind = StatementKind::kSetBlock;
    if (is_sign("|")) s->exprs.push_back(filters(nullptr, false));
    s->bodies.push_back(closed_body("endset"));
    return s;
  }

  void signature(Statement& s) {
    want_sign("(");
    bool has_default = false;
    while (!is_sign(")")) {
      if (!s.parameters.empty()) want_sign(",");
      const std::string name = want_name("the name of a parameter");
      ExprPtr otherwise;
      if (skip_sign("=")) otherwise = expression();
      else if (has_default) fail_here("found a parameter without default behind one with a default");
      has_default = otherwise != nullptr;
      s.parameters.emplace_back(name, std::move(otherwise));
    }
    next();
  }

  // Which of the names that only macros have its body uses.
  template <class ReadBody>
  void read_macro_body(Statement& s, const ReadBody& read) {
    const bool varargs = uses_varargs_, kwargs = uses_kwargs_, caller = uses_caller_;
    const int loops = std::exchange(loops_, 0);
    uses_varargs_ = uses_kwargs_ = uses_caller_ = false;
    s.bodies.push_back(read());
    s.uses_varargs = std::exchange(uses_varargs_, varargs);
    s.uses_kwargs = std::exchange(uses_kwargs_, kwargs);
    s.uses_caller = std::exchange(uses_caller_, caller);
    loops_ = loops;
  }

  StatementPtr macro_tag(Place place) {
    StatementPtr s = make(StatementKind::kMacro, place);
    s->text = want_name("the name of a macro");
    signature(*s);
    read_macro_body(*s, [&] { return closed_body("endmacro"); });
    return s;
  }

  StatementPtr call_tag(Place place) {
    StatementPtr s = make(StatementKind::kCall, place);
    if (is_sign("(")) signature(*s);
    s->exprs.push_back(expression());
    if (s->exprs[0]->kind != ExprKind::kCall) fail_at(where_, place, "wanted a call behind {% call");
    read_macro_body(*s, [&] { return closed_body("endcall"); });
    return s;
  }

  StatementPtr with_tag(Place place) {
    StatementPtr s = make(StatementKind::kWith, place);
    s->target = std::make_unique<Expr>();
    s->target->kind = ExprKind::kTuple;
    while (now().kind != TokenKind::kBlockEnd) {
      if (!s->exprs.empty()) want_sign(",");
      auto name = std::make_unique<Expr>();
      name->kind = ExprKind::kName;
      name->place = now().place;
      name->name = want_name("a name");
      s->target->children.push_back(std::move(name));
      want_sign("=");
      s->exprs.push_back(expression());
    }
    s->bodies.push_back(closed_body("endwith"));
    return s;
  }

  int nesting_ = 0, loops_ = 0;
};

}  // namespace

Body parse(std::string_view source, const std::string& where) {
  return Parser(tokenize(source, where), where).run();
}

}  // namespace lyceum::jinja
