// The manifest of a checkpoint.
#include <cstdlib>

#include "formats/checkpoint_manifest.h"
#include "fuzz/fuzz.h"

namespace lyceum {

void run_target(std::span<const uint8_t> bytes) {
  const CheckpointManifest manifest = parse_manifest(as_text(bytes), "f");
  for (const auto& [path, file] : manifest.files)
    if (path.starts_with('/') || path.find("..") != path.npos) std::abort();
  if (manifest_text(parse_manifest(manifest_text(manifest), "f")) != manifest_text(manifest)) std::abort();
}

std::vector<BadFile> target_seeds() {
  CheckpointManifest manifest;
  manifest.step = 3;
  manifest.files["config.json"] = {"config.json", 2, 7, {}};
  manifest.files["model.safetensors"] = {"model.safetensors", 99, 8, {{"a", 9}}};
  const std::string good = manifest_text(manifest);
  return {
      {"good", good, ""}, {"cut", good.substr(0, good.size() / 2), "damaged"}, {"nothing", "", "damaged"}};
}

}  // namespace lyceum
