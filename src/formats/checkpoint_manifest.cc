#include "formats/checkpoint_manifest.h"

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "formats/checksum.h"

namespace lyceum {
namespace {

using Json = nlohmann::json;  // sorts keys, so that dump() is canonical

constexpr const char* kFormat = "lyceum checkpoint 1";

uint64_t checksum_of_text(const std::string& text) { return checksum_of(text.data(), text.size()); }

// Throws what nlohmann throws, or Error.
CheckpointManifest from_json(Json json, const char* where) {
  check_data(json.is_object() && json.value("format", "") == kFormat, where, "wants the format ", kFormat);
  uint64_t wanted = 0;
  const bool readable = parse_checksum(json.at("checksum").get<std::string>(), wanted);
  json.erase("checksum");
  check_data(readable && wanted == checksum_of_text(json.dump()), where,
             "its checksum differs; it is damaged");
  CheckpointManifest manifest;
  manifest.step = json.at("step").get<int64_t>();
  for (const auto& [path, entry] : json.at("files").items()) {
    check_data(!path.empty() && path[0] != '/' && path.find("..") == path.npos, where, "names the file ",
               quote(path), " outside of its folder");
    WrittenFile& file = manifest.files[path];
    file.name = path;
    file.bytes = entry.at("bytes").get<uint64_t>();
    check_data(parse_checksum(entry.at("checksum").get<std::string>(), file.checksum), where, "file ",
               quote(path), " has no checksum");
    if (!entry.contains("tensors")) continue;
    for (const auto& [name, text] : entry.at("tensors").items()) {
      WrittenTensor& tensor = file.tensors.emplace_back();
      tensor.name = name;
      check_data(parse_checksum(text.get<std::string>(), tensor.checksum), where, "tensor ", quote(name),
                 " has no checksum");
    }
  }
  return manifest;
}

// Looks for the tensors that differ in a file that does.
void blame(const std::string& path, const WrittenFile& file, std::vector<std::string>& lines) {
  const size_t before = lines.size();
  try {
    const SafetensorsFile opened(path);
    for (const WrittenTensor& t : file.tensors) {
      const StoredTensor* stored = opened.find(t.name);
      if (stored == nullptr) lines.push_back(detail::join(path, ": tensor ", quote(t.name), " is missing"));
      else if (checksum_of(stored->data, stored->bytes) != t.checksum)
        lines.push_back(detail::join(path, ": tensor ", quote(t.name), " is damaged: its checksum differs"));
    }
    if (lines.size() == before)
      lines.push_back(path + ": its header is damaged: the checksum of the file differs");
  } catch (const Error& e) {
    lines.push_back(e.what());
  }
}

}  // namespace

std::string manifest_text(const CheckpointManifest& manifest) {
  Json files = Json::object();
  for (const auto& [path, file] : manifest.files) {
    Json& entry = files[path] = {{"bytes", file.bytes}, {"checksum", checksum_text(file.checksum)}};
    if (file.tensors.empty()) continue;
    Json tensors = Json::object();
    for (const WrittenTensor& t : file.tensors) tensors[t.name] = checksum_text(t.checksum);
    entry["tensors"] = std::move(tensors);
  }
  Json json = {{"format", kFormat}, {"step", manifest.step}, {"files", std::move(files)}};
  json["checksum"] = checksum_text(checksum_of_text(json.dump()));
  return json.dump(1) + "\n";
}

CheckpointManifest parse_manifest(std::string_view text, const std::string& path) {
  check_data(text.find('\0') == text.npos, path.c_str(), "holds a zero byte; it is damaged");
  try {
    return from_json(Json::parse(text), path.c_str());
  } catch (const Json::exception&) {
    fail(ErrorKind::kCorruptData, path.c_str(), "is not the manifest of a checkpoint; it is damaged");
  }
}

CheckpointManifest read_manifest(const std::string& folder) {
  const std::string path = folder + "/" + kManifestName;
  if (!file_exists(path))
    fail(ErrorKind::kNotFound, folder.c_str(), "is not a complete checkpoint: it has no ", kManifestName);
  return parse_manifest(read_file(path), path);
}

std::vector<std::string> verify_checkpoint(const std::string& folder) {
  std::vector<std::string> lines;
  try {
    for (const auto& [name, file] : read_manifest(folder).files) {
      const std::string path = folder + "/" + name;
      try {
        const MappedFile mapped(path);
        if (mapped.size() != file.bytes)
          lines.push_back(detail::join(path, ": wants ", file.bytes, " bytes, found ", mapped.size()));
        else if (checksum_of(mapped.data(), mapped.size()) == file.checksum) continue;
        else if (file.tensors.empty()) lines.push_back(path + ": is damaged: its checksum differs");
        else blame(path, file, lines);
      } catch (const Error& e) {
        lines.push_back(e.what());
      }
    }
  } catch (const Error& e) {
    lines.push_back(e.what());
  }
  return lines;
}

}  // namespace lyceum
