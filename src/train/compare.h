// One recipe, several runs: what `lyceum train` does with compare.variants. Data, seed, schedule and
// everything that a variant does not name are the same; the parameters that see a token must be, too.
#pragma once

#include "train/config.h"

namespace lyceum {

struct ComparedRun {
  std::string name;
  TrainConfig config;  // train.folder is <folder of the recipe>/<name>
  int64_t active = 0;  // matrix parameters that multiply each token, output matrix left out
};

// "name: section.key=value section.key=value". Throws kInvalidArgument for a text of another form.
std::pair<std::string, std::vector<Setting>> parse_variant(const std::string& text);

// The runs of a recipe whose compare.variants is not empty, in order. Throws kInvalidArgument naming the
// variant whose settings are wrong, or whose active parameters differ by more than compare.active_tolerance
// from the first one's (the message says what would make them equal).
std::vector<ComparedRun> compared_runs(const std::string& recipe, const std::vector<Setting>& overrides);

}  // namespace lyceum
