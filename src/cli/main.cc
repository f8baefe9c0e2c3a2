// The table of verbs, and the border at which errors become exit codes.
//
// Exit codes: 0 done; 1 the work failed (one line on stderr says why); 2 the command line is wrong; 130
// interrupted.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <new>

#include "base/error.h"
#include "base/fields.h"
#include "cli/verb.h"
#include "train/state.h"

namespace lyceum {

// one row per verb, in the order of --help
extern const Verb kQuickstartVerb;
extern const Verb kDoctorVerb;
extern const Verb kDataVerb;
extern const Verb kTokenizerVerb;
extern const Verb kTrainVerb;
extern const Verb kReplayVerb;
extern const Verb kEvalVerb;
extern const Verb kAnalyzeVerb;
extern const Verb kGenerateVerb;
extern const Verb kChatVerb;
extern const Verb kBenchVerb;
extern const Verb kFlopsVerb;
extern const Verb kRunsVerb;

namespace {
const Verb kVerbs[] = {
    // one row each
    // clang-format off
    kQuickstartVerb,
    kDoctorVerb,
    kDataVerb,
    kTokenizerVerb,
    kTrainVerb,
    kReplayVerb,
    kEvalVerb,
    kAnalyzeVerb,
    kGenerateVerb,
    kChatVerb,
    kBenchVerb,
    kFlopsVerb,
    kRunsVerb,
    // clang-format on
};
}  // namespace

int run(int argc, char** argv) {
  CLI::App app{"lyceum: the whole life of a sparse mixture-of-experts language model in one program"};
  app.name("lyceum");
  app.set_version_flag("--version", program_version());
  app.require_subcommand(1);
  app.set_help_all_flag("--help-all", "help of every verb");
  app.footer("Every verb has --help with examples. First time here? Run ./quickstart in the source folder.");
  for (const Verb& verb : kVerbs)
    if (verb.add) verb.add(app);
  try {
    if (argc > 1 && argv[1][0] != '-') {  // a misspelt verb deserves more than "a subcommand is required"
      std::vector<std::string> names;
      for (const Verb& verb : kVerbs) names.push_back(verb.name);
      if (std::find(names.begin(), names.end(), argv[1]) == names.end()) {
        const std::string near = nearest_name(argv[1], names);
        std::fprintf(stderr, "lyceum: there is no verb \"%s\"%s; lyceum --help lists them\n", argv[1],
                     near.empty() ? "" : (", did you mean \"" + near + "\"?").c_str());
        return 2;
      }
    }
    app.parse(argc, argv);
    return 0;
  } catch (const CLI::ParseError& e) {
    if (e.get_exit_code() == 0) return app.exit(e);  // --help, --version
    std::string help = "lyceum";
    for (const CLI::App* at = &app; !at->get_subcommands().empty();)
      at = at->get_subcommands()[0], help += " " + at->get_name();
    std::fprintf(stderr, "lyceum: %s; %s --help says how\n", e.what(), help.c_str());
    return 2;
  } catch (const Error& e) {
    std::fprintf(stderr, "lyceum: %s\n", e.what());
    return e.kind() == ErrorKind::kCancelled ? 130 : 1;
  } catch (const std::bad_alloc&) {
    std::fprintf(stderr, "lyceum: out of memory; `lyceum doctor` says which sizes fit this machine\n");
    return 1;
  } catch (const std::exception& e) {
    std::fprintf(stderr, "lyceum: %s\n", e.what());
    return 1;
  }
}

}  // namespace lyceum

int main(int argc, char** argv) { return lyceum::run(argc, argv); }
