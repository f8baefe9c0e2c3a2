// infer/ and eval/: cached decoding against full passes, the sampler against the definition of its filters,
// likelihoods against a plain sum over full rows of logits.
#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "eval/likelihood.h"
#include "infer/generate.h"
#include "models/families.h"

namespace lyceum {
namespace {

ModelConfig tiny(const char* family = "olmoe") {
  ModelConfig c;
  c.family = family;
  c.vocab = 50, c.d_model = 32, c.n_layers = 2, c.n_heads = 4, c.d_ff = 24, c.init_std = 0.2;
  if (std::string(family) == "olmoe") c.n_experts = 6, c.top_k = 2;
  return c;
}

std::vector<int32_t> some_ids(int64_t n, uint64_t seed) {
  std::vector<int32_t> ids;
  for (int64_t i = 0; i < n; ++i)
    ids.push_back(static_cast<int32_t>(RandomKey(seed).below(static_cast<uint64_t>(i), 50)));
  return ids;
}

Batch batch_of(const std::vector<int32_t>& ids, int32_t domain = 0) {
  Batch b;
  b.ids = ids;
  for (size_t i = 0; i < ids.size(); ++i) b.positions.push_back(static_cast<int32_t>(i));
  b.domains.assign(ids.size(), domain);
  b.offsets = {0, static_cast<int32_t>(ids.size())};
  return b;
}

std::vector<float> full_logits(const Model& model, const std::vector<int32_t>& ids, int32_t domain = 0) {
  const Batch b = batch_of(ids, domain);
  Tape tape(false);
  Context c{tape, b};
  return model.logits(tape, model.forward(c).hidden).to_floats();
}

// Oracle: one pass over all ids.
void read_in_pieces(const ModelConfig& config, const std::vector<int32_t>& ids, int32_t domain = -1) {
  Model model(config, DType::kF32);
  model.initialise(RandomKey(1));
  const std::vector<float> wanted = full_logits(model, ids, std::max(0, domain));
  TextSequence sequence(model, 23, 0, domain);
  size_t done = 0;
  for (const size_t piece : {7u, 1u, 1u, 5u, 1u, 8u}) {
    const std::span<const float> found = sequence.read({ids.data() + done, piece});
    done += piece;
    for (size_t v = 0; v < 50; ++v)
      ASSERT_NEAR(found[v], wanted[(done - 1) * 50 + v], 1e-4) << config.family << " after " << done;
  }
  EXPECT_THROW(sequence.read({ids.data(), 1}), Error);  // full
}

TEST(Generate, ReadingInPiecesGivesTheLogitsOfAFullPass) {
  for (const char* family : {"olmoe", "llama", "olmo"}) read_in_pieces(tiny(family), some_ids(23, 2));
}

TEST(Generate, WindowsSinksAndLatentRowsGoOnInPiecesToo) {
  for (const char* family : {"mixtral", "gpt_oss", "deepseek_v2", "deepseek_v3", "qwen3_moe", "granitemoe"}) {
    ModelConfig config = tiny(family);
    config.n_experts = 6, config.top_k = 2, config.n_kv_heads = family_has(family, "kv_rank") ? 0 : 2;
    if (family_has(family, "window")) config.window = 5;
    if (family_has(family, "full_layers")) config.full_layers = {1};
    read_in_pieces(config, some_ids(23, 2));
    if (!family_has(family, "kv_rank")) continue;
    config.d_nope = 16, config.d_rope = 4, config.d_value = 32;  // kept rows are looked at as they are
    read_in_pieces(config, some_ids(23, 2));
  }
}

TEST(Generate, AStateKeepsWhatLocalFiltersMasksAndHashesSeeOfTheTextBefore) {
  std::vector<int32_t> ids = some_ids(23, 2);
  ids[6] = ids[11] = 7;
  ModelConfig yuan = tiny("yuan");
  yuan.n_experts = 4, yuan.top_k = 2, yuan.eos = 7;
  for (const bool masked : {false, true}) {
    yuan.mask_by_document = masked;
    read_in_pieces(yuan, ids);
  }
  ModelConfig bigram = tiny();
  bigram.router = "hash", bigram.routing.hash = "bigram", bigram.top_k = 1;
  read_in_pieces(bigram, ids);
}

TEST(Generate, ATextHasADomainWhereExpertsAreChosenByDomain) {
  ModelConfig config = tiny("pangu_sigma");
  config.n_experts = 4, config.top_k = 1, config.routing.n_domains = 2, config.max_positions = 23;
  for (const int32_t domain : {0, 1}) read_in_pieces(config, some_ids(23, 2), domain);
  const Model model(config, DType::kF32), other(tiny(), DType::kF32);
  EXPECT_THROW(TextSequence(model, 23), Error);
  EXPECT_THROW(TextSequence(model, 23, 0, 2), Error);
  EXPECT_THROW(TextSequence(other, 23, 0, 0), Error);
}

TEST(Generate, AnEncoderReadsThePromptAndTheDecoderWritesFromItsStart) {
  ModelConfig config = tiny("t5");
  config.decoder_start = 3;
  Model model(config, DType::kF32);
  model.initialise(RandomKey(1));
  const std::vector<int32_t> source = some_ids(9, 2);
  GenerateOptions o;
  o.max_tokens = 8, o.sampling.temperature = 0;
  const std::vector<int32_t> found = generate(model, source, o);
  std::vector<int32_t> target = {3};
  for (int32_t id : found) {  // oracle: a full pass for every id
    Batch b = batch_of(target);
    b.source.push_back(batch_of(source));
    Tape tape(false);
    Context c{tape, b};
    const std::vector<float> logits = model.logits(tape, model.forward(c).hidden).to_floats();
    const auto row = logits.end() - 50;
    ASSERT_EQ(id, std::max_element(row, logits.end()) - row) << "after " << target.size();
    target.push_back(id);
  }
  EXPECT_THROW(TextSequence(model, 9), Error);  // no source
  EXPECT_THROW(TextSequence(Model(tiny(), DType::kF32), 9, 0, -1, source), Error);
}

TEST(Generate, StopsAtStopIdsLimitsAndTheSink) {
  Model model(tiny(), DType::kF32);
  model.initialise(RandomKey(1));
  GenerateOptions o;
  o.max_tokens = 12;
  o.sampling.temperature = 0;
  const std::vector<int32_t> prompt = {3, 4}, all = generate(model, prompt, o);
  ASSERT_EQ(all.size(), 12u);
  o.stop_ids = {all[5]};
  const size_t first = static_cast<size_t>(std::find(all.begin(), all.end(), all[5]) - all.begin());
  EXPECT_EQ(generate(model, prompt, o),
            std::vector<int32_t>(all.begin(), all.begin() + static_cast<int64_t>(first)));
  o.stop_ids.clear();
  int seen = 0;
  EXPECT_EQ(generate(model, prompt, o, 0, [&](int32_t) { return ++seen < 3; }).size(), 3u);
  EXPECT_THROW(generate(model, {}, o), Error);
}

TEST(Sampler, DrawsFollowTheFilteredSoftmaxAndTheSeed) {
  const std::vector<float> logits = {2.0f, 1.0f, 0.0f, -1.0f, -5.0f};
  SamplingOptions o;
  o.temperature = 2, o.top_k = 4, o.top_p = 1,
  o.min_p = 0.3;  // exp(-0.5), exp(-1) = 0.37 stay, exp(-1.5) = 0.22 goes
  Sampler a(o), b(o);
  std::map<int32_t, int> counts;
  const int n = 20000;
  for (int i = 0; i < n; ++i) {
    const int32_t id = a.next(logits, {});
    ASSERT_EQ(id, b.next(logits, {}));
    ++counts[id];
  }
  const double total = 1 + std::exp(-0.5) + std::exp(-1.0);
  EXPECT_EQ(counts.size(), 3u);
  EXPECT_NEAR(counts[0] / double(n), 1 / total, 0.015);
  EXPECT_NEAR(counts[1] / double(n), std::exp(-0.5) / total, 0.015);

  o = {};
  o.temperature = 1, o.top_p = 0.6;  // softmax: 0.64 alone reaches 0.6
  Sampler nucleus(o);
  for (int i = 0; i < 100; ++i) ASSERT_EQ(nucleus.next(logits, {}), 0);
  o.temperature = 0, o.repetition_penalty = 3;
  const std::vector<int32_t> history = {0};
  EXPECT_EQ(Sampler(o).next(logits, history), 1);  // 2 / 3 < 1
}

TEST(Likelihood, WindowsCountEveryTokenOnceAndMatchAPlainSum) {
  Model model(tiny(), DType::kF32);
  model.initialise(RandomKey(3));
  std::vector<EncodedDocument> documents = {{some_ids(9, 1), 20, 0}, {some_ids(5, 2), 11, 0}};
  std::vector<int32_t> stream = {0};
  for (int32_t id : documents[0].ids) stream.push_back(id);
  stream.push_back(0);
  for (int32_t id : documents[1].ids) stream.push_back(id);
  stream.push_back(0);
  const auto nll_of = [&](size_t begin, size_t end, size_t from) {  // plain: windows as written in the header
    const std::vector<int32_t> ids(stream.begin() + static_cast<int64_t>(begin),
                                   stream.begin() + static_cast<int64_t>(end));
    const std::vector<float> logits = full_logits(model, ids);
    double sum = 0;
    for (size_t i = from; i < end; ++i) {
      const float* row = logits.data() + (i - begin) * 50;
      double total = 0;
      for (size_t v = 0; v < 50; ++v) total += std::exp(static_cast<double>(row[v]));
      sum += std::log(total) - row[stream[i + 1]];
    }
    return sum;
  };
  LikelihoodOptions o;
  o.eos = 0;
  o.window = 100, o.stride = 100;
  Likelihood one = likelihood(model, documents, o);
  EXPECT_EQ(one.tokens, 16);
  EXPECT_EQ(one.bytes, 31);
  EXPECT_NEAR(one.nll, nll_of(0, 16, 0), 1e-3);
  EXPECT_NEAR(one.bits_per_byte(), one.nll / std::log(2.0) / 31, 1e-9);
  o.window = 8, o.stride = 3, o.batch_tokens = 10;
  double wanted = nll_of(0, 8, 0) + nll_of(3, 11, 8) + nll_of(6, 14, 11) + nll_of(9, 16, 14);
  EXPECT_NEAR(likelihood(model, documents, o).nll, wanted, 1e-3);
  o.stride = 9;
  EXPECT_THROW(likelihood(model, documents, o), Error);
}

}  // namespace
}  // namespace lyceum
