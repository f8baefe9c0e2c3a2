// Checkpoints: folders that load in transformers unchanged, with the training state beside the weights,
// written so that no crash, full disk or kill -9 ever costs the newest one.
//
//   <root>/step-000123/                the folder; step-000123.2 when the step is saved again
//     config.json, tokenizer.json, ... texts handed in by the caller
//     model.safetensors                or shards with an index
//     training_state/state.json, training_state/optimizer.safetensors (or shards)
//     manifest.json                    size and checksum of every file and tensor; the completion marker
//   <link> -> newest complete folder   relative symbolic link, for instance <run>/checkpoint
//
// Invariants
//   1. A folder is complete if and only if it holds a manifest that fits; readers see no others.
//   2. The manifest comes last: everything else is synced, then the folder has its name, then the manifest is
//   put in
//      place and synced.
//   3. The manifest goes first: a folder is deleted only after its manifest is gone for good.
//   4. Nothing complete is changed or overwritten: a step saved again becomes a new revision.
//   5. The newest complete checkpoint is never deleted; another is, only after a newer one is complete and
//   the link
//      points to it.
//   6. One writer per root. What an interrupted one left is removed by the next (recover()).
//
//                write_files()            place()             mark()               prune()
//     (nothing) ---------------> writing ---------> unmarked --------> complete -----------> unmarked -->
//     (nothing)
//                                   |                  |                  |      manifest       ^ remove
//                                   +---- recover() ---+---> (nothing)    +-- publish(): link   | recover()
//
//     writing: <root>/.step-000123.writing     unmarked: step-000123 without manifest
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/file.h"
#include "formats/checkpoint_manifest.h"
#include "formats/tensor_files.h"

namespace lyceum {

// What goes into a checkpoint. Streams of tensors are called once each, one after the other.
struct CheckpointContents {
  int64_t step = 0;
  std::map<std::string, std::string> texts;  // by file name: config.json, tokenizer.json, ...
  std::vector<TensorSource> weights;
  std::string state;                           // training_state/state.json; no training state when empty
  std::vector<TensorSource> training_tensors;  // training_state/optimizer.safetensors
  uint64_t max_shard_bytes = uint64_t{5} << 30;
};

struct KeepPolicy {
  int64_t last = 2;   // so many of the newest are kept; at least one
  int64_t every = 0;  // and those whose step is a multiple, for good; 0: none
};

struct CompleteCheckpoint {
  int64_t step = 0;
  int64_t revision = 1;
  std::string path;
};

// Complete checkpoints under `root`, oldest first; none if there is no such folder. A folder with a manifest
// that does not fit (damaged, files missing or cut) is left out with a warning.
std::vector<CompleteCheckpoint> complete_checkpoints(const std::string& root);
std::optional<CompleteCheckpoint> latest_complete(const std::string& root);

// Opens a complete checkpoint (verify_checkpoint reads it all; this reads headers only).
class Checkpoint {
 public:
  // Throws kNotFound if the folder is not complete, kCorruptData if it is damaged.
  explicit Checkpoint(const std::string& folder);

  const std::string& path() const { return path_; }
  int64_t step() const { return manifest_.step; }
  const CheckpointManifest& manifest() const { return manifest_; }
  bool has_training_state() const { return training_.has_value() || manifest_.files.contains(kState); }
  // Contents of a text file, held against its checksum. Throws kNotFound, kCorruptData.
  std::string text(const std::string& name) const;
  std::string state() const { return text(kState); }

  const TensorFiles& weights() const { return weights_; }
  bool has_training_tensors() const { return training_.has_value(); }
  const TensorFiles& training_tensors() const;  // throws kNotFound without
  // A tensor whose bytes were just held against the manifest. Throws kNotFound, kCorruptData naming it.
  const StoredTensor& weight(std::string_view name) const { return verified(weights_, name); }
  const StoredTensor& training_tensor(std::string_view name) const {
    return verified(training_tensors(), name);
  }

  static constexpr const char* kState = "training_state/state.json";

 private:
  const StoredTensor& verified(const TensorFiles& files, std::string_view name) const;
  std::string path_;
  CheckpointManifest manifest_;
  TensorFiles weights_;
  std::optional<TensorFiles> training_;
  std::unordered_map<const StoredTensor*, uint64_t> checksums_;
};

// Writes checkpoints under one root. Thread: one.
class CheckpointStore {
 public:
  // `link`: where the newest is published; "" for nowhere.
  CheckpointStore(std::string root, KeepPolicy keep = {}, std::string link = "",
                  FileSystem& files = real_files());

  // Brings what an interrupted writer left into order. save() does it by itself; call it before resuming so
  // that the link is true.
  void recover();

  // Writes, marks, publishes, prunes; returns the folder. Refuses before writing if the disk has too little
  // room (kIo). After an exception the newest complete checkpoint is the one of before, or, if only
  // publishing or pruning failed, the new one.
  std::string save(const CheckpointContents& contents);

 private:
  CheckpointManifest write_files(const CheckpointContents& contents, const std::string& folder);
  std::string place(int64_t step, const std::string& writing);
  void mark(const std::string& folder, const CheckpointManifest& manifest);
  void publish(const std::string& folder);
  void prune();
  void remove_checkpoint(const std::string& folder);
  void check_link() const;

  std::string root_;
  KeepPolicy keep_;
  std::string link_;
  FileSystem& files_;
};

}  // namespace lyceum
