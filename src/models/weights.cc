#include "models/weights.h"

#include <cstring>
#include <map>
#include <set>

#include "base/file.h"
#include "kernels/optimizer.h"
#include "kernels/rowwise.h"
#include "models/families.h"

namespace lyceum {
namespace {

std::vector<int64_t> shape_of(const Shape& s, int first = 0) { return {s.dims + first, s.dims + s.rank}; }

// A gated pair is one parameter in memory (gate rows first) and two tensors on disk.
void add_pair(std::vector<FilePiece>& out, Parameter* p, int64_t matrix, const std::string& gate,
              const std::string& up) {
  const bool bias = p->shape.rank == 1;
  const int64_t rows = p->shape[bias ? 0 : p->shape.rank - 2] / 2;
  std::vector<int64_t> shape = {rows};
  if (!bias) shape.push_back(p->shape[p->shape.rank - 1]);
  out.push_back({gate, p, matrix, 0, rows, shape});
  out.push_back({up, p, matrix, rows, rows, shape});
}

bool cut(const std::string& name, const char* suffix, std::string* stem) {
  if (!name.ends_with(suffix)) return false;
  *stem = name.substr(0, name.size() - std::strlen(suffix));
  return true;
}

void read_as_floats(const StoredTensor& t, const std::string& where, std::vector<float>& out) {
  const int64_t n = static_cast<int64_t>(out.size());
  switch (t.dtype) {
    case FileDType::kF32:
      std::memcpy(out.data(), t.data, out.size() * 4);
      return;
    case FileDType::kBF16:
      kernels::convert(n, t.data, DType::kBF16, out.data(), DType::kF32);
      return;
    case FileDType::kF16:
      kernels::convert(n, t.data, DType::kF16, out.data(), DType::kF32);
      return;
    default:
      fail(ErrorKind::kUnsupported, where.c_str(), "tensor ", t.name, " is ", file_dtype_name(t.dtype),
           "; known: F32, BF16, F16");
  }
}

// What a fused checkpoint calls a whole parameter: the name in memory is that of transformers 5.
std::vector<FilePiece> fused_piece(Parameter* p) { return {{p->name, p, -1, 0, 0, shape_of(p->shape)}}; }

std::map<Parameter*, std::vector<FilePiece>> pieces_by_parameter(const Model& model) {
  std::map<Parameter*, std::vector<FilePiece>> out;
  for (FilePiece& piece : published_pieces(model)) out[piece.parameter].push_back(std::move(piece));
  return out;
}

}  // namespace

std::vector<FilePiece> published_pieces(const Model& model) {
  const PieceNames& names = find_family(model.config().family).pieces;
  std::vector<FilePiece> out;
  for (Parameter* p : model.parameters()) {
    std::string stem;
    if (cut(p->name, ".experts.gate_up_proj", &stem)) {
      for (int64_t e = 0; e < p->matrices; ++e) {
        const std::string expert = stem + ".experts." + std::to_string(e) + ".";
        add_pair(out, p, e, expert + names.gate + ".weight", expert + names.up + ".weight");
      }
    } else if (cut(p->name, ".experts.down_proj", &stem)) {
      for (int64_t e = 0; e < p->matrices; ++e)
        out.push_back({stem + ".experts." + std::to_string(e) + "." + names.down + ".weight", p, e, 0,
                       p->shape[1], shape_of(p->shape, 1)});
    } else if (cut(p->name, ".gate_up_proj.weight", &stem)) {
      add_pair(out, p, 0, stem + ".gate_proj.weight", stem + ".up_proj.weight");
    } else if (cut(p->name, ".gate_up_proj.bias", &stem)) {
      add_pair(out, p, 0, stem + ".gate_proj.bias", stem + ".up_proj.bias");
    } else {
      out.push_back({p->name, p, 0, 0, p->shape.rank == 1 ? p->elements() : p->shape[0], shape_of(p->shape)});
    }
  }
  return out;
}

void load_weights(Model& model, const TensorFiles& files) {
  const std::string& where = files.path();
  std::set<std::string> used;
  const auto fetch = [&](const FilePiece& piece, std::vector<float>& values) {
    const StoredTensor* t = files.find(piece.name);
    if (!t)
      fail(ErrorKind::kCorruptData, where.c_str(), "the tensor ", piece.name, " of shape ",
           shape_text(piece.shape), " is missing");
    check_data(t->shape == piece.shape, where.c_str(), "tensor ", piece.name,
               ": the configuration wants shape ", shape_text(piece.shape), ", the file has ",
               shape_text(t->shape));
    used.insert(piece.name);
    int64_t n = 1;
    for (int64_t extent : t->shape) n *= extent;
    values.resize(static_cast<size_t>(n));
    read_as_floats(*t, where, values);
  };

  std::vector<float> values, matrix;
  const auto pieces = pieces_by_parameter(model);
  for (Parameter* p : model.parameters()) {
    const int64_t per_matrix = p->elements() / p->matrices;
    if (p->name.find(".experts.") != std::string::npos && files.find(p->name)) {  // fused
      fetch(fused_piece(p)[0], values);
      for (int64_t m = 0; m < p->matrices; ++m) p->write_matrix(m, values.data() + m * per_matrix);
      continue;
    }
    const int64_t row_width = p->shape.rank == 1 ? 1 : p->shape[p->shape.rank - 1];
    matrix.resize(static_cast<size_t>(per_matrix));
    for (const FilePiece& piece : pieces.at(p)) {
      fetch(piece, values);
      std::memcpy(matrix.data() + piece.row * row_width, values.data(), values.size() * sizeof(float));
      if ((piece.row + piece.rows) * row_width == per_matrix) p->write_matrix(piece.matrix, matrix.data());
    }
  }
  for (const std::string& name : files.names()) {
    const bool harmless =
        name.ends_with(".rotary_emb.inv_freq") || (model.config().tied && name == "lm_head.weight");
    check_data(used.count(name) || harmless, where.c_str(), "the tensor ", name, " has no place in a ",
               model.config().family, " model of this configuration");
  }
}

std::vector<TensorSource> weight_sources(const Model& model, FileDType type) {
  check(type == FileDType::kF32 || type == FileDType::kBF16, "weights", "wanted F32 or BF16, found ",
        file_dtype_name(type));
  std::vector<TensorSource> out;
  for (const FilePiece& piece : published_pieces(model)) {
    TensorSource source;
    source.name = piece.name, source.dtype = type, source.shape = piece.shape;
    source.stream = [piece, type](const ByteSink& sink) {
      const Parameter& p = *piece.parameter;
      std::vector<float> matrix(static_cast<size_t>(p.elements() / p.matrices));
      p.read_matrix(piece.matrix, matrix.data());
      const int64_t row_width = p.shape.rank == 1 ? 1 : p.shape[p.shape.rank - 1];
      const float* begin = matrix.data() + piece.row * row_width;
      const size_t n = static_cast<size_t>(piece.rows * row_width);
      if (type == FileDType::kF32) {
        sink(begin, n * sizeof(float));
        return;
      }
      std::vector<bf16> rounded(n);
      for (size_t i = 0; i < n; ++i) {  // halves up, as masters are split
        int16_t unused;
        kernels::split_master(begin[i], &rounded[i], &unused);
      }
      sink(rounded.data(), n * sizeof(bf16));
    };
    out.push_back(std::move(source));
  }
  return out;
}

std::unique_ptr<Model> open_model(const std::string& directory, DType weights) {
  const std::string path = directory + "/config.json";
  if (!directory_exists(directory))
    fail(ErrorKind::kNotFound, "model", "no folder ", directory, "; wanted a Hugging Face model directory");
  if (!file_exists(path))
    fail(ErrorKind::kNotFound, "model", directory,
         " has no config.json; wanted a Hugging Face model directory");
  auto model = std::make_unique<Model>(read_model_config(read_file(path), path), weights);
  load_weights(*model, TensorFiles(directory));
  return model;
}

}  // namespace lyceum
