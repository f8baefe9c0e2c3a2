// The manifest of a checkpoint: the size and checksum of every file and of every tensor. It is written last,
// and a folder without it is no checkpoint.
//
//   {"format": "lyceum checkpoint 1", "step": 123,
//    "files": {"model.safetensors": {"bytes": 99, "checksum": "16 hex digits", "tensors": {"name": "16 hex
//    digits"}},
//              "training_state/state.json": {"bytes": 12, "checksum": "..."}},
//    "checksum": "of the compact JSON of this object without this key"}
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "formats/safetensors.h"

namespace lyceum {

inline constexpr const char* kManifestName = "manifest.json";

struct CheckpointManifest {
  int64_t step = 0;
  std::map<std::string, WrittenFile> files;  // by path within the folder
};

std::string manifest_text(const CheckpointManifest& manifest);

// Throws kCorruptData for anything that manifest_text would not write: also for a single flipped byte.
CheckpointManifest parse_manifest(std::string_view text, const std::string& path);

// Reads <folder>/manifest.json; throws kNotFound ("not a complete checkpoint") without it.
CheckpointManifest read_manifest(const std::string& folder);

// Holds every byte of a checkpoint against its manifest. One line for each file or tensor that differs,
// naming it; empty: all is well. Never throws for damage, also not for that of the manifest.
std::vector<std::string> verify_checkpoint(const std::string& folder);

}  // namespace lyceum
