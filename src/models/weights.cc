#include "models/weights.h"

#include <cstring>
#include <map>
#include <set>

#include "base/file.h"
#include "base/threads.h"
#include "kernels/optimizer.h"
#include "kernels/rowwise.h"
#include "models/families.h"

namespace lyceum {
namespace {

// Where a span's values come from.
struct Use {
  const StoredTensor* tensor;
  FileSpan span;
};

float element_of(const StoredTensor& t, int64_t at) {
  const char* data = reinterpret_cast<const char*>(t.data);
  if (t.dtype == FileDType::kI64) {
    int64_t v;
    std::memcpy(&v, data + 8 * at, 8);
    return static_cast<float>(v);
  }
  if (t.dtype == FileDType::kI32) {
    int32_t v;
    std::memcpy(&v, data + 4 * at, 4);
    return static_cast<float>(v);
  }
  if (t.dtype == FileDType::kF32) {
    float v;
    std::memcpy(&v, data + 4 * at, 4);
    return v;
  }
  uint16_t bits;
  std::memcpy(&bits, data + 2 * at, 2);
  if (t.dtype == FileDType::kBF16) return to_float(bf16{bits});
  float v;
  kernels::convert(1, &bits, DType::kF16, &v, DType::kF32);
  return v;
}

// One matrix of a span to its place in the matrix of the parameter, [.., width] f32.
void copy_span(const Use& use, int64_t m, float* matrix, int64_t width) {
  const FileSpan& s = use.span;
  const StoredTensor& t = *use.tensor;
  const DType type = t.dtype == FileDType::kF32    ? DType::kF32
                     : t.dtype == FileDType::kBF16 ? DType::kBF16
                                                   : DType::kF16;
  const char* data = reinterpret_cast<const char*>(t.data);
  const int64_t size = static_cast<int64_t>(dtype_size(type)), start = s.offset + m * s.matrix_step;
  const auto run = [&](int64_t n, int64_t from, float* to) {
    kernels::convert(n, data + from * size, type, to, DType::kF32);
  };
  const bool ids = t.dtype == FileDType::kI64 || t.dtype == FileDType::kI32;
  if (!ids && s.column_step == 1 && s.row_step == s.columns && s.columns == width)
    return run(s.rows * s.columns, start, matrix + s.row * width);
  for (int64_t i = 0; i < s.rows; ++i) {
    float* to = matrix + (s.row + i) * width + s.column;
    const int64_t from = start + i * s.row_step;
    if (!ids && s.column_step == 1 && s.columns > 1) {
      run(s.columns, from, to);
    } else {
      for (int64_t j = 0; j < s.columns; ++j) to[j] = element_of(t, from + j * s.column_step);
    }
  }
}

// The form in which this file holds the parameters: the published one, experts stacked where they are.
FileTensors tensors_in(const Model& model, const TensorFiles& files) {
  std::vector<Parameter*> published;
  FileTensors stacked;
  for (Parameter* p : model.parameters()) {
    std::string found;
    for (const std::string& name : stacked_names(model.config(), *p))
      if (found.empty() && files.find(name)) found = name;
    FileTensors usual = found.empty() ? FileTensors() : published_tensors(model.config(), {p});
    const bool same = !found.empty() && usual.all().size() == 1 && usual.all()[0].name == found;
    if (found.empty() || same) published.push_back(p);
    else stacked.whole(*p, found);
  }
  FileTensors out = published_tensors(model.config(), published);
  for (FileTensor& t : stacked.all()) out.all().push_back(std::move(t));
  return out;
}

void check_tensor(const FileTensor& wanted, const StoredTensor* t, const std::string& where) {
  if (!t)
    fail(ErrorKind::kCorruptData, where.c_str(), "the tensor ", wanted.name, " of shape ",
         shape_text(wanted.shape), " is missing");
  check_data(t->shape == wanted.shape, where.c_str(), "tensor ", wanted.name,
             ": the configuration wants shape ", shape_text(wanted.shape), ", the file has ",
             shape_text(t->shape));
  const bool ids = wanted.spans[0].parameter->type() == DType::kI32;  // a table of experts
  const bool known =
      ids ? t->dtype == FileDType::kI64 || t->dtype == FileDType::kI32
          : t->dtype == FileDType::kF32 || t->dtype == FileDType::kBF16 || t->dtype == FileDType::kF16;
  if (!known)
    fail(ErrorKind::kUnsupported, where.c_str(), "tensor ", t->name, " is ", file_dtype_name(t->dtype),
         ids ? "; known: I64, I32" : "; known: F32, BF16, F16");
}

}  // namespace

FileTensors published_tensors(const Model& model) {
  return published_tensors(model.config(), model.parameters());
}

void load_weights(Model& model, const TensorFiles& files) {
  const std::string& where = files.path();
  std::set<std::string> used;
  std::map<Parameter*, std::vector<Use>> uses;
  const FileTensors wanted = tensors_in(model, files);
  for (const FileTensor& t : wanted.all()) {
    const StoredTensor* stored = files.find(t.name);
    check_tensor(t, stored, where);
    used.insert(t.name);
    for (const FileSpan& span : t.spans) uses[span.parameter].push_back({stored, span});
  }
  const TensorNames& names = find_family(model.config().family).names;
  const std::string beyond = "model.layers." + std::to_string(model.config().n_layers) + ".";
  for (const std::string& name : files.names()) {
    bool harmless =
        name.ends_with(".rotary_emb.inv_freq") || (model.config().tied && name == "lm_head.weight");
    for (const char* end : names.unread) harmless |= name.ends_with(end);
    harmless |= names.more_blocks && name.starts_with(beyond);
    check_data(used.count(name) || harmless, where.c_str(), "the tensor ", name, " has no place in a ",
               model.config().family, " model of this configuration");
  }
  for (Parameter* p : model.parameters()) {
    const std::vector<Use>& from = uses.at(p);
    const int64_t per_matrix = p->elements() / p->matrices, width = matrix_columns(*p);
    parallel_for(p->matrices, [&](int64_t m, int) {
      std::vector<float> matrix(static_cast<size_t>(per_matrix));
      for (const Use& use : from)
        if (m >= use.span.matrix && m < use.span.matrix + use.span.matrices)
          copy_span(use, m - use.span.matrix, matrix.data(), width);
      p->write_matrix(m, matrix.data());
    });
  }
}

namespace {

// Hands the values of a tensor to the sink, as f32 or rounded as masters are split (halves up).
void send(const std::vector<float>& values, FileDType type, const ByteSink& sink) {
  if (type == FileDType::kF32) return sink(values.data(), values.size() * sizeof(float));
  if (type == FileDType::kI32) {
    const std::vector<int32_t> ids(values.begin(), values.end());
    return sink(ids.data(), ids.size() * sizeof(int32_t));
  }
  std::vector<bf16> rounded(values.size());
  for (size_t i = 0; i < values.size(); ++i) {
    int16_t unused;
    kernels::split_master(values[i], &rounded[i], &unused);
  }
  sink(rounded.data(), rounded.size() * sizeof(bf16));
}

std::vector<float> matrix_of(const Parameter& p, int64_t m) {
  std::vector<float> values(static_cast<size_t>(p.elements() / p.matrices));
  p.read_matrix(m, values.data());
  return values;
}

// A stack of experts is sent one by one: a tensor is never in memory twice.
void stream_tensor(const FileTensor& t, FileDType type, const ByteSink& sink) {
  const int64_t stack = t.shape.size() == 3 ? t.shape[0] : 1,
                step = t.elements() / std::max<int64_t>(1, stack);
  for (const FileSpan& s : t.spans)
    if (stack == 1 || s.matrices != stack || s.matrix_step != step)
      return send(tensor_values(t, matrix_of), type, sink);
  for (int64_t m = 0; m < stack; ++m) {
    FileTensor one{t.name, {t.shape[1], t.shape[2]}, t.spans};
    for (FileSpan& s : one.spans) s.matrix += m, s.matrices = 1;
    send(tensor_values(one, matrix_of), type, sink);
  }
}

}  // namespace

std::vector<TensorSource> weight_sources(const Model& model, FileDType type) {
  check(type == FileDType::kF32 || type == FileDType::kBF16, "weights", "wanted F32 or BF16, found ",
        file_dtype_name(type));
  std::vector<TensorSource> out;
  const FileTensors tensors = published_tensors(model);
  for (const FileTensor& t : tensors.all()) {
    TensorSource source;
    const FileDType own = t.spans[0].parameter->type() == DType::kI32 ? FileDType::kI32 : type;
    source.name = t.name, source.dtype = own, source.shape = t.shape;
    source.stream = [t, own](const ByteSink& sink) { stream_tensor(t, own, sink); };
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
