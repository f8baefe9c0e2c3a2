// build/lyceum_goldens: walks folders of goldens (tests/goldens/README.md) and holds everything that the
// reference implementations computed against this program: logits, hidden states and routing by layer,
// losses, the gradient of every tensor, ten optimiser steps, greedy text with and without cache, both
// spellings of config.json. LYCEUM_GOLDENS=DIR points it at another set. The last line counts passed, failed
// and skipped folders.
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "base/file.h"
#include "base/log.h"
#include "models/families.h"
#include "models/weights.h"
#include "moe/balance.h"
#include "train/optimizer.h"

namespace lyceum {
namespace {

using nlohmann::json;

// Tolerances of tests/goldens/README.md, "How close to expect".
constexpr double kForward = 1e-4, kGradient = 1e-3, kLoss = 2e-5, kNorm = 5e-4, kAfterTraining = 1e-3;

std::vector<double> doubles(const StoredTensor& t) {
  std::vector<double> out;
  const auto read = [&](auto sample) {
    using T = decltype(sample);
    const size_t n = t.bytes / sizeof(T);
    out.resize(n);
    for (size_t i = 0; i < n; ++i) {
      T v;
      std::memcpy(&v, t.data + i * sizeof(T), sizeof(T));
      out[i] = static_cast<double>(v);
    }
  };
  if (t.dtype == FileDType::kF64) read(double{});
  else if (t.dtype == FileDType::kF32) read(float{});
  else if (t.dtype == FileDType::kI64) read(int64_t{});
  else fail(ErrorKind::kUnsupported, "goldens", t.name, " is ", file_dtype_name(t.dtype));
  return out;
}

struct Case {
  std::string folder, family;
  TensorFiles expect;
  std::vector<std::string> complaints;
  double worst = 0;  // largest share of a tolerance that was used

  explicit Case(const std::string& f) : folder(f), expect(f + "/expect.safetensors") {}

