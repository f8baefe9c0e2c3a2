// `data ingest`: from files to documents, in Dolma's form, a folder per domain.
#pragma once

#include <string>
#include <vector>

#include "data/document.h"
#include "data/machine.h"

namespace lyceum {

struct IngestOptions {
  std::string out;                         // the data folder; documents go to out/documents
  bool machine = false;                    // collect what a Debian machine has (data/machine.h)
  std::vector<std::string> roots = {"/"};  // of the machine; tests give their own
  std::string packages;              // folder of unpacked packages, one folder each; may be empty or absent
  std::vector<std::string> texts;    // the user's own folders
  size_t budget = size_t{64} << 20;  // bytes of text to keep over all domains; 0 = everything
  uint64_t seed = 1;                 // which files are taken where the budget ends
  std::string added;                 // RFC 3339; "" = now
};

struct IngestedDomain {
  std::string name;
  size_t files_found = 0, files_read = 0, files_beyond_budget = 0;
  size_t documents = 0, bytes = 0;  // of text kept
  Reasons refused;                  // files and rows that gave nothing
};

struct IngestReport {
  std::vector<IngestedDomain> domains;  // in the order of their ids
  std::vector<std::string> notes;       // what was skipped and why, one line each
  size_t documents() const;
  size_t bytes() const;
};

// Reads the sources and replaces out/documents. The same files, options and seed give the same documents in
// the same order at any thread count: candidates are sorted by name, then drawn in an order that is a hash of
// seed and name until the domain's share of the budget is full; shares are equal, and what a small domain
// leaves goes to the others. No group of like files takes more than a quarter of a share while others are
// left. A text of more than 256 KiB is cut at paragraph ends into documents of about 32 KiB. Throws kNotFound
// or kInvalidArgument with one line when nothing is left, naming the most frequent reason.
IngestReport ingest(const IngestOptions& options);

// Every file that ingest would choose from. `notes` (may be null) takes what was skipped and why.
std::vector<Candidate> ingest_candidates(const IngestOptions& options, std::vector<std::string>* notes);

// The report as JSON text.
std::string ingest_report_json(const IngestReport& report);

// Equal shares of `budget` over domains of these sizes: min(size, level) with the level chosen so that the
// sum is the budget (all of it when the sizes are less). 0 = no limit.
std::vector<size_t> shares_of(size_t budget, const std::vector<size_t>& sizes);

// Cuts at empty lines, else at line ends, else between characters; joined, the pieces are the text.
std::vector<std::string> cut_text(const std::string& text, size_t above, size_t piece);

}  // namespace lyceum
