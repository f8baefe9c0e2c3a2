// For tools/check_transformers.py and bench/peers/time_to_loss.py: trains a tiny model, writes the logits of
// any model folder, and what a recipe learns from.
//   lyceum_train_peer train FOLDER bf16|f32           prints the checkpoint's path
//   lyceum_train_peer rewrite MODEL FOLDER
//   lyceum_train_peer logits MODEL OUT.safetensors ID...
//   lyceum_train_peer batches RECIPE N OUT            N micro-batches: int32 ids, then targets (-100: not
//   counted)
#include <cstdio>

#include "base/file.h"
#include "models/families.h"
#include "models/weights.h"
#include "train/open_data.h"
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

int write_batches(const std::string& recipe, int64_t n, const std::string& path) {
  const OpenedData data = open_data(read_recipe(recipe, {}));
  std::string bytes;
  const auto put = [&](const std::vector<int32_t>& row) {
    bytes.append(reinterpret_cast<const char*>(row.data()), row.size() * sizeof(int32_t));
  };
  for (int64_t i = 0; i < n; ++i) {
    Batch b;
    data.source->next(b);
    for (size_t t = 0; t < b.targets.size(); ++t)
      if (b.weights[t] == 0) b.targets[t] = -100;
    put(b.ids), put(b.targets);
  }
  write_file(path, bytes);
  return 0;
}

}  // namespace
}  // namespace lyceum

int main(int argc, char** argv) {
  const std::vector<std::string> a(argv + 1, argv + argc);
  try {
    if (a.size() == 3 && a[0] == "train") return lyceum::train_tiny(a[1], a[2]);
    if (a.size() == 3 && a[0] == "rewrite") return lyceum::rewrite(a[1], a[2]);
    if (a.size() == 4 && a[0] == "batches") return lyceum::write_batches(a[1], std::stoll(a[2]), a[3]);
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
