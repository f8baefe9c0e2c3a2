// T5 (Raffel et al. 2020, arXiv:1910.10683) and Switch Transformer (Fedus et al. 2021, arXiv:2101.03961): an
// encoder and a decoder that share an embedding; RMSNorm, no biases, scores without a scale plus a learned
// number per bucket of distance (nn/relative_bias.h), in the decoder also attention to the encoder's rows.
//   x = x + attention(n1 x);  [x = x + across(n2 x, encoder)];  x = x + network(n3 x)
// A tied model divides what enters the output matrix by sqrt(d_model). Switch: every so manieth network is
// sparse, one expert a token, at most expert_capacity tokens of a sequence per expert.
#include <cmath>
#include <nlohmann/json.hpp>

#include "models/families.h"

namespace lyceum {
namespace {

void fix(ModelConfig& c) {
  c.rotary = false, c.relative_positions = true;
  c.attention_scale = 1;
  c.logit_scale = c.tied ? 1 / std::sqrt(static_cast<double>(c.d_model)) : 1;
  if (c.n_encoder_layers == 0) c.n_encoder_layers = c.n_layers;
  if (!c.own_activation) c.activation = Activation::kRelu, c.gated = false;
}

void fix_switch(ModelConfig& c) {
  fix(c);
  c.router = "switch", c.top_k = c.n_experts > 0 ? 1 : 0;
  c.moe_first = c.moe_every > 1, c.encoder_moe_first = c.encoder_moe_every > 1;
  c.routing.capacity = "fixed", c.routing.group = "sequence";
  if (c.routing.capacity_tokens == 0) c.routing.capacity_tokens = 64;
  c.balance_form = BalanceForm::kSwitch;
}

void read_both(const ConfigReader& keys, ModelConfig& c) {
  c.vocab = keys.count("vocab_size"), c.d_model = keys.count("d_model"), c.d_ff = keys.count("d_ff");
  c.d_head = keys.count("d_kv"), c.n_heads = keys.count("num_heads");
  c.n_encoder_layers = keys.count("num_layers");
  c.n_layers = keys.count_or("num_decoder_layers", c.n_encoder_layers, 1);
  c.buckets = keys.count_or("relative_attention_num_buckets", 32, 4);
  c.max_distance = keys.count_or("relative_attention_max_distance", 128, 2);
  c.norm_eps = keys.number("layer_norm_epsilon", 1e-6);
  c.max_positions = keys.count_or("n_positions", 512, 1);
  c.bos = keys.token("bos_token_id"), c.eos = keys.token("eos_token_id"), c.pad = keys.token("pad_token_id");
  c.decoder_start = keys.count_or("decoder_start_token_id", 0);
  // transformers 5 writes "tied" for every file and keeps the truth in the scaling.
  c.tied = keys.flag("scale_decoder_outputs", keys.flag("tie_word_embeddings", true));
  keys.has("tie_word_embeddings"), keys.has("initializer_factor"), keys.has("is_gated_act");
  keys.has("dense_act_fn"), keys.has("feed_forward_proj");
  c.own_activation = true;
  c.balance_coefficient = 0;
}

void read_t5(const ConfigReader& keys, ModelConfig& c) {
  read_both(keys, c);
  const std::string form = keys.word("feed_forward_proj", "relu");
  c.gated = form.starts_with("gated-");
  const std::string name = c.gated ? form.substr(6) : form;
  if (name == "gelu" && c.gated) c.activation = Activation::kGeluTanh;  // as transformers reads "gated-gelu"
  else if (name == "relu") c.activation = Activation::kRelu;
  else c.activation = read_activation(keys, "dense_act_fn", name.c_str());
}

// Block i is sparse if i mod step = 1 (or step = 1), step = blocks / the number in config.json, rounded down.
void read_step(int64_t layers, int64_t sparse, int64_t* first, int64_t* every) {
  *every = sparse > 0 ? std::max<int64_t>(1, layers / sparse) : layers;
  *first = *every == 1 ? 0 : 1;
}

void read_switch(const ConfigReader& keys, ModelConfig& c) {
  read_both(keys, c);
  c.activation = read_activation(keys, "dense_act_fn", "relu"), c.gated = false;
  c.n_experts = keys.count("num_experts"), c.top_k = 1;
  read_step(c.n_encoder_layers, keys.count_or("num_sparse_encoder_layers", 3), &c.encoder_moe_first,
            &c.encoder_moe_every);
  read_step(c.n_layers, keys.count_or("num_sparse_decoder_layers", 3), &c.moe_first, &c.moe_every);
  keys.has("encoder_sparse_step"), keys.has("decoder_sparse_step");
  c.routing.capacity_tokens = keys.count_or("expert_capacity", 64, 1);
  c.routing.jitter = keys.number("router_jitter_noise", 0);
  c.routing.bias = keys.flag("router_bias", false);
  c.balance_coefficient = keys.number("router_aux_loss_coef", 0.001);
  c.z_coefficient = keys.number("router_z_loss_coef", 0.001);
  keys.has("router_dtype"), keys.has("router_ignore_padding_tokens"), keys.has("add_router_probs");
}

void write_both(const ModelConfig& c, nlohmann::ordered_json& json) {
  json["vocab_size"] = c.vocab, json["d_model"] = c.d_model, json["d_ff"] = c.d_ff;
  json["d_kv"] = c.head_width(), json["num_heads"] = c.n_heads;
  json["num_layers"] = c.n_encoder_layers, json["num_decoder_layers"] = c.n_layers;
  json["relative_attention_num_buckets"] = c.buckets;
  json["relative_attention_max_distance"] = c.max_distance;
  json["layer_norm_epsilon"] = c.norm_eps;
  json["n_positions"] = c.max_positions;
  json["dropout_rate"] = 0.0;
  json["is_encoder_decoder"] = true;
  json["decoder_start_token_id"] = c.decoder_start;
  json["tie_word_embeddings"] = c.tied;
  json["use_cache"] = true;
}

void write_t5(const ModelConfig& c, nlohmann::ordered_json& json) {
  write_both(c, json);
  const std::string name = c.activation == Activation::kRelu                  ? "relu"
                           : c.activation == Activation::kGeluTanh && c.gated ? "gelu"
                                                                              : activation_name(c.activation);
  json["feed_forward_proj"] = (c.gated ? "gated-" : "") + name;
}

void write_switch(const ModelConfig& c, nlohmann::ordered_json& json) {
  write_both(c, json);
  json["dense_act_fn"] = activation_name(c.activation);
  json["num_experts"] = c.n_experts;
  json["num_sparse_encoder_layers"] = c.n_encoder_layers / c.encoder_moe_every;
  json["num_sparse_decoder_layers"] = c.n_layers / c.moe_every;
  json["expert_capacity"] = c.routing.capacity_tokens;
  json["router_jitter_noise"] = c.routing.jitter;
  json["router_bias"] = c.routing.bias;
  json["router_aux_loss_coef"] = c.balance_coefficient;
  json["router_z_loss_coef"] = c.z_coefficient;
}

struct Named {
  const char *ours, *theirs;
};
constexpr Named kNames[] = {
    {"input_layernorm.weight", "layer.0.layer_norm.weight"},
    {"self_attn.q_proj.weight", "layer.0.SelfAttention.q.weight"},
    {"self_attn.k_proj.weight", "layer.0.SelfAttention.k.weight"},
    {"self_attn.v_proj.weight", "layer.0.SelfAttention.v.weight"},
    {"self_attn.o_proj.weight", "layer.0.SelfAttention.o.weight"},
    {"self_attn.relative_attention_bias.weight", "layer.0.SelfAttention.relative_attention_bias.weight"},
    {"cross_attention_layernorm.weight", "layer.1.layer_norm.weight"},
    {"cross_attn.q_proj.weight", "layer.1.EncDecAttention.q.weight"},
    {"cross_attn.k_proj.weight", "layer.1.EncDecAttention.k.weight"},
    {"cross_attn.v_proj.weight", "layer.1.EncDecAttention.v.weight"},
    {"cross_attn.o_proj.weight", "layer.1.EncDecAttention.o.weight"}};

// The networks of a block, whose sublayer is the last one.
bool place_network(const ModelConfig& c, Parameter& p, const std::string& own, const std::string& layer,
                   FileTensors& out) {
  const std::string dense = layer + (c.sparse() ? "mlp." : "DenseReluDense.");
  const int64_t rows = matrix_rows(p);
  if (own == "post_attention_layernorm.weight") {
    out.whole(p, layer + "layer_norm.weight");
  } else if (own == "mlp.gate_up_proj.weight") {
    out.rows(p, 0, 0, rows / 2, dense + "wi_0.weight");
    out.rows(p, 0, rows / 2, rows / 2, dense + "wi_1.weight");
  } else if (own == "mlp.up_proj.weight") {
    out.whole(p, dense + "wi.weight");
  } else if (own == "mlp.down_proj.weight") {
    out.whole(p, dense + "wo.weight");
  } else if (own == "mlp.gate.weight" || own == "mlp.gate.bias") {
    out.whole(p, layer + "mlp.router.classifier." + own.substr(9));
  } else if (own.starts_with("mlp.experts.")) {
    const char* matrix = own.ends_with("down_proj") ? ".wo.weight" : ".wi.weight";
    for (int64_t e = 0; e < p.matrices; ++e)
      out.rows(p, e, 0, rows, layer + "mlp.experts.expert_" + std::to_string(e) + matrix);
  } else {
    return false;
  }
  return true;
}

bool place(const ModelConfig& c, Parameter& p, const std::string& name, FileTensors& out) {
  const size_t at = name.find(".layers.");
  if (at == std::string::npos) return false;
  const std::string stack = name.substr(0, at);
  const size_t end = name.find('.', at + 8);
  const std::string own = name.substr(end + 1);
  const std::string block = stack + ".block." + name.substr(at + 8, end - at - 8) + ".";
  for (const Named& n : kNames)
    if (own == n.ours) return out.whole(p, block + n.theirs), true;
  return place_network(c, p, own, block + (stack == "decoder" ? "layer.2." : "layer.1."), out);
}

const TensorNames kTensors = {"",
                              "",
                              "",
                              {{"model.embed_tokens.weight", "shared.weight"},
                               {"encoder.norm.", "encoder.final_layer_norm."},
                               {"decoder.norm.", "decoder.final_layer_norm."}},
                              place,
                              {"encoder.embed_tokens.weight", "decoder.embed_tokens.weight"}};

}  // namespace

extern const Family kT5, kSwitch;
const Family kT5 = {"t5",
                    "T5ForConditionalGeneration",
                    false,
                    {"n_encoder_layers", "buckets", "max_distance"},
                    kTensors,
                    fix,
                    read_t5,
                    write_t5,
                    "T5WithLMHeadModel"};
const Family kSwitch = {"switch_transformers",
                        "SwitchTransformersForConditionalGeneration",
                        true,
                        {"n_encoder_layers", "buckets", "max_distance", "moe_first", "moe_every",
                         "encoder_moe_first", "encoder_moe_every"},
                        kTensors,
                        fix_switch,
                        read_switch,
                        write_switch};

}  // namespace lyceum
