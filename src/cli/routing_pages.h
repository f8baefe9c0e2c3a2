// From checkpoints and text to what a report shows of routing: `lyceum analyze` and the quick start.
#pragma once

#include <string>
#include <vector>

#include "analysis/collect.h"
#include "analysis/report.h"
#include "data/document.h"

namespace lyceum {

struct RoutingPages {
  RoutingReport report;  // of the last checkpoint; saturation against it of the others
  RoutingCounts counts;
};

// A run folder stands for all its complete checkpoints, oldest first. Throws kNotFound when there are none.
std::vector<std::string> checkpoints_of(const std::vector<std::string>& models);

// Reads the documents with every checkpoint (oldest first), domains kept apart.
RoutingPages read_routing(const std::vector<std::string>& checkpoints, const std::vector<Document>& documents,
                          CollectOptions options, const std::string& dtype);

}  // namespace lyceum
