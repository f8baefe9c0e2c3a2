// Stage 1 of the quick start: documents, tokenizer and shards.
#include "base/error.h"
#include "base/file.h"
#include "cli/quickstart/run.h"

namespace lyceum::quickstart {

PreparedData prepare_text(const Options& o) {
  PrepareOptions p;
  p.folder = o.run + "/data";
  p.ingest.machine = o.texts.empty();
  p.ingest.texts = o.texts;
  if (o.texts.empty() && !o.packages.empty() && directory_exists(o.packages)) p.ingest.packages = o.packages;
  p.vocab_size = 8192;
  const PreparedData data = prepare(p);
  check(data.tokens() > 0, "quickstart", "no text is left to learn from; ", data.report,
        " says what was dropped and why; give more with --text DIR");
  return data;
}

}  // namespace lyceum::quickstart
