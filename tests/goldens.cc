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
// A bias of keys moves all scores of a query alike: its gradient is 0 up to rounding.
constexpr double kNoGradient = 1e-4;

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
  bool unshifted = false;
  Phase phase = Phase::kEvaluation;  // the published programs ran without dropout, jitter and sampling
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
            double tolerance, double least = 1e-12) {
    if (found.size() != wanted.size())
      return complain(what + ": wanted " + std::to_string(wanted.size()) + " values, found " +
                      std::to_string(found.size()));
    double largest = 0, difference = 0;
    for (size_t i = 0; i < wanted.size(); ++i) {
      largest = std::max(largest, std::abs(wanted[i]));
      difference = std::max(difference, std::isfinite(found[i]) ? std::abs(found[i] - wanted[i]) : 1e30);
    }
    const double error = difference / std::max(largest, least);
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

// input_ids<suffix>, with domains, and for a model with an encoder the target text and its labels.
// `unshifted`: the authors' program of a dense Yuan holds every position to its own id.
Batch read_batch(const TensorFiles& files, const std::string& suffix, bool unshifted) {
  const StoredTensor& ids = files.at("input_ids" + suffix);
  const int64_t sequences = ids.shape.at(0);
  Batch b = make_batch(doubles(ids), sequences);
  if (unshifted) b.targets = b.ids, b.weights.assign(b.ids.size(), 1.0f / static_cast<float>(b.ids.size()));
  if (const StoredTensor* domains = files.find("domain_ids" + suffix)) {
    const std::vector<double> of = doubles(*domains);
    for (int64_t t = 0; t < b.tokens(); ++t)
      b.domains[static_cast<size_t>(t)] =
          static_cast<int32_t>(of[static_cast<size_t>(t * sequences / b.tokens())]);
  }
  const StoredTensor* decoder = files.find("decoder_input_ids" + suffix);
  if (!decoder) return b;
  Batch target = make_batch(doubles(*decoder), sequences);
  target.source.push_back(b);
  const std::vector<double> labels = doubles(files.at("labels" + suffix));
  for (size_t t = 0; t < labels.size(); ++t) {
    target.targets[t] = static_cast<int32_t>(labels[t]);
    target.weights[t] = 1.0f / static_cast<float>(labels.size());
  }
  return target;
}

std::vector<float> logits_of(const Model& model, const Batch& batch, Phase phase = Phase::kEvaluation,
                             SequenceState* state = nullptr, Taps* taps = nullptr) {
  Tape tape(false);
  Context c{tape, batch};
  c.phase = phase;
  c.taps = taps, c.state = state;
  const Model::Output out = model.forward(c);
  return model.logits(tape, out.hidden).to_floats();
}

class Recorder : public Taps {
 public:
  void on(const char* station, int64_t layer, const Tensor& value) override {
    std::string name = std::string(station) + (layer >= 0 ? "." + std::to_string(layer) : "");
    if (name.ends_with("final")) name.insert(name.size() - 5, "hidden.");
    std::vector<float>& v = values[name];
    v.clear();
    if (value.type() == DType::kI32) {
      for (int64_t i = 0; i < value.elements(); ++i) v.push_back(static_cast<float>(value.i32()[i]));
    } else if (value.type() == DType::kU8) {
      for (int64_t i = 0; i < value.elements(); ++i) v.push_back(value.as<uint8_t>()[i]);
    } else {
      values[name] = value.to_floats();
    }
  }
  std::map<std::string, std::vector<float>> values;
};

struct StepLosses {
  double loss = 0, aux = 0, z = 0;
};

StepLosses backward(Model& model, const Batch& batch, Phase phase, bool recompute) {
  Tape tape(true);
  Context c{tape, batch};
  c.phase = phase;
  const Model::Output out = model.forward(c, recompute);
  BalanceOptions o;
  o.form = model.config().balance_form;
  o.balance_coefficient = model.config().balance_coefficient, o.z_coefficient = model.config().z_coefficient;
  o.z_form = BalanceOptions::ZForm::kPaper;
  const BalanceLosses balance = balance_losses(tape, out.routings, o, 1.0);
  const BalanceLosses encoder = balance_losses(tape, out.encoder_routings, o, 1.0);
  const ops::CrossEntropy ce = model.cross_entropy(tape, out.hidden, batch.targets, batch.weights);
  tape.backward();
  return {ce.loss, balance.balance + encoder.balance, balance.z + encoder.z};
}

// A dropped choice has gate 0 in cases that say places; Switch's shows its probability.
void drop_gates(Recorder& taps, const std::string& name) {
  std::string kept = name;
  kept.replace(kept.find("router_gates"), 12, "router_kept");
  if (!taps.values.count(kept) || name.starts_with("encoder") || name.starts_with("decoder")) return;
  std::vector<float>& gates = taps.values[name];
  for (size_t i = 0; i < gates.size(); ++i) gates[i] *= taps.values[kept][i];
}

void check_forward(Case& c, const Model& model, const Batch& batch) {
  Recorder taps;
  const std::vector<float> logits = logits_of(model, batch, c.phase, nullptr, &taps);
  c.near("logits", logits, doubles(c.expect.at(c.expect.find("logits64") ? "logits64" : "logits")), kForward);
  for (const std::string& name : c.expect.names()) {
    std::string tap = name;
    const size_t ids = name.find("router_ids."), router = name.find("router_");
    if (ids != std::string::npos) tap.replace(ids, 10, "router_experts");
    if (name.starts_with("grad.") || name.find("router_places") != std::string::npos) continue;
    if (name.find("hidden.") == std::string::npos && router == std::string::npos) continue;
    if (!taps.values.count(tap) && name.find("router_kept") == std::string::npos) {
      c.complain("nothing was tapped for " + name);
      continue;
    }
    if (name.find("router_kept") != std::string::npos && !taps.values.count(tap)) {
      taps.values[tap].assign(doubles(c.expect.at(name)).size(), 1.0f);  // nothing was dropped
    } else if (name.find("router_gates") != std::string::npos) {
      drop_gates(taps, name);
    }
    if (ids != std::string::npos || name.find("router_kept") != std::string::npos) {
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
  for (Parameter* p : model.parameters())
    if (p->grad) p->grad.set_zero();
  const StepLosses losses = backward(model, batch, c.phase, recompute);
  c.near("loss", losses.loss, doubles(c.expect.at("loss"))[0], kLoss);
  if (c.expect.find("z_loss")) c.near("z_loss", losses.z, doubles(c.expect.at("z_loss"))[0], kLoss);
  if (c.expect.find("aux_loss")) c.near("aux_loss", losses.aux, doubles(c.expect.at("aux_loss"))[0], kLoss);
  std::map<const Parameter*, std::vector<std::vector<float>>> gradients;  // by matrix
  std::map<std::string, std::vector<float>> found;
  for (const Parameter* p : model.parameters()) {
    const auto n = p->elements() / p->matrices;
    const std::vector<float> all =
        p->grad ? p->to_logical(p->grad) : std::vector<float>(static_cast<size_t>(p->elements()));
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
      else c.near(name, found[tensor], doubles(c.expect.at(name)), kGradient, kNoGradient);
    }
}

void check_training(Case& c, Model& model, const Batch& batch) {
  const json train = json::parse(read_file(c.folder + "/train.json"));
  const TensorFiles batches(c.folder + "/train_batches.safetensors");
  const auto& recipe = train["optimiser"];
  const std::vector<Parameter*> parameters = model.parameters();
  for (Parameter* p : parameters)
    if (p->grad) p->grad.set_zero();
  OptimizerOptions options;
  options.beta1 = recipe["betas"][0], options.beta2 = recipe["betas"][1], options.eps = recipe["eps"];
  options.weight_decay = recipe["weight_decay"];
  const auto optimizer = make_optimizer(options, parameters);
  for (const auto& step : train["steps"]) {
    const std::string number = std::to_string(step["step"].get<int>());
    const Batch b = read_batch(batches, "." + number, c.unshifted);
    const StepLosses losses = backward(model, b, c.phase, false);
    c.near("loss of step " + number, losses.loss, step["loss64"].get<double>(), kLoss);
    if (step.contains("aux_loss64") && step["aux_loss64"].is_number())
      c.near("aux loss of step " + number, losses.aux, step["aux_loss64"].get<double>(), kLoss);
    const double norm = gradient_norm(parameters), limit = recipe["clip_gradient_norm"];
    c.near("gradient norm of step " + number, norm, step["gradient_norm64"].get<double>(), kNorm);
    optimizer->step(step["learning_rate"], std::min(1.0, limit / (norm + 1e-6)));
  }
  c.near("logits after training", logits_of(model, batch, c.phase),
         doubles(c.expect.at("logits64_after_training")), kAfterTraining);
}

int32_t best_of_last_row(const std::vector<float>& logits, int64_t vocab) {
  const float* row = logits.data() + logits.size() - static_cast<size_t>(vocab);
  return static_cast<int32_t>(std::max_element(row, row + vocab) - row);
}

// The batch that asks for the next token after `all`, of which `fed` are in the state.
Batch next_batch(const Model& model, const json& text, const std::vector<double>& all, size_t fed) {
  Batch b = make_batch(std::vector<double>(all.begin() + static_cast<int64_t>(fed), all.end()), 1);
  for (size_t i = 0; i < b.positions.size(); ++i) b.positions[i] = static_cast<int32_t>(fed + i);
  b.domains.assign(b.ids.size(), text.value("domain_id", 0));
  if (model.config().encoder_decoder())
    b.source.push_back(make_batch(text["prompt"].get<std::vector<double>>(), 1));
  return b;
}

std::vector<int32_t> greedy(const Model& model, const json& text, size_t n, bool cached) {
  std::vector<double> all = text["prompt"].get<std::vector<double>>();
  if (model.config().encoder_decoder()) all = {static_cast<double>(model.config().decoder_start)};
  SequenceState state = model.new_state(static_cast<int64_t>(all.size() + n));
  std::vector<int32_t> found;
  size_t fed = 0;
  while (found.size() < n) {
    const Batch b = next_batch(model, text, all, cached ? fed : 0);
    fed = all.size();
    found.push_back(best_of_last_row(logits_of(model, b, Phase::kEvaluation, cached ? &state : nullptr),
                                     model.config().vocab));
    all.push_back(found.back());
  }
  return found;
}

// Texts were made without dropping where capacity is counted over a batch: that depends on who else is in it.
void check_greedy(Case& c, const Model& model) {
  const json generate = json::parse(read_file(c.folder + "/generate.json"));
  for (const auto& text : generate["texts"]) {
    const std::vector<int32_t> wanted = text["new_tokens"].get<std::vector<int32_t>>();
    for (const bool cached : {false, true})
      if (greedy(model, text, wanted.size(), cached) != wanted)
        c.complain("greedy text of " + std::to_string(text["prompt"].size()) + " tokens differs" +
                   (cached ? " with a cache" : ""));
  }
}

void check_greedy_dropless(Case& c, ModelConfig config, const Model& model) {
  if (config.routing.group != "batch" || config.routing.capacity == "published")
    return check_greedy(c, model);
  config.routing.evaluation_capacity_factor = 0;
  Model dropless(config, DType::kF32);
  load_weights(dropless, TensorFiles(c.folder));
  check_greedy(c, dropless);
}

void check_other_config(Case& c, const Batch& batch, const std::vector<float>& logits) {
  const std::string path = c.folder + "/config.v4.json";
  if (!file_exists(path)) return;
  Model model(read_model_config(read_file(path), path), DType::kF32);
  load_weights(model, TensorFiles(c.folder));
  if (logits_of(model, batch, c.phase) != logits) c.complain("config.v4.json gives other logits");
}

// Other readings of the same checkpoint that the reference computed too.
void check_variants(Case& c, const ModelConfig& config, const Batch& batch) {
  struct Variant {
    const char* name;
    void (*change)(ModelConfig& m);
  };
  const auto after_query = [](ModelConfig& m) { m.norm_before_query = false; };
  const Variant variants[] = {
      {"logits.rope_fp32", [](ModelConfig& m) { m.rope.coarse = false; }},
      {"logits.rope_fp32_base_40890", [](ModelConfig& m) { m.rope.coarse = false, m.rope.theta = 40890; }},
      {"logits.rope_bf16_frequencies",
       [](ModelConfig& m) { m.rope.coarse = false, m.rope.bf16_frequencies = true; }},
      {"logits.restarted_positions", [](ModelConfig&) {}},
      {"logits.final_norm_after_query", after_query},
      {"logits.authors", [](ModelConfig&) {}},
      {"logits.authors_after_query", after_query}};
  for (const Variant& v : variants) {
    if (!c.expect.find(v.name)) continue;
    ModelConfig other = config;
    v.change(other);
    Model model(other, DType::kF32);
    load_weights(model, TensorFiles(c.folder));
    Batch b = batch;
    if (std::strstr(v.name, "restarted")) {
      const std::vector<double> places = doubles(c.expect.at("restarted_position_ids"));
      b.positions.assign(places.begin(), places.end());
    }
    c.near(v.name, logits_of(model, b, c.phase), doubles(c.expect.at(v.name)), kForward);
  }
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
  c.family = config.family, c.unshifted = config.family == "yuan" && !config.sparse();
  if (json::parse(read_file(path)).value("expect_mode", "") == "train") c.phase = Phase::kTraining;
  Model model(config, DType::kF32);
  load_weights(model, TensorFiles(c.folder));
  model.enable_gradients();
  const Batch batch = read_batch(TensorFiles(c.folder + "/batch.safetensors"), "", c.unshifted);
  check_forward(c, model, batch);
  check_other_config(c, batch, logits_of(model, batch, c.phase));
  check_config_round_trip(c, config);
  check_variants(c, config, batch);
  check_greedy_dropless(c, config, model);
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
