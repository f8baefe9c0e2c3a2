// For tools/check_transformers.py: trains a tiny model, and writes the logits of any model folder.
//   lyceum_train_peer train FOLDER bf16|f32           prints the checkpoint's path
//   lyceum_train_peer rewrite MODEL FOLDER
//   lyceum_train_peer logits MODEL OUT.safetensors ID...
#include <cstdio>

#include "base/file.h"
#include "models/families.h"
#include "models/weights.h"
#include "train_fixture.h"

namespace lyceum {
namespace {

int train_tiny(const std::string& folder, const std::string& precision) {
  TrainConfig c = tiny_config(folder, precision);
  c.train.steps = 20;
  std::printf("%s\n", tiny_train(c).checkpoint.c_str());
  return 0;
}

// Reads a model and writes it as a folder of ours.
int rewrite(const std::string& from, const std::string& to) {
  const auto model = open_model(from, DType::kF32);
  std::filesystem::create_directories(to);
  write_tensor_files(to, weight_sources(*model, FileDType::kF32));
  write_file(to + "/config.json", write_model_config(model->config(), "float32"));
  write_file(to + "/generation_config.json", write_generation_config(model->config()));
  return 0;
}

Batch sequence_of(const std::vector<int32_t>& ids) {
  Batch b;
  b.ids = ids;
  for (size_t i = 0; i < ids.size(); ++i)
    b.positions.push_back(static_cast<int32_t>(i)), b.domains.push_back(0);
  b.offsets = {0, static_cast<int32_t>(ids.size())};
  return b;
}

// Of a model with an encoder: the ids are the source, the target is that of the script.
int write_logits(const std::string& path, const std::string& out, const std::vector<int32_t>& ids) {
  const auto model = open_model(path, DType::kF32);
  Batch b = sequence_of(ids);
  if (model->config().encoder_decoder()) {
    Batch target = sequence_of({0, 9, 7, 31, 4});
    target.source.push_back(b);
    b = target;
  }
  Tape tape(false);
  Context context{tape, b};
  const Model::Output o = model->forward(context);
  const Tensor logits = model->logits(tape, o.hidden);
  write_safetensors(
      out, {tensor_in_memory("logits", FileDType::kF32, {logits.dim(0), logits.dim(1)}, logits.data())});
  return 0;
}

}  // namespace
}  // namespace lyceum

int main(int argc, char** argv) {
  const std::vector<std::string> a(argv + 1, argv + argc);
  try {
    if (a.size() == 3 && a[0] == "train") return lyceum::train_tiny(a[1], a[2]);
    if (a.size() == 3 && a[0] == "rewrite") return lyceum::rewrite(a[1], a[2]);
    if (a.size() > 3 && a[0] == "logits") {
      std::vector<int32_t> ids;
      for (size_t i = 3; i < a.size(); ++i) ids.push_back(std::stoi(a[i]));
      return lyceum::write_logits(a[1], a[2], ids);
    }
  } catch (const lyceum::Error& e) {
    std::fprintf(stderr, "lyceum_train_peer: %s\n", e.what());
    return 1;
  }
  return 2;
}
