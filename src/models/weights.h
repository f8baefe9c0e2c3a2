// Weights of a model on disk: Hugging Face tensor names, per-expert or fused, one file or shards.
#pragma once

#include "formats/tensor_files.h"
#include "models/model.h"

namespace lyceum {

// One tensor of a file and where it lives in memory: rows [row, row + rows) of matrix `matrix` of a
// parameter.
struct FilePiece {
  std::string name;
  Parameter* parameter;
  int64_t matrix, row, rows;
  std::vector<int64_t> shape;  // on disk
};

// The published form: experts one by one ("experts.3.gate_proj.weight"), which every tool reads.
std::vector<FilePiece> published_pieces(const Model& model);

// Reads every parameter; f32, bf16 or f16 on disk, per-expert or fused. Throws one line naming file and
// tensor for a missing, extra or misshapen tensor.
void load_weights(Model& model, const TensorFiles& files);

// The published form as sources for write_tensor_files(): bf16 weights as bf16, masters as f32 when `type` is
// f32.
std::vector<TensorSource> weight_sources(const Model& model, FileDType type);

// Opens a Hugging Face directory: config.json and weights. `weights`: dtype in memory.
std::unique_ptr<Model> open_model(const std::string& directory, DType weights);

}  // namespace lyceum
