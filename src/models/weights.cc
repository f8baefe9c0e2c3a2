#include "models/weights.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <map>
#include <set>

#include "base/file.h"
#include "base/threads.h"
#include "kernels/optimizer.h"
#include "models/families.h"
#include "models/stored_values.h"

namespace lyceum {
namespace {

// Where a span's values come from.
struct Use {
  StoredValues values;
  FileSpan span;
};

// Rows [row, row + n) of matrix m of a parameter, [n, width].
template <class T>
void gather(const std::vector<Use>& uses, int64_t m, int64_t row, int64_t n, int64_t width, T* out) {
  for (const Use& use : uses) {
    const FileSpan& s = use.span;
    if (m < s.matrix || m >= s.matrix + s.matrices) continue;
    const int64_t start = s.offset + (m - s.matrix) * s.matrix_step;
    const int64_t begin = std::max(row, s.row), end = std::min(row + n, s.row + s.rows);
    for (int64_t i = begin; i < end; ++i)
      use.values.read_strided(start + (i - s.row) * s.row_step, s.columns, s.column_step,
                              out + (i - row) * width + s.column);
  }
}

// Reads a parameter in pieces of some rows, each gathered in a cache and packed from there: memory is read
// once and written once, by all threads whatever the number of matrices.
void load_parameter(Parameter& p, const std::vector<Use>& uses) {
  const int64_t width = matrix_columns(p),
                part = p.order == Parameter::Order::kPacked ? p.layout.n : matrix_rows(p);
  constexpr int64_t kValues = 1 << 16, kPanel = WeightLayout::kPanel;
  const int64_t step = std::max<int64_t>(1, kValues / width / kPanel) * kPanel;
  const int64_t pieces = (part + step - 1) / step, parts = matrix_rows(p) / part;
  bool as_is = p.type() == DType::kBF16 && !p.residual;
  for (const Use& use : uses) as_is &= use.values.tensor->dtype == FileDType::kBF16;
  parallel_for(p.matrices * parts * pieces, [&](int64_t task, int) {
    const int64_t m = task / (parts * pieces), begin = task % pieces * step;
    const int64_t row = task / pieces % parts * part + begin, n = std::min(step, part - begin);
    const auto copy = [&](auto sample) {
      static thread_local std::vector<decltype(sample)> rows;
      rows.resize(static_cast<size_t>(n * width));
      gather(uses, m, row, n, width, rows.data());
      p.write_rows(m, row, n, rows.data());
    };
    if (as_is) copy(bf16{});
    else copy(float{});
  });
}

// The form in which this file holds the parameters: the published one, or whole where that is not there.
FileTensors tensors_in(const Model& model, const TensorFiles& files) {
  std::vector<Parameter*> published;
  FileTensors whole;
  for (Parameter* p : model.parameters()) {
    bool complete = true;
    const FileTensors usual = published_tensors(model.config(), {p});
    for (const FileTensor& t : usual.all()) complete &= files.find(t.name) != nullptr;
    std::string found;
    for (const std::string& name : whole_names(model.config(), *p))
      if (!complete && found.empty() && files.find(name)) found = name;
    if (found.empty()) published.push_back(p);
    else whole.whole(*p, found);
  }
  FileTensors out = published_tensors(model.config(), published);
  for (FileTensor& t : whole.all()) out.all().push_back(std::move(t));
  return out;
}

const FileTensor& embedding_of(const FileTensors& tensors) {
  for (const FileTensor& t : tensors.all())
    if (t.spans.front().parameter->name == "model.embed_tokens.weight") return t;
  fail(ErrorKind::kInternal, "weights", "no tensor holds the embedding");
}

// A copy of the embedding that differs from it means a file whose config.json is not its own.
void check_copy(const TensorFiles& files, const FileTensor& embedding, const std::string& name) {
  FileTensor copy = embedding;
  copy.name = name;
  const StoredValues a = find_values(files, embedding), b = find_values(files, copy);
  const int64_t n = embedding.elements(), step = 1 << 14;
  std::atomic<bool> same{true};
  parallel_for((n + step - 1) / step, [&](int64_t task, int) {
    std::array<float, step> left, right;
    const int64_t begin = task * step, size = std::min(step, n - begin);
    a.read(begin, size, left.data()), b.read(begin, size, right.data());
    if (std::memcmp(left.data(), right.data(), static_cast<size_t>(size) * sizeof(float)) != 0) same = false;
  });
  check_data(
      same, files.path().c_str(), name, " differs from ", embedding.name,
      ", of which config.json makes it a copy: set tie_word_embeddings to false if the output matrix is "
      "one of its own");
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
    const StoredValues values = find_values(files, t);
    used.insert(values.tensor->name);
    if (values.scales) used.insert(values.scales->name);
    for (const FileSpan& span : t.spans)
      uses[span.parameter].push_back(
          {values, values.transposed ? transposed_span(span, t.shape[1], t.shape[2]) : span});
  }
  const bool more_blocks = find_family(model.config().family).names.more_blocks;
  const std::vector<std::string> copies = embedding_copies(model.config());
  const std::string beyond = "model.layers." + std::to_string(model.config().n_layers) + ".";
  for (const std::string& name : files.names()) {
    const bool copy = std::find(copies.begin(), copies.end(), name) != copies.end();
    if (copy) check_copy(files, embedding_of(wanted), name);
    const bool harmless = name.ends_with(".rotary_emb.inv_freq") || (more_blocks && name.starts_with(beyond));
    check_data(used.count(name) || copy || harmless, where.c_str(), "the tensor ", name,
               " has no place in a ", model.config().family, " model of this configuration");
  }
  for (Parameter* p : model.parameters()) load_parameter(*p, uses.at(p));
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
