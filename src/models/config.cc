#include "models/config.h"

#include <algorithm>

#include "models/families.h"

namespace lyceum {
namespace {

bool listed(const std::vector<int64_t>& list, int64_t layer) {
  return std::find(list.begin(), list.end(), layer) != list.end();
}

void check_layers(const char* key, const std::vector<int64_t>& list, int64_t n_layers) {
  for (int64_t layer : list)
    check(layer >= 0 && layer < n_layers, "model", key, " names block ", layer, " of ", n_layers);
}

}  // namespace

bool ModelConfig::sparse_layer(int64_t layer, bool encoder) const {
  if (encoder)
    return sparse() && layer >= encoder_moe_first && (layer - encoder_moe_first) % encoder_moe_every == 0;
  return sparse() && layer >= moe_first && (layer - moe_first) % moe_every == 0 &&
         !listed(dense_layers, layer);
}

int64_t ModelConfig::sparse_layers() const {
  int64_t n = 0;
  for (int64_t layer = 0; layer < n_layers; ++layer) n += sparse_layer(layer);
  return n;
}

int64_t ModelConfig::window_of(int64_t layer) const { return listed(full_layers, layer) ? 0 : window; }

void ModelConfig::fields(Fields& f) {
  const bool moe = family_is_sparse(family);
  const std::string dense = "the family " + family + " is dense";
  // Keys that only some families have.
  const auto own = [&](const char* name, auto& value, const char* help, auto... rules) {
    f.add(name, value, help, rules...,
          effective(family_has(family, name), "the family " + family + " has no such choice"));
  };
  f.add("family", family, "form of the model", one_of(family_names()));
  f.add("vocab", vocab, "entries of the vocabulary; 0: taken from the tokenizer", at_least(0));
  f.add("d_model", d_model, "width of the residual stream", at_least(2));
  f.add("n_layers", n_layers, "blocks", at_least(1));
  f.add("n_heads", n_heads, "attention heads", at_least(1));
  f.add("n_kv_heads", n_kv_heads, "key-value heads; 0: as many as heads", at_least(0));
  f.add("d_head", d_head, "width of a head; 0: d_model / n_heads", at_least(0));
  f.add("d_ff", d_ff, "inner width of one expert, or of the dense network", at_least(1));
  own("d_ff_dense", d_ff_dense, "inner width of the dense blocks of a sparse model; 0: d_ff", at_least(0));
  own("d_ff_shared", d_ff_shared, "inner width of the experts that every token sees; 0: none", at_least(0));
  f.add("n_experts", n_experts, "experts of a layer", at_least(0), effective(moe, dense));
  f.add("top_k", top_k, "experts that see a token", at_least(0), effective(moe, dense));
  own("moe_first", moe_first, "first block with experts", at_least(0));
  own("moe_every", moe_every, "from there on every so manieth block has experts", at_least(1));
  own("dense_layers", dense_layers, "blocks without experts all the same");
  f.add("router", router, "how tokens choose experts", one_of(router_names()), effective(moe, dense));
  f.add("renormalise", renormalise, "divide the chosen gates by their sum", effective(moe, dense));
  own("q_rank", q_rank, "latent attention: width of the narrow row of queries; 0: none", at_least(0));
  own("kv_rank", kv_rank, "latent attention: width of the row that a sequence keeps", at_least(0));
  own("d_nope", d_nope, "latent attention: width of a head that is not rotated", at_least(0));
  own("d_rope", d_rope, "latent attention: width of a head that is rotated", at_least(0));
  own("d_value", d_value, "latent attention: width of a head's values", at_least(0));
  own("embedding_scale", embedding_scale, "factor of the embedding", above(0));
  own("residual_scale", residual_scale, "factor of what a branch adds", above(0));
  own("attention_scale", attention_scale, "factor of q.k; 0: 1 / sqrt(d_head)", at_least(0));
  own("logit_scale", logit_scale, "factor of the logits", above(0));
  own("head_bias", head_bias, "bias of the output matrix");
  own("activation_limit", activation_limit, "clamp of gate and up; 0: none", at_least(0));
  own("mask_by_document", mask_by_document, "no token sees past the last end of a document");
  own("shared_qk", shared_qk, "one projection for queries and keys, and no local filter");
  own("norm_before_query", norm_before_query, "the final norm stands before the query layer");
  own("n_encoder_layers", n_encoder_layers, "blocks of the encoder", at_least(0));
  own("encoder_moe_first", encoder_moe_first, "first block of the encoder with experts", at_least(0));
  own("encoder_moe_every", encoder_moe_every, "from there on every so manieth", at_least(1));
  own("buckets", buckets, "of relative positions", at_least(4));
  own("max_distance", max_distance, "from which on all relative positions share a bucket", at_least(2));
  f.add("norm_eps", norm_eps, "epsilon inside the root of the norms", above(0));
  own("clip_qkv", clip_qkv, "clamp of queries, keys and values; 0: none", at_least(0));
  own("qkv_bias", qkv_bias, "biases of queries, keys and values");
  own("out_bias", out_bias, "bias of the attention's output");
  own("feed_forward_bias", feed_forward_bias, "biases of the feed-forward networks");
  own("window", window, "tokens that a query sees, itself included; 0: all before it", at_least(0));
  own("full_layers", full_layers, "blocks without the window");
  f.add("tied", tied, "output matrix = embedding");
  f.add("max_positions", max_positions, "longest sequence the model is meant for", at_least(1));
  f.add("rope_theta", rope.theta, "base of the rotary embedding", above(0));
  own("rope_fraction", rope.fraction, "share of each head that is rotated", above(0), at_most(1));
  f.add("init_std", init_std, "standard deviation of the initial weights", above(0));
  f.add("init_cut", init_cut, "initial weights are cut at this many standard deviations", above(0));
}

void ModelConfig::validate() const {
  const char* where = "model";
  check(vocab > 0, where, "vocab must be positive, found ", vocab);
  check(d_model > 0 && n_layers > 0 && n_heads > 0 && d_ff > 0, where,
        "d_model, n_layers, n_heads and d_ff must be positive, found ", d_model, ", ", n_layers, ", ",
        n_heads, ", ", d_ff);
  check(d_head > 0 || d_model % n_heads == 0, where, "n_heads = ", n_heads,
        " does not divide d_model = ", d_model, "; set d_head or change one of them");
  check(n_heads % kv_heads() == 0, where, "n_kv_heads = ", kv_heads(),
        " does not divide n_heads = ", n_heads);
  const int64_t rotated = latent() ? d_rope : rotary_width(rope, head_width());
  check(!rotary || rotated % 2 == 0, where,
        "the rotated width of a head must be even for the rotary embedding, found ", rotated);
  check(!latent() || (d_nope > 0 && d_rope > 0 && d_value > 0), where,
        "latent attention wants d_nope, d_rope and d_value, found ", d_nope, ", ", d_rope, " and ", d_value);
  check(n_experts >= 0 && (n_experts > 0 || top_k == 0), where, "top_k = ", top_k, " without experts");
  check(!sparse() || (top_k >= 1 && top_k <= n_experts), where, "top_k must be 1 to n_experts = ", n_experts,
        ", found ", top_k);
  check(moe_first >= 0 && moe_every >= 1, where, "moe_first and moe_every must be at least 0 and 1, found ",
        moe_first, " and ", moe_every);
  check(!sparse() || sparse_layers() > 0, where, "no block of ", n_layers,
        " has experts; look at moe_first, moe_every and dense_layers");
  check_layers("dense_layers", dense_layers, n_layers), check_layers("full_layers", full_layers, n_layers);
  check(window >= 0, where, "window must be at least 0, found ", window);
  check(norm_eps > 0 && rope.theta > 0, where, "norm_eps and rope_theta must be positive, found ", norm_eps,
        " and ", rope.theta);
  const auto small = [&](const char* name, int64_t value, int64_t most) {
    check(value <= most, where, name, " = ", value, " is beyond anything sensible (", most, ")");
  };
  small("vocab", vocab, 1 << 24), small("d_model", d_model, 1 << 18), small("n_layers", n_layers, 4096);
  small("n_heads", n_heads, 4096), small("d_ff", d_ff, 1 << 22), small("n_experts", n_experts, 1 << 16);
  small("d_head", d_head, 4096), small("d_ff_dense", d_ff_dense, 1 << 22);
  small("d_ff_shared", d_ff_shared, 1 << 22), small("q_rank", q_rank, 1 << 16);
  small("kv_rank", kv_rank, 1 << 16), small("d_nope", d_nope, 4096), small("d_rope", d_rope, 1024);
  small("d_value", d_value, 4096), small("n_encoder_layers", n_encoder_layers, 4096);
  small("buckets", buckets, 1 << 16);
}

}  // namespace lyceum
