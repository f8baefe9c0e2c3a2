// models/: configurations and checkpoints that cannot be are refused with one line that names key or tensor;
// what we write reads back bit for bit. Oracles: hand-written expectations, the published configurations.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <functional>

#include "base/file.h"
#include "models/families.h"
#include "models/weights.h"

namespace lyceum {
namespace {

const char* kConfig =
    R"({"architectures": ["OlmoeForCausalLM"], "model_type": "olmoe", "vocab_size": 40, "hidden_size": 16,
 "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 2, "num_experts": 4,
 "num_experts_per_tok": 2, "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "hidden_act": "silu"})";

std::string replaced(const std::string& text, const std::string& from, const std::string& to) {
  std::string out = text;
  out.replace(out.find(from), from.size(), to);
  return out;
}

std::string message(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& e) {
    return e.what();
  }
  return "nothing was refused";
}

TEST(Config, ImpossibleShapesAreRefusedByName) {
  const auto read = [](const std::string& from, const std::string& to) {
    return message([&] { read_model_config(replaced(kConfig, from, to), "config.json"); });
  };
  EXPECT_EQ(read("\"num_experts_per_tok\": 2", "\"num_experts_per_tok\": 5"),
            "config.json: model: top_k must be 1 to n_experts = 4, found 5");
  EXPECT_EQ(read("\"num_attention_heads\": 2", "\"num_attention_heads\": 3"),
            "config.json: model: n_heads = 3 does not divide d_model = 16; set d_head or change one of them");
  EXPECT_NE(read("OlmoeForCausalLM", "GPT2LMHeadModel")
                .find("architecture \"GPT2LMHeadModel\"; known: OlmoeForCausalLM"),
            std::string::npos);
  EXPECT_EQ(read("\"silu\"", "\"tanh\""),
            "config.json: hidden_act \"tanh\"; known: silu, gelu, gelu_new, relu");
  EXPECT_EQ(read("\"hidden_size\": 16", "\"hidden_size\": \"wide\""),
            "config: config.json: hidden_size must be an integer of at least 1, found \"\\\"wide\\\"\"");
  EXPECT_NE(read("\"vocab_size\": 40,", "").find("vocab_size"), std::string::npos);
  EXPECT_NE(read("{", "").find("config.json: not a model configuration"), std::string::npos);
  EXPECT_NE(read("\"num_hidden_layers\": 1", "\"num_hidden_layers\": 100000000")
                .find("n_layers = 100000000 is beyond"),
            std::string::npos);
}

TEST(Config, AKeyThatChangesTheMathematicsAndIsNotUnderstoodIsRefusedByName) {
  const auto with = [](const std::string& key) {
    return message([&] {
      read_model_config(replaced(kConfig, "\"vocab_size\"", key + ", \"vocab_size\""), "config.json");
    });
  };
  EXPECT_EQ(
      with("\"sliding_window\": 64"),
      "config.json: sliding_window = \"64\" changes what the model computes, and the family olmoe has no "
      "such choice");
  EXPECT_NE(with("\"final_logit_softcapping\": 30.0").find("final_logit_softcapping"), std::string::npos);
  EXPECT_NE(with("\"rope_scaling\": {\"rope_type\": \"longrope\"}").find("rope type \"longrope\""),
            std::string::npos);
  for (const char* harmless :
       {"\"sliding_window\": null", "\"logits_scaling\": 1.0", "\"use_cache\": true", "\"surprise\": 3",
        "\"layer_types\": [\"full_attention\"]", "\"n_shared_experts\": 0"})
    EXPECT_EQ(with(harmless), "nothing was refused") << harmless;
}

class Checkpoint : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ =
        (std::filesystem::temp_directory_path() / ("lyceum_models_" + std::to_string(getpid()))).string();
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  void write(const Model& model, FileDType type,
             const std::function<void(std::vector<TensorSource>&)>& change = {}) {
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
    std::vector<TensorSource> sources = weight_sources(model, type);
    if (change) change(sources);
    write_tensor_files(folder_, sources);
    write_file(folder_ + "/config.json", write_model_config(model.config(), "float32"));
  }
  std::string folder_;
};

TEST_F(Checkpoint, ReadsBackBitForBit) {
  // Families whose form needs no keys of its own; the goldens hold the others to their files.
  for (const char* family : {"olmoe", "mixtral", "qwen3_moe", "llama", "olmo", "olmo2", "gpt_neox"})
    for (const bool tied : {false, true}) {
      ModelConfig c = read_model_config(kConfig, "config.json");
      c.family = family, c.tied = tied, c.qk_norm = AttentionOptions::QkNorm::kNone;
      if (!family_is_sparse(family)) c.n_experts = c.top_k = 0;
      Model model(c, DType::kBF16);
      model.enable_gradients();  // exact masters
      model.initialise(RandomKey(5));
      write(model, FileDType::kF32);
      const auto again = open_model(folder_, DType::kF32);
      for (size_t i = 0; i < model.parameters().size(); ++i)
        ASSERT_EQ(model.parameters()[i]->read_master(), again->parameters()[i]->read_master())
            << model.parameters()[i]->name;
    }
}

TEST_F(Checkpoint, MissingExtraAndMisshapenTensorsAreNamed) {
  Model model(read_model_config(kConfig, "config.json"), DType::kF32);
  model.initialise(RandomKey(5));
  const auto refused = [&](const std::function<void(std::vector<TensorSource>&)>& change) -> std::string {
    write(model, FileDType::kF32, change);
    return message([&] { open_model(folder_, DType::kF32); });
  };
  EXPECT_EQ(refused([](std::vector<TensorSource>& s) { s.erase(s.begin() + 3); }),
            folder_ + ": the tensor model.layers.0.self_attn.k_proj.weight of shape [16, 16] is missing");
  EXPECT_EQ(
      refused([](std::vector<TensorSource>& s) { s.push_back(s[0]), s.back().name = "model.surprise"; }),
      folder_ + ": the tensor model.surprise has no place in a olmoe model of this configuration");
  EXPECT_EQ(refused([](std::vector<TensorSource>& s) {
              s[2].shape = {8, 32};
            }),
            folder_ +
                ": tensor model.layers.0.self_attn.q_proj.weight: the configuration wants shape [16, 16], "
                "the file has [8, 32]");
  EXPECT_NE(message([&] {
              open_model(folder_ + "/none", DType::kF32);
            }).find("wanted a Hugging Face model directory"),
            std::string::npos);
}

TEST(Initialise, IsATruncatedNormalThatDependsOnTheKeyOnly) {
  ModelConfig c = read_model_config(kConfig, "config.json");
  c.d_model = 64, c.vocab = 500;
  Model a(c, DType::kF32), b(c, DType::kF32), other(c, DType::kF32);
  a.initialise(RandomKey(1)), b.initialise(RandomKey(1)), other.initialise(RandomKey(2));
  for (size_t i = 0; i < a.parameters().size(); ++i) {
    const std::vector<float> values = a.parameters()[i]->read_master();
    ASSERT_EQ(values, b.parameters()[i]->read_master());
    if (a.parameters()[i]->shape.rank == 1) {
      for (float v : values) ASSERT_EQ(v, 1.0f);
      continue;
    }
    ASSERT_NE(values, other.parameters()[i]->read_master());
    double square = 0;
    for (float v : values) {
      ASSERT_LE(std::abs(v), 0.06f);
      square += double(v) * v;
    }
    // deviation of a normal cut at 3 is 0.9866 of the whole one's
    ASSERT_NEAR(std::sqrt(square / double(values.size())), 0.02 * 0.9866, 0.004);
  }
}

}  // namespace
}  // namespace lyceum
