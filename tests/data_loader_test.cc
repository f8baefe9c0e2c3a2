// data/: shards to batches. Oracles: the documents themselves, strung together by plain loops, and counting.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <numeric>
#include <set>

#include "base/error.h"
#include "base/file.h"
#include "base/random.h"
#include "base/threads.h"
#include "data/epoch.h"
#include "data/heldout.h"
#include "data/loader.h"
#include "data/repeats.h"
#include "formats/token_shards.h"

namespace lyceum {
namespace {

namespace fs = std::filesystem;

constexpr int32_t kEnd = 0;
constexpr int64_t kVocab = 100000;

// Document i of a shard: ids that tell where they came from, then the end.
std::vector<int32_t> document(int32_t number, int32_t length) {
  std::vector<int32_t> ids;
  for (int32_t k = 0; k + 1 < length; ++k) ids.push_back(1 + number * 100 + k % 97);
  ids.push_back(kEnd);
  return ids;
}

class Loader : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = (fs::temp_directory_path() / ("lyceum_loader_" + std::to_string(::getpid()))).string();
    fs::remove_all(folder_);
    fs::create_directories(folder_);
    TokenShardWriter a(folder_ + "/a", kVocab, {"x", "y"}), b(folder_ + "/b", kVocab, {"y", "z"});
    for (int32_t i = 0; i < 120; ++i) {
      const int32_t length = 5 + static_cast<int32_t>(RandomKey(3).below(static_cast<uint64_t>(i), 60));
      documents_.push_back(document(i, length));
      const bool first = i < 80;
      const uint32_t local = static_cast<uint32_t>(i % 2);
      (first ? a : b).add(documents_.back(), local);
      domains_.push_back(static_cast<int32_t>(first ? local : local + 1));
    }
    a.finish();
    b.finish();
    config_.sequence_length = 32;
    shards_ = {folder_ + "/a", folder_ + "/b"};
  }
  void TearDown() override { fs::remove_all(folder_); }
  DataLoader open() const { return DataLoader(config_, shards_, kVocab, kEnd); }
  // Which document an id belongs to; -1 for the end.
  static int32_t owner(int32_t id) { return id == kEnd ? -1 : (id - 1) / 100; }
  std::string folder_;
  std::vector<std::vector<int32_t>> documents_;
  std::vector<int32_t> domains_;
  std::vector<std::string> shards_;
  LoaderConfig config_;
};

std::string message_of(const std::function<void()>& work) {
  try {
    work();
  } catch (const Error& e) {
    return e.what();
  }
  return "no error";
}

bool equal(const Batch& a, const Batch& b) {
  return a.ids == b.ids && a.positions == b.positions && a.domains == b.domains && a.targets == b.targets &&
         a.weights == b.weights && a.offsets == b.offsets;
}

// Counts copies of a repeated block at every place, the slow way.
bool repeats_slowly(const std::vector<int32_t>& x, int64_t max_period, int64_t count) {
  for (int64_t p = 1; p <= max_period; ++p)
    for (size_t begin = 0; begin + static_cast<size_t>(p * count) <= x.size(); ++begin) {
      bool all = true;
      for (int64_t k = p; k < p * count && all; ++k)
        all = x[begin + static_cast<size_t>(k)] == x[begin + static_cast<size_t>(k - p)];
      if (all) return true;
    }
  return false;
}

TEST(Repeats, AgreesWithCountingEveryBlock) {
  int found = 0;
  for (uint64_t seed = 0; seed < 3000; ++seed) {
    const RandomKey key(seed);
    std::vector<int32_t> x(40 + key.below(0, 60));
    const size_t period = 1 + key.below(1, 5), begin = key.below(2, 30), end = begin + key.below(3, 60);
    for (size_t i = 0; i < x.size(); ++i)
      x[i] = i >= begin + period && i < end ? x[i - period] : static_cast<int32_t>(key.below(10 + i, 3));
    const bool expected = repeats_slowly(x, 4, 8);
    found += expected;
    ASSERT_EQ(repeats_ngram(std::span<const int32_t>(x), 4, 8), expected) << seed;
  }
  EXPECT_GT(found, 300);
  EXPECT_LT(found, 2700);
  std::vector<int32_t> exact(13 * 32);
  for (size_t i = 0; i < exact.size(); ++i) exact[i] = static_cast<int32_t>(i % 13);
  EXPECT_TRUE(repeats_ngram(std::span<const int32_t>(exact)));
  exact.pop_back();
  EXPECT_FALSE(repeats_ngram(std::span<const int32_t>(exact)));
}

