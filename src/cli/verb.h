// A verb of the command line: one file per verb, one row per verb in main.cc.
//
// A verb adds its subcommand (options, footer with examples) to the application; the subcommand's callback
// does the work and throws Error. Results go to stdout, logs and progress to stderr.
#pragma once

namespace CLI {
class App;
}

namespace lyceum {

struct Verb {
  const char* name;
  void (*add)(CLI::App& app);
};

}  // namespace lyceum
