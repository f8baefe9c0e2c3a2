// config.json: whatever is taken is a shape that can be, and once written comes back the same.
#include <cstdio>
#include <cstdlib>

#include "fuzz/fuzz.h"
#include "models/families.h"

namespace lyceum {

void run_target(std::span<const uint8_t> bytes) {
  const ModelConfig config = read_model_config(std::string(as_text(bytes)), "f");
  config.validate();
  const std::string written = write_model_config(config, "float32");
  try {
    if (write_model_config(read_model_config(written, "again"), "float32") == written) return;
  } catch (const Error&) {
  }
  std::fprintf(stderr, "does not come back:\n%s\n", written.c_str());
  std::abort();
}

std::vector<BadFile> target_seeds() {
  const std::string common =
      R"("vocab_size":64,"hidden_size":16,"intermediate_size":8,"num_hidden_layers":2,"num_attention_heads":2,)"
      R"("num_key_value_heads":1,"max_position_embeddings":32,"rope_theta":10000.0,"tie_word_embeddings":false,)"
      R"("hidden_act":"silu","initializer_range":0.02)";
  return {
      {"olmoe",
       R"({"model_type":"olmoe","architectures":["OlmoeForCausalLM"],"num_experts":4,"num_experts_per_tok":2,)"
       R"("norm_topk_prob":false,"router_aux_loss_coef":0.01,"rms_norm_eps":1e-5,"clip_qkv":null,)" +
           common + "}",
       ""},
      {"llama",
       R"({"model_type":"llama","architectures":["LlamaForCausalLM"],"rms_norm_eps":1e-5,"rope_scaling":)"
       R"({"rope_type":"llama3","factor":8.0,"low_freq_factor":1.0,"high_freq_factor":4.0,)"
       R"("original_max_position_embeddings":8192},)" +
           common + "}",
       ""},
      {"olmo", R"({"model_type":"olmo","architectures":["OlmoForCausalLM"],)" + common + "}", ""},
      {"huge", R"({"model_type":"llama","hidden_size":9223372036854775807,"num_attention_heads":-1})", ""},
      {"list", "[]", ""},
      {"nothing", "", ""}};
}

}  // namespace lyceum
