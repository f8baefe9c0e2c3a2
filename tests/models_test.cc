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
  EXPECT_NE(with("\"rope_scaling\": {\"rope_type\": \"mrope\"}").find("rope type \"mrope\""),
            std::string::npos);
  for (const char* harmless :
       {"\"sliding_window\": null", "\"logits_scaling\": 1.0", "\"use_cache\": true", "\"surprise\": 3",
        "\"layer_types\": [\"full_attention\"]", "\"n_shared_experts\": 0"})
    EXPECT_EQ(with(harmless), "nothing was refused") << harmless;
}

// The keys of Phi-3.5-MoE's published file, whose class is spelled otherwise in transformers.
std::string phi_config(const std::string& rope) {
  return R"({"architectures": ["PhiMoEForCausalLM"], "model_type": "phimoe", "attention_bias": true,
 "attention_dropout": 0.0, "bos_token_id": 1, "eos_token_id": 32000, "expert_dropout": 0.0, "hidden_act": "silu",
 "hidden_dropout": 0.0, "hidden_size": 64, "initializer_range": 0.02, "input_jitter_noise": 0.01,
 "intermediate_size": 24, "lm_head_bias": true, "max_position_embeddings": 131072, "num_attention_heads": 16,
 "num_experts_per_tok": 2, "num_hidden_layers": 2, "num_key_value_heads": 4, "num_local_experts": 16,
 "original_max_position_embeddings": 4096, "output_router_logits": false, "rms_norm_eps": 1e-05, )" +
         rope + R"(, "router_aux_loss_coef": 0.0, "router_jitter_noise": 0.01, "sliding_window": 131072,
 "tie_word_embeddings": false, "torch_dtype": "bfloat16", "use_cache": true, "vocab_size": 320})";
}

TEST(Config, RotaryScalingsAreReadInBothGenerationsOfKeyNames) {
  const ModelConfig phi = read_model_config(
      phi_config(R"("rope_theta": 10000.0, "rope_scaling": {"type": "longrope", "short_factor": [1.0, 1.5],
 "long_factor": [2.0, 40.5], "short_mscale": 1.25, "long_mscale": 1.5, "original_max_position_embeddings": 4096})"),
      "config.json");
  EXPECT_EQ(phi.rope.scaling, "longrope");
  EXPECT_EQ(phi.rope.factor, 32);
  EXPECT_EQ(phi.rope.long_factors, (std::vector<double>{2.0, 40.5}));
  EXPECT_EQ(phi.rope.long_amplitude, 1.5);
  const std::string numbers[] = {
      R"("rope_type": "linear", "factor": 4.0)", R"("rope_type": "dynamic", "factor": 2.0)",
      R"("rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
 "original_max_position_embeddings": 64)",
      R"("rope_type": "yarn", "factor": 4.0, "beta_fast": 16, "original_max_position_embeddings": 64)",
      R"("rope_type": "longrope", "short_factor": [1, 2], "long_factor": [3, 4],
 "original_max_position_embeddings": 64)"};
  for (const std::string& own : numbers) {
    const ModelConfig v4 = read_model_config(
        phi_config("\"rope_theta\": 5000.0, \"rope_scaling\": {" + own + "}"), "config.json");
    const ModelConfig v5 = read_model_config(
        phi_config("\"rope_parameters\": {\"rope_theta\": 5000.0, " + own + "}"), "config.json");
    const ModelConfig again = read_model_config(write_model_config(v4, "float32"), "written");
    for (const ModelConfig* c : {&v5, &again}) {
      const Rotary a(v4.rope, 4), b(c->rope, 4);
      for (const int32_t last : {1, 63, 64, 5000, 140000}) {
        const ops::RopeSpec x = a.spec(1, 4, {last}), y = b.spec(1, 4, {last});
        EXPECT_EQ(*x.frequencies, *y.frequencies) << own;
        EXPECT_EQ(x.scale, y.scale) << own;
        EXPECT_EQ(c->rope.theta, 5000.0);
      }
    }
  }
  EXPECT_NE(message([] {
              read_model_config(phi_config(R"("rope_scaling": {"type": "linear"})"), "config.json");
            }).find("config.json: rope_scaling: key factor is missing"),
            std::string::npos);
}

