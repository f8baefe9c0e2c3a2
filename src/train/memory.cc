#include "train/memory.h"

#include <algorithm>
#include <cstdio>
#include <fstream>

#include "analysis/accounting.h"
#include "base/file.h"
#include "base/progress.h"
#include "models/families.h"

namespace lyceum {
namespace {

struct Count {
  double all = 0, by_muon = 0;  // parameters; those that Muon takes, which keeps one moment of them
};

// By the same rules as `lyceum flops`.
Count count_parameters(ModelConfig c) {
  find_family(c.family).fix(c);
  const ModelSize size = model_size(write_model_config(c, "float32"), "model");
  Count n;
  n.all = n.by_muon = static_cast<double>(size.total());
  for (const char* part : {"embedding", "output", "embedding, tied with output", "norms", "router",
                           "position embeddings", "attention biases", "FFN biases", "expert biases"})
    n.by_muon -= static_cast<double>(size.part_total(part));
  return n;
}

// Memory of the control group that is not used yet; a large number without a limit.
double group_memory_left() {
  const auto number = [](const char* path) {
    std::ifstream in(path);
    double value = 0;
    return in >> value ? value : -1.0;
  };
  const double limit = number("/sys/fs/cgroup/memory.max"), used = number("/sys/fs/cgroup/memory.current");
  return limit > 0 && used >= 0 ? limit - used : 1e30;
}

}  // namespace

MemoryNeed memory_need(const TrainConfig& config) {
  const ModelConfig& c = config.model;
  const Count n = count_parameters(c);
  const bool half = config.precision() == DType::kBF16, muon = config.optimizer.name == "muon";
  MemoryNeed need;
  need.parameters = n.all;
  need.state =
      16 * n.all - (muon ? 4 * n.by_muon : 0);  // weight + residual 4, gradient 4, moments 8 (muon 4)

  need.disk = need.state - 4 * n.all;

  // Elements kept per token and layer: x, its norm, q k v twice (norm, rope), attention out and projection,
  // residual, norm, then for each slot gate and up, and the routing rows.
  const double width = half ? 2 : 4, tokens = static_cast<double>(config.train.micro_batch) *
                                              static_cast<double>(config.data.loader.sequence_length);
  const double d = static_cast<double>(c.d_model), q = static_cast<double>(c.n_heads * c.head_width()),
               kv = static_cast<double>(c.kv_heads() * c.head_width()), d_ff = static_cast<double>(c.d_ff),
               k = static_cast<double>(std::max<int64_t>(1, c.top_k));
  const double layer = width * (6 * d + 5 * q + 5 * kv + 2 * k * d_ff) +
                       4 * (2 * static_cast<double>(c.n_experts) + 8 * k + static_cast<double>(c.n_heads));
  const double scratch = width * (k * (4 * d_ff + 3 * d) + 4 * d + 4 * q);  // of the backward in progress
  const double layers = static_cast<double>(c.n_layers);
  need.activations = tokens * (config.train.recompute ? layers * 2 * width * d + layer : layers * layer) +
                     tokens * (scratch + 4 * d) * 1.25;  // the pool rounds sizes up
  return need;
}

std::string MemoryNeed::text() const {
  char each[64];
  std::snprintf(each, sizeof each, " (%.0f bytes each)", parameters > 0 ? state / parameters : 0);
  return human_count(parameters) + " parameters: " + human_bytes(state) + " of training state" + each +
         " + about " + human_bytes(activations) + " of activations";
}

double memory_available() {
  std::ifstream in("/proc/meminfo");
  std::string key, unit;
  double value = 0, available = 1e30;
  while (in >> key >> value) {
    std::getline(in, unit);
    if (key == "MemAvailable:") available = value * 1024;
  }
  return std::min(available, group_memory_left());
}

void refuse_what_cannot_fit(const TrainConfig& config) {
  const MemoryNeed need = memory_need(config);
  const double available = memory_available();
  if (need.total() > available)
    fail(ErrorKind::kOutOfMemory, "train", "the run needs ", human_bytes(need.total()), " (", need.text(),
         "), ", human_bytes(available),
         " are available; use fewer or narrower layers (model.*), a smaller train.micro_batch with more "
         "train.micro_batches, or train.recompute=true");
}

void refuse_small_disk(const TrainConfig& config) {
  const MemoryNeed need = memory_need(config);
  const double free = static_cast<double>(free_disk_bytes(config.train.folder));
  if (need.disk > free)
    fail(ErrorKind::kIo, "train", "a checkpoint takes ", human_bytes(need.disk), ", the disk of ",
         config.train.folder, " has ", human_bytes(free), "; free some space or choose another train.folder");
}

}  // namespace lyceum
