// data/: the whole way from files to batches. Oracles: the files themselves, decoded back from the shards;
// what a second run repeats; python3 reading shard and report where it is.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <set>

#include "base/error.h"
#include "base/file.h"
#include "base/random.h"
#include "base/threads.h"
#include "data/heldout.h"
#include "data/inspect.h"
#include "data/loader.h"
#include "data/prepare.h"
#include "formats/token_shards.h"

namespace lyceum {
namespace {

namespace fs = std::filesystem;

class Prepare : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = (fs::temp_directory_path() / ("lyceum_prepare_" + std::to_string(::getpid()))).string();
    fs::remove_all(folder_);
    for (int i = 0; i < 40; ++i) {
      put("t/prose/" + std::to_string(i) + ".txt", sentences(static_cast<uint64_t>(i), 30));
      put("t/code/" + std::to_string(i) + ".py", program(static_cast<uint64_t>(i)));
    }
    put("t/prose/copy.txt", sentences(3, 30));                         // exact duplicate of 3.txt
    put("t/prose/nearly.txt", sentences(5, 30) + "One word more.\n");  // near duplicate of 5.txt
    put("t/prose/tiny.txt", "no\n");
    options_.folder = folder_ + "/out";
    options_.ingest.texts = {folder_ + "/t"};
    options_.ingest.added = "then";
    options_.vocab_size = 400;
    options_.split.most_of_domain = 0.2;
  }
  void TearDown() override { fs::remove_all(folder_); }
  void put(const std::string& name, const std::string& contents) const {
    fs::create_directories(fs::path(folder_ + "/" + name).parent_path());
    std::ofstream(folder_ + "/" + name, std::ios::binary) << contents;
  }
  static std::string sentences(uint64_t seed, size_t n) {
    std::string s;
    for (size_t i = 0; i < n; ++i) {
      for (size_t k = 0; k < 8; ++k)
        s += "word" + std::to_string(RandomKey(seed).below(i * 8 + k, 3000)) + " ";
      s += "caf\u00e9 \u4e2d.\n";
    }
    return s;
  }
  static std::string program(uint64_t seed) {
    std::string s;
    for (size_t i = 0; i < 20; ++i) {
      const std::string name = "f" + std::to_string(RandomKey(seed).below(i, 100000));
      s += "def " + name + "(x):\n    return x + " + std::to_string(RandomKey(seed).below(100 + i, 99999)) +
           "\n";
    }
    return s;
  }
  std::string folder_;
  PrepareOptions options_;
};

TEST_F(Prepare, EveryDocumentIsTrainedOnHeldOutOrDroppedForAReasonAndDecodesToItsFile) {
  const PreparedData p = prepare(options_);
  EXPECT_EQ(p.stages_done,
            (std::vector<std::string>{"ingest", "filter", "dedup", "split", "tokenizer", "tokenize"}));
  const Tokenizer tokenizer = Tokenizer::load(p.tokenizer);
  std::multiset<std::string> texts;
  for (const std::string& prefix : {p.train_shard, p.heldout_shard}) {
    const TokenShard shard(prefix);
    shard.verify();
    for (int64_t i = 0; i < shard.n_documents(); ++i) {
      std::vector<int32_t> ids(static_cast<size_t>(shard.document_tokens(i)));
      shard.read(shard.document_begin(i), ids, tokenizer.vocab_size());
      EXPECT_EQ(ids.back(), tokenizer.eos_id());
      ids.pop_back();
      texts.insert(shard.domain_names()[shard.domain(i)] + ":" + tokenizer.decode(ids, false));
    }
  }
  std::multiset<std::string> expected;
  for (int i = 0; i < 40; ++i) {
    expected.insert("prose:" + sentences(static_cast<uint64_t>(i), 30));
    expected.insert("code:" + program(static_cast<uint64_t>(i)));
  }
  // of the near pair one is kept: whichever came first in the drawn order
  const std::string near = "prose:" + sentences(5, 30) + "One word more.\n";
  if (texts.count(near)) expected.erase("prose:" + sentences(5, 30)), expected.insert(near);
  EXPECT_EQ(texts, expected);
  ASSERT_EQ(p.domains.size(), 2u);
  for (const PreparedDomain& d : p.domains) {
    EXPECT_EQ(d.documents + d.heldout_documents, 40);
    EXPECT_GT(d.heldout_documents, 0);
    EXPECT_EQ(static_cast<int64_t>(read_file(p.heldout_folder + "_text/" + d.name + ".txt").size()),
              d.heldout_bytes);
  }
  const std::string report = read_file(p.report);
  EXPECT_NE(report.find("\"exact_duplicate\": 1"), std::string::npos);
  EXPECT_NE(report.find("\"near_duplicate\": 1"), std::string::npos);
  EXPECT_NE(report.find("\"too_short\": 1"), std::string::npos);
}

