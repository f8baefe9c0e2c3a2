#include "models/file_tensors.h"

#include <cstring>

#include "models/families.h"

namespace lyceum {
namespace {

std::vector<int64_t> shape_of(const Shape& s) { return {s.dims, s.dims + s.rank}; }

bool cut(const std::string& name, const char* suffix, std::string* stem) {
  if (!name.ends_with(suffix)) return false;
  *stem = name.substr(0, name.size() - std::strlen(suffix));
  return true;
}

std::string renamed(std::string name, const std::vector<Rename>& renames) {
  for (const Rename& r : renames)
    for (size_t at = 0; (at = name.find(r.from, at)) != std::string::npos; at += std::strlen(r.to))
      name.replace(at, std::strlen(r.from), r.to);
  return name;
}

// A gated pair is one parameter in memory (gate rows first) and two tensors in files.
void add_pair(FileTensors& out, Parameter& p, int64_t matrix, const std::string& gate,
              const std::string& up) {
  const int64_t half = matrix_rows(p) / 2;
  out.rows(p, matrix, 0, half, gate);
  out.rows(p, matrix, half, half, up);
}

void add_by_rule(Parameter& p, const std::string& name, const TensorNames& names, FileTensors& out) {
  std::string stem;
  if (cut(name, ".experts.gate_up_proj", &stem)) {
    for (int64_t e = 0; e < p.matrices; ++e) {
      const std::string expert = stem + ".experts." + std::to_string(e) + ".";
      add_pair(out, p, e, expert + names.gate + ".weight", expert + names.up + ".weight");
    }
  } else if (cut(name, ".experts.down_proj", &stem)) {
    for (int64_t e = 0; e < p.matrices; ++e)
      out.rows(p, e, 0, matrix_rows(p),
               stem + ".experts." + std::to_string(e) + "." + names.down + ".weight");
  } else if (cut(name, ".gate_up_proj.weight", &stem)) {
    add_pair(out, p, 0, stem + ".gate_proj.weight", stem + ".up_proj.weight");
  } else if (cut(name, ".gate_up_proj.bias", &stem)) {
    add_pair(out, p, 0, stem + ".gate_proj.bias", stem + ".up_proj.bias");
  } else {
    out.whole(p, name);
  }
}

}  // namespace

int64_t FileTensor::elements() const {
  int64_t n = 1;
  for (int64_t extent : shape) n *= extent;
  return n;
}

int64_t matrix_rows(const Parameter& p) { return p.shape[p.shape.rank == 3 ? 1 : 0]; }
int64_t matrix_columns(const Parameter& p) { return p.shape.rank == 1 ? 1 : p.shape[p.shape.rank - 1]; }

FileTensor& FileTensors::tensor(const std::string& name, std::vector<int64_t> shape) {
  for (FileTensor& t : list_)
    if (t.name == name) {
      ensure(t.shape == shape, "weights", "tensor ", name, " is described with two shapes");
      return t;
    }
  return list_.emplace_back(FileTensor{name, std::move(shape), {}});
}

void FileTensors::whole(Parameter& p, const std::string& name) {
  const int64_t rows = matrix_rows(p), columns = matrix_columns(p);
  list_.push_back(
      {name, shape_of(p.shape), {{&p, 0, p.matrices, 0, rows, 0, columns, 0, rows * columns, columns, 1}}});
}

void FileTensors::transposed(Parameter& p, const std::string& name) {
  const int64_t rows = matrix_rows(p), columns = matrix_columns(p);
  std::vector<int64_t> shape = {columns, rows};
  if (p.shape.rank == 3) shape.insert(shape.begin(), p.matrices);
  list_.push_back({name, shape, {{&p, 0, p.matrices, 0, rows, 0, columns, 0, rows * columns, 1, rows}}});
}

void FileTensors::rows(Parameter& p, int64_t matrix, int64_t row, int64_t rows, const std::string& name) {
  const int64_t columns = matrix_columns(p);
  std::vector<int64_t> shape = {rows};
  if (p.shape.rank > 1) shape.push_back(columns);
  list_.push_back({name, shape, {{&p, matrix, 1, row, rows, 0, columns, 0, 0, columns, 1}}});
}

FileTensors published_tensors(const ModelConfig& config, const std::vector<Parameter*>& parameters) {
  const TensorNames& names = find_family(config.family).names;
  FileTensors out;
  for (Parameter* p : parameters) {
    const std::string name = renamed(p->name, names.renames);
    if (!names.place || !names.place(config, *p, name, out)) add_by_rule(*p, name, names, out);
  }
  return out;
}

std::vector<std::string> whole_names(const ModelConfig& config, const Parameter& p) {
  const TensorNames& names = find_family(config.family).names;
  return {renamed(p.name, names.stacked), renamed(p.name, names.renames)};
}

std::vector<std::string> embedding_copies(const ModelConfig& config) {
  const TensorNames& names = find_family(config.family).names;
  std::vector<std::string> copies(names.copies.begin(), names.copies.end());
  if (config.tied) copies.push_back(renamed("lm_head.weight", names.renames));
  return copies;
}

}  // namespace lyceum
