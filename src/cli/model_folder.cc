#include "cli/model_folder.h"

#include <algorithm>

#include "base/file.h"

namespace lyceum {

int32_t ModelFolder::eos() const {
  return tokenizer.eos_id() >= 0 ? tokenizer.eos_id() : static_cast<int32_t>(model->config().eos);
}

int64_t ModelFolder::vocab() const {
  return std::min<int64_t>(tokenizer.vocab_size(), model->config().vocab);
}

ModelFolder open_model_folder(const std::string& path, const std::string& dtype) {
  check(dtype == "bf16" || dtype == "f32", "--dtype", "wanted bf16 or f32, found \"", dtype, "\"");
  const bool run = !file_exists(path + "/config.json") && file_exists(path + "/checkpoint/config.json");
  const std::string folder = run ? path + "/checkpoint" : path;
  auto model = open_model(folder, dtype == "bf16" ? DType::kBF16 : DType::kF32);
  return {std::move(model), Tokenizer::load(folder), folder};
}

}  // namespace lyceum