TEST_F(Prepare, WhatIsUpToDateIsNotDoneAgainAndAChangeRedoesWhatDependsOnIt) {
  prepare(options_);
  const PreparedData again = prepare(options_);
  EXPECT_TRUE(again.stages_done.empty());
  EXPECT_EQ(again.tokens(), static_cast<int64_t>(TokenShard(again.train_shard).n_tokens()));
  options_.ingest.texts = {folder_ + "/out/../t"};  // another spelling of the same folder
  EXPECT_TRUE(prepare(options_).stages_done.empty());
  options_.vocab_size = 420;
  EXPECT_EQ(prepare(options_).stages_done, (std::vector<std::string>{"tokenizer", "tokenize"}));
  options_.dedup.threshold = 0.9;
  EXPECT_EQ(prepare(options_).stages_done,
            (std::vector<std::string>{"dedup", "split", "tokenizer", "tokenize"}));
  put("t/prose/new.txt", sentences(777, 30));
  EXPECT_EQ(prepare(options_).stages_done.size(), 6u);
  fs::remove(again.train_shard + ".idx");
  EXPECT_EQ(prepare(options_).stages_done, std::vector<std::string>{"tokenize"});
  put("out/stamps.json", "{damaged");
  EXPECT_EQ(prepare(options_).stages_done.size(), 6u);
}

TEST_F(Prepare, TheShardIsTheSameAtAnyThreadCount) {
  std::vector<std::string> shards;
  for (const int threads : {1, 4}) {
    set_thread_count(threads);
    options_.folder = folder_ + "/out" + std::to_string(threads);
    const PreparedData p = prepare(options_);
    shards.push_back(read_file(p.train_shard + ".bin") + read_file(p.heldout_shard + ".bin") +
                     read_file(p.tokenizer + "/tokenizer.json"));
  }
  set_thread_count(2);
  EXPECT_EQ(shards[0], shards[1]);
}

TEST_F(Prepare, LoaderAndHeldOutOpenWhatItMade) {
  const PreparedData p = prepare(options_);
  const Tokenizer tokenizer = Tokenizer::load(p.tokenizer);
  LoaderConfig config;
  config.sequence_length = 64;
  DataLoader loader(config, {p.train_shard}, tokenizer.vocab_size(), tokenizer.eos_id());
  EXPECT_EQ(loader.next(256).tokens(), 256);
  const HeldOut held(p.heldout_shard, tokenizer.vocab_size(), tokenizer.eos_id());
  ASSERT_EQ(held.domains().size(), 2u);
  for (size_t d = 0; d < 2; ++d) {
    EXPECT_EQ(held.domains()[d].name, p.domains[d].name);
    EXPECT_EQ(held.domains()[d].bytes, p.domains[d].heldout_bytes);
    double scored = 0;
    for (const Batch& b : held.batches(d, 64, 16, 8))
      for (const float w : b.weights) scored += static_cast<double>(w);
    EXPECT_EQ(static_cast<int64_t>(scored), p.domains[d].heldout_tokens);
  }
}

TEST_F(Prepare, ATokenizerOfOnesOwnIsUsedAndMaskedTextIsMasked) {
  put("t/prose/mail.txt", sentences(900, 20) + "write to jane@example.org about it\n");
  const PreparedData first = prepare(options_);
  options_.tokenizer = first.tokenizer;
  options_.folder = folder_ + "/second";
  options_.mask_pii = true;
  const PreparedData second = prepare(options_);
  EXPECT_EQ(read_file(second.tokenizer + "/tokenizer.json"), read_file(first.tokenizer + "/tokenizer.json"));
  InspectOptions look;
  look.samples = 1000;
  look.sample_bytes = 100000;
  look.tokenizer = second.tokenizer;
  std::string all;
  for (const std::string& shard : {second.train_shard, second.heldout_shard})
    look.path = shard, all += inspect(look);
  EXPECT_EQ(all.find("jane@example.org"), std::string::npos);
  EXPECT_NE(all.find("write to |||EMAIL_ADDRESS||| about it"), std::string::npos);
}

TEST_F(Prepare, MixingChangesProportionsAndKeepsDocumentsWhole) {
  const PreparedData p = prepare(options_);
  MixOptions m;
  m.shards = {p.train_shard};
  m.out = folder_ + "/mixed";
  m.weights = {"prose=0"};
  const auto domains = mix(m);
  const TokenShard before(p.train_shard), after(m.out);
  std::set<std::vector<int32_t>> known;
  std::vector<int32_t> ids;
  for (int64_t i = 0; i < before.n_documents(); ++i) {
    ids.resize(static_cast<size_t>(before.document_tokens(i)));
    before.read(before.document_begin(i), ids, 1 << 20);
    if (before.domain_names()[before.domain(i)] == "code") known.insert(ids);
  }
  for (int64_t i = 0; i < after.n_documents(); ++i) {
    ids.resize(static_cast<size_t>(after.document_tokens(i)));
    after.read(after.document_begin(i), ids, 1 << 20);
    EXPECT_TRUE(known.count(ids));
    EXPECT_EQ(after.domain_names()[after.domain(i)], "code");
  }
  for (const MixedDomain& d : domains) EXPECT_EQ(d.tokens == 0, d.name == "prose");
}

TEST_F(Prepare, InspectCountsAndShows) {
  const PreparedData p = prepare(options_);
  InspectOptions look;
  look.path = options_.folder;
  look.domain = "code";
  const std::string folder = inspect(look);
  EXPECT_NE(folder.find("too_short 1"), std::string::npos) << folder;
  EXPECT_NE(folder.find("(code"), std::string::npos);
  EXPECT_NE(folder.find("def f"), std::string::npos);
  look.path = p.train_shard;
  EXPECT_NE(inspect(look).find(std::to_string(p.tokens())), std::string::npos);
  look.path = p.heldout_folder + "/code.jsonl";
  EXPECT_NE(inspect(look).find("def f"), std::string::npos);
}

}  // namespace
}  // namespace lyceum
