// `data inspect`: what is in a data folder, a file of documents or a token shard.
#pragma once

#include <cstdint>
#include <string>

namespace lyceum {

struct InspectOptions {
  std::string path;       // a data folder, a .jsonl[.gz|.zst] file, or the prefix of a shard
  std::string tokenizer;  // decodes the samples of a shard; without it ids are shown
  std::string domain;     // samples of this one only
  int64_t samples = 2;
  int64_t sample_bytes = 600;
  uint64_t seed = 1;
};

// A table of domains, the reasons for what was dropped, and some documents, as text for people.
std::string inspect(const InspectOptions& options);

}  // namespace lyceum
