// `lyceum data`: from text on disk to token shards, step by step or all at once.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <functional>
#include <memory>

#include "base/error.h"
#include "base/file.h"
#include "base/progress.h"
#include "cli/verb.h"
#include "data/inspect.h"
#include "data/prepare.h"

namespace lyceum {
namespace {

std::string bytes_text(size_t n) { return human_bytes(static_cast<double>(n)); }

// Options of collecting text, shared by `ingest` and `prepare`.
void add_sources(CLI::App* app, IngestOptions& o) {
  app->add_flag("--machine", o.machine,
                "what this Debian machine has: headers, Python, Perl, shell, documentation");
  app->add_option("--packages", o.packages, "folder of unpacked packages (tools/fetch_text.sh makes it)");
  app->add_option("--text", o.texts, "your own folders: each folder inside is a domain");
  app->add_option("--budget", o.budget, "bytes of text to keep over all domains (64MiB); 0 = all")
      ->transform(CLI::AsSizeValue(false));
  app->add_option("--seed", o.seed, "which files are taken where the budget ends");
}
void add_filters(CLI::App* app, FilterOptions& o) {
  app->add_option("--min-bytes", o.min_bytes, "shorter documents are dropped");
  app->add_option("--max-bytes", o.max_bytes, "longer documents are dropped")
      ->transform(CLI::AsSizeValue(false));
  app->add_option("--min-letters", o.min_letters, "least share of letters in a text");
}
void add_duplicates(CLI::App* app, DedupOptions& o) {
  app->add_option("--threshold", o.threshold, "similarity from which documents are near duplicates");
  app->add_flag(
      "--exact-only", [&o](int64_t) { o.near = false; }, "keep near duplicates");
}
void add_heldout(CLI::App* app, SplitOptions& o) {
  app->add_option("--heldout", o.heldout_bytes, "bytes of whole documents held out per domain (256KiB)")
      ->transform(CLI::AsSizeValue(false));
}

void print_ingested(const IngestReport& report, const std::string& out) {
  std::printf("%-16s %10s %12s %10s %10s\n", "domain", "documents", "bytes", "files", "left out");
  for (const IngestedDomain& d : report.domains)
    std::printf("%-16s %10zu %12s %10zu %10zu\n", d.name.c_str(), d.documents, bytes_text(d.bytes).c_str(),
                d.files_read, d.files_beyond_budget);
  for (const IngestedDomain& d : report.domains)
    for (const auto& [reason, n] : d.refused)
      std::printf("refused in %s: %zu %s\n", d.name.c_str(), n, reason.c_str());
  for (const std::string& note : report.notes) std::printf("note: %s\n", note.c_str());
  std::printf("%zu documents, %s -> %s/documents\n", report.documents(), bytes_text(report.bytes()).c_str(),
              out.c_str());
}

void add_ingest(CLI::App& data) {
  auto o = std::make_shared<IngestOptions>();
  CLI::App* app = data.add_subcommand("ingest", "collect text into documents, a folder per domain");
  add_sources(app, *o);
  app->add_option("--out", o->out, "data folder; documents go to OUT/documents")->required();
  app->footer(
      "Examples:\n"
      "  lyceum data ingest --machine --packages runs/packages --out runs/data\n"
      "  lyceum data ingest --text ~/texts --budget 0 --out runs/mine");
  app->callback([o] { print_ingested(ingest(*o), o->out); });
}

void add_filter(CLI::App& data) {
  auto o = std::make_shared<FilterOptions>();
  CLI::App* app = data.add_subcommand("filter", "mark documents that are not worth training on, and why");
  app->add_option("FOLDER", o->folder, "data folder")->required();
  add_filters(app, *o);
  app->footer("Examples:\n  lyceum data filter runs/data");
  app->callback([o] {
    const FilterReport report = filter(*o);
    for (const FilteredDomain& d : report.domains) {
      std::printf("%-16s kept %zu of %zu documents, %s of %s", d.name.c_str(), d.kept, d.documents,
                  bytes_text(d.kept_bytes).c_str(), bytes_text(d.bytes).c_str());
      for (const auto& [reason, n] : d.dropped) std::printf("; %s %zu", reason.c_str(), n);
      for (const auto& [kind, n] : d.personal_data) std::printf("; found %zu %s", n, kind.c_str());
      std::printf("\n");
    }
    for (const std::string& e : report.examples) std::printf("dropped: %s\n", e.c_str());
  });
}

void add_dedup(CLI::App& data) {
  auto o = std::make_shared<DedupOptions>();
  CLI::App* app = data.add_subcommand("dedup", "mark exact and near duplicates");
  app->add_option("FOLDER", o->folder, "data folder")->required();
  add_duplicates(app, *o);
  app->footer("Examples:\n  lyceum data dedup runs/data --threshold 0.8");
  app->callback([o] {
    const DedupReport report = dedup(*o);
    for (const DedupedDomain& d : report.domains)
      std::printf("%-16s %zu documents: %zu exact (%s), %zu near (%s)\n", d.name.c_str(), d.documents,
                  d.exact, bytes_text(d.exact_bytes).c_str(), d.near, bytes_text(d.near_bytes).c_str());
    for (const auto* list : {&report.exact_examples, &report.near_examples})
      for (const DuplicatePair& p : *list)
        std::printf("%.2f  %s  like  %s\n", p.similarity, p.dropped.c_str(), p.kept.c_str());
  });
}

void add_split(CLI::App& data) {
  auto o = std::make_shared<SplitOptions>();
  CLI::App* app =
      data.add_subcommand("split", "hold whole documents out of training, by a hash of their ids");
  app->add_option("FOLDER", o->folder, "data folder")->required();
  add_heldout(app, *o);
  app->add_option("--seed", o->seed, "which documents");
  app->footer(
      "Examples:\n  lyceum data split runs/data --heldout 256KiB && xz -9k runs/data/heldout_text/c.txt");
  app->callback([o] {
    for (const SplitDomain& d : split(*o).domains)
      std::printf("%-16s held out %zu documents, %s; %zu like them left out of training\n", d.name.c_str(),
                  d.heldout_documents, bytes_text(d.heldout_bytes).c_str(), d.near_documents);
  });
}

void add_tokenize(CLI::App& data) {
  auto o = std::make_shared<TokenizeOptions>();
  CLI::App* app =
      data.add_subcommand("tokenize", "documents that are kept to token shards (Megatron's .bin and .idx)");
  app->add_option("FOLDER", o->folder, "data folder")->required();
  app->add_option("--tokenizer", o->tokenizer, "tokenizer.json or its folder")->required();
  app->add_option("--out", o->out, "folder of the shards (FOLDER/tokens)");
  app->add_flag("--mask-pii", o->mask_pii, "mask e-mail addresses, telephone and IP numbers");
  app->footer("Examples:\n  lyceum data tokenize runs/data --tokenizer runs/data/tokenizer");
  app->callback([o] {
    const TokenizeReport report = tokenize(*o);
    for (const TokenizedDomain& d : report.domains)
      std::printf("%-16s %8zu documents %12s %12zu tokens %6.2f bytes/token; held out %s\n", d.name.c_str(),
                  d.documents, bytes_text(d.bytes).c_str(), d.tokens,
                  d.tokens ? static_cast<double>(d.bytes) / static_cast<double>(d.tokens) : 0.0,
                  bytes_text(d.heldout_bytes).c_str());
  });
}

void add_mix(CLI::App& data) {
  auto o = std::make_shared<MixOptions>();
  CLI::App* app = data.add_subcommand("mix", "a new shard with the domains in other proportions");
  app->add_option("SHARD", o->shards, "prefixes of token shards")->required();
  app->add_option("--out", o->out, "prefix of the new shard")->required();
  app->add_option("--weight", o->weights, "name=weight multiplies a domain's share; 0 leaves it out");
  app->add_option("--temperature", o->temperature, "share ~ tokens^(1/temperature)");
  app->add_option("--max-copies", o->max_copies, "most copies of a document");
  app->add_option("--tokens", o->tokens, "about so many tokens in all; 0 = as many as there are");
  app->add_option("--seed", o->seed, "which documents, in which order");
  app->footer(
      "Examples:\n  lyceum data mix runs/data/tokens/train --weight c=2 --temperature 2 --out "
      "runs/data/tokens/mixed");
  app->callback([o] {
    for (const MixedDomain& d : mix(*o))
      std::printf("%-16s %12lld -> %12lld tokens, %lld documents\n", d.name.c_str(),
                  static_cast<long long>(d.tokens_before), static_cast<long long>(d.tokens),
                  static_cast<long long>(d.documents));
  });
}

void add_inspect(CLI::App& data) {
  auto o = std::make_shared<InspectOptions>();
  CLI::App* app = data.add_subcommand("inspect", "counts, domains and samples of documents or shards");
  app->add_option("PATH", o->path, "a data folder, a file of documents, or the prefix of a token shard")
      ->required();
  app->add_option("--tokenizer", o->tokenizer, "decodes the samples of a shard");
  app->add_option("--domain", o->domain, "samples of this domain only");
  app->add_option("--samples", o->samples, "how many documents to show");
  app->add_option("--seed", o->seed, "which documents");
  app->footer(
      "Examples:\n"
      "  lyceum data inspect runs/data --domain c\n"
      "  lyceum data inspect runs/data/tokens/train --tokenizer runs/data/tokenizer --samples 3");
  app->callback([o] { std::fputs(inspect(*o).c_str(), stdout); });
}

void add_prepare(CLI::App& data) {
  auto o = std::make_shared<PrepareOptions>();
  CLI::App* app = data.add_subcommand(
      "prepare", "all of it: collect, filter, dedup, hold out, train a tokenizer, tokenize");
  add_sources(app, o->ingest);
  add_filters(app, o->filter);
  add_duplicates(app, o->dedup);
  add_heldout(app, o->split);
  app->add_option("--out", o->folder, "data folder")->required();
  app->add_option("--tokenizer", o->tokenizer, "use this tokenizer.json instead of training one");
  app->add_option("--vocab", o->vocab_size, "size of the vocabulary to train");
  app->add_flag("--mask-pii", o->mask_pii, "mask e-mail addresses, telephone and IP numbers");
  app->footer(
      "What is up to date is not done again.\n"
      "Examples:\n"
      "  lyceum data prepare --machine --packages runs/packages --out runs/data\n"
      "  lyceum data prepare --text ~/texts --vocab 8192 --out runs/mine");
  app->callback([o] {
    const PreparedData p = prepare(*o);
    std::printf("%-16s %10s %12s %12s %12s\n", "domain", "documents", "bytes", "tokens", "held out");
    for (const PreparedDomain& d : p.domains)
      std::printf("%-16s %10lld %12s %12lld %12s\n", d.name.c_str(), static_cast<long long>(d.documents),
                  bytes_text(static_cast<size_t>(d.bytes)).c_str(), static_cast<long long>(d.tokens),
                  bytes_text(static_cast<size_t>(d.heldout_bytes)).c_str());
    std::printf("%lld tokens -> %s; tokenizer %s; report %s\n", static_cast<long long>(p.tokens()),
                p.train_shard.c_str(), p.tokenizer.c_str(), p.report.c_str());
  });
}

void add_data(CLI::App& root) {
  CLI::App* data = root.add_subcommand("data", "documents, filters, duplicates, token shards");
  data->require_subcommand(1);
  for (const auto add :
       {add_prepare, add_ingest, add_filter, add_dedup, add_split, add_tokenize, add_mix, add_inspect})
    add(*data);
}

}  // namespace

extern const Verb kDataVerb{"data", add_data};

}  // namespace lyceum
