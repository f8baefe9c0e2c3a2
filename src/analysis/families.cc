// The families whose size is known from their config.json: one short function each, one row each in
// kFamilies.
#include <cstdint>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>

#include "analysis/accounting.h"
#include "base/error.h"
#include "base/fields.h"
#include "base/file.h"
#include "models/config_reader.h"

namespace lyceum {
namespace {

// Gathers parts; everything is per layer, `times` layers of it. Widths are checked by ConfigReader to stay
// below 2^31, sums that still overflow are refused in finish().
class Counter {
 public:
  explicit Counter(ModelSize& size) : size_(size) {}
  // A matrix that every token meets.
  void matrix(const char* part, int64_t times, int64_t rows, int64_t columns) {
    add(part, times, rows, columns, true);
  }
  // Parameters that are added or multiplied elementwise, or looked up.
  void plain(const char* part, int64_t times, int64_t entries) { add(part, times, entries, 1, false); }
  // `n` experts of `entries` matrix entries (and `plain_entries` of bias) each, of which a token meets `k`.
  void experts(int64_t times, int64_t n, int64_t k, int64_t entries, int64_t plain_entries = 0) {
    expert_part("experts", times, n, k, entries, true);
    if (plain_entries > 0) expert_part("expert biases", times, n, k, plain_entries, false);
    size_.n_experts = std::max(size_.n_experts, n);
    size_.top_k = std::max(size_.top_k, k);
    size_.moe_layers += times;
  }
  // Numbers that training keeps per token: `times` layers of `values`.
  void keeps(int64_t times, int64_t values) { size_.activation_values += times * values; }