TEST(Epoch, APermutationMeetsEveryPlaceOnceAndDependsOnItsKey) {
  for (const int64_t n : {1, 2, 3, 7, 64, 1000, 4097}) {
    const Permutation p(RandomKey(5), n), q(RandomKey(6), n);
    std::set<int64_t> seen;
    int64_t same = 0;
    for (int64_t i = 0; i < n; ++i) {
      const int64_t at = p(i);
      ASSERT_TRUE(at >= 0 && at < n);
      seen.insert(at);
      same += at == q(i);
    }
    EXPECT_EQ(static_cast<int64_t>(seen.size()), n);
    if (n >= 1000) {
      EXPECT_LT(same, n / 20);
    }
  }
}

TEST(Epoch, CopiesFollowWeightsTemperatureAndTheirLimit) {
  EXPECT_EQ(domain_copies({100, 300}, {1, 1}, 1, 4), (std::vector<double>{1, 1}));
  const auto twice = domain_copies({100, 100}, {3, 1}, 1, 4);  // 3/4 and 1/4 of 200 tokens
  EXPECT_DOUBLE_EQ(twice[0], 1.5);
  EXPECT_DOUBLE_EQ(twice[1], 0.5);
  const auto warm = domain_copies({100, 400}, {1, 1}, 2, 4);  // shares 1/sqrt(5) : 2/sqrt(5) = 1 : 2 of 500
  EXPECT_NEAR(warm[0], 500.0 / 3 / 100, 1e-12);
  EXPECT_NEAR(warm[1], 1000.0 / 3 / 400, 1e-12);
  const auto limited = domain_copies({10, 990}, {1000, 1}, 1, 4);
  EXPECT_DOUBLE_EQ(limited[0], 4);
  EXPECT_NEAR(limited[1], 960.0 / 990, 1e-12);
  EXPECT_THROW(domain_copies({10, 0}, {0, 1}, 1, 4), Error);
}

TEST_F(Loader, AnEpochReadsEveryDocumentOnceAndTargetsAreTheNextIds) {
  DataLoader loader = open();
  EXPECT_EQ(loader.domain_names(), (std::vector<std::string>{"x", "y", "z"}));
  size_t total = 0;
  for (const auto& d : documents_) total += d.size();
  const int64_t n = loader.instances_in_epoch();
  EXPECT_EQ(n, static_cast<int64_t>((total - 1) / 32));
  std::map<int32_t, int64_t> expected, got;
  for (const auto& d : documents_)
    for (const int32_t id : d) ++expected[id];
  const Batch batch = loader.next(n * 32);
  EXPECT_EQ(batch.tokens(), n * 32);
  EXPECT_EQ(batch.sequences(), n);
  for (int64_t i = 0; i < batch.tokens(); ++i) {
    const auto k = static_cast<size_t>(i);
    ++got[batch.ids[k]];
    EXPECT_EQ(batch.positions[k], i % 32);
    EXPECT_EQ(batch.weights[k], 1.0f);
    if (batch.ids[k] != kEnd) {
      EXPECT_EQ(batch.domains[k], domains_[static_cast<size_t>(owner(batch.ids[k]))]);
    }
    if (i % 32 != 31) {
      EXPECT_EQ(batch.targets[k], batch.ids[k + 1]);
    }
    // inside a document the next id is known
    if (const int32_t o = owner(batch.ids[k]); o >= 0 && owner(batch.targets[k]) >= 0) {
      EXPECT_EQ(owner(batch.targets[k]), o);
    }
  }
  int64_t missing = 0;  // only the end of the stream is left out
  for (const auto& [id, count] : expected) {
    EXPECT_LE(got[id], count);
    missing += count - got[id];
  }
  EXPECT_EQ(missing, static_cast<int64_t>(total) - n * 32);
}

