// OLMo (Groeneveld et al. 2024, arXiv:2402.00838): llama blocks with LayerNorm that has neither weight nor
// bias, epsilon fixed at 1e-5, and an optional clamp of queries, keys and values.
#include <nlohmann/json.hpp>

#include "models/families.h"

namespace lyceum {
namespace {

void fix(ModelConfig& c) {
  c.norm = NormOptions::Kind::kLayerPlain;
  c.norm_eps = 1e-5;
}

void read(const nlohmann::json&, ModelConfig&) {}
void write(const ModelConfig&, nlohmann::ordered_json& json) { json.erase("rms_norm_eps"); }

}  // namespace

extern const Family kOlmo;
const Family kOlmo = {"olmo", "OlmoForCausalLM", false, {}, fix, read, write};

}  // namespace lyceum
