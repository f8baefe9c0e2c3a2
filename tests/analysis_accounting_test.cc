// What models cost. Oracles: the counts of published models, the tensors that checkpoints of every family
// hold, the published table of accuracy per GFLOP, sums written out by hand.
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <set>

#include "analysis/accounting.h"
#include "base/error.h"
#include "base/file.h"

namespace lyceum {
namespace {

namespace fs = std::filesystem;

ModelSize published(const std::string& name) {
  return model_size_of(LYCEUM_SOURCE_DIR "/recipes/models/" + name);
}

std::string message_of(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}

TEST(Accounting, CountsTheFoundingModelsToTheLastParameter) {
  EXPECT_EQ(published("yuan2-m32").total(), 39'942'842'368);
  EXPECT_EQ(published("yuan2-m32").active(), 3'704'055'808);
  EXPECT_EQ(published("olmoe-1b-7b").total(), 6'919'161'856);
  EXPECT_EQ(published("olmoe-1b-7b").active(), 1'282'017'280);
  EXPECT_EQ(published("mixtral-8x7b").total(), 46'702'792'704);
  EXPECT_EQ(published("mixtral-8x7b").active(), 12'879'925'248);
  EXPECT_EQ(published("pangu-sigma").part_total("experts"), 1'073'741'824'000);
  EXPECT_NEAR(static_cast<double>(published("pangu-sigma").total()), 1.085e12, 0.003e12);
  EXPECT_NEAR(static_cast<double>(published("openmoe-8b").total()), 11.85e9, 0.01e9);
  EXPECT_NEAR(static_cast<double>(published("openmoe-34b").total()), 46.3e9, 0.05e9);
  EXPECT_NEAR(static_cast<double>(published("openmoe-base").total()), 0.80e9, 0.005e9);
}

TEST(Accounting, CountsOtherPublishedModelsAsTheirCheckpointsDo) {
  // Totals of the published safetensors indexes.
  EXPECT_EQ(published("llama3-8b").total(), 8'030'261'248);
  EXPECT_EQ(published("llama3-70b").total(), 70'553'706'496);
  EXPECT_EQ(published("mixtral-8x22b").total(), 140'620'634'112);
  EXPECT_EQ(published("deepseek-v2-lite").total(), 15'706'484'224);
  EXPECT_EQ(published("deepseek-v2").total(), 235'741'434'880);
  EXPECT_EQ(published("deepseek-v3").total(), 671'026'404'352);
  EXPECT_EQ(published("qwen1.5-moe-a2.7b").total(), 14'315'784'192);
  EXPECT_EQ(published("qwen3-30b-a3b").total(), 30'532'122'624);
  EXPECT_EQ(published("qwen3-235b-a22b").total(), 235'093'634'560);
  // Active parameters as published, in the digits that were published.
  const std::pair<const char*, double> active[] = {
      {"mixtral-8x22b", 39},   {"deepseek-v2", 21},    {"deepseek-v3", 37}, {"qwen3-30b-a3b", 3.3},
      {"qwen3-235b-a22b", 22}, {"qwen2-57b-a14b", 14}, {"gpt-oss-20b", 3.6}};
  for (const auto& [name, billions] : active) {
    const double ours = static_cast<double>(published(name).active()) / 1e9;
    EXPECT_NEAR(ours / billions, 1, 0.17) << name;
  }
}

TEST(Accounting, EveryPublishedConfigurationIsCounted) {
  int n = 0;
  for (const std::string& name : list_directory(LYCEUM_SOURCE_DIR "/recipes/models")) {
    const ModelSize size = published(name);
    EXPECT_EQ(size.name, name);
    EXPECT_GE(size.total(), size.active()) << name;
    EXPECT_GE(size.active(), size.products()) << name;
    EXPECT_GT(size.products(), 0) << name;
    EXPECT_FALSE(accounting_text(size, {}).empty());
    ++n;
  }
  EXPECT_GE(n, 20);
}

// ---- every family against the tensors of a checkpoint ----

struct Tensors {
  int64_t total = 0, experts = 0;  // experts: tensors that belong to one of several experts
};

Tensors tensors_of(const std::string& folder, bool tied, int64_t n_experts) {
  Tensors out;
  for (const std::string& name : list_directory(folder)) {
    if (!name.starts_with("model") || !name.ends_with(".safetensors")) continue;
    const MappedFile file(folder + "/" + name);
    uint64_t bytes = 0;
    std::memcpy(&bytes, file.data(), 8);
    const auto header = nlohmann::json::parse(file.text().substr(8, bytes));
    for (const auto& [tensor, info] : header.items()) {
      if (tensor == "__metadata__" || tensor.starts_with("route_table")) continue;
      if (tensor.ends_with("e_score_correction_bias")) continue;                  // a buffer
      if (tied && (tensor == "lm_head.weight" || tensor == "lm_head")) continue;  // stored twice
      int64_t entries = 1;
      for (const auto& d : info["shape"]) entries *= d.get<int64_t>();
      out.total += entries;
      const bool one_expert =
          tensor.find("experts.") != std::string::npos && tensor.find("shared_experts") == std::string::npos;
      const bool pangu = tensor.find("output.") != std::string::npos && info["shape"].size() > 1 &&
                         info["shape"][0] == n_experts && n_experts > 0 && tensor.starts_with("backbone");
      const bool granite = tensor.find("block_sparse_moe.input_linear") != std::string::npos ||
                           tensor.find("block_sparse_moe.output_linear") != std::string::npos;
      if (one_expert || pangu || granite) out.experts += entries;
    }
  }
  return out;
}

TEST(Accounting, EveryFamilyCountsWhatACheckpointOfItHolds) {
  std::set<std::string> families;
  for (const std::string folder :
       {LYCEUM_SOURCE_DIR "/tests/goldens", LYCEUM_SOURCE_DIR "/../shared/goldens"}) {
    if (!directory_exists(folder)) continue;
    for (const std::string& name : list_directory(folder)) {
      const std::string model = folder + "/" + name;
      for (const char* config : {"/config.json", "/config.v4.json"}) {
        if (!file_exists(model + config)) continue;
        const auto json = nlohmann::json::parse(read_file(model + config));
        const ModelSize size = model_size(json.dump(), name);
        const bool tied = json.value("tie_word_embeddings", false);
        const Tensors tensors = tensors_of(model, tied, size.n_experts);
        if (tensors.total == 0) continue;
        families.insert(size.family);
        EXPECT_EQ(size.total(), tensors.total) << name << config;
        // All but the experts that a token does not choose.
        const int64_t idle =
            size.n_experts > 0 ? tensors.experts / size.n_experts * (size.n_experts - size.top_k) : 0;
        EXPECT_EQ(size.active(), tensors.total - idle) << name << config;
      }
    }
  }
  if (families.empty()) GTEST_SKIP() << "no checkpoints in tests/goldens";
}

// ---- compute ----

TEST(Accounting, TheTableOfAccuracyPerGflopComesOutAsPublished) {
  struct Row {
    const char* name;
    double total, active, inference, training, accuracy, per_gflop;
  };
  const Row rows[] = {{"Llama3-70B", 70e9, 70e9, 140, 420, 79.25, 0.57},
                      {"Llama3-8B", 8e9, 8e9, 16, 48, 64.15, 4.00},
                      {"Qwen1.5-72B", 72e9, 72e9, 144, 432, 72.6, 0.50},
                      {"DeepSeek-V2", 236e9, 21e9, 42, 126, 79.05, 1.88},
                      {"Mixtral 8x22B", 141e9, 39e9, 78, 234, 72.38, 0.93},
                      {"Mixtral 8x7B", 47e9, 12.9e9, 25.8, 77.4, 60.83, 2.36},
                      {"Yuan2.0-M32", 40e9, 3.7e9, 7.4, 22.2, 79.15, 10.69}};
  for (const Row& row : rows) {
    const ModelSize size = model_size_from_counts(row.name, row.total, row.active);
    EXPECT_NEAR(size.inference_flops() / 1e9, row.inference, 1e-9) << row.name;
    EXPECT_NEAR(size.training_flops() / 1e9, row.training, 1e-9) << row.name;
    // Within one unit of the last digit: the table cuts some (4.009 to 4.00, 10.696 to 10.69) and rounds
    // others.
    EXPECT_NEAR(accuracy_per_gflop(size, row.accuracy), row.per_gflop, 0.01) << row.name;
  }
  const ModelSize yuan = published("yuan2-m32");
  EXPECT_NEAR(yuan.inference_flops() / 1e9, 7.4, 0.05);
  EXPECT_NEAR(yuan.training_flops() / 1e9, 22.2, 0.05);
  EXPECT_NEAR(published("llama3-70b").inference_flops() / yuan.inference_flops(), 19, 0.1);
}

TEST(Accounting, FineTuningTenThousandSamplesCostsWhatWasPublished) {
  const ModelSize yuan = model_size_from_counts("Yuan2.0-M32", 40e9, 3.7e9);
  EXPECT_NEAR(yuan.training_flops() * 10.24e6, 2.27e17, 0.01e17);
  EXPECT_NEAR(petaflop_days(yuan, 10.24e6), 0.0026, 0.00005);
  EXPECT_NEAR(petaflop_days(model_size_from_counts("Llama3-70B", 70e9, 70e9), 10.24e6), 0.05, 0.0005);
}

TEST(Accounting, TheExactFormIsTheSumOfAllProductsOfATinyModel) {
  // width 4, 2 heads of 3, FFN 5, vocabulary 7, one layer, 3 experts of which 2; a sequence of 6 tokens.
  const ModelSize size = model_size(
      R"({"model_type":"mixtral","hidden_size":4,"num_hidden_layers":1,"num_attention_heads":2,
          "num_key_value_heads":1,"head_dim":3,"num_local_experts":3,"num_experts_per_tok":2,
          "intermediate_size":5,"vocab_size":7})",
      "tiny");
  double flops = 0;
  for (int token = 0; token < 6; ++token) {
    flops += 2.0 * 4 * (2 * 3 + 3 + 3);      // q, k, v
    flops += 2.0 * (token + 1) * 3 * 2 * 2;  // scores and weighted values, two heads
    flops += 2.0 * 6 * 4;                    // output of the attention
    flops += 2.0 * 4 * 3;                    // router
    flops += 2 * 2.0 * 3 * 4 * 5;            // two experts of three matrices
    flops += 2.0 * 4 * 7;                    // output matrix
  }
  EXPECT_DOUBLE_EQ(size.forward_flops(6), flops / 6);
  EXPECT_DOUBLE_EQ(size.exact_training_flops(6), flops / 2);
  EXPECT_EQ(size.cache_bytes(10, 2), 10 * 2 * (3 + 3));
}

TEST(Accounting, AWindowBoundsAttentionAndCache) {
  const std::string text =
      R"({"model_type":"mixtral","hidden_size":4,"num_hidden_layers":1,"num_attention_heads":2,"head_dim":3,
          "num_key_value_heads":2,"num_local_experts":3,"num_experts_per_tok":2,"intermediate_size":5,"vocab_size":7)";
  const ModelSize full = model_size(text + "}", "a"),
                  window = model_size(text + R"(,"sliding_window":3})", "b");
  double keys = 0, seen = 0;
  for (int token = 0; token < 10; ++token) keys += std::min(token + 1, 3), seen += token + 1;
  EXPECT_NEAR(full.forward_flops(10) - window.forward_flops(10), 2.0 * (seen - keys) / 10 * 12, 1e-9);
  EXPECT_EQ(window.cache_bytes(10, 1), 3 * 12);
}

TEST(Accounting, TrainingNeedsSixteenBytesAParameter) {
  const ModelSize olmoe = published("olmoe-1b-7b");
  const TrainingMemory memory = training_memory(olmoe, 4096);
  EXPECT_EQ(memory.state, 16.0 * 6'919'161'856);
  EXPECT_GT(memory.activations, memory.recomputed);
  EXPECT_DOUBLE_EQ(training_memory(olmoe, 8192).activations, 2 * memory.activations);
}

TEST(Accounting, BadConfigurationsAreOneClearLine) {
  const auto said = [](const std::string& text) {
    return message_of([&] { model_size(text, "m/config.json"); });
  };
  EXPECT_NE(said("{").find("m/config.json is not a JSON object"), std::string::npos);
  EXPECT_NE(said(R"({"model_type":"olmoee"})").find("did you mean olmoe?"), std::string::npos);
  EXPECT_NE(said(R"({"model_type":"olmoe"})").find("num_hidden_layers is missing"), std::string::npos);
  EXPECT_NE(said(R"({"model_type":"llama","num_hidden_layers":-3})").find("at least 1, found \"-3\""),
            std::string::npos);
  EXPECT_NE(said(R"({"model_type":"llama","num_hidden_layers":3.5})").find("must be an integer"),
            std::string::npos);
  const std::string huge = R"({"model_type":"llama","num_hidden_layers":2147483648,"hidden_size":2147483648,
      "vocab_size":2147483648,"num_attention_heads":1,"intermediate_size":2147483648})";
  EXPECT_NE(said(huge).find("more than any machine holds"), std::string::npos) << said(huge);
  const std::string top =
      R"({"model_type":"mixtral","hidden_size":4,"num_hidden_layers":1,"num_attention_heads":2,
      "num_local_experts":3,"num_experts_per_tok":4,"intermediate_size":5,"vocab_size":7})";
  EXPECT_NE(said(top).find("4 experts per token of 3"), std::string::npos);
  const std::string heads =
      R"({"model_type":"llama","hidden_size":10,"num_hidden_layers":1,"num_attention_heads":3,
      "intermediate_size":5,"vocab_size":7})";
  EXPECT_NE(said(heads).find("hidden_size 10 does not divide into 3 heads"), std::string::npos);
  EXPECT_NE(message_of([] { model_size_of("no/such/model"); }).find("no/such/model"), std::string::npos);
  EXPECT_NE(message_of([] { model_size_from_counts("x", 5, 6); }).find("LABEL=TOTAL/ACTIVE"),
            std::string::npos);
  EXPECT_NE(message_of([] {
              accounting_table({}, {.scores = {{"a", 1}}});
            }).find("names none of the models"),
            std::string::npos);
}

TEST(Accounting, JsonHoldsTheSameNumbersAsTheTable) {
  AccountingOptions options;
  options.tokens = 1e9;
  options.scores = {{"olmoe-1b-7b", 54.1}};
  const auto j = nlohmann::json::parse(accounting_json({published("olmoe-1b-7b")}, options));
  EXPECT_EQ(j["total"], 6'919'161'856);
  EXPECT_EQ(j["active"], 1'282'017'280);
  EXPECT_NEAR(j["score_per_gflop"].get<double>(), 54.1 / 2.56403456, 1e-9);
  EXPECT_EQ(j["weight_bytes"]["bf16"], 2.0 * 6'919'161'856);
  int64_t sum = 0;
  for (const auto& part : j["parts"]) sum += part["total"].get<int64_t>();
  EXPECT_EQ(sum, j["total"].get<int64_t>());
  const std::string text = accounting_text(published("olmoe-1b-7b"), options);
  EXPECT_NE(text.find("6,919,161,856"), std::string::npos);
  EXPECT_NE(text.find("1,282,017,280"), std::string::npos);
}

}  // namespace
}  // namespace lyceum
