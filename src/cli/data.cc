// `lyceum data`: from text on disk to token shards, step by step or all at once.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>

#include "base/error.h"
#include "base/progress.h"
#include "cli/verb.h"
#include "data/ingest.h"

namespace lyceum {
namespace {

void print_reasons(const char* title, const Reasons& reasons) {
  for (const auto& [reason, n] : reasons) std::printf("  %-16s %s: %zu\n", title, reason.c_str(), n);
}

void add_ingest(CLI::App& data) {
  auto options = std::make_shared<IngestOptions>();
  CLI::App* app = data.add_subcommand("ingest", "collect text into documents, a folder per domain");
  app->add_flag("--machine", options->machine,
                "what this Debian machine has: headers, Python, Perl, shell, documentation");
  app->add_option("--packages", options->packages,
                  "folder of unpacked packages (tools/fetch_text.sh makes it)");
  app->add_option("--text", options->texts, "your own folders: each folder inside is a domain");
  app->add_option("--out", options->out, "data folder; documents go to OUT/documents")->required();
  app->add_option("--budget", options->budget, "bytes of text to keep over all domains (64MiB); 0 = all")
      ->transform(CLI::AsSizeValue(false));
  app->add_option("--seed", options->seed, "which files are taken where the budget ends");
  app->footer(
      "Examples:\n"
      "  lyceum data ingest --machine --packages runs/packages --out runs/data\n"
      "  lyceum data ingest --text ~/texts --budget 0 --out runs/mine");
  app->callback([options] {
    const IngestReport report = ingest(*options);
    std::printf("%-16s %10s %12s %10s %10s\n", "domain", "documents", "bytes", "files", "left out");
    for (const IngestedDomain& d : report.domains)
      std::printf("%-16s %10zu %12s %10zu %10zu\n", d.name.c_str(), d.documents,
                  human_bytes(static_cast<double>(d.bytes)).c_str(), d.files_read, d.files_beyond_budget);
    for (const IngestedDomain& d : report.domains) print_reasons((d.name + " refused").c_str(), d.refused);
    for (const std::string& note : report.notes) std::printf("note: %s\n", note.c_str());
    std::printf("%zu documents, %s -> %s/documents\n", report.documents(),
                human_bytes(static_cast<double>(report.bytes())).c_str(), options->out.c_str());
  });
}

void add_data(CLI::App& root) {
  CLI::App* data = root.add_subcommand("data", "documents, filters, duplicates, token shards");
  data->require_subcommand(1);
  add_ingest(*data);
}

}  // namespace

extern const Verb kDataVerb{"data", add_data};

}  // namespace lyceum