TEST(Config, ExpertsAreCountedUnderEveryNameAndNamesMayNotDisagree) {
  const auto experts = [](const std::string& keys) {
    return read_model_config(replaced(kConfig, "\"num_experts\": 4", keys), "config.json").n_experts;
  };
  for (const char* name : {"num_experts", "num_local_experts", "n_routed_experts"})
    EXPECT_EQ(experts("\"" + std::string(name) + "\": 4"), 4);
  EXPECT_EQ(message([&] { experts("\"num_experts\": 4, \"num_local_experts\": 8"); }),
            "config: config.json: num_experts = 4, but num_local_experts = 8");
}

TEST(Config, PackedWeightsOfUnknownKindsAreRefusedByName) {
  const auto with = [](const std::string& own) {
    return message([&] {
      read_model_config(replaced(kConfig, "{", "{\"quantization_config\": {" + own + "}, "), "config.json");
    });
  };
  EXPECT_EQ(with("\"quant_method\": \"gptq\", \"bits\": 4"),
            "config.json: quantization_config: quant_method \"gptq\"; known: mxfp4, fp8");
  EXPECT_NE(with("\"quant_method\": \"fp8\", \"weight_block_size\": [64, 64]").find("[128, 128]"),
            std::string::npos);
  EXPECT_EQ(with("\"quant_method\": \"mxfp4\""), "nothing was refused");
}

TEST(Config, WhatAFamilyDecidesOrCannotSayIsRefusedByName) {
  ModelConfig c;
  c.vocab = 40, c.d_model = 16, c.n_layers = 5, c.n_heads = 2, c.d_ff = 8, c.n_experts = 4, c.top_k = 2;
  c.family = "switch_transformers";
  EXPECT_EQ(message([&] { Model(c, DType::kF32); }),
            "model: top_k = 2, but in the family switch_transformers it is 1");
  c.family = "deepseek_v3", c.router = "hash";
  EXPECT_EQ(message([&] { Model(c, DType::kF32); }),
            "model: router = hash, but in the family deepseek_v3 it is sigmoid_top_k");
  c.router = "sigmoid_top_k", c.moe_first = 1, c.moe_every = 2;  // blocks 1, 3; its keys would mean 2, 4
  EXPECT_EQ(message([&] { write_model_config(Model(c, DType::kF32).config(), "float32"); }),
            "model: the config.json of a deepseek_v3 model has no words for this form; it would be read as "
            "dense_layers: [0, 2, 4] -> [0, 1, 3]");
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
                ": tensor \"model.layers.0.self_attn.q_proj.weight\": the configuration wants shape "
                "[16, 16], the file has [8, 32]");
  EXPECT_NE(message([&] {
              open_model(folder_ + "/none", DType::kF32);
            }).find("wanted a Hugging Face model directory"),
            std::string::npos);
}

// A file that says "tied" and has an output matrix of its own was written for another configuration.
TEST_F(Checkpoint, AnOutputMatrixBesideATiedEmbeddingMustEqualIt) {
  for (const char* family : {"olmoe", "gpt_neox"}) {
    const bool olmoe = std::string(family) == "olmoe";
    const std::string head = olmoe ? "lm_head.weight" : "embed_out.weight";
    ModelConfig c = read_model_config(kConfig, "config.json");
    c.family = family, c.tied = true, c.qk_norm = AttentionOptions::QkNorm::kNone;
    if (!olmoe) c.n_experts = c.top_k = 0;
    Model model(c, DType::kF32), other(c, DType::kF32);
    model.initialise(RandomKey(5)), other.initialise(RandomKey(6));
    const auto embedding = [](const Model& m) {
      for (TensorSource& s : weight_sources(m, FileDType::kF32))
        if (s.name.find("embed") != std::string::npos) return s;
      return TensorSource{};
    };
    const auto with = [&](const Model& m) {
      write(model, FileDType::kF32,
            [&](std::vector<TensorSource>& s) { s.push_back(embedding(m)), s.back().name = head; });
      return message([&] { open_model(folder_, DType::kF32); });
    };
    EXPECT_EQ(with(model), "nothing was refused");
    EXPECT_EQ(with(other), folder_ + ": " + head + " differs from " + embedding(model).name +
                               ", of which config.json makes it a copy: set tie_word_embeddings to false if "
                               "the output matrix is one of its own");
  }
}

