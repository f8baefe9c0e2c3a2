#include "formats/checkpoint.h"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <filesystem>

#include "base/error.h"
#include "base/log.h"
#include "base/progress.h"
#include "formats/checksum.h"
#include "formats/hashed_file.h"

namespace lyceum {
namespace {

namespace fs = std::filesystem;

constexpr const char* kTrainingFolder = "training_state";
constexpr const char* kTrainingStem = "optimizer";

std::string folder_name(int64_t step, int64_t revision) {
  char text[64];
  std::snprintf(text, sizeof text, "step-%06lld", static_cast<long long>(step));
  return revision == 1 ? text : text + ("." + std::to_string(revision));
}

bool parse_number(std::string_view text, int64_t& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() && value >= 0;
}

// Only names that folder_name() writes: nothing else under the root is ever touched.
bool parse_folder_name(std::string_view name, CompleteCheckpoint& found) {
  if (!name.starts_with("step-")) return false;
  const std::string_view whole = name;
  name.remove_prefix(5);
  const size_t dot = name.find('.');
  found.revision = 1;
  return parse_number(name.substr(0, dot), found.step) &&
         (dot == name.npos || parse_number(name.substr(dot + 1), found.revision)) &&
         folder_name(found.step, found.revision) == whole;
}

std::vector<std::string> names_in(const std::string& root) {
  return directory_exists(root) ? list_directory(root) : std::vector<std::string>();
}

bool has_manifest(const std::string& folder) { return file_exists(folder + "/" + kManifestName); }

// The manifest fits what is there, as far as sizes tell.
bool fits(const CompleteCheckpoint& found) {
  const CheckpointManifest manifest = read_manifest(found.path);
  check_data(manifest.step == found.step, found.path.c_str(), "the manifest is of step ", manifest.step);
  for (const auto& [name, file] : manifest.files) {
    std::error_code error;
    const uint64_t bytes = fs::file_size(found.path + "/" + name, error);
    check_data(!error && bytes == file.bytes, (found.path + "/" + name).c_str(), "wants ", file.bytes,
               " bytes, found ", error ? "no file" : std::to_string(bytes));
  }
  return true;
}

WrittenFile write_text(const std::string& path, const std::string& text, FileSystem& files) {
  HashedFile out(path, files);
  out.write(text.data(), text.size());
  out.publish();
  return {fs::path(path).filename().string(), out.bytes(), out.checksum(), {}};
}

// Bytes on disk, from above: tensors, headers, manifest, texts.
uint64_t bytes_wanted(const CheckpointContents& contents, const char* where) {
  uint64_t bytes = uint64_t{1} << 20;
  for (const auto* tensors : {&contents.weights, &contents.training_tensors})
    for (const TensorSource& t : *tensors)
      bytes += tensor_bytes(where, t.name, t.dtype, t.shape) + 256 + 3 * t.name.size();
  for (const auto& [name, text] : contents.texts) bytes += text.size() + 4096;
  return bytes + contents.state.size();
}

void check_names(const CheckpointContents& contents, const char* where) {
  check(contents.step >= 0, where, "wants a step from 0, got ", contents.step);
  for (const auto& [name, text] : contents.texts)
    check(!name.empty() && name[0] != '.' && name.find('/') == name.npos && name != kManifestName &&
              !name.ends_with(".safetensors") && !name.ends_with(".safetensors.index.json"),
          where, "wants the plain name of a text file, got ", quote(name));
}

}  // namespace

std::vector<CompleteCheckpoint> complete_checkpoints(const std::string& root) {
  std::vector<CompleteCheckpoint> complete;
  for (const std::string& name : names_in(root)) {
    CompleteCheckpoint found;
    if (!parse_folder_name(name, found)) continue;
    found.path = root + "/" + name;
    try {
      if (has_manifest(found.path) && fits(found)) complete.push_back(found);
    } catch (const Error& e) {
      log_warn("checkpoint", "left out: ", e.what());
    }
  }
  std::sort(complete.begin(), complete.end(), [](const auto& a, const auto& b) {
    return a.step != b.step ? a.step < b.step : a.revision < b.revision;
  });
  return complete;
}

std::optional<CompleteCheckpoint> latest_complete(const std::string& root) {
  const auto complete = complete_checkpoints(root);
  if (complete.empty()) return std::nullopt;
  return complete.back();
}

Checkpoint::Checkpoint(const std::string& folder)
    : path_(folder), manifest_(read_manifest(folder)), weights_(folder) {
  const std::string training = folder + "/" + kTrainingFolder;
  std::string stem = kTrainingFolder;
  stem.append("/").append(kTrainingStem);
  const bool has = std::any_of(manifest_.files.begin(), manifest_.files.end(),
                               [&](const auto& file) { return file.first.starts_with(stem); });
  if (has) training_.emplace(training, kTrainingStem);
  for (const auto& [name, file] : manifest_.files) {
    const bool is_training = name.starts_with(std::string(kTrainingFolder) + "/");
    if (is_training && !training_) continue;
    for (const WrittenTensor& t : file.tensors)
      if (const StoredTensor* stored = (is_training ? *training_ : weights_).find(t.name))
        checksums_[stored] = t.checksum;
  }
}

const TensorFiles& Checkpoint::training_tensors() const {
  if (!training_)
    fail(ErrorKind::kNotFound, path_.c_str(), "holds a model without training tensors; it cannot resume");
  return *training_;
}

const StoredTensor& Checkpoint::verified(const TensorFiles& files, std::string_view name) const {
  const StoredTensor& tensor = files.at(name);
  const auto wanted = checksums_.find(&tensor);
  check_data(wanted != checksums_.end(), path_.c_str(), "the manifest does not know tensor ", quote(name));
  check_data(checksum_of(tensor.data, tensor.bytes) == wanted->second, path_.c_str(), "tensor ", quote(name),
             " is damaged: its checksum differs; take an older checkpoint");
  return tensor;
}

std::string Checkpoint::text(const std::string& name) const {
  const auto file = manifest_.files.find(name);
  if (file == manifest_.files.end()) fail(ErrorKind::kNotFound, path_.c_str(), "holds no ", quote(name));
  std::string text = read_file(path_ + "/" + name);
  check_data(checksum_of(text.data(), text.size()) == file->second.checksum, path_.c_str(), quote(name),
             " is damaged: its checksum differs; take an older checkpoint");
  return text;
}

CheckpointStore::CheckpointStore(std::string root, KeepPolicy keep, std::string link, FileSystem& files)
    : root_(std::move(root)), keep_(keep), link_(std::move(link)), files_(files) {
  check(keep.last >= 1, "checkpoints to keep", "wants at least the last one, got ", keep.last);
  check(keep.every >= 0, "checkpoints to keep", "wants every n-th with n from 0, got ", keep.every);
}

void CheckpointStore::check_link() const {
  if (link_.empty()) return;
  const fs::file_status status = fs::symlink_status(link_);
  check(!fs::exists(status) || fs::is_symlink(status), link_.c_str(),
        "is in the way of the link to the newest checkpoint; move it away");
}

void CheckpointStore::recover() {
  check_link();
  bool changed = false;
  for (const std::string& name : names_in(root_)) {
    CompleteCheckpoint found;
    const bool writing = name.starts_with(".step-") && name.ends_with(".writing");
    if (!writing && !(parse_folder_name(name, found) && !has_manifest(root_ + "/" + name))) continue;
    log_info("checkpoint", "removing the unfinished ", root_, "/", name);
    files_.remove_all(root_ + "/" + name);
    changed = true;
  }
  if (changed) files_.sync_directory(root_);
  if (const auto latest = latest_complete(root_)) publish(latest->path);
}

std::string CheckpointStore::save(const CheckpointContents& contents) {
  check_names(contents, root_.c_str());
  recover();
  const uint64_t wanted = bytes_wanted(contents, root_.c_str()), available = free_disk_bytes(root_);
  if (wanted > available)
    fail(ErrorKind::kIo, root_.c_str(), "the checkpoint of step ", contents.step, " wants ",
         human_bytes(static_cast<double>(wanted)), ", the disk has ",
         human_bytes(static_cast<double>(available)), " free; free some space or keep fewer checkpoints");
  const std::string writing = root_ + "/." + folder_name(contents.step, 1) + ".writing";
  CheckpointManifest manifest;
  try {
    manifest = write_files(contents, writing);
  } catch (...) {
    try {
      files_.remove_all(writing);
    } catch (...) {  // recover() will
    }
    throw;
  }
  const std::string folder = place(contents.step, writing);
  mark(folder, manifest);
  publish(folder);
  prune();
  return folder;
}

CheckpointManifest CheckpointStore::write_files(const CheckpointContents& contents,
                                                const std::string& folder) {
  CheckpointManifest manifest;
  manifest.step = contents.step;
  if (!directory_exists(root_)) {
    files_.make_directories(root_);
    files_.sync_directory(fs::absolute(root_).parent_path().string());
  }
  files_.make_directories(folder);
  for (const auto& [name, text] : contents.texts)
    manifest.files[name] = write_text(folder + "/" + name, text, files_);
  for (WrittenFile& f :
       write_tensor_files(folder, contents.weights, contents.max_shard_bytes, "model", files_))
    manifest.files[f.name] = std::move(f);
  if (!contents.state.empty() || !contents.training_tensors.empty()) {
    const std::string training = folder + "/" + kTrainingFolder;
    files_.make_directories(training);
    manifest.files[Checkpoint::kState] =
        write_text(folder + "/" + Checkpoint::kState, contents.state, files_);
    if (!contents.training_tensors.empty())
      for (WrittenFile& f : write_tensor_files(training, contents.training_tensors, contents.max_shard_bytes,
                                               kTrainingStem, files_))
        manifest.files[kTrainingFolder + ("/" + f.name)] = std::move(f);
    files_.sync_directory(training);
  }
  files_.sync_directory(folder);
  return manifest;
}

std::string CheckpointStore::place(int64_t step, const std::string& writing) {
  int64_t revision = 1;
  while (fs::exists(fs::symlink_status(root_ + "/" + folder_name(step, revision)))) ++revision;
  const std::string folder = root_ + "/" + folder_name(step, revision);
  files_.rename(writing, folder);
  files_.sync_directory(root_);
  return folder;
}

void CheckpointStore::mark(const std::string& folder, const CheckpointManifest& manifest) {
  write_file(folder + "/" + kManifestName, manifest_text(manifest), files_);
}

void CheckpointStore::publish(const std::string& folder) {
  if (link_.empty()) return;
  const fs::path parent = fs::path(link_).has_parent_path() ? fs::path(link_).parent_path() : ".";
  const std::string target =
      fs::weakly_canonical(folder).lexically_relative(fs::weakly_canonical(parent)).string();
  std::error_code error;
  if (fs::read_symlink(link_, error) == target && !error) return;
  const std::string temporary = link_ + ".new";
  files_.make_directories(parent.string());
  files_.remove_all(temporary);
  files_.link(target, temporary);
  files_.rename(temporary, link_);
  files_.sync_directory(parent.string());
}

void CheckpointStore::prune() {
  const auto complete = complete_checkpoints(root_);
  int64_t newer_steps = 0;  // distinct steps after this one
  for (size_t i = complete.size(); i-- > 0;) {
    const bool newest = i + 1 == complete.size();
    const bool replaced = !newest && complete[i + 1].step == complete[i].step;  // a later revision exists
    if (!newest && !replaced) ++newer_steps;
    const bool kept = newer_steps < keep_.last || (keep_.every > 0 && complete[i].step % keep_.every == 0);
    if (replaced || !kept) remove_checkpoint(complete[i].path);
  }
}

void CheckpointStore::remove_checkpoint(const std::string& folder) {
  files_.remove_all(folder + "/" + kManifestName);  // invariant 3
  files_.sync_directory(folder);
  files_.remove_all(folder);
  files_.sync_directory(root_);
}

}  // namespace lyceum
