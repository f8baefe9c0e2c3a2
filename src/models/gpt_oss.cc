// gpt-oss (OpenAI 2025, arXiv:2508.10925): attention with a sink per head and a window in every second block,
// YaRN, biases everywhere, experts with a clamped gate.
//   a = min(gate, limit), u = clamp(up, limit):  h = (u + 1) a sigmoid(1.702 a)
//   gates = softmax of the k largest of W_r x + b_r
// Files hold the experts stacked and as [in, out], gate and up in alternating columns; published ones packed
// as MXFP4 (models/stored_values.h). What is written here is plain.
#include <nlohmann/json.hpp>

#include "models/families.h"

namespace lyceum {
namespace {

void fix(ModelConfig& c) {
  c.sinks = c.expert_bias = true;
  c.qkv_bias = c.out_bias = true;
  c.activation = Activation::kClampedSwiglu;
  c.renormalise = true;
  c.routing.bias = true;
}

void read(const ConfigReader& keys, ModelConfig& c) {
  c.rope.theta = 150000;
  read_decoder(keys, c);
  if (!keys.object("rope_scaling") && !keys.object("rope_parameters")) {  // what the class does then
    c.rope.scaling = "yarn", c.rope.factor = 32, c.rope.original_positions = 4096;
    c.rope.truncate = false;
  }
  check(keys.flag("attention_bias", true), "config", keys.where(),
        ": attention_bias must be true in a gpt_oss model");
  c.window = keys.count_or("sliding_window", 128);
  const std::vector<std::string> types = keys.words("layer_types");
  for (int64_t i = 0; c.window > 0 && i < c.n_layers; ++i) {
    const bool full = types.empty() ? i % 2 == 1
                                    : i < static_cast<int64_t>(types.size()) &&
                                          types[static_cast<size_t>(i)] == "full_attention";
    if (full) c.full_layers.push_back(i);
  }
  c.activation_limit = keys.number("swiglu_limit", 7);
  const double alpha = keys.number("swiglu_alpha", 1.702);
  if (alpha != 1.702)
    fail(ErrorKind::kUnsupported, keys.where().c_str(), "swiglu_alpha = ", alpha, "; known: 1.702");
  read_experts(keys, c);
  c.balance_coefficient = keys.number("router_aux_loss_coef", 0.9);
}

void write(const ModelConfig& c, nlohmann::ordered_json& json) {
  write_decoder(c, json);
  json["head_dim"] = c.head_width();
  if (c.rope.scaling == "default") json["rope_scaling"] = {{"rope_type", "default"}};
  json["attention_bias"] = true;
  json["sliding_window"] = c.window > 0 ? nlohmann::ordered_json(c.window) : nlohmann::ordered_json();
  for (int64_t i = 0; i < c.n_layers; ++i)
    json["layer_types"].push_back(c.window_of(i) > 0 ? "sliding_attention" : "full_attention");
  json["swiglu_limit"] = c.activation_limit;
  json["num_local_experts"] = c.n_experts;
  json["num_experts_per_tok"] = c.top_k;
  json["router_aux_loss_coef"] = c.balance_coefficient;
  json["output_router_logits"] = false;
}

// Row i of the first half of a matrix in memory is row 2i of the file's, of the second half 2i + 1.
bool place(const ModelConfig&, Parameter& p, const std::string& name, FileTensors& out) {
  const int64_t n = matrix_rows(p), k = matrix_columns(p);
  if (name.ends_with(".experts.gate_up_proj")) {
    FileTensor& t = out.tensor(name, {p.matrices, k, n});
    for (int64_t part = 0; part < 2; ++part)
      t.spans.push_back({&p, 0, p.matrices, part * n / 2, n / 2, 0, k, part, n * k, 2, n});
  } else if (name.ends_with(".experts.gate_up_proj_bias")) {  // [n_experts, 2 d_ff], one matrix
    FileTensor& t = out.tensor(name, {n, k});
    for (int64_t part = 0; part < 2; ++part)
      t.spans.push_back({&p, 0, 1, 0, n, part * k / 2, k / 2, part, 0, k, 2});
  } else if (name.ends_with(".experts.down_proj")) {
    out.transposed(p, name);
  } else {
    return false;
  }
  return true;
}

}  // namespace

extern const Family kGptOss;
const Family kGptOss = {"gpt_oss",
                        "GptOssForCausalLM",
                        true,
                        {"window", "full_layers", "activation_limit"},
                        {"", "", "", {{".mlp.gate.", ".mlp.router."}}, place},
                        fix,
                        read,
                        write};

}  // namespace lyceum
