// Which tensors of a checkpoint hold which parameters.
//
// In memory a parameter has the order that the products want: gate rows before up rows, experts stacked,
// heads in order, [out, in]. Files have their own: experts one by one, queries, keys and values in one matrix
// with rows head by head, inputs before outputs. Both are affine in the indices, so a tensor of a file is a
// list of spans, and reading, writing and comparing gradients walk the same list.
#pragma once

#include <string>
#include <vector>

#include "tensor/parameter.h"

namespace lyceum {

struct ModelConfig;

// Element (row + i, column + j) of matrix `matrix + m` of a parameter is element
// offset + m matrix_step + i row_step + j column_step of the tensor.
struct FileSpan {
  Parameter* parameter = nullptr;
  int64_t matrix = 0, matrices = 1, row = 0, rows = 1, column = 0, columns = 1;
  int64_t offset = 0, matrix_step = 0, row_step = 1, column_step = 1;
};

struct FileTensor {
  std::string name;
  std::vector<int64_t> shape;
  std::vector<FileSpan> spans;
  int64_t elements() const;
};

// Tensors in the order of their first mention.
class FileTensors {
 public:
  // The tensor of that name, added if new; its shape must be the same each time.
  FileTensor& tensor(const std::string& name, std::vector<int64_t> shape);
  // A whole parameter as it is, or with every matrix transposed ([in, out]).
  void whole(Parameter& p, const std::string& name);
  void transposed(Parameter& p, const std::string& name);
  // Rows [row, row + rows) of one matrix of a parameter as a tensor of their own.
  void rows(Parameter& p, int64_t matrix, int64_t row, int64_t rows, const std::string& name);

  const std::vector<FileTensor>& all() const { return list_; }
  std::vector<FileTensor>& all() { return list_; }

 private:
  std::vector<FileTensor> list_;
};

// Of one matrix of a parameter: [rows, columns]; vectors are columns of width 1.
int64_t matrix_rows(const Parameter& p);
int64_t matrix_columns(const Parameter& p);

// How a family's tensors are called. Parameters have the names of the llama kind in memory ("model.layers.0.
// mlp.gate_up_proj.weight"); `renames` are applied to them in order, every occurrence.
struct Rename {
  const char *from, *to;
};
struct TensorNames {
  const char* gate = "gate_proj";  // of gated networks, below their prefix
  const char* up = "up_proj";
  const char* down = "down_proj";
  std::vector<Rename> renames = {};
  // Places parameters that the rules below do not cover; returns whether it did. `name`: after the renames.
  bool (*place)(const ModelConfig& config, Parameter& p, const std::string& name, FileTensors& out) = nullptr;
  std::vector<const char*> copies = {};  // further tensors that a file may hold the embedding in
  bool more_blocks = false;              // and blocks beyond the last, which predict further tokens
  std::vector<Rename> stacked = {};      // instead of the above, in files of transformers 5 as it holds them
};

// The published form of these parameters: experts one by one ("experts.3.gate_proj.weight"), pairs of a gated
// network apart, everything else whole, unless the family places it otherwise.
FileTensors published_tensors(const ModelConfig& config, const std::vector<Parameter*>& parameters);
// Names under which a file may hold the parameter whole instead, as it is in memory: transformers 5 stacks
// experts in one tensor ([n_experts, 2 d_ff, d_model], gate rows first) and has names of its own beside it.
std::vector<std::string> whole_names(const ModelConfig& config, const Parameter& p);

// Tensors that a file may hold beside "model.embed_tokens.weight" and that must equal it: the family's own,
// and the output matrix of a tied model.
std::vector<std::string> embedding_copies(const ModelConfig& config);

// The values of a tensor, from `matrix(p, m)`: a matrix of a parameter (its weights, its gradient) in logical
// order.
template <class Matrix>
std::vector<float> tensor_values(const FileTensor& t, Matrix&& matrix) {
  std::vector<float> out(static_cast<size_t>(t.elements()));
  for (const FileSpan& s : t.spans)
    for (int64_t m = 0; m < s.matrices; ++m) {
      const std::vector<float>& values = matrix(*s.parameter, s.matrix + m);
      const int64_t width = matrix_columns(*s.parameter);
      for (int64_t i = 0; i < s.rows; ++i)
        for (int64_t j = 0; j < s.columns; ++j)
          out[static_cast<size_t>(s.offset + m * s.matrix_step + i * s.row_step + j * s.column_step)] =
              values[static_cast<size_t>((s.row + i) * width + s.column + j)];
    }
  return out;
}

}  // namespace lyceum