 private:
  void add(const char* part, int64_t times, int64_t rows, int64_t columns, bool product) {
    const int64_t entries = multiply(multiply(times, rows), columns);
    ModelPart& p = find(part);
    p.total += entries;
    p.active += entries;
    if (product) p.products += entries;
  }
  void expert_part(const char* part, int64_t times, int64_t n, int64_t k, int64_t entries, bool product) {
    ModelPart& p = find(part);
    p.total += multiply(multiply(times, n), entries);
    p.active += multiply(multiply(times, k), entries);
    if (product) p.products += multiply(multiply(times, k), entries);
  }
  static int64_t multiply(int64_t a, int64_t b) {
    const auto product = static_cast<__int128>(a) * b;
    check(product < (static_cast<__int128>(1) << 58), "config", "a matrix of this model would have ", a,
          " x ", b, " entries: more than any machine holds; look at the sizes in the file");
    return static_cast<int64_t>(product);
  }
  ModelPart& find(const char* name) {
    for (ModelPart& part : size_.parts)
      if (part.name == name) return part;
    return size_.parts.emplace_back(ModelPart{name});
  }
  ModelSize& size_;
};

// ---- parts that many decoders share ----------------------------------------------------------------------

struct Heads {
  int64_t n, kv, width;
};

Heads heads_of(const ConfigReader& c, int64_t d) {
  Heads h{};
  h.n = c.count("num_attention_heads");
  h.kv = c.count_or("num_key_value_heads", h.n, 1);
  check(h.n % h.kv == 0, "config", c.where(), ": num_attention_heads ", h.n,
        " must be a multiple of num_key_value_heads ", h.kv);
  if (!c.has("head_dim"))
    check(d % h.n == 0, "config", c.where(), ": hidden_size ", d, " does not divide into ", h.n, " heads");
  h.width = c.count_or("head_dim", d / h.n, 1);
  return h;
}

enum : int { kNoBias = 0, kQkvBias = 1, kOutBias = 2 };

void attention(Counter& count, ModelSize& size, const Heads& h, int bias, int64_t layers,
               int64_t window = 0) {
  const int64_t d = size.d_model, q = h.n * h.width, kv = h.kv * h.width;
  count.matrix("attention", layers, d, 2 * q + 2 * kv);
  if (bias & kQkvBias) count.plain("attention biases", layers, q + 2 * kv);
  if (bias & kOutBias) count.plain("attention biases", layers, d);
  count.keeps(layers,
              4 * d + 2 * q + 2 * kv);  // residual and normed rows before both halves; q, k, v, output
  size.attention.push_back({layers, q, q, 2 * kv, window, true});
}

void dense_ffn(Counter& count, const ModelSize& size, int64_t layers, int64_t width, int64_t matrices = 3) {
  count.matrix("dense FFN", layers, matrices * width, size.d_model);
  count.keeps(layers, matrices * width);
}

void moe_ffn(Counter& count, const ModelSize& size, const ConfigReader& c, int64_t layers, int64_t n,
             int64_t k, int64_t width, int64_t matrices = 3) {
  check(k <= n, "config", c.where(), ": ", k, " experts per token of ", n, ": choose at most all of them");
  count.matrix("router", layers, n, size.d_model);
  count.experts(layers, n, k, matrices * width * size.d_model);
  count.keeps(layers, k * (matrices * width) + 2 * n);
}

void ends(Counter& count, const ModelSize& size, bool tied, int64_t norm_entries) {
  if (tied) {
    count.matrix("embedding, tied with output", 1, size.vocab, size.d_model);
  } else {
    count.plain("embedding", 1, size.vocab * size.d_model);
    count.matrix("output", 1, size.vocab, size.d_model);
  }
  count.plain("norms", 1, norm_entries);
  count.keeps(1, 2 * size.d_model);
}

ModelSize decoder(const ConfigReader& c) {
  ModelSize size;
  size.n_layers = c.count("num_hidden_layers");
  size.d_model = c.count("hidden_size");
  size.vocab = c.count("vocab_size");
  size.context = c.count_or("max_position_embeddings", 4096, 1);
  return size;
}

bool tied(const ConfigReader& c, bool otherwise = false) { return c.flag("tie_word_embeddings", otherwise); }

// Layers of experts: all but those listed in mlp_only_layers and those skipped by decoder_sparse_step.
int64_t qwen_moe_layers(const ConfigReader& c, int64_t n_layers) {
  const int64_t step = c.count_or("decoder_sparse_step", 1, 1);
  const nlohmann::json* only = c.list("mlp_only_layers");
  int64_t layers = 0;
  for (int64_t i = 0; i < n_layers; ++i) {
    const bool listed = only && std::find(only->begin(), only->end(), nlohmann::json(i)) != only->end();
    layers += !listed && (i + 1) % step == 0;
  }
  return layers;
}

// ---- families --------------------------------------------------------------------------------------------

ModelSize llama(const ConfigReader& c) {  // also mistral
  ModelSize size = decoder(c);
  Counter count(size);
  const int64_t layers = size.n_layers, width = c.count("intermediate_size");
  const Heads h = heads_of(c, size.d_model);
  attention(count, size, h, c.flag("attention_bias", false) ? kQkvBias | kOutBias : kNoBias, layers,
            c.count_or("sliding_window", 0));
  dense_ffn(count, size, layers, width);
  if (c.flag("mlp_bias", false)) count.plain("FFN biases", layers, 2 * width + size.d_model);
  ends(count, size, tied(c), (2 * layers + 1) * size.d_model);
  return size;
}

ModelSize qwen2(const ConfigReader& c) {
  ModelSize size = decoder(c);
  Counter count(size);
  attention(count, size, heads_of(c, size.d_model), kQkvBias, size.n_layers);
  dense_ffn(count, size, size.n_layers, c.count("intermediate_size"));
  ends(count, size, tied(c), (2 * size.n_layers + 1) * size.d_model);
  return size;
}

ModelSize qwen3(const ConfigReader& c) {
  ModelSize size = decoder(c);
  Counter count(size);
  const Heads h = heads_of(c, size.d_model);
  attention(count, size, h, c.flag("attention_bias", false) ? kQkvBias | kOutBias : kNoBias, size.n_layers);
  dense_ffn(count, size, size.n_layers, c.count("intermediate_size"));
  ends(count, size, tied(c), (2 * size.n_layers + 1) * size.d_model + size.n_layers * 2 * h.width);
  return size;
}

ModelSize olmo(const ConfigReader& c) {  // norms without parameters
  ModelSize size = decoder(c);
  Counter count(size);
  attention(count, size, heads_of(c, size.d_model),
            c.flag("attention_bias", false) ? kQkvBias | kOutBias : kNoBias, size.n_layers);
  dense_ffn(count, size, size.n_layers, c.count("intermediate_size"));
  ends(count, size, tied(c), 0);
  return size;
}

// Norms of olmo2 and olmoe: two per layer and two over the whole width of queries and keys.
int64_t wide_norms(const ModelSize& size, const Heads& h) {
  return (2 * size.n_layers + 1) * size.d_model + size.n_layers * (h.n + h.kv) * h.width;
}

ModelSize olmo2(const ConfigReader& c) {
  ModelSize size = decoder(c);
  Counter count(size);
  const Heads h = heads_of(c, size.d_model);
  attention(count, size, h, c.flag("attention_bias", false) ? kQkvBias | kOutBias : kNoBias, size.n_layers);
  dense_ffn(count, size, size.n_layers, c.count("intermediate_size"));
  ends(count, size, tied(c), wide_norms(size, h));
  return size;
}

ModelSize olmoe(const ConfigReader& c) {
  ModelSize size = decoder(c);
  Counter count(size);
  const Heads h = heads_of(c, size.d_model);
  attention(count, size, h, c.flag("attention_bias", false) ? kQkvBias | kOutBias : kNoBias, size.n_layers);
  moe_ffn(count, size, c, size.n_layers, c.count("num_experts"), c.count("num_experts_per_tok"),
          c.count("intermediate_size"));
  ends(count, size, tied(c), wide_norms(size, h));
  return size;
}

ModelSize mixtral(const ConfigReader& c) {
  ModelSize size = decoder(c);
  Counter count(size);
  attention(count, size, heads_of(c, size.d_model), kNoBias, size.n_layers, c.count_or("sliding_window", 0));
  moe_ffn(count, size, c, size.n_layers, c.count("num_local_experts"), c.count("num_experts_per_tok"),
          c.count("intermediate_size"));
  ends(count, size, tied(c), (2 * size.n_layers + 1) * size.d_model);
  return size;
}

ModelSize granitemoe(const ConfigReader& c) {
  ModelSize size = decoder(c);
  Counter count(size);
  const bool bias = c.flag("attention_bias", false);
  attention(count, size, heads_of(c, size.d_model), bias ? kQkvBias | kOutBias : kNoBias, size.n_layers);
  moe_ffn(count, size, c, size.n_layers, c.count("num_local_experts"), c.count("num_experts_per_tok"),
          c.count("intermediate_size"));
  ends(count, size, tied(c), (2 * size.n_layers + 1) * size.d_model);
  return size;
}

ModelSize phimoe(const ConfigReader& c) {  // LayerNorm with bias, bias on the output matrix
  ModelSize size = decoder(c);
  Counter count(size);
  const bool bias = c.flag("attention_bias", false);
  attention(count, size, heads_of(c, size.d_model), bias ? kQkvBias | kOutBias : kNoBias, size.n_layers,
            c.count_or("sliding_window", 0));
  moe_ffn(count, size, c, size.n_layers, c.count("num_local_experts"), c.count("num_experts_per_tok"),
          c.count("intermediate_size"));
  ends(count, size, tied(c), 2 * (2 * size.n_layers + 1) * size.d_model);
  if (c.flag("lm_head_bias", false)) count.plain("output", 1, size.vocab);
  return size;
}

ModelSize qwen2_moe(const ConfigReader& c) {
  ModelSize size = decoder(c);
  Counter count(size);
  const int64_t moe = qwen_moe_layers(c, size.n_layers), shared = c.count("shared_expert_intermediate_size");
  attention(count, size, heads_of(c, size.d_model), c.flag("qkv_bias", true) ? kQkvBias : kNoBias,
            size.n_layers);
  moe_ffn(count, size, c, moe, c.count("num_experts"), c.count("num_experts_per_tok"),
          c.count("moe_intermediate_size"));
  count.matrix("shared experts", moe, 3 * shared + 1, size.d_model);  // and the gate of the shared expert
  count.keeps(moe, 3 * shared);
  if (moe < size.n_layers) dense_ffn(count, size, size.n_layers - moe, c.count("intermediate_size"));
  ends(count, size, tied(c), (2 * size.n_layers + 1) * size.d_model);
  return size;
}

ModelSize qwen3_moe(const ConfigReader& c) {
  ModelSize size = decoder(c);
  Counter count(size);
  const int64_t moe = qwen_moe_layers(c, size.n_layers);
  const Heads h = heads_of(c, size.d_model);
  attention(count, size, h, c.flag("attention_bias", false) ? kQkvBias | kOutBias : kNoBias, size.n_layers);
  moe_ffn(count, size, c, moe, c.count(c.has("num_experts") ? "num_experts" : "num_local_experts"),
          c.count("num_experts_per_tok"), c.count("moe_intermediate_size"));
  if (moe < size.n_layers) dense_ffn(count, size, size.n_layers - moe, c.count("intermediate_size"));
  ends(count, size, tied(c), (2 * size.n_layers + 1) * size.d_model + size.n_layers * 2 * h.width);
  return size;
}

// Multi-head latent attention; only the latent row and the shared rotary key are cached.
void latent_attention(Counter& count, ModelSize& size, const ConfigReader& c) {
  const int64_t d = size.d_model, layers = size.n_layers, n = c.count("num_attention_heads");
  const int64_t nope = c.count("qk_nope_head_dim"), rope = c.count("qk_rope_head_dim"),
                v = c.count("v_head_dim");
  const int64_t kv_rank = c.count("kv_lora_rank"), q_rank = c.count_or("q_lora_rank", 0);
  const bool bias = c.flag("attention_bias", false);
  if (q_rank > 0) {
    count.matrix("attention", layers, q_rank, d + n * (nope + rope));
    count.plain("norms", layers, q_rank);
    if (bias) count.plain("attention biases", layers, q_rank);
  } else {
    count.matrix("attention", layers, d, n * (nope + rope));
  }
  count.matrix("attention", layers, d, kv_rank + rope);
  count.plain("norms", layers, kv_rank);
  count.matrix("attention", layers, kv_rank, n * (nope + v));
  count.matrix("attention", layers, n * v, d);
  if (bias) count.plain("attention biases", layers, kv_rank + rope + d);
  count.keeps(layers, 4 * d + q_rank + kv_rank + rope + n * (2 * (nope + rope) + 2 * v));
  size.attention.push_back({layers, n * (nope + rope), n * v, kv_rank + rope, 0, true});
}

ModelSize deepseek(const ConfigReader& c) {  // V2 and V3
  ModelSize size = decoder(c);
  Counter count(size);
  latent_attention(count, size, c);
  const int64_t first = c.count_or("first_k_dense_replace", 0), every = c.count_or("moe_layer_freq", 1, 1);
  int64_t moe = 0;
  for (int64_t i = first; i < size.n_layers; ++i) moe += i % every == 0;
  const int64_t width = c.count("moe_intermediate_size"), shared = c.count_or("n_shared_experts", 0);
  moe_ffn(count, size, c, moe, c.count("n_routed_experts"), c.count("num_experts_per_tok"), width);
  if (shared > 0) {
    count.matrix("shared experts", moe, 3 * shared * width, size.d_model);
    count.keeps(moe, 3 * shared * width);
  }
  if (moe < size.n_layers) dense_ffn(count, size, size.n_layers - moe, c.count("intermediate_size"));
  ends(count, size, tied(c), (2 * size.n_layers + 1) * size.d_model);
  return size;
}

ModelSize gpt_oss(const ConfigReader& c) {  // biases everywhere, attention sinks, every second layer a window
  ModelSize size = decoder(c);
  Counter count(size);
  const int64_t layers = size.n_layers, d = size.d_model, window = c.count_or("sliding_window", 0);
  const Heads h = heads_of(c, d);
  int64_t windowed = 0;
  if (const nlohmann::json* types = c.list("layer_types")) {
    for (const auto& type : *types) windowed += type == "sliding_attention";
  } else if (window > 0) {
    windowed = (layers + 1) / 2;  // the published default: layers 0, 2, 4, ...
  }
  windowed = std::min(windowed, layers);
  const int bias = c.flag("attention_bias", true) ? kQkvBias | kOutBias : kNoBias;
  if (windowed > 0) attention(count, size, h, bias, windowed, window);
  if (windowed < layers) attention(count, size, h, bias, layers - windowed);
  count.plain("attention sinks", layers, h.n);
  const int64_t n = c.count("num_local_experts"), k = c.count("num_experts_per_tok");
  const int64_t width = c.count("intermediate_size");
  check(k <= n, "config", c.where(), ": ", k, " experts per token of ", n, ": choose at most all of them");
  count.matrix("router", layers, n, d);
  count.plain("router", layers, n);
  count.experts(layers, n, k, 3 * width * d, 2 * width + d);
  count.keeps(layers, k * 3 * width + 2 * n);
  ends(count, size, tied(c), (2 * layers + 1) * d);
  return size;
}

// Doubly gated FFN of four matrices; blocks with experts have a dense FFN behind them with its own norm.
ModelSize openmoe(const ConfigReader& c) {
  ModelSize size = decoder(c);
  Counter count(size);
  attention(count, size, heads_of(c, size.d_model), kNoBias, size.n_layers);
  const int64_t width = c.count("intermediate_size"), moe = size.n_layers / c.count("moe_layer_interval");
  dense_ffn(count, size, size.n_layers, width, 4);
  moe_ffn(count, size, c, moe, c.count("num_experts"), c.count_or("router_topk", 2, 1), width, 4);
  ends(count, size, tied(c), (2 * size.n_layers + 1 + moe) * size.d_model);
  return size;
}

// Yuan 2.0: localized filtering attention, attention router (three matrices), or dense.
ModelSize yuan(const ConfigReader& c) {
  ModelSize size = decoder(c);
  Counter count(size);
  const int64_t layers = size.n_layers, d = size.d_model, n = c.count("num_attention_heads");
  const int64_t width = c.count_or("attention_projection_size", d, 1);
  check(width % n == 0, "config", c.where(), ": attention_projection_size ", width, " does not divide into ",
        n, " heads");
  if (c.flag("use_shareqk", false)) {
    count.matrix("attention", layers, d, 3 * width);  // one product for queries and keys
    count.plain("attention biases", layers, 4 * width);
    count.keeps(layers, 4 * d + 4 * width);
    size.attention.push_back({layers, width, width, 2 * width, 0, true});
  } else {
    attention(count, size, {n, n, width / n}, kNoBias, layers);
    count.matrix("localized filter", layers, 4, d * (d / 2));  // two convolutions over two tokens
    count.plain("localized filter", layers, d / 2 + 2 * d);
    count.keeps(layers, d / 2 + 2 * d);
  }
  if (c.flag("use_moe", c.has("moe_config"))) {
    const ConfigReader m = c.inside("moe_config");
    const int64_t experts = m.count("moe_num_experts"), k = m.count("moe_top_k");
    const int64_t f = m.count("ffn_hidden_size");
    count.matrix("router", layers, 2 * experts, d);  // query and key; the value matrix comes with moe_ffn
    moe_ffn(count, size, c, layers, experts, k, f, m.flag("gated_linear_unit", true) ? 3 : 2);
  } else {
    dense_ffn(count, size, layers, c.count("intermediate_size"));
  }
  ends(count, size, tied(c, true), (2 * layers + 1) * d);
  return size;
}

ModelSize gpt_neox(const ConfigReader& c) {
  ModelSize size = decoder(c);
  Counter count(size);
  const int64_t layers = size.n_layers, width = c.count("intermediate_size");
  attention(count, size, heads_of(c, size.d_model),
            c.flag("attention_bias", true) ? kQkvBias | kOutBias : kNoBias, layers);
  dense_ffn(count, size, layers, width, 2);
  count.plain("FFN biases", layers, width + size.d_model);
  ends(count, size, tied(c), 2 * (2 * layers + 1) * size.d_model);
  return size;
}

// Sparse layers of one stack: the config's count, or every step-th.
int64_t switch_sparse(const ConfigReader& c, const char* count_key, const char* step_key, int64_t layers) {
  const int64_t sparse = c.count_or(count_key, -1);
  const int64_t step = sparse == 0  ? 0
                       : sparse > 0 ? std::max<int64_t>(1, layers / sparse)
                                    : c.count_or(step_key, 0);
  int64_t n = 0;
  for (int64_t i = 0; i < layers; ++i) n += step > 0 && (i % step == 1 || step == 1);
  return n;
}

ModelSize t5(const ConfigReader& c) {  // also switch_transformers
  ModelSize size;
  const int64_t encoder = c.count("num_layers"),
                decoder_layers = c.count_or("num_decoder_layers", encoder, 1);
  size.n_layers = encoder + decoder_layers;
  size.d_model = c.count("d_model");
  size.vocab = c.count("vocab_size");
  size.context = c.count_or("n_positions", 512, 1);
  size.encoder_decoder = true;
  Counter count(size);
  const int64_t d = size.d_model, inner = c.count("num_heads") * c.count("d_kv"), width = c.count("d_ff");
  const std::string kind = c.word("feed_forward_proj", "relu");
  const int64_t matrices = kind.starts_with("gated") ? 3 : 2;
  const bool sparse = c.has("num_experts") && c.word("model_type") == "switch_transformers";
  const int64_t moe_encoder =
      sparse ? switch_sparse(c, "num_sparse_encoder_layers", "encoder_sparse_step", encoder) : 0;
  const int64_t moe_decoder =
      sparse ? switch_sparse(c, "num_sparse_decoder_layers", "decoder_sparse_step", decoder_layers) : 0;
  const int64_t moe = moe_encoder + moe_decoder;
  count.matrix("attention", encoder + 2 * decoder_layers, d,
               4 * inner);  // the decoder also looks at the source
  count.plain("relative positions", 2,
              c.count_or("relative_attention_num_buckets", 32, 1) * c.count("num_heads"));
  count.keeps(encoder + 2 * decoder_layers, 2 * d + 4 * inner);
  size.attention.push_back({encoder, inner, inner, 0, 0, false});
  size.attention.push_back({decoder_layers, inner, inner, 2 * inner, 0, true});
  size.attention.push_back({decoder_layers, inner, inner, 2 * inner, 0, false});
  if (moe < size.n_layers) dense_ffn(count, size, size.n_layers - moe, width, matrices);
  if (moe > 0) {
    const int64_t n = c.count("num_experts");
    moe_ffn(count, size, c, moe, n, 1, width, matrices);
    if (c.flag("router_bias", false)) count.plain("router", moe, n);
  }
  ends(count, size, tied(c, true), (2 * encoder + 3 * decoder_layers + 2) * d);
  return size;
}

// PanGu-alpha (dense) and PanGu-Sigma (random routed experts on top, one expert a token by table).
ModelSize pangu(const ConfigReader& c) {
  ModelSize size;
  size.n_layers = c.count("num_layers");
  size.d_model = c.count("hidden_size");
  size.vocab = c.count("vocab_size");
  size.context = c.count("seq_length");
  Counter count(size);
  const int64_t d = size.d_model, layers = size.n_layers, width = c.count("ffn_hidden_size");
  int64_t moe = 0, n = 0;
  if (const nlohmann::json* sparse = c.list("sparse_layers")) moe = static_cast<int64_t>(sparse->size());
  if (const nlohmann::json* domains = c.list("domain_experts"))
    for (const auto& domain : *domains) n += static_cast<int64_t>(domain.size());
  n = c.count_or("num_experts", n);
  check(moe <= layers && (moe == 0) == (n == 0), "config", c.where(),
        ": sparse_layers and domain_experts do not fit together");
  attention(count, size, {c.count("num_heads"), c.count("num_heads"), d / c.count("num_heads")},
            kQkvBias | kOutBias, layers);
  if (moe < layers) {
    dense_ffn(count, size, layers - moe, width, 2);
    count.plain("FFN biases", layers - moe, width + d);
  }
  if (moe > 0) {
    count.experts(moe, n, 1, 2 * width * d, width + d);
    count.keeps(moe, 2 * width);
  }
  count.plain("position embeddings", 2, size.context * d);  // of the input and of the query layer on top
  ends(count, size, true, (2 * layers + 1) * 2 * d);
  return size;
}

struct Family {
  const char* name;  // model_type
  ModelSize (*size)(const ConfigReader&);
};
const Family kFamilies[] = {
    {"deepseek_v2", deepseek},
    {"deepseek_v3", deepseek},
    {"gpt_neox", gpt_neox},
    {"gpt_oss", gpt_oss},
    {"granitemoe", granitemoe},
    {"llama", llama},
    {"mistral", llama},
    {"mixtral", mixtral},
    {"olmo", olmo},
    {"olmo2", olmo2},
    {"olmoe", olmoe},
    {"openmoe", openmoe},
    {"pangu", pangu},
    {"phimoe", phimoe},
    {"qwen2", qwen2},
    {"qwen2_moe", qwen2_moe},
    {"qwen3", qwen3},
    {"qwen3_moe", qwen3_moe},
    {"switch_transformers", t5},
    {"t5", t5},
    {"yuan", yuan},
};

// Some published files have no model_type: the class tells.
std::string family_of(const ConfigReader& c) {
  const std::string type = c.word("model_type");
  if (type.starts_with("pangu_")) return "pangu";
  if (!type.empty() && type != "llama") return type;
  std::string first = c.word("architecture");
  if (const nlohmann::json* list = c.list("architectures"))
    if (!list->empty() && list->front().is_string()) first = list->front().get<std::string>();
  if (first.starts_with("OpenMoe")) return "openmoe";  // its file says llama
  if (first.starts_with("Yuan")) return "yuan";
  if (first.starts_with("Pangu")) return "pangu";
  return type;
}

}  // namespace

ModelSize model_size(const std::string& config, const std::string& where) {
  const nlohmann::json json = nlohmann::json::parse(config, nullptr, false);
  check_data(json.is_object(), "config", where, " is not a JSON object");
  const ConfigReader reader(json, where);
  const std::string family = family_of(reader);
  std::vector<std::string> names;
  for (const Family& row : kFamilies) {
    names.push_back(row.name);
    if (family != row.name) continue;
    ModelSize size = row.size(reader);
    size.family = family;
    size.name = where;
    check(size.total() > 0 && size.total() < (int64_t{1} << 60), "config", where,
          ": sizes beyond any machine");
    return size;
  }
  std::string known;
  for (const std::string& name : names) {
    if (!known.empty()) known += ", ";
    known += name;
  }
  const std::string near = nearest_name(family, names);
  fail(ErrorKind::kUnsupported, "config", where, ": model_type ", quote(family),
       " is not among the families counted here (", known, ")",
       near.empty() ? "" : "; did you mean " + near + "?");
}

ModelSize model_size_of(const std::string& path) {
  namespace fs = std::filesystem;
  const std::string file = directory_exists(path) ? path + "/config.json" : path;
  constexpr size_t kLargestConfig = 16u << 20;
  ModelSize size = model_size(read_file(file, kLargestConfig), file);
  fs::path full = fs::path(file).lexically_normal();
  if (full.filename() == "config.json") full = fs::absolute(full).parent_path();
  size.name = full.stem() == "config" ? full.string() : full.filename().string();
  return size;
}

}  // namespace lyceum