TEST_F(Loader, TheOrderIsTheSameAtAnyBatchSizeAndThreadCountAndNewInEveryEpoch) {
  DataLoader whole = open(), pieces = open();
  const int64_t n = whole.instances_in_epoch();
  set_thread_count(3);
  const Batch all = whole.next(n * 32);
  set_thread_count(2);
  std::vector<int32_t> ids;
  for (int64_t left = n, step = 1; left > 0; left -= step, step = std::min(step + 1, left)) {
    const Batch b = pieces.next(step * 32);
    ids.insert(ids.end(), b.ids.begin(), b.ids.end());
  }
  EXPECT_EQ(ids, all.ids);
  EXPECT_EQ(whole.cursor(), pieces.cursor());
  EXPECT_EQ(whole.cursor().epoch, 1);
  EXPECT_NE(whole.next(n / 2 * 32).ids, std::vector<int32_t>(all.ids.begin(), all.ids.begin() + n / 2 * 32));
  config_.seed = 42;  // annealing: a reshuffled mix
  DataLoader other = open();
  EXPECT_NE(other.next(n * 32).ids, all.ids);
}

TEST_F(Loader, ResumesBitForBitFromACursorWrittenAsText) {
  DataLoader loader = open();
  for (int step = 0; step < 150; ++step) {
    const std::string text = loader.cursor().text();
    const Batch expected = loader.next(3 * 32);
    if (step % 7 == 0) {
      DataLoader again = open();
      again.seek(Cursor::parse(text));
      ASSERT_TRUE(equal(again.next(3 * 32), expected)) << text;
    }
  }
  EXPECT_GT(loader.cursor().epoch, 2);
}

TEST_F(Loader, RanksThatSkipEachOthersInstancesShareAStep) {
  DataLoader one = open(), rank0 = open(), rank1 = open();
  rank1.skip(2);
  for (int step = 0; step < 60; ++step) {
    const Batch both = one.next(4 * 32), left = rank0.next(2 * 32), right = rank1.next(2 * 32);
    rank0.skip(2);
    rank1.skip(2);
    std::vector<int32_t> joined = left.ids;
    joined.insert(joined.end(), right.ids.begin(), right.ids.end());
    ASSERT_EQ(joined, both.ids);
  }
}

TEST_F(Loader, RefusesForeignCursorsAndDamagedText) {
  DataLoader loader = open();
  const Cursor cursor = loader.cursor();
  config_.sequence_length = 16;
  DataLoader other = open();
  EXPECT_NE(message_of([&] { other.seek(cursor); }).find("other data"), std::string::npos);
  Cursor far = cursor;
  far.instance = 1 << 20;
  EXPECT_NE(message_of([&] { loader.seek(far); }).find("instance 1048576"), std::string::npos);
  for (const char* bad : {"", "epoch=1", "epoch=1 instance=2 data=zz", "epoch=-1 instance=2 data=0",
                          "epoch=1 instance=2 data=0 x"})
    EXPECT_NE(message_of([&] { Cursor::parse(bad); }), "no error") << bad;
  EXPECT_EQ(Cursor::parse(cursor.text()), cursor);
}

TEST_F(Loader, BadSettingsAndShortDataGetOneLine) {
  config_.weights = {"xx=1"};
  EXPECT_NE(message_of([&] { open(); }).find("no domain \"xx\" in the data; did you mean \"x\"?"),
            std::string::npos);
  config_.weights = {"x=many"};
  EXPECT_NE(message_of([&] { open(); }).find("wanted a number"), std::string::npos);
  config_.weights = {};
  config_.sequence_length = 1 << 20;
  EXPECT_NE(message_of([&] { open(); }).find("shorten sequence_length"), std::string::npos);
  config_.sequence_length = 32;
  DataLoader loader = open();
  EXPECT_NE(message_of([&] { loader.next(33); }).find("that sequence_length 32 divides"), std::string::npos);
  EXPECT_NE(message_of([&] { DataLoader(config_, {folder_ + "/none"}, kVocab, kEnd); }).find("none"),
            std::string::npos);
  EXPECT_NE(message_of([&] { DataLoader(config_, shards_, 50, kEnd).next(3200); }),
            "no error");  // id above the vocabulary
}

