// Stage 1 of the quick start: documents, tokenizer and shards.
#include "base/error.h"
#include "base/file.h"
#include "cli/quickstart/run.h"
#include "text/tokenizer.h"

namespace lyceum::quickstart {
namespace {

// In minutes a model learns few thousand words well, and the output matrix is most of its arithmetic. A
// tokenizer that is there stays, whatever the minutes of this call: the run goes on.
int64_t vocabulary(const Options& o, const std::string& folder) {
  const std::string tokenizer = folder + "/tokenizer";
  const bool known = file_exists(tokenizer + "/tokenizer.json");
  // Little text may have given fewer words than were asked for.
  const int64_t size = known ? Tokenizer::load(tokenizer).vocab_size() : 0;
  const bool small = known ? size <= 4096 : o.minutes <= 15, large = known ? size > 8192 : o.minutes > 120;
  return small ? 4096 : large ? 16384 : 8192;
}

}  // namespace

PreparedData prepare_text(const Options& o) {
  PrepareOptions p;
  p.folder = o.run + "/data";
  p.ingest.machine = o.texts.empty();
  p.ingest.texts = o.texts;
  if (o.texts.empty() && !o.packages.empty() && directory_exists(o.packages)) p.ingest.packages = o.packages;
  p.vocab_size = vocabulary(o, p.folder);
  const PreparedData data = prepare(p);
  check(data.tokens() > 0, "quickstart", "no text is left to learn from; ", data.report,
        " says what was dropped and why; give more with --text DIR");
  return data;
}

}  // namespace lyceum::quickstart
