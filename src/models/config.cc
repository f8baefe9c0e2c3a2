#include "models/config.h"

#include "models/families.h"

namespace lyceum {

void ModelConfig::fields(Fields& f) {
  const bool moe = family_is_sparse(family);
  const std::string dense = "the family " + family + " is dense";
  f.add("family", family, "form of the model", one_of(family_names()));
  f.add("vocab", vocab, "entries of the vocabulary; 0: taken from the tokenizer", at_least(0));
  f.add("d_model", d_model, "width of the residual stream", at_least(2));
  f.add("n_layers", n_layers, "blocks", at_least(1));
  f.add("n_heads", n_heads, "attention heads", at_least(1));
  f.add("n_kv_heads", n_kv_heads, "key-value heads; 0: as many as heads", at_least(0));
  f.add("d_head", d_head, "width of a head; 0: d_model / n_heads", at_least(0));
  f.add("d_ff", d_ff, "inner width of one expert, or of the dense network", at_least(1));
  f.add("n_experts", n_experts, "experts of a layer", at_least(0), effective(moe, dense));
  f.add("top_k", top_k, "experts that see a token", at_least(0), effective(moe, dense));
  f.add("router", router, "how tokens choose experts", one_of(router_names()), effective(moe, dense));
  f.add("renormalise", renormalise, "divide the chosen gates by their sum", effective(moe, dense));
  f.add("norm_eps", norm_eps, "epsilon inside the root of the norms", above(0));
  f.add("clip_qkv", clip_qkv, "clamp of queries, keys and values; 0: none", at_least(0));
  f.add("tied", tied, "output matrix = embedding");
  f.add("max_positions", max_positions, "longest sequence the model is meant for", at_least(1));
  f.add("rope_theta", rope_theta, "base of the rotary embedding", above(0));
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
  check(head_width() % 2 == 0, where, "the width of a head must be even for the rotary embedding, found ",
        head_width());
  check(n_experts >= 0 && (n_experts > 0 || top_k == 0), where, "top_k = ", top_k, " without experts");
  check(!sparse() || (top_k >= 1 && top_k <= n_experts), where, "top_k must be 1 to n_experts = ", n_experts,
        ", found ", top_k);
  check(norm_eps > 0 && rope_theta > 0, where, "norm_eps and rope_theta must be positive, found ", norm_eps,
        " and ", rope_theta);
  const auto small = [&](const char* name, int64_t value, int64_t most) {
    check(value <= most, where, name, " = ", value, " is beyond anything sensible (", most, ")");
  };
  small("vocab", vocab, 1 << 24), small("d_model", d_model, 1 << 18), small("n_layers", n_layers, 4096);
  small("n_heads", n_heads, 4096), small("d_ff", d_ff, 1 << 22), small("n_experts", n_experts, 1 << 16);
  small("d_head", d_head, 4096);
}

}  // namespace lyceum