TEST_F(Loader, IsolatedDocumentsBeginAtTheEndBeforeThemWithPositionsOfTheirOwn) {
  config_.isolate_documents = true;
  DataLoader loader = open();
  const Batch batch = loader.next(loader.instances_in_epoch() * 32);
  EXPECT_EQ(batch.offsets.front(), 0);
  EXPECT_EQ(batch.offsets.back(), batch.tokens());
  for (size_t s = 0; s + 1 < batch.offsets.size(); ++s) {
    ASSERT_LT(batch.offsets[s], batch.offsets[s + 1]);
    std::set<int32_t> owners;
    for (int32_t i = batch.offsets[s]; i < batch.offsets[s + 1]; ++i) {
      const auto k = static_cast<size_t>(i);
      EXPECT_EQ(batch.positions[k], i - batch.offsets[s]);
      if (batch.ids[k] == kEnd) {
        EXPECT_EQ(i, batch.offsets[s]);
      } else {
        owners.insert(owner(batch.ids[k]));
      }
    }
    EXPECT_LE(owners.size(), 1u);
  }
}

TEST_F(Loader, WeightsChangeHowOftenADomainIsRead) {
  config_.weights = {"x=0", "z=2"};
  DataLoader loader = open();
  std::map<int32_t, int64_t> count;
  const int64_t n = 40 * loader.instances_in_epoch();
  for (int64_t i = 0; i < n; ++i)
    for (const int32_t d : loader.next(32).domains) ++count[d];
  EXPECT_EQ(count[0], 0);
  const double y = static_cast<double>(loader.domain_tokens()[1]),
               z = static_cast<double>(loader.domain_tokens()[2]);
  EXPECT_NEAR(static_cast<double>(count[2]) / static_cast<double>(count[1]), 2 * z / y, 0.1 * z / y);
}

TEST_F(Loader, RepetitiveInstancesAreReadWithoutLoss) {
  TokenShardWriter writer(folder_ + "/r", kVocab, {"x"});
  std::vector<int32_t> ids(2000, 7);
  ids.back() = kEnd;
  writer.add(ids, 0);
  writer.add(document(1, 3000), 0);
  writer.finish();
  config_.sequence_length = 64;
  DataLoader loader(config_, {folder_ + "/r"}, kVocab, kEnd);
  const int64_t n = loader.instances_in_epoch();
  int64_t masked = 0;
  for (int64_t i = 0; i < n; ++i) {
    const Batch b = loader.next(64);
    const float weight = repeats_slowly(b.ids, 13, 32) ? 0.0f : 1.0f;
    masked += weight == 0.0f;
    EXPECT_EQ(b.weights, std::vector<float>(64, weight));
  }
  EXPECT_GE(masked, 30);
  EXPECT_EQ(loader.masked_instances(), masked);
}

TEST_F(Loader, HeldOutWindowsScoreEveryTokenOnceWithTheirContext) {
  write_file(folder_ + "/a.json",
             "{\"domains\": [{\"name\": \"x\", \"bytes\": 1234}, {\"name\": \"y\", \"bytes\": 99}]}");
  const HeldOut held(folder_ + "/a", kVocab, kEnd);
  ASSERT_EQ(held.domains().size(), 2u);
  EXPECT_EQ(held.domains()[0].bytes, 1234);
  EXPECT_EQ(held.domains()[0].documents, 40);
  for (const int64_t context : {0, 7, 16, 31}) {
    std::vector<int32_t> scored;
    for (const Batch& b : held.batches(1, 32, context, 5)) {
      EXPECT_LE(b.sequences(), 5);
      for (int64_t s = 0; s < b.sequences(); ++s) {
        const auto begin = static_cast<size_t>(b.offsets[static_cast<size_t>(s)]),
                   end = static_cast<size_t>(b.offsets[static_cast<size_t>(s) + 1]);
        EXPECT_LE(end - begin, 32u);
        for (size_t i = begin; i < end; ++i) {
          EXPECT_EQ(b.positions[i], static_cast<int32_t>(i - begin));
          if (b.weights[i] == 0.0f) continue;
          if (scored.size() > static_cast<size_t>(context)) {
            EXPECT_GE(static_cast<int64_t>(i - begin), context);
          }
          scored.push_back(b.targets[i]);
        }
      }
    }
    std::vector<int32_t> expected;
    for (size_t i = 0; i < 80; ++i)
      if (domains_[i] == 1) expected.insert(expected.end(), documents_[i].begin(), documents_[i].end());
    EXPECT_EQ(scored, expected) << context;
  }
  write_file(folder_ + "/a.json", "{\"domains\": 3}");
  EXPECT_NE(message_of([&] { HeldOut(folder_ + "/a", kVocab, kEnd); }).find("a.json"), std::string::npos);
}

}  // namespace
}  // namespace lyceum
