// The two tables of filters. For filters.cc and text_filters.cc.
#pragma once

#include <map>
#include <string>

#include "text/template/interpreter.h"

namespace lyceum::jinja {

using Filter = Value (*)(Interpreter&, const Value&, Arguments&);

void add_text_filters(std::map<std::string, Filter>& filters);

}  // namespace lyceum::jinja
