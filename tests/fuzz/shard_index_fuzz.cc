// model.safetensors.index.json.
#include <cstdlib>

#include "formats/tensor_files.h"
#include "fuzz/fuzz.h"

namespace lyceum {

void run_target(std::span<const uint8_t> bytes) {
  for (const auto& [tensor, file] : parse_shard_index(as_text(bytes), "f"))
    if (file.find('/') != file.npos) std::abort();
}

std::vector<BadFile> target_seeds() { return shard_index_corpus(); }

}  // namespace lyceum
