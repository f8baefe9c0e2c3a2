// formats/: token shards. Oracles: hand-made indexes with the message each deserves, the documents that were
// written, a file layer that fails; tools/check_token_shards.py is the reader from Megatron's description.
#include <gtest/gtest.h>

#include <numeric>

#include "base/random.h"
#include "failing_files.h"
#include "formats/token_shards.h"
#include "fuzz/bad_files.h"

namespace lyceum {
namespace {

std::span<const uint8_t> bytes_of(const std::string& text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

// Document d of `vocab`: (31 d) mod 57 ids, pseudo-random; d = 0 is empty.
std::vector<int32_t> document(int64_t d, int64_t vocab) {
  std::vector<int32_t> ids(static_cast<size_t>(d * 31 % 57));
  const RandomKey key = RandomKey(3).with(static_cast<uint64_t>(d));
  for (size_t i = 0; i < ids.size(); ++i)
    ids[i] = static_cast<int32_t>(key.below(i, static_cast<uint64_t>(vocab)));
  return ids;
}

void write_shard(const std::string& prefix, int64_t n_documents, int64_t vocab = 1000,
                 FileSystem& files = real_files()) {
  TokenShardWriter writer(prefix, vocab, {"english", "c"}, files);
  for (int64_t d = 0; d < n_documents; ++d) writer.add(document(d, vocab), static_cast<uint32_t>(d % 2));
  writer.finish();
}

void expect_shard(const TokenShard& shard, int64_t n_documents, int64_t vocab) {
  ASSERT_EQ(shard.n_documents(), n_documents);
  int64_t position = 0;
  for (int64_t d = 0; d < n_documents; ++d) {
    const std::vector<int32_t> wanted = document(d, vocab);
    ASSERT_EQ(shard.document_begin(d), position);
    ASSERT_EQ(shard.document_tokens(d), static_cast<int64_t>(wanted.size()));
    std::vector<int32_t> ids(wanted.size());
    shard.read(position, ids, vocab);
    ASSERT_EQ(ids, wanted) << d;
    ASSERT_EQ(shard.domain(d), static_cast<uint32_t>(d % 2));
    for (size_t i = 0; i < ids.size(); ++i)
      ASSERT_EQ(shard.document_at(position + static_cast<int64_t>(i)), d);
    position += static_cast<int64_t>(wanted.size());
  }
  EXPECT_EQ(shard.n_tokens(), position);
  shard.check_ids(vocab);
  shard.verify();
}

TEST(TokenShards, EveryBadIndexGetsOneLine) {
  for (const BadFile& f : token_index_corpus()) {
    const std::string message =
        message_of([&] { parse_token_index(bytes_of(f.bytes), kCorpusBinBytes, "t.idx"); });
    EXPECT_EQ(message.empty(), f.message.empty()) << f.name << ": " << message;
    EXPECT_NE(message.find(f.message), std::string::npos) << f.name << ": " << message;
    EXPECT_EQ(message.find('\n'), std::string::npos) << f.name;
  }
}

TEST(TokenShards, DocumentsComeBackWithTheirDomains) {
  TestFolder folder;
  for (const int64_t vocab : {1000, 65535, 65536, 200000}) {
    write_shard(folder / "t", 300, vocab);
    const TokenShard shard(folder / "t");
    EXPECT_EQ(shard.id_type(), vocab < 65536 ? IdType::kU16 : IdType::kI32);
    EXPECT_EQ(shard.domain_names(), (std::vector<std::string>{"english", "c"}));
    expect_shard(shard, 300, vocab);
  }
  EXPECT_EQ(list_directory(folder.path), (std::vector<std::string>{"t.bin", "t.domains", "t.idx"}));
  write_shard(folder / "t.idx", 0);
  expect_shard(TokenShard(folder / "t"), 0, 1000);
}

TEST(TokenShards, ShardsWithoutDomainsAreOfDomainZero) {
  TestFolder folder;
  write_file(folder / "m.idx", token_index_bytes(5, {2, 1}, {0, 16}, {0, 2}));
  write_file(folder / "m.bin",
             little_endian(7, 8) + little_endian(8, 8) + little_endian(uint64_t{1} << 40, 8));
  const TokenShard shard(folder / "m");
  EXPECT_FALSE(shard.has_domains());
  EXPECT_EQ(shard.domain(0), 0u);
  EXPECT_EQ(shard.n_documents(), 1);  // of two sequences
  std::vector<int32_t> ids(2);
  shard.read(0, ids, 9);
  EXPECT_EQ(ids, (std::vector<int32_t>{7, 8}));
  EXPECT_EQ(message_of([&] { shard.check_ids(1000); }),
            folder /
                "m.bin: document 0 has the id 1099511627776 at its token 2; the vocabulary has 1000: wrong "
                "tokenizer, or a damaged file");
}

TEST(TokenShards, RefusesWhatIsOutOfRange) {
  TestFolder folder;
  EXPECT_EQ(message_of([&] { TokenShard s(folder / "none"); }),
            folder / "none: no token shard here: wanted " + (folder / "none.bin and .idx"));
  TokenShardWriter writer(folder / "t", 10, {"a"});
  EXPECT_NE(message_of([&] { writer.add(std::vector<int32_t>{10}, 0); }).find("wanted ids below 10, got 10"),
            std::string::npos);
  EXPECT_NE(message_of([&] { writer.add(std::vector<int32_t>{-1}, 0); }).find("got -1"), std::string::npos);
  EXPECT_NE(message_of([&] { writer.add(std::vector<int32_t>{1}, 1); }).find("domain below 1, got 1"),
            std::string::npos);
  writer.add(std::vector<int32_t>{1, 2}, 0);
  writer.finish();
  const TokenShard shard(folder / "t");
  std::vector<int32_t> ids(3);
  EXPECT_THROW(shard.read(0, ids, 10), Error);
  EXPECT_THROW(shard.read(-1, std::span(ids).first(1), 10), Error);
  EXPECT_THROW(shard.document_begin(2), Error);
  EXPECT_THROW(shard.document_at(2), Error);
  EXPECT_THROW(shard.domain(1), Error);
}

TEST(TokenShards, EveryDamagedByteOfTheSidecarAndEveryTruncationIsSeen) {
  TestFolder folder;
  write_shard(folder / "t", 9);
  for (const char* extension : {".bin", ".idx", ".domains"}) {
    const std::string path = folder / "t" + extension, good = read_file(path);
    for (size_t n = 0; n < good.size(); n += 1 + good.size() / 61) {
      write_file(path, good.substr(0, n));
      EXPECT_THROW(TokenShard(folder / "t"), Error) << path << " cut to " << n;
      std::string flipped = good;
      flipped[n] = static_cast<char>(flipped[n] ^ 64);
      write_file(path, flipped);
      EXPECT_THROW(TokenShard(folder / "t").verify(), Error) << path << " flipped at " << n;
    }
    write_file(path, good);
  }
  expect_shard(TokenShard(folder / "t"), 9, 1000);
  write_shard(folder / "u", 8);
  write_file(folder / "t.domains", read_file(folder / "u.domains"));
  EXPECT_NE(message_of([&] { TokenShard s(folder / "t"); }).find("do not belong together"),
            std::string::npos);
}

// Runs over every n: afterwards the old shard, none, or the new one is there, never a mixture.
void survive(Misbehaviour how) {
  for (int64_t n = 0;; ++n) {
    TestFolder folder;
    write_shard(folder / "shards/t", 20);
    FailingFiles files(how, n, folder / "scratch");
    try {
      write_shard(folder / "shards/t", 33, 1000, files);
    } catch (const Error&) {
    } catch (const Died&) {
    }
    const bool there = file_exists(folder / "shards/t.idx");
    if (there) {
      const TokenShard shard(folder / "shards/t");
      expect_shard(shard, shard.n_documents() == 33 ? 33 : 20, 1000);
      const bool alive = how == Misbehaviour::kThrows || how == Misbehaviour::kFull;
      EXPECT_TRUE(!alive || list_directory(folder / "shards").size() == 3) << "rests at operation " << n;
    }
    write_shard(folder / "shards/t", 5);  // whatever lies there, a new writer gets through
    expect_shard(TokenShard(folder / "shards/t"), 5, 1000);
    if (!files.triggered()) {
      EXPECT_TRUE(there);
      EXPECT_GT(n, 15);
      break;
    }
  }
}
TEST(TokenShards, AFailureAtAnyOperationLeavesAWholeShardOrNone) { survive(Misbehaviour::kThrows); }
TEST(TokenShards, AFullDiskAtAnyOperationLeavesAWholeShardOrNone) { survive(Misbehaviour::kFull); }
TEST(TokenShards, DeathAtAnyOperationLeavesAWholeShardOrNone) { survive(Misbehaviour::kDies); }
TEST(TokenShards, PowerLossAtAnyOperationLeavesAWholeShardOrNone) { survive(Misbehaviour::kPower); }

}  // namespace
}  // namespace lyceum