// Oracle: the values by the definitions of the formats, element by element.
TEST_F(Checkpoint, PackedWeightsAreReadAsTheNumbersTheyStandFor) {
  const auto packed = [](const char* name, FileDType type, std::vector<int64_t> shape, auto&& value) {
    TensorSource s{name, type, shape, {}};
    int64_t n = 1;
    for (int64_t extent : shape) n *= extent;
    std::string bytes;
    for (int64_t i = 0; i < n; ++i) bytes += static_cast<char>(value(i));
    s.stream = [bytes](const ByteSink& sink) { sink(bytes.data(), bytes.size()); };
    return s;
  };
  const auto place = [](std::vector<TensorSource>& sources, const std::string& name) {
    return std::find_if(sources.begin(), sources.end(),
                        [&](const TensorSource& s) { return s.name == name; });
  };
  ModelConfig c;
  c.vocab = 40, c.d_model = 64, c.n_layers = 1, c.n_heads = 2, c.d_ff = 32, c.n_experts = 2, c.top_k = 1;
  c.family = "gpt_oss";
  const std::string down = "model.layers.0.mlp.experts.down_proj";
  const auto nibble = [](int64_t i) { return (i * 7 + i / 16) % 16; };
  write(Model(c, DType::kF32), FileDType::kF32, [&](std::vector<TensorSource>& s) {
    s.erase(place(s, down));
    s.push_back(packed((down + "_blocks").c_str(), FileDType::kU8, {2, 64, 1, 16},
                       [&](int64_t i) { return nibble(2 * i) | nibble(2 * i + 1) << 4; }));
    s.push_back(packed((down + "_scales").c_str(), FileDType::kU8, {2, 64, 1},
                       [](int64_t i) { return 120 + i % 11; }));
  });
  const float halves[] = {0, 0.5f, 1, 1.5f, 2, 3, 4, 6};
  const auto find = [](const Model& model, const std::string& name) {
    for (const Parameter* p : model.parameters())
      if (p->name == name) return p->read_master();
    return std::vector<float>();
  };
  for (const DType type : {DType::kF32, DType::kBF16}) {  // every such number is one in bf16 too
    const std::vector<float> found = find(*open_model(folder_, type), down);
    for (int64_t i = 0; i < 2 * 64 * 32; ++i) {
      const int64_t code = nibble(i), group = i / 32;
      const float wanted = (code & 8 ? -1.0f : 1.0f) * halves[code & 7] *
                           std::ldexp(1.0f, static_cast<int>(120 + group % 11 - 127));
      ASSERT_EQ(found[static_cast<size_t>(i)], wanted) << i;
    }
  }
  write(Model(c, DType::kF32), FileDType::kF32, [&](std::vector<TensorSource>& s) {
    s.erase(place(s, down));
    s.push_back(
        packed((down + "_blocks").c_str(), FileDType::kU8, {2, 64, 1, 16}, [](int64_t) { return 0; }));
  });
  EXPECT_EQ(message([&] { open_model(folder_, DType::kF32); }),
            folder_ + ": tensor \"" + down + "_blocks\" is U8 and wants the tensor " + down +
                "_scales of shape [2, 64, 1], which is missing");

  c = ModelConfig();
  c.family = "llama", c.vocab = 40, c.d_model = 200, c.n_layers = 1, c.n_heads = 2, c.d_ff = 150;
  const std::string up = "model.layers.0.mlp.down_proj.weight";  // [200, 150]: 2 x 2 blocks
  const float scales[] = {0.5f, 3, 0.25f, 7};
  write(Model(c, DType::kF32), FileDType::kF32, [&](std::vector<TensorSource>& s) {
    *place(s, up) = packed(up.c_str(), FileDType::kF8E4M3, {200, 150}, [](int64_t i) { return i % 127; });
    s.push_back(packed((up + "_scale_inv").c_str(), FileDType::kF32, {2, 2}, [](int64_t) { return 0; }));
    s.back().stream = [&](const ByteSink& sink) { sink(scales, sizeof scales); };
  });
  const std::vector<float> found = find(*open_model(folder_, DType::kF32), up);
  for (int64_t i = 0; i < 200 * 150; ++i) {
    const int code = static_cast<int>(i % 127), exponent = code >> 3, mantissa = code & 7;
    const double value =
        exponent ? (1 + mantissa / 8.0) * std::pow(2.0, exponent - 7) : mantissa / 8.0 * std::pow(2.0, -6);
    const float scale = scales[i / 150 / 128 * 2 + i % 150 / 128];
    ASSERT_EQ(found[static_cast<size_t>(i)], static_cast<float>(value * scale)) << i;
  }
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
