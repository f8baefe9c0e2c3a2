// What a model costs, from its config.json alone: parameters, arithmetic, memory.
//
// Conventions (they are the published ones, so the published numbers come out):
//   total   all parameters, a tied matrix once; buffers without gradient (DeepSeek-V3's selection bias) are
//   none active  what one token uses: everything but the experts that it does not choose; the whole embedding
//   counts FLOPs   2 per active parameter for inference, 6 for training (forward, gradient of inputs, of
//   weights)
// The exact form counts what is multiplied instead: 2 per entry of a matrix that meets the token (so a
// looked-up embedding and norms cost nothing, a tied output matrix does) plus attention,
//   2 * context * (heads * d_qk + heads * d_v) per layer,  context = mean number of keys that a token sees;
// training is three times that.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace lyceum {

// One kind of parameters.
struct ModelPart {
  std::string name;
  int64_t total = 0;
  int64_t active = 0;
  int64_t products = 0;  // entries of matrices that meet one token
};

// Layers whose attention looks alike.
struct AttentionKind {
  int64_t layers = 0;
  int64_t score_width = 0, value_width = 0;  // heads * width of a query; heads * width of a value
  int64_t cache_values = 0;                  // numbers kept per token and layer
  int64_t window = 0;                        // tokens a query sees; 0 = all before it
  bool causal = true;                        // false: an encoder, every token sees every other
};

struct ModelSize {
  std::string name, family;
  int64_t n_layers = 0, d_model = 0, vocab = 0, context = 0;
  int64_t n_experts = 0, top_k = 0, moe_layers = 0;  // of the largest expert layer; 0 when dense
  bool encoder_decoder = false;                      // then "a token" is one source and one target token
  std::vector<ModelPart> parts;
  std::vector<AttentionKind> attention;
  int64_t activation_values = 0;  // numbers that training keeps per token, estimated

  int64_t total() const;
  int64_t active() const;
  int64_t products() const;
  int64_t part_total(const std::string& name) const;  // 0 when there is no such part

  double inference_flops() const { return 2.0 * static_cast<double>(active()); }
  double training_flops() const { return 6.0 * static_cast<double>(active()); }
  // Mean forward FLOPs of a token in a sequence of `tokens`, the exact form.
  double forward_flops(int64_t tokens) const;
  double exact_training_flops(int64_t tokens) const { return 3.0 * forward_flops(tokens); }
  // Bytes of the keys and values of a sequence of `tokens` (windows keep no more than their length).
  double cache_bytes(int64_t tokens, double bytes_per_value) const;
};

// The size of the model that `config` (text of a Hugging Face config.json) describes. `where` names the file
// in errors. Families: llama, mistral, qwen2, qwen3, olmo, olmo2, gpt_neox; olmoe, mixtral, qwen2_moe,
// qwen3_moe, deepseek_v2, deepseek_v3, gpt_oss, granitemoe, phimoe, openmoe, yuan; t5, switch_transformers;
// pangu. Throws kUnsupported (another family, with the known ones), kInvalidArgument (a key that is missing
// or cannot be, by name), kCorruptData (not JSON).
ModelSize model_size(const std::string& config, const std::string& where);
// From a config.json or a folder that holds one; the name is the folder's.
ModelSize model_size_of(const std::string& path);
// "Label=70B/70B": a model known by two counts only, total and active.
ModelSize model_size_from_counts(const std::string& label, double total, double active);

// How weights are stored, and bytes per parameter: f32, bf16, f8, q8_0 (34 bytes per 32), q4_k (144 per 256).
struct WeightFormat {
  const char* name;
  double bytes;
};
extern const std::vector<WeightFormat> kWeightFormats;

struct TrainingMemory {
  double state = 0;        // weights 2, residual 2, gradient 4, two moments 8: 16 bytes a parameter
  double activations = 0;  // kept between forward and backward, 2 bytes a number; estimate
  double recomputed = 0;   // the same when every layer is computed again in the backward pass
};
TrainingMemory training_memory(const ModelSize& size, int64_t tokens_per_micro_batch);

// Accuracy per GFLOP of inference per token ("model-compute efficiency").
double accuracy_per_gflop(const ModelSize& size, double accuracy);
// Compute of training on `tokens` tokens in PFLOP/s-days (8.64e19 FLOPs).
double petaflop_days(const ModelSize& size, double tokens);

// What `lyceum flops` shows: one model at length, or several side by side.
struct AccountingOptions {
  int64_t context = 0;         // tokens of a sequence; 0 = the model's own, at most 4096
  int64_t micro_batch = 4096;  // tokens, for the activations
  double tokens = 0;           // of a training run, for its compute; 0 = not asked
  std::vector<std::pair<std::string, double>> scores;  // accuracy by model name
};
std::string accounting_text(const ModelSize& size, const AccountingOptions& options);
std::string accounting_table(const std::vector<ModelSize>& sizes, const AccountingOptions& options);
// An object for one model, a list for several.
std::string accounting_json(const std::vector<ModelSize>& sizes, const AccountingOptions& options);

}  // namespace lyceum
