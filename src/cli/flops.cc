// `lyceum flops`: what a model costs, from its config.json.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <memory>

#include "analysis/accounting.h"
#include "base/error.h"
#include "cli/verb.h"

namespace lyceum {
namespace {

// 47B, 12.9e9, 10.24M
double number_with_unit(const std::string& text, const char* what) {
  char* end = nullptr;
  double x = std::strtod(text.c_str(), &end);
  const std::string unit = end;
  if (unit == "K" || unit == "k") x *= 1e3;
  else if (unit == "M") x *= 1e6;
  else if (unit == "B" || unit == "G") x *= 1e9;
  else if (unit == "T") x *= 1e12;
  else
    check(unit.empty() && end != text.c_str(), "flops", what,
          ": wanted a number such as 47B or 12.9e9, found ", quote(text));
  return x;
}

// A path, or LABEL=TOTAL/ACTIVE.
ModelSize parse_model(const std::string& text) {
  const size_t equals = text.rfind('='), slash = text.rfind('/');
  if (equals == std::string::npos || slash == std::string::npos || slash < equals) return model_size_of(text);
  const std::string label = text.substr(0, equals);
  return model_size_from_counts(label, number_with_unit(text.substr(equals + 1, slash - equals - 1), "total"),
                                number_with_unit(text.substr(slash + 1), "active"));
}

std::pair<std::string, double> parse_score(const std::string& text) {
  const size_t equals = text.rfind('=');
  check(equals != std::string::npos, "flops", "--score: wanted NAME=NUMBER, found ", quote(text));
  return {text.substr(0, equals), number_with_unit(text.substr(equals + 1), "--score")};
}

void add_flops(CLI::App& root) {
  struct Options {
    std::vector<std::string> models, scores;
    std::string tokens;
    AccountingOptions accounting;
    bool json = false, compare = false;
  };
  auto options = std::make_shared<Options>();
  CLI::App* app = root.add_subcommand("flops", "parameters, GFLOPs per token and memory, from config.json");
  app->add_option("MODEL", options->models, "model folder or config.json; LABEL=TOTAL/ACTIVE for counts only")
      ->required();
  app->add_flag("--compare", options->compare, "one row per model (so by itself for several models)");
  app->add_option("--score", options->scores, "NAME=ACCURACY of a model: adds accuracy per GFLOP");
  app->add_option("--context", options->accounting.context, "tokens of a sequence, for attention")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 30));
  app->add_option("--micro-batch", options->accounting.micro_batch, "tokens between two backward passes")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 40));
  app->add_option("--tokens", options->tokens, "tokens of a training run (10.24M): adds its compute");
  app->add_flag("--json", options->json, "numbers for machines");
  app->footer(
      "Examples:\n"
      "  lyceum flops recipes/models/olmoe-1b-7b\n"
      "  lyceum flops recipes/models/*\n"
      "  lyceum flops recipes/models/yuan2-m32 Llama3-70B=70B/70B --score yuan2-m32=79.15 --score "
      "Llama3-70B=79.25\n"
      "  lyceum flops recipes/models/yuan2-m32 --tokens 10.24M --json");
  app->callback([options] {
    std::vector<ModelSize> sizes;
    for (const std::string& model : options->models) sizes.push_back(parse_model(model));
    AccountingOptions& accounting = options->accounting;
    for (const std::string& score : options->scores) accounting.scores.push_back(parse_score(score));
    if (!options->tokens.empty()) accounting.tokens = number_with_unit(options->tokens, "--tokens");
    const std::string text = options->json                          ? accounting_json(sizes, accounting)
                             : sizes.size() > 1 || options->compare ? accounting_table(sizes, accounting)
                                                                    : accounting_text(sizes[0], accounting);
    std::fputs(text.c_str(), stdout);
  });
}

}  // namespace

extern const Verb kFlopsVerb{"flops", add_flops};

}  // namespace lyceum