  void complain(const std::string& text) { complaints.push_back(text); }
  void near(const std::string& what, double found, double wanted, double tolerance) {
    const double error = std::abs(found - wanted) / std::max(1e-30, std::abs(wanted));
    worst = std::max(worst, error / tolerance);
    if (!(error <= tolerance))
      complain(what + ": wanted " + std::to_string(wanted) + ", found " + std::to_string(found));
  }
  // Largest difference relative to the largest wanted value.
  void near(const std::string& what, const std::vector<float>& found, const std::vector<double>& wanted,
            double tolerance) {
    if (found.size() != wanted.size())
      return complain(what + ": wanted " + std::to_string(wanted.size()) + " values, found " +
                      std::to_string(found.size()));
    double largest = 0, difference = 0;
    for (size_t i = 0; i < wanted.size(); ++i) {
      largest = std::max(largest, std::abs(wanted[i]));
      difference = std::max(difference, std::isfinite(found[i]) ? std::abs(found[i] - wanted[i]) : 1e30);
    }
    const double error = difference / std::max(largest, 1e-12);
    worst = std::max(worst, error / tolerance);
    char text[160];
    std::snprintf(text, sizeof text, ": off by %.2e of the largest value %.3g (tolerance %.0e)", error,
                  largest, tolerance);
    if (!(error <= tolerance)) complain(what + text);
  }
};

Batch make_batch(const std::vector<double>& ids, int64_t sequences) {
  Batch b;
  const int64_t length = static_cast<int64_t>(ids.size()) / sequences;
  for (int64_t s = 0; s < sequences; ++s) {
    b.offsets.push_back(static_cast<int32_t>(s * length));
    for (int64_t t = 0; t < length; ++t) {
      const bool last = t + 1 == length;
      b.ids.push_back(static_cast<int32_t>(ids[static_cast<size_t>(s * length + t)]));
      b.positions.push_back(static_cast<int32_t>(t));
      b.domains.push_back(0);
      b.targets.push_back(last ? -1 : static_cast<int32_t>(ids[static_cast<size_t>(s * length + t + 1)]));
      b.weights.push_back(last ? 0.0f : 1.0f / static_cast<float>(sequences * (length - 1)));
    }
  }
  b.offsets.push_back(static_cast<int32_t>(sequences * length));
  return b;
}

Batch read_batch(const TensorFiles& files, const std::string& name) {
  const StoredTensor& ids = files.at(name);
  return make_batch(doubles(ids), ids.shape.at(0));
}

std::vector<float> logits_of(const Model& model, const Batch& batch, SequenceState* state = nullptr,
                             Taps* taps = nullptr) {
  Tape tape(false);
  Context c{tape, batch};
  c.taps = taps, c.state = state;
  const Model::Output out = model.forward(c);
  return model.logits(tape, out.hidden).to_floats();
}

class Recorder : public Taps {
 public:
  void on(const char* station, int64_t layer, const Tensor& value) override {
    std::string name = std::string(station) + (layer >= 0 ? "." + std::to_string(layer) : "");
    if (name == "final") name = "hidden.final";
    if (value.type() == DType::kI32) {
      std::vector<float>& v = values[name];
      for (int64_t i = 0; i < value.elements(); ++i) v.push_back(static_cast<float>(value.i32()[i]));
    } else {
      values[name] = value.to_floats();
    }
  }
  std::map<std::string, std::vector<float>> values;
};

struct StepLosses {
  double loss = 0, aux = 0;
};

StepLosses backward(Model& model, const Batch& batch, bool recompute) {
  Tape tape(true);
  Context c{tape, batch};
  c.phase = Phase::kTraining;
  const Model::Output out = model.forward(c, recompute);
  const BalanceLosses balance = balance_losses(
      tape, out.routings, {BalanceForm::kHuggingFace, model.config().balance_coefficient, 0.0}, 1.0);
  const ops::CrossEntropy ce = model.cross_entropy(tape, out.hidden, batch.targets, batch.weights);
  tape.backward();
  return {ce.loss, balance.balance};
}

void check_forward(Case& c, const Model& model, const Batch& batch) {
  Recorder taps;
  const std::vector<float> logits = logits_of(model, batch, nullptr, &taps);
  c.near("logits", logits, doubles(c.expect.at(c.expect.find("logits64") ? "logits64" : "logits")), kForward);
  for (const std::string& name : c.expect.names()) {
    std::string tap = name;
    if (name.starts_with("router_ids.")) tap = "router_experts." + name.substr(11);
    if (!name.starts_with("hidden.") && !name.starts_with("router_")) continue;
    if (!taps.values.count(tap)) {
      c.complain("nothing was tapped for " + name);
      continue;
    }
    if (name.starts_with("router_ids.")) {
      const std::vector<double> wanted = doubles(c.expect.at(name));
      const std::vector<float>& found = taps.values[tap];
      if (!std::equal(wanted.begin(), wanted.end(), found.begin(), found.end()))
        c.complain(name + ": other experts were chosen");
    } else {
      c.near(name, taps.values[tap], doubles(c.expect.at(name)), kForward);
    }
  }
}

void check_gradients(Case& c, Model& model, const Batch& batch, bool recompute) {
  for (Parameter* p : model.parameters()) p->grad.set_zero();
  const StepLosses losses = backward(model, batch, recompute);
  c.near("loss", losses.loss, doubles(c.expect.at("loss"))[0], kLoss);
  if (c.expect.find("aux_loss")) c.near("aux_loss", losses.aux, doubles(c.expect.at("aux_loss"))[0], kLoss);
  std::map<const Parameter*, std::vector<std::vector<float>>> gradients;  // by matrix
  std::map<std::string, std::vector<float>> found;
  for (const Parameter* p : model.parameters()) {
    const std::vector<float> all = p->to_logical(p->grad);
    const auto n = p->elements() / p->matrices;
    for (int64_t m = 0; m < p->matrices; ++m)
      gradients[p].emplace_back(all.begin() + m * n, all.begin() + (m + 1) * n);
    if (c.expect.find("grad." + p->name)) found[p->name] = all;  // checkpoints with stacked experts
  }
  const FileTensors tensors = published_tensors(model);
  for (const FileTensor& t : tensors.all())
    found[t.name] = tensor_values(t, [&](const Parameter& p, int64_t m) -> const std::vector<float>& {
      return gradients.at(&p)[static_cast<size_t>(m)];
    });
  for (const std::string& name : c.expect.names())
    if (name.starts_with("grad.")) {
      const std::string tensor = name.substr(5);
      if (!found.count(tensor)) c.complain("no gradient for " + tensor);
      else c.near(name, found[tensor], doubles(c.expect.at(name)), kGradient);
    }
}

void check_training(Case& c, Model& model, const Batch& batch) {
  const json train = json::parse(read_file(c.folder + "/train.json"));
  const TensorFiles batches(c.folder + "/train_batches.safetensors");
  const auto& recipe = train["optimiser"];
  const std::vector<Parameter*> parameters = model.parameters();
  for (Parameter* p : parameters) p->grad.set_zero();
  OptimizerOptions options;
  options.beta1 = recipe["betas"][0], options.beta2 = recipe["betas"][1], options.eps = recipe["eps"];
  options.weight_decay = recipe["weight_decay"];
  const auto optimizer = make_optimizer(options, parameters);
  for (const auto& step : train["steps"]) {
    const std::string number = std::to_string(step["step"].get<int>());
    const Batch b = read_batch(batches, "input_ids." + number);
    const StepLosses losses = backward(model, b, false);
    c.near("loss of step " + number, losses.loss, step["loss64"].get<double>(), kLoss);
    if (step.contains("aux_loss64") && step["aux_loss64"].is_number())
      c.near("aux loss of step " + number, losses.aux, step["aux_loss64"].get<double>(), kLoss);
    const double norm = gradient_norm(parameters), limit = recipe["clip_gradient_norm"];
    c.near("gradient norm of step " + number, norm, step["gradient_norm64"].get<double>(), kNorm);
    optimizer->step(step["learning_rate"], std::min(1.0, limit / (norm + 1e-6)));
  }
  c.near("logits after training", logits_of(model, batch), doubles(c.expect.at("logits64_after_training")),
         kAfterTraining);
}

int32_t best_of_last_row(const std::vector<float>& logits, int64_t vocab) {
  const float* row = logits.data() + logits.size() - static_cast<size_t>(vocab);
  return static_cast<int32_t>(std::max_element(row, row + vocab) - row);
}

void check_greedy(Case& c, const Model& model) {
  const json generate = json::parse(read_file(c.folder + "/generate.json"));
  for (const auto& text : generate["texts"]) {
    const std::vector<double> prompt = text["prompt"].get<std::vector<double>>();
    const std::vector<int32_t> wanted = text["new_tokens"].get<std::vector<int32_t>>();
    for (const bool cached : {false, true}) {
      std::vector<double> all = prompt;
      SequenceState state = model.new_state(static_cast<int64_t>(prompt.size() + wanted.size()));
      std::vector<int32_t> found;
      size_t fed = 0;
      while (found.size() < wanted.size()) {
        Batch b = make_batch(
            cached ? std::vector<double>(all.begin() + static_cast<int64_t>(fed), all.end()) : all, 1);
        if (cached)
          for (size_t i = 0; i < b.positions.size(); ++i) b.positions[i] = static_cast<int32_t>(fed + i);
        fed = all.size();
        found.push_back(
            best_of_last_row(logits_of(model, b, cached ? &state : nullptr), model.config().vocab));
        all.push_back(found.back());
      }
      if (found != wanted)
        c.complain("greedy text of " + std::to_string(prompt.size()) + " tokens differs" +
                   (cached ? " with a cache" : ""));
    }
  }
}

void check_other_config(Case& c, const Batch& batch, const std::vector<float>& logits) {
  const std::string path = c.folder + "/config.v4.json";
  if (!file_exists(path)) return;
  Model model(read_model_config(read_file(path), path), DType::kF32);
  load_weights(model, TensorFiles(c.folder));
  if (logits_of(model, batch) != logits) c.complain("config.v4.json gives other logits");
}

// What we write must read back as the same configuration.
void check_config_round_trip(Case& c, const ModelConfig& config) {
  const ModelConfig again = read_model_config(write_model_config(config, "float32"), "written config.json");
  ModelConfig a = config, b = again;
  for (const std::string& line : fields_diff(fields_of(a), fields_of(b)))
    c.complain("config.json round trip: " + line);
}

void run_case(Case& c) {
  const std::string path = c.folder + "/config.json";
  const ModelConfig config = read_model_config(read_file(path), path);
  c.family = config.family;
  Model model(config, DType::kF32);
  load_weights(model, TensorFiles(c.folder));
  model.enable_gradients();
  const Batch batch = read_batch(TensorFiles(c.folder + "/batch.safetensors"), "input_ids");
  check_forward(c, model, batch);
  check_other_config(c, batch, logits_of(model, batch));
  check_config_round_trip(c, config);
  check_greedy(c, model);
  check_gradients(c, model, batch, false);
  check_gradients(c, model, batch, true);
  check_training(c, model, batch);
}

// `complete`: every family of the program must have a case here that passes.
int run(const std::string& root, bool complete) {
  int passed = 0, failed = 0, skipped = 0;
  std::set<std::string> families;
  for (const std::string& name : list_directory(root)) {
    const std::string folder = root + "/" + name;
    if (!file_exists(folder + "/config.json") || !file_exists(folder + "/expect.safetensors")) continue;
    try {
      Case c(folder);
      run_case(c);
      if (c.complaints.empty()) {
        ++passed;
        families.insert(c.family);
        std::printf("passed   %-24s worst error %.1f %% of its tolerance\n", name.c_str(), 100 * c.worst);
      } else {
        ++failed;
        std::printf("FAILED   %s (%zu)\n", name.c_str(), c.complaints.size());
        for (size_t i = 0; i < c.complaints.size() && i < 8; ++i)
          std::printf("           %s\n", c.complaints[i].c_str());
      }
    } catch (const Error& e) {
      const bool unknown = e.kind() == ErrorKind::kUnsupported;
      ++(unknown ? skipped : failed);
      std::printf("%s  %s: %s\n", unknown ? "skipped" : "FAILED ", name.c_str(), e.what());
    }
  }
  for (const std::string& family : family_names())
    if (complete && !families.count(family)) {
      ++failed;
      std::printf("FAILED   the family %s has no golden that passes\n", family.c_str());
    }
  std::printf("goldens: %d passed, %d failed, %d skipped\n", passed, failed, skipped);
  return failed || passed == 0;
}

}  // namespace
}  // namespace lyceum

int main() {
  const char* root = std::getenv("LYCEUM_GOLDENS");
  try {
    if (root && *root) return lyceum::run(root, false);
    return lyceum::run(LYCEUM_SOURCE_DIR "/tests/goldens", true);
  } catch (const lyceum::Error& e) {
    std::fprintf(stderr, "lyceum_goldens: %s\n", e.what());
    return 1;
  }
}
