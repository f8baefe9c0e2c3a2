// Weights of a model on disk: Hugging Face tensor names, per-expert or fused, one file or shards.
#pragma once

#include "formats/tensor_files.h"
#include "models/file_tensors.h"
#include "models/model.h"

namespace lyceum {

// The published form of all parameters of a model.
FileTensors published_tensors(const Model& model);

// Reads every parameter; f32, bf16 or f16 on disk, per-expert or fused. Throws one line naming file and
// tensor for a missing, extra or misshapen tensor.
void load_weights(Model& model, const TensorFiles& files);

// The published form as sources for write_tensor_files(): bf16 weights as bf16, masters as f32 when `type` is
// f32.
std::vector<TensorSource> weight_sources(const Model& model, FileDType type);

// Opens a Hugging Face directory: config.json and weights. `weights`: dtype in memory.
std::unique_ptr<Model> open_model(const std::string& directory, DType weights);

}  // namespace lyceum
