// The page that compares the runs of one recipe: curves, load, entropy, speed.
#pragma once

#include <string>
#include <vector>

namespace lyceum {

struct ComparedFolder {
  std::string name, folder;  // of the run
  std::string router;        // what it differs in, for people
  double n_experts = 0, top_k = 0, active = 0;
};

// Reads metrics.jsonl of every run and writes PATH (HTML). Returns the table as text for a terminal.
std::string write_compare_report(const std::string& path, const std::string& title,
                                 const std::vector<ComparedFolder>& runs);

}  // namespace lyceum
