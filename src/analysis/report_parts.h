// Sections of the report, one function each (report.cc, report_routing.cc).
#pragma once

#include "analysis/html.h"
#include "analysis/report.h"

namespace lyceum {

void add_routing_section(HtmlPage& page, const RoutingReport& routing);

}  // namespace lyceum
