// A tiny run for tests of the trainer: a model of a few thousand weights over ids in memory.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "base/random.h"
#include "models/families.h"
#include "tensor/storage.h"
#include "train/trainer.h"

namespace lyceum {

class TrainFolder {
 public:
  TrainFolder() {
    path_ = (std::filesystem::temp_directory_path() /
             ("lyceum_train_" + std::to_string(getpid()) + "_" + std::to_string(next_++)))
                .string();
    std::filesystem::create_directories(path_);
  }
  ~TrainFolder() { std::filesystem::remove_all(path_); }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  static inline int next_ = 0;
  std::string path_;
};

inline TrainConfig tiny_config(const std::string& folder, const std::string& precision = "bf16") {
  TrainConfig c;
  c.model.family = "olmoe";
  c.model.vocab = 64, c.model.d_model = 32, c.model.n_layers = 2, c.model.n_heads = 2, c.model.d_ff = 16;
  c.model.n_experts = 4, c.model.top_k = 2;
  c.data.loader.sequence_length = 16;
  c.optimizer.lr = 1e-2;
  c.train.folder = folder, c.train.steps = 8, c.train.micro_batch = 2, c.train.micro_batches = 2;
  c.train.precision = precision;
  c.log.tensorboard = c.log.database = false;
  return c;
}

// A row of ids with structure: the next id is mostly a function of the two before.
inline std::vector<int32_t> tiny_ids(int64_t vocab = 64, size_t n = 2000) {
  std::vector<int32_t> ids = {1, 2};
  const RandomKey key(7);
  while (ids.size() < n) {
    const size_t i = ids.size();
    const int64_t next = key.uniform(i) < 0.1
                             ? static_cast<int64_t>(key.below(i, static_cast<uint64_t>(vocab)))
                             : (3 * ids[i - 1] + ids[i - 2] + 1) % vocab;
    ids.push_back(static_cast<int32_t>(next));
  }
  return ids;
}

inline MemorySource tiny_source(const TrainConfig& c) {
  return MemorySource(tiny_ids(c.model.vocab), c.data.loader.sequence_length, c.train.micro_batch,
                      static_cast<uint64_t>(c.data.loader.seed));
}

// Stops the run after so many steps of a call.
class StopAfter : public TrainObserver {
 public:
  explicit StopAfter(int64_t steps) : left_(steps) {}
  void on_step(const StepReport&) override { --left_; }
  bool stop_requested() override { return left_ <= 0; }

 private:
  int64_t left_;
};

inline TrainResult tiny_train(const TrainConfig& c, const std::vector<TrainObserver*>& observers = {}) {
  MemorySource source = tiny_source(c);
  return train(c, TrainParts{source}, observers);
}

// Every tensor of a checkpoint, weights and training state, as bytes.
inline std::map<std::string, std::string> checkpoint_tensors(const std::string& folder) {
  std::map<std::string, std::string> out;
  const Checkpoint checkpoint(folder);
  const auto take = [&](const TensorFiles& files, const std::string& prefix) {
    for (const std::string& name : files.names()) {
      const StoredTensor& t = files.at(name);
      out[prefix + name] = std::string(reinterpret_cast<const char*>(t.data), t.bytes);
    }
  };
  take(checkpoint.weights(), "");
  take(checkpoint.training_tensors(), "state:");
  return out;
}

}  // namespace lyceum
