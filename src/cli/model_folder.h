// What most verbs need: a model directory opened, with its tokenizer.
#pragma once

#include <memory>
#include <string>

#include "models/weights.h"
#include "text/tokenizer.h"

namespace lyceum {

struct ModelFolder {
  std::unique_ptr<Model> model;
  Tokenizer tokenizer;
  int32_t eos() const;    // of the tokenizer, else of config.json; -1 where there is none
  int64_t vocab() const;  // ids that exist: the output matrix may have padding rows
  std::string path;
};

// Opens `path` (a Hugging Face directory, or a run folder whose newest checkpoint is meant). dtype: "bf16" or
// "f32".
ModelFolder open_model_folder(const std::string& path, const std::string& dtype);

}  // namespace lyceum
