// Two or more runs side by side: what differs in their configuration, and how they did.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "runs/run_database.h"

namespace lyceum {

// The leaves of a JSON document as ("optimizer.lr", "0.0004"), in its order; lists are one leaf. Empty when
// `json` is not an object.
std::vector<std::pair<std::string, std::string>> flatten_json(const std::string& json);

struct RunComparison {
  struct Row {
    std::string key;
    std::vector<std::string> values;  // one per run; "-" when the run does not have it
    int best = -1;                    // index of the best run, for numbers that have a direction
  };
  std::vector<std::string> names;
  std::vector<Row> config;   // keys that are not the same everywhere
  std::vector<Row> results;  // step, tokens, loss, held-out bits per byte by domain, speed, hours
};
RunComparison compare_runs(const std::vector<RunInfo>& runs);

// The comparison as aligned text for a terminal.
std::string comparison_text(const RunComparison& comparison);

}  // namespace lyceum
