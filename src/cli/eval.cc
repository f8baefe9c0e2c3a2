// `lyceum eval`: perplexity and bits per byte by domain and source.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "cli/model_folder.h"
#include "cli/numbers.h"
#include "cli/verb.h"
#include "eval/documents.h"

namespace lyceum {
namespace {

struct EvalOptions {
  std::string model, dtype = "bf16", json;
  std::vector<std::string> data;
  LikelihoodOptions likelihood;
};

void print_row(const std::string& domain, const std::string& source, const Likelihood& l) {
  std::printf("%-22s %-18s %9lld %11lld %11lld %12.3f %14.4f\n", domain.c_str(), source.c_str(),
              static_cast<long long>(l.documents), static_cast<long long>(l.bytes),
              static_cast<long long>(l.tokens), l.perplexity(), l.bits_per_byte());
}

nlohmann::ordered_json row_json(const Likelihood& l) {
  return {{"documents", l.documents},     {"bytes", l.bytes},
          {"tokens", l.tokens},           {"nll", l.nll},
          {"perplexity", l.perplexity()}, {"bits_per_byte", l.bits_per_byte()}};
}

void run_eval(EvalOptions o) {
  const ModelFolder folder = open_model_folder(o.model, o.dtype);
  if (o.likelihood.window > folder.model->config().max_positions)
    o.likelihood.window = folder.model->config().max_positions;
  if (o.likelihood.stride <= 0) o.likelihood.stride = std::max<int64_t>(1, o.likelihood.window / 2);
  o.likelihood.eos = std::max(0, folder.eos());
  const auto groups = evaluate_documents(*folder.model, folder.tokenizer, read_evaluation_documents(o.data),
                                         o.likelihood, "evaluate");
  std::printf("%-22s %-18s %9s %11s %11s %12s %14s\n", "domain", "source", "documents", "bytes", "tokens",
              "perplexity", "bits per byte");
  Likelihood total;
  nlohmann::ordered_json json;
  json["model"] = folder.path, json["window"] = o.likelihood.window, json["stride"] = o.likelihood.stride;
  for (const GroupLikelihood& g : groups) {
    print_row(g.domain, g.source, g.likelihood);
    auto row = row_json(g.likelihood);
    row["domain"] = g.domain, row["source"] = g.source;
    json["groups"].push_back(row);
    total += g.likelihood;
  }
  print_row("all", "", total);
  json["all"] = row_json(total);
  if (!o.json.empty()) write_file(o.json, json.dump(2) + "\n");
}

void add_eval(CLI::App& root) {
  auto o = std::make_shared<EvalOptions>();
  o->likelihood.stride = 0;
  CLI::App* app = root.add_subcommand("eval", "perplexity and bits per byte by domain and source");
  app->add_option("model,-m,--model", o->model, "model directory, or a run folder")->required();
  app->add_option("--data", o->data,
                  "documents (.jsonl, .jsonl.gz, .jsonl.zst), text files, or folders of them")
      ->required();
  app->add_option("--window", o->likelihood.window, "tokens the model sees at once")
      ->check(CLI::Range(2, 1 << 20))
      ->capture_default_str();
  app->add_option("--stride", o->likelihood.stride, "tokens from window to window (half a window)")
      ->check(finite_number(true));
  app->add_option("--dtype", o->dtype, "bf16 or f32")->capture_default_str();
  app->add_option("--json", o->json, "write the table to this file too");
  app->footer(
      "Examples:\n"
      "  lyceum eval runs/quickstart --data runs/quickstart/data/heldout\n"
      "  lyceum eval runs/quickstart --data README.md docs --window 1024 --json eval.json");
  app->callback([o] { run_eval(*o); });
}

}  // namespace

extern const Verb kEvalVerb{"eval", add_eval};

}  // namespace lyceum
