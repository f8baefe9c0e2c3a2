// OpenMoE (Xue et al. 2024, arXiv:2402.01739), the PyTorch port its authors point to: attention without a
// scale, doubly gated networks, one sparse block in every so many, and there a dense network after the
// experts.
//   h = z1 silu(z2) (W_up x),  [z1; z2] = W_gate x;   x = x + attention(n1 x);  x = x + moe(n2 x);
//   x = x + network(n3 x)
// Top-2 without renormalising, capacity over the batch (moe/routers/st_moe.cc, rule "even"). Expert matrices
// are [in, out] in files, networks [out, in].
#include <nlohmann/json.hpp>

#include "models/families.h"

namespace lyceum {
namespace {

void fix(ModelConfig& c) {
  c.attention_scale = 1;
  c.activation = Activation::kDoubleGated;
  c.extra_network = true;
  c.router = "st_moe";
  c.routing.capacity = "even", c.routing.group = "batch";
  c.balance_form = BalanceForm::kPaper;
}

void read(const ConfigReader& keys, ModelConfig& c) {
  check(keys.word("hidden_act", "swiglu") == "swiglu" && keys.flag("mlp_gated", true), "config", keys.where(),
        ": an OpenMoE model has hidden_act \"swiglu\" and mlp_gated true");
  c.norm_eps = 1e-6;
  read_decoder(keys, c);
  c.n_experts = keys.count("num_experts");
  c.top_k = keys.count_or("router_topk", 2, 1);
  c.moe_every = keys.count("moe_layer_interval");
  c.moe_first = c.moe_every - 1;
  c.routing.capacity_factor = keys.number("router_capacity_factor_train", 1.25);
  c.routing.evaluation_capacity_factor = keys.number("router_capacity_factor_eval", 2);
  c.routing.capacity_minimum = keys.count_or("router_min_capacity", 4, 1);
  if (!keys.flag("router_drop_tks", true))
    c.routing.capacity_factor = c.routing.evaluation_capacity_factor = 0;
  c.balance_coefficient = keys.number("router_aux_loss_factor", 0.01);
  c.z_coefficient = keys.number("router_z_loss_factor", 1e-4);
  keys.has("router_noisy_policy"), keys.has("label_smoothing"), keys.has("z_loss_factor");
  keys.has("expect_mode"), keys.has("enable_load_balance"), keys.has("enable_kernel");
}

void write(const ModelConfig& c, nlohmann::ordered_json& json) {
  write_decoder(c, json);
  json["hidden_act"] = "swiglu", json["mlp_gated"] = true;
  json["head_dim"] = c.head_width();
  json["num_experts"] = c.n_experts;
  json["router_topk"] = c.top_k;
  json["moe_layer_interval"] = c.moe_every;
  json["router_capacity_factor_train"] = c.routing.capacity_factor;
  json["router_capacity_factor_eval"] = c.routing.evaluation_capacity_factor;
  json["router_min_capacity"] = c.routing.capacity_minimum;
  json["router_drop_tks"] = c.routing.capacity_factor > 0;
  json["router_aux_loss_factor"] = c.balance_coefficient;
  json["router_z_loss_factor"] = c.z_coefficient;
}

bool place(const ModelConfig&, Parameter& p, const std::string& name, FileTensors& out) {
  const int64_t n = matrix_rows(p), k = matrix_columns(p), f = n / 3;
  const size_t experts = name.find(".experts.gate_up_proj"), dense = name.find(".gate_up_proj.weight");
  if (experts != std::string::npos) {
    const std::string prefix = name.substr(0, experts) + ".experts.";
    FileTensor& gate = out.tensor(prefix + "wi_gate", {p.matrices, k, 2 * f});
    gate.spans.push_back({&p, 0, p.matrices, 0, 2 * f, 0, k, 0, 2 * f * k, 1, 2 * f});
    FileTensor& up = out.tensor(prefix + "wi_up", {p.matrices, k, f});
    up.spans.push_back({&p, 0, p.matrices, 2 * f, f, 0, k, 0, f * k, 1, f});
  } else if (name.ends_with(".experts.down_proj")) {
    out.transposed(p, name.substr(0, name.size() - 9) + "wo");
  } else if (dense != std::string::npos) {
    out.rows(p, 0, 0, 2 * f, name.substr(0, dense) + ".gate_proj.weight");
    out.rows(p, 0, 2 * f, f, name.substr(0, dense) + ".up_proj.weight");
  } else {
    return false;
  }
  return true;
}

}  // namespace

extern const Family kOpenMoe;
const Family kOpenMoe = {"openmoe",
                         "OpenMoeForCausalLM",
                         true,
                         {"moe_first", "moe_every", "d_ff_dense"},
                         {"", "", "", {{".mlp.gate.weight", ".mlp.gate_weight"}}, place},
                         fix,
                         read,
                         write};

}  // namespace lyceum
