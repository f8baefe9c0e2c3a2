// moe/routers against the code of others: DeepSpeed, fairscale, fastmoe, fairseq, ColossalAI, flaxformer and
// a port of Shazeer's gate, run on small problems. Oracle: tests/goldens/routers/*.safetensors, which hold
// their inputs, noise, choices, gates, losses and gradients (objective: sum of gates * probe over kept
// choices plus the losses).
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <map>

#include "formats/safetensors.h"
#include "moe/balance.h"
#include "moe/routers/auction.h"

namespace lyceum {
namespace {

class Golden {
 public:
  explicit Golden(const std::string& name)
      : file_(LYCEUM_SOURCE_DIR "/tests/goldens/routers/" + name + ".safetensors") {}
  bool has(const char* name) const { return file_.find(name) != nullptr; }
  std::vector<float> floats(const char* name) const {
    const StoredTensor& t = file_.at(name);
    std::vector<float> out(t.bytes / (t.dtype == FileDType::kF32 ? 4 : 8));
    for (size_t i = 0; i < out.size(); ++i) {
      double wide;
      int64_t whole;
      if (t.dtype == FileDType::kF32) std::memcpy(&out[i], t.data + 4 * i, 4);
      else if (t.dtype == FileDType::kF64)
        std::memcpy(&wide, t.data + 8 * i, 8), out[i] = static_cast<float>(wide);
      else std::memcpy(&whole, t.data + 8 * i, 8), out[i] = static_cast<float>(whole);
    }
    return out;
  }
  float number(const char* name) const { return floats(name).at(0); }
  std::vector<int64_t> shape(const char* name) const { return file_.at(name).shape; }
  Tensor tensor(const char* name) const {  // leading extents joined
    const std::vector<float> v = floats(name);
    const int64_t width = shape(name).back();
    return Tensor::of({static_cast<int64_t>(v.size()) / width, width}, DType::kF32, v.data());
  }

 private:
  SafetensorsFile file_;
};

class GivenNoise : public RouterNoise {
 public:
  std::map<NoiseUse, Tensor> values;
  Tensor uniform(const Context&, int64_t, NoiseUse use, int64_t rows, int64_t width) const override {
    EXPECT_EQ(values.at(use).elements(), rows * width);
    return values.at(use);
  }
  Tensor normal(const Context& c, int64_t layer, NoiseUse use, int64_t rows, int64_t width) const override {
    return uniform(c, layer, use, rows, width);
  }
};

// One router on a golden's logits (through an identity matrix) or on its x, weight and bias.
struct Case {
  Case(const Golden& g, RouterOptions o, Phase phase = Phase::kTraining, int64_t groups = 1)
      : parameters(DType::kF32) {
    x = g.has("x") ? g.tensor("x") : g.tensor("logits");
    start(g, o, phase, groups);
  }
  Case(const Golden& g, RouterOptions o, Tensor rows, Phase phase = Phase::kTraining, int64_t groups = 1)
      : parameters(DType::kF32), x(std::move(rows)) {
    start(g, o, phase, groups);
  }
  void start(const Golden& g, RouterOptions o, Phase phase_, int64_t groups) {
    phase = phase_;
    o.d_model = x.width();
    if (o.n_experts == 0) o.n_experts = x.width();
    router = make_router(o, "mlp", parameters);
    router->use_noise(noise);
    const auto set = [&](const char* parameter, const char* name, bool transposed) {
      std::vector<float> v = g.floats(name);
      if (transposed) {
        const std::vector<float> from = v;
        for (int64_t e = 0; e < o.n_experts; ++e)
          for (int64_t i = 0; i < o.d_model; ++i)
            v[static_cast<size_t>(e * o.d_model + i)] = from[static_cast<size_t>(i * o.n_experts + e)];
      }
      parameters.find(parameter)->write_master(v.data());
    };
    if (g.has("w_gate")) {
      set("mlp.gate.weight", "w_gate", true), set("mlp.gate.noise.weight", "w_noise", true);
    } else if (g.has("weight") && o.bias) {
      set("mlp.gate.weight", "weight", false), set("mlp.gate.bias", "bias", false);
    } else {
      std::vector<float> identity(static_cast<size_t>(o.n_experts * o.n_experts));
      for (int64_t e = 0; e < o.n_experts; ++e) identity[static_cast<size_t>(e * (o.n_experts + 1))] = 1;
      parameters.find("mlp.gate.weight")->write_master(identity.data());
    }
    for (Parameter* p : parameters.all()) p->enable_gradient();
    for (int64_t t = 0; t < x.rows(); ++t) batch.ids.push_back(0);
    for (int64_t s = 0; s <= groups; ++s)
      batch.offsets.push_back(static_cast<int32_t>(s * x.rows() / groups));
  }
  void forward() {
    Context c{tape, batch};
    c.phase = phase;
    routing = router->route(c, x, 0);
  }
  // Objective and its gradient; probe [tokens, experts], or [edges] where `by_edge`.
  void objective(const std::vector<float>& probe, const BalanceOptions& o, bool by_edge = false) {
    Tensor g(routing.gate.shape(), DType::kF32);
    for (int64_t e = 0; e < routing.edges(); ++e) {
      const int64_t t = e / std::max<int64_t>(1, routing.top_k);
      const int64_t at = by_edge ? e : t * routing.n_experts + routing.expert.i32()[e];
      g.f32()[e] = kept(e) ? probe[static_cast<size_t>(at)] : 0;
    }
    losses = balance_losses(tape, {routing}, o, 1);
    ops::inner_product(tape, routing.gate, g);
    tape.backward();
  }
  bool kept(int64_t edge) const { return !routing.kept || routing.kept.as<uint8_t>()[edge] != 0; }

