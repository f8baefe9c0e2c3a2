#include "train/state.h"

#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>

#include "base/random.h"
#include "kernels/optimizer.h"
#include "models/families.h"
#include "models/weights.h"

namespace lyceum {
namespace {

using nlohmann::json;

std::vector<int64_t> extents(const Shape& s) { return {s.dims, s.dims + s.rank}; }

// The i16 residuals in logical order.
std::vector<int16_t> logical_residual(const Parameter& p) {
  std::vector<int16_t> out(static_cast<size_t>(p.elements()));
  const int16_t* physical = p.residual.as<int16_t>();
  if (p.order == Parameter::Order::kPlain) {
    std::memcpy(out.data(), physical, out.size() * sizeof(int16_t));
  } else {
    for (int64_t m = 0; m < p.matrices; ++m)
      unpack_weight(p.layout, physical + m * p.layout.size(), out.data() + m * (p.elements() / p.matrices),
                    sizeof(int16_t));
  }
  return out;
}

TensorSource f32_source(std::string name, const Parameter* p, Tensor physical) {
  return {std::move(name), FileDType::kF32, extents(p->shape), [p, physical](const ByteSink& sink) {
            const std::vector<float> logical = p->to_logical(physical);
            sink(logical.data(), logical.size() * sizeof(float));
          }};
}

const StoredTensor& tensor_of(const Checkpoint& c, const std::string& name, FileDType type, const Shape& s) {
  const StoredTensor& t = c.training_tensor(name);
  check_data(t.dtype == type && t.shape == extents(s), c.path().c_str(), "training_state: tensor ", name,
             " should be ", file_dtype_name(type), " ", s.text(), ", found ", file_dtype_name(t.dtype), " ",
             shape_text(t.shape));
  return t;
}

}  // namespace

uint64_t extend_rates_hash(uint64_t hash, double rate) {
  uint64_t bits;
  std::memcpy(&bits, &rate, sizeof bits);
  return mix64(hash ^ mix64(bits + 0x9e3779b97f4a7c15ull));
}

const char* program_version() {
#ifdef LYCEUM_VERSION
  return LYCEUM_VERSION;
#else
  return "development";
#endif
}

CheckpointContents checkpoint_contents(const Model& model, const Optimizer& optimizer, const TrainingState& s,
                                       const TrainConfig& config,
                                       const std::map<std::string, std::string>& texts) {
  const bool rounded = model.weight_type() == DType::kBF16;
  CheckpointContents out;
  out.step = s.step;
  out.texts = texts;
  out.texts["config.json"] = write_model_config(model.config(), rounded ? "bfloat16" : "float32");
  out.texts["generation_config.json"] = write_generation_config(model.config());
  out.weights = weight_sources(model, rounded ? FileDType::kBF16 : FileDType::kF32);

  for (const StateTensor& t : optimizer.state())
    out.training_tensors.push_back(f32_source(t.name, t.parameter, t.values));
  if (rounded)
    for (const Parameter* p : model.parameters()) {
      if (p->residual) {
        out.training_tensors.push_back(
            {p->name + ".residual", FileDType::kI16, extents(p->shape), [p](const ByteSink& sink) {
               const std::vector<int16_t> r = logical_residual(*p);
               sink(r.data(), r.size() * sizeof(int16_t));
             }});
      } else if (p->type() == DType::kF32) {
        out.training_tensors.push_back(f32_source(p->name + ".master", p, p->value));
      }
    }

  json j;
  j["format"] = "lyceum training state 1";
  j["step"] = s.step, j["optimizer_steps"] = s.optimizer_steps, j["tokens"] = s.tokens;
  j["skipped"] = s.skipped, j["skipped_in_a_row"] = s.skipped_in_a_row;
  j["seconds"] = s.seconds, j["rates_hash"] = s.rates_hash;
  j["loss"] = std::isfinite(s.loss) ? json(s.loss) : json();
  j["cursor"] = s.cursor, j["seed"] = config.train.seed, j["version"] = program_version();
  j["config"] = json::parse(config_json(config));
  out.state = j.dump(1) + "\n";
  return out;
}

SavedState read_training_state(const Checkpoint& c) {
  const std::string where = c.path() + "/" + Checkpoint::kState;
  const json j = json::parse(c.state(), nullptr, false);
  check_data(j.is_object() && j.value("format", "") == "lyceum training state 1", where.c_str(),
             "wanted a training state of format 1");
  SavedState out;
  TrainingState& s = out.state;
  try {
    s.step = j.at("step"), s.optimizer_steps = j.at("optimizer_steps"), s.tokens = j.at("tokens");
    s.skipped = j.at("skipped"), s.skipped_in_a_row = j.at("skipped_in_a_row");
    s.seconds = j.at("seconds"), s.rates_hash = j.at("rates_hash"), s.cursor = j.at("cursor");
    s.loss = j.at("loss").is_number() ? j.at("loss").get<double>() : 0.0;
    out.version = j.at("version");
  } catch (const json::exception& e) {
    fail(ErrorKind::kCorruptData, where.c_str(), e.what());
  }
  out.config = config_from_json(j.value("config", json::object()).dump(), where);
  return out;
}

void restore_weights(const Checkpoint& c, Model& model) {
  for (const std::string& name : c.weights().names()) c.weight(name);  // checksums
  load_weights(model, c.weights());
  if (!c.has_training_tensors()) return;
  std::vector<float> master;
  for (Parameter* p : model.parameters()) {
    const size_t n = static_cast<size_t>(p->elements());
    if (c.training_tensors().find(p->name + ".master")) {
      const StoredTensor& t = tensor_of(c, p->name + ".master", FileDType::kF32, p->shape);
      master.resize(n);
      std::memcpy(master.data(), t.data, n * sizeof(float));
    } else if (c.training_tensors().find(p->name + ".residual")) {
      const StoredTensor& t = tensor_of(c, p->name + ".residual", FileDType::kI16, p->shape);
      master = p->read_master();  // the bf16 values of the file, exactly
      for (size_t i = 0; i < n; ++i) {
        int16_t residual;
        std::memcpy(&residual, t.data + i * sizeof residual, sizeof residual);
        uint32_t bits;
        std::memcpy(&bits, &master[i], sizeof bits);
        master[i] = kernels::master_of(bf16{static_cast<uint16_t>(bits >> 16)}, residual);
      }
    } else {
      continue;
    }
    p->write_master(master.data());
  }
}

void restore_optimizer(const Checkpoint& c, const TrainingState& state, Optimizer& optimizer) {
  std::vector<float> logical;
  for (const StateTensor& t : optimizer.state()) {
    const StoredTensor& stored = tensor_of(c, t.name, FileDType::kF32, t.parameter->shape);
    logical.resize(static_cast<size_t>(t.parameter->elements()));
    std::memcpy(logical.data(), stored.data, logical.size() * sizeof(float));
    t.parameter->from_logical(logical.data(), t.values);
  }
  optimizer.set_steps(state.optimizer_steps);
}

}  // namespace lyceum