  GivenNoise noise;
  ParameterList parameters;
  Tensor x;
  std::unique_ptr<Router> router;
  Batch batch;
  Phase phase;
  Tape tape{true};
  Routing routing;
  BalanceLosses losses;
};

void expect_close(const std::vector<float>& found, const std::vector<float>& wanted, double tolerance,
                  const char* what) {
  ASSERT_EQ(found.size(), wanted.size()) << what;
  double largest = 1e-6;
  for (float w : wanted) largest = std::max<double>(largest, std::abs(w));
  for (size_t i = 0; i < wanted.size(); ++i)
    ASSERT_NEAR(found[i], wanted[i], tolerance * largest) << what << " " << i;
}

void expect_ids_and_gates(const Golden& g, const Case& r, bool dropped_gates_are_zero) {
  const std::vector<float> ids = g.floats("ids"), gates = g.floats("gates");
  const std::vector<float> kept = g.has("kept") ? g.floats("kept") : std::vector<float>();
  ASSERT_EQ(static_cast<int64_t>(ids.size()), r.routing.edges());
  for (int64_t e = 0; e < r.routing.edges(); ++e) {
    const size_t i = static_cast<size_t>(e);
    if (ids[i] >= 0) {
      ASSERT_EQ(r.routing.expert.i32()[e], static_cast<int32_t>(ids[i])) << "edge " << e;
    }
    ASSERT_EQ(r.kept(e), kept.empty() ? ids[i] >= 0 : kept[i] != 0) << "edge " << e;
    if (r.kept(e) || !dropped_gates_are_zero)
      ASSERT_NEAR(r.routing.gate.f32()[e], gates[i], 2e-6) << "edge " << e;
    else ASSERT_EQ(gates[i], 0);
  }
}

RouterOptions top(const char* name, int64_t k, const char* capacity, double factor, int64_t minimum = 2) {
  RouterOptions o;
  o.router = name, o.top_k = k, o.capacity = capacity;
  if (o.capacity != "none") o.capacity_factor = factor, o.capacity_minimum = minimum;
  return o;
}

BalanceOptions only(BalanceForm form, double z = 0) { return {form, 1, z}; }

void check(const char* name, const RouterOptions& o, const BalanceOptions& loss,
           NoiseUse use = NoiseUse::kSample, Phase phase = Phase::kTraining, double aux_factor = 1) {
  SCOPED_TRACE(name);
  const Golden g(name);
  Case r(g, o, phase);
  if (g.has("uniform")) r.noise.values[use] = g.tensor("uniform");
  r.forward();
  expect_ids_and_gates(g, r, true);
  r.objective(g.floats("probe"), loss);
  EXPECT_NEAR(r.losses.balance * aux_factor, g.number("aux_loss"), 2e-6 * g.number("aux_loss"));
  if (g.has("z_loss")) {
    EXPECT_NEAR(r.losses.z, g.number("z_loss"), 1e-5 * g.number("z_loss"));
  }
  expect_close(r.tape.take(r.x).to_floats(), g.floats("grad_logits"), 2e-5, "gradient of the logits");
}

TEST(RouterGoldens, DeepSpeedTopOne) {
  const BalanceOptions loss = only(BalanceForm::kGShard);
  check("deepspeed_top1", top("switch", 1, "ceil", 4), loss);
  RouterOptions o = top("switch", 1, "ceil", 1);
  o.drop = "random";
  check("deepspeed_top1_random_selection", o, loss, NoiseUse::kDrop);
  o = top("switch", 1, "ceil", 4);
  o.sample = true;
  check("deepspeed_top1_rsample", o, loss);
  check("deepspeed_top1_nodrop", top("switch", 1, "none", 0), loss);
}

TEST(RouterGoldens, DeepSpeedTopTwoAndThreeAndFairscale) {
  RouterOptions o = top("gshard", 2, "ceil", 0.75);
  o.second = "always", o.gates = "kept";
  check("deepspeed_top2", o, only(BalanceForm::kGShard));
  o.capacity_factor = 1, o.sample = true;
  check("deepspeed_top2_sampled", o, only(BalanceForm::kGShard));
  o.capacity_minimum = 0;
  BalanceOptions small = only(BalanceForm::kGShard);
  small.balance_coefficient = 1.0 / 36;  // its loss is mean(P f): 1 / E^2
  check("fairscale_top2", o, small, NoiseUse::kSample, Phase::kTraining, 1.0 / 36);
  o = top("gshard", 3, "ceil", 0.8);
  o.second = "always", o.gates = "kept", o.drop = "probability";
  check("deepspeed_top3_probs", o, only(BalanceForm::kMegaBlocks));
  o.drop = "token";
  check("deepspeed_top3_position", o, only(BalanceForm::kMegaBlocks));
}

TEST(RouterGoldens, ColossalAisOpenMoeRouters) {
  BalanceOptions loss = only(BalanceForm::kPaper, 1);
  check("colossalai_top1_train", top("st_moe", 1, "even", 1, 4), loss);
  check("colossalai_top2_train", top("st_moe", 2, "even", 1, 4), loss);
  // The normalised form divides all probabilities before its balance loss too, which no published model uses:
  // choices, gates and z-loss are compared.
  RouterOptions o = top("st_moe", 2, "even", 1, 4);
  o.renormalise = true, o.capacity_factor = 1.25, o.evaluation_capacity_factor = 1.5;
  const Golden g("colossalai_top2_normalised_eval");
  Case r(g, o, Phase::kEvaluation);
  r.forward();
  expect_ids_and_gates(g, r, true);
  r.objective(g.floats("probe"), loss);
  EXPECT_NEAR(r.losses.z, g.number("z_loss"), 1e-5);
}

TEST(RouterGoldens, FlaxformerByGroupAndPriority) {
  for (const char* name :
       {"flaxformer_masked_top1", "flaxformer_masked_top1_priority", "flaxformer_masked_top2",
        "flaxformer_masked_top2_priority", "flaxformer_scatter_top2", "flaxformer_scatter_top2_priority"}) {
    SCOPED_TRACE(name);
    const Golden g(name);
    const std::string text = name;
    RouterOptions o;
    o.router = "st_moe", o.top_k = text.find("top1") != std::string::npos ? 1 : 2;
    o.capacity = "fixed", o.capacity_tokens = static_cast<int64_t>(g.number("capacity")),
    o.group = "sequence";
    if (text.ends_with("priority")) o.drop = "priority";
    Case r(g, o, Phase::kTraining, 2);
    r.forward();
    if (g.has("ids")) {
      const std::vector<float> ids = g.floats("ids"), places = g.floats("places"), gates = g.floats("gates");
      for (size_t e = 0; e < ids.size(); ++e) {
        const int64_t edge = static_cast<int64_t>(e);
        ASSERT_EQ(r.routing.expert.i32()[edge], static_cast<int32_t>(ids[e]));
        ASSERT_EQ(r.kept(edge), places[e] < g.number("capacity"));
        ASSERT_NEAR(r.kept(edge) ? r.routing.gate.f32()[edge] : 0, gates[e], 2e-6);
      }
    } else {
      const std::vector<float> kept = g.floats("kept_by_expert"), gates = g.floats("gates_by_expert");
      std::vector<float> found(kept.size()), weight(kept.size());
      for (int64_t e = 0; e < r.routing.edges(); ++e) {
        const size_t at = static_cast<size_t>(e / o.top_k * 4 + r.routing.expert.i32()[e]);
        found[at] = r.kept(e), weight[at] = r.kept(e) ? r.routing.gate.f32()[e] : 0;
      }
      EXPECT_EQ(found, kept);
      expect_close(weight, gates, 2e-6, "gates");
    }
    BalanceOptions loss = only(BalanceForm::kSwitch, 1);  // mean over groups; one layer
    r.objective(g.floats("probe"), loss);
    EXPECT_NEAR(r.losses.balance, g.number("aux_loss"), 5e-6);
    EXPECT_NEAR(r.losses.z, g.number("z_loss"), 1e-5);
    expect_close(r.tape.take(r.x).to_floats(), g.floats("grad_logits"), 2e-5, "gradient of the logits");
  }
}

// Lyceum has no padding: the real tokens are routed, and the means over all places follow from theirs.
TEST(RouterGoldens, FlaxformersPaddingTakesNoPlace) {
  const Golden g("flaxformer_masked_top2_padding");
  const std::vector<float> padding = g.floats("padding_mask"), kept = g.floats("kept_by_expert");
  const Tensor all = g.tensor("logits");
  std::vector<float> rows;
  std::vector<int32_t> real, offsets = {0};
  for (int64_t t = 0; t < 32; ++t) {
    if (padding[static_cast<size_t>(t)] != 0) {
      real.push_back(static_cast<int32_t>(t));
      rows.insert(rows.end(), all.f32() + t * 4, all.f32() + t * 4 + 4);
    }
    if (t % 16 == 15) offsets.push_back(static_cast<int32_t>(real.size()));
  }
  RouterOptions o;
  o.router = "st_moe", o.top_k = 2, o.capacity = "fixed", o.capacity_tokens = 6, o.group = "sequence";
  Case r(g, o, Tensor::of({static_cast<int64_t>(real.size()), 4}, DType::kF32, rows.data()));
  r.batch.offsets = offsets;
  r.forward();
  std::vector<float> found(kept.size());
  for (int64_t e = 0; e < r.routing.edges(); ++e)
    found[static_cast<size_t>(real[static_cast<size_t>(e / 2)] * 4 + r.routing.expert.i32()[e])] = r.kept(e);
  EXPECT_EQ(found, kept);
  // aux = mean over groups of E sum f P with both means over 16 places; z counts log(4)^2 for each padding.
  double aux = 0, z = 0;
  for (int group = 0; group < 2; ++group) {
    std::vector<double> f(4), p(4);
    for (int32_t t = offsets[static_cast<size_t>(group)]; t < offsets[static_cast<size_t>(group) + 1]; ++t) {
      for (int j = 0; j < 2; ++j) ++f[static_cast<size_t>(r.routing.expert.i32()[2 * t + j])];
      for (int e = 0; e < 4; ++e) p[static_cast<size_t>(e)] += r.routing.probs.f32()[4 * t + e];
      z += std::pow(r.routing.logsumexp.f32()[t], 2) / 32;
    }
    for (size_t e = 0; e < 4; ++e) aux += 0.5 * 4 * f[e] / 16 * p[e] / 16;
  }
  z += static_cast<double>(32 - real.size()) / 32 * std::pow(std::log(4.0), 2);
  EXPECT_NEAR(aux, g.number("aux_loss"), 1e-5);
  EXPECT_NEAR(z, g.number("z_loss"), 1e-5);
}

TEST(RouterGoldens, FlaxformersExpertsChoose) {
  const Golden g("flaxformer_experts_choose");
  RouterOptions o;
  o.router = "expert_choice", o.top_k = 2, o.experts_per_token = 1.5,
  o.group = "sequence";  // 6 = 1.5 * 16 / 4
  Case r(g, o, Phase::kTraining, 2);
  r.forward();
  const std::vector<float> kept = g.floats("kept_by_expert"), gates = g.floats("gates_by_expert"),
                           probe = g.floats("probe");
  std::vector<float> found(kept.size()), weight(kept.size()), by_edge;
  for (int64_t t = 0; t < 32; ++t)
    for (int32_t e = r.routing.first.i32()[t]; e < r.routing.first.i32()[t + 1]; ++e) {
      const size_t at = static_cast<size_t>(t * 4 + r.routing.expert.i32()[e]);
      found[at] = 1, weight[at] = r.routing.gate.f32()[e];
      by_edge.push_back(probe[at]);
    }
  EXPECT_EQ(found, kept);
  expect_close(weight, gates, 2e-6, "gates");
  r.objective(by_edge, {BalanceForm::kPaper, 0, 1}, true);
  EXPECT_NEAR(r.losses.z, g.number("z_loss"), 1e-5);
  expect_close(r.tape.take(r.x).to_floats(), g.floats("grad_logits"), 2e-5, "gradient of the logits");
}

TEST(RouterGoldens, FastMoesGShardGate) {
  for (const char* name : {"fastmoe_gshard_train", "fastmoe_gshard_eval"}) {
    SCOPED_TRACE(name);
    const Golden g(name);
    RouterOptions o = top("gshard", 2, "fastmoe", std::string(name).ends_with("eval") ? 2.4 : 0.9, 0);
    o.n_experts = 5, o.bias = true, o.drop = "token", o.second = "random_after";
    Case r(g, o);  // its random choice acts in evaluation too
    r.noise.values[NoiseUse::kSecondChoice] = g.tensor("uniform");
    r.forward();
    expect_ids_and_gates(g, r, false);
    r.objective(g.floats("probe"), only(BalanceForm::kGShard), true);
    EXPECT_NEAR(r.losses.balance, g.number("aux_loss"), 3e-6);
    const Parameter *w = r.parameters.find("mlp.gate.weight"), *b = r.parameters.find("mlp.gate.bias");
    expect_close(w->to_logical(w->grad), g.floats("grad.gate.weight"), 2e-5, "gradient of the weight");
    expect_close(b->to_logical(b->grad), g.floats("grad.gate.bias"), 2e-5, "gradient of the bias");
  }
}

// fastmoe adds its noise to the logits; Lyceum, as the paper, multiplies the inputs. So the noisy logits are
// given, and the gradients of weight and bias follow from theirs.
TEST(RouterGoldens, FastMoesSwitchGate) {
  for (const char* name : {"fastmoe_switch_train", "fastmoe_switch_eval"}) {
    SCOPED_TRACE(name);
    const Golden g(name);
    const Tensor x = g.tensor("x"), logits({20, 5}, DType::kF32);
    const std::vector<float> w = g.floats("weight"), b = g.floats("bias");
    for (int64_t i = 0; i < 100; ++i) {
      double sum = b[static_cast<size_t>(i % 5)];
      for (int64_t j = 0; j < 8; ++j)
        sum += double(x.f32()[i / 5 * 8 + j]) * w[static_cast<size_t>(i % 5 * 8 + j)];
      if (g.has("uniform")) sum += 0.9 + 0.2 * g.floats("uniform")[static_cast<size_t>(i)];
      logits.f32()[i] = static_cast<float>(sum);
    }
    const RouterOptions o = top("switch", 1, "ceil", std::string(name).ends_with("eval") ? 2.4 : 0.9, 0);
    Case r(g, o, logits);
    r.forward();
    expect_ids_and_gates(g, r, false);
    r.objective(g.floats("probe"), only(BalanceForm::kKept), true);
    EXPECT_NEAR(r.losses.balance, g.number("aux_loss"), 3e-6);
    const std::vector<float> d = r.tape.take(r.x).to_floats();
    std::vector<float> dw(40), db(5);
    for (size_t i = 0; i < 100; ++i) {
      db[i % 5] += d[i];
      for (size_t j = 0; j < 8; ++j) dw[i % 5 * 8 + j] += d[i] * x.f32()[i / 5 * 8 + j];
    }
    expect_close(dw, g.floats("grad.gate.weight"), 2e-5, "gradient of the weight");
    expect_close(db, g.floats("grad.gate.bias"), 2e-5, "gradient of the bias");
  }
}

TEST(RouterGoldens, FastMoesNoisyGateWithSmoothLoad) {
  const Golden g("fastmoe_noisy_top2_train");
  RouterOptions o;
  o.router = "noisy_top_k", o.top_k = 2, o.n_experts = 5;
  Case r(g, o);
  r.noise.values[NoiseUse::kLogits] = g.tensor("normal");
  r.forward();
  expect_ids_and_gates(g, r, false);
  BalanceOptions loss{BalanceForm::kPaper, 0, 0};
  loss.importance_coefficient = loss.load_coefficient = 1;
  r.objective(g.floats("probe"), loss, true);
  EXPECT_NEAR(r.losses.importance + r.losses.load, g.number("aux_loss"), 2e-6);
  for (const auto& [name, grad] :
       {std::pair{"mlp.gate.weight", "grad.w_gate"}, std::pair{"mlp.gate.noise.weight", "grad.w_noise"}}) {
    const Parameter* p = r.parameters.find(name);
    const std::vector<float> found = p->to_logical(p->grad), wanted = g.floats(grad);
    std::vector<float> turned(wanted.size());
    for (size_t e = 0; e < 5; ++e)
      for (size_t i = 0; i < 8; ++i) turned[e * 8 + i] = wanted[i * 5 + e];
    expect_close(found, turned, 2e-5, grad);
  }
}

// The port divides by (sum + 1e-6) and compares logits with probabilities in its load, which is not the
// paper's: gates and importance are compared.
TEST(RouterGoldens, APortOfShazeersGate) {
  const Golden g("shazeer_port_noisy_top3");
  RouterOptions o;
  o.router = "noisy_top_k", o.top_k = 3, o.n_experts = 6;
  Case r(g, o);
  r.noise.values[NoiseUse::kLogits] = g.tensor("normal");
  // its floor of the noise is 0.01 too
  r.forward();
  std::vector<float> dense(120);
  for (int64_t e = 0; e < r.routing.edges(); ++e)
    dense[static_cast<size_t>(e / 3 * 6 + r.routing.expert.i32()[e])] = r.routing.gate.f32()[e];
  expect_close(dense, g.floats("gates"), 1e-5, "gates");
  EXPECT_NEAR(r.routing.importance.f32()[0], g.number("cv_squared_importance"), 1e-5);
}

TEST(RouterGoldens, TheAuctionIsBalancedAndAsGoodAsFairseqs) {
  for (const char* name : {"fairseq_base_small", "fairseq_base_larger"}) {
    SCOPED_TRACE(name);
    const Golden g(name);
    const Tensor scores = g.tensor("scores");
    const int64_t tokens = scores.rows(), n = scores.width();
    std::vector<int32_t> expert(static_cast<size_t>(tokens));
    balanced_assignment(scores, expert.data());
    std::vector<int64_t> load(static_cast<size_t>(n));
    double total = 0;
    for (int64_t t = 0; t < tokens; ++t) {
      ++load[static_cast<size_t>(expert[static_cast<size_t>(t)])];
      total += scores.f32()[t * n + expert[static_cast<size_t>(t)]];
    }
    EXPECT_EQ(load, std::vector<int64_t>(static_cast<size_t>(n), tokens / n));
    EXPECT_GE(total, g.number("total_score") - 1e-4);
    EXPECT_LE(total, g.number("best_total_score") + 1e-4);
  }
}

}  // namespace
}  // namespace lyceum
