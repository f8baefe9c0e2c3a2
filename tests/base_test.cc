// base/: threads, fields, files. Oracles: plain loops, hand-written expectations, the operating system.
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <numeric>

#include "base/error.h"
#include "base/fields.h"
#include "base/file.h"
#include "base/progress.h"
#include "base/random.h"
#include "base/threads.h"

namespace lyceum {
namespace {

struct Inner {
  double lr = 4e-4;
  std::string kind = "cosine";
  int64_t warmup = 10;
  void fields(Fields& f) {
    f.add("lr", lr, "peak learning rate", at_least(0));
    f.add("kind", kind, "shape", one_of({"cosine", "constant"}));
    f.add("warmup", warmup, "steps", effective(kind != "constant", "a constant rate has no warm-up"));
  }
};
struct Outer {
  int64_t steps = 5;
  bool fast = false;
  std::vector<std::string> names = {"a"};
  Inner schedule;
  void fields(Fields& f) {
    f.add("steps", steps, "number of steps", above(0));
    f.add("fast", fast, "quick");
    f.section("schedule", schedule);
    f.add("names", names, "a list");
  }
};

std::string message_of(const std::vector<Setting>& settings) {
  Outer c;
  try {
    apply_settings(c, settings);
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}

TEST(Fields, SetsEveryTypeFromText) {
  Outer c;
  apply_settings(c, {{"f", "steps", "1e3"},
                     {"f", "fast", "true"},
                     {"f", "names", "[x, \"y z\"]"},
                     {"f", "schedule.lr", "1e-3"}});
  EXPECT_EQ(c.steps, 1000);
  EXPECT_TRUE(c.fast);
  EXPECT_EQ(c.names, (std::vector<std::string>{"x", "y z"}));
  EXPECT_EQ(c.schedule.lr, 1e-3);
}

TEST(Fields, RefusesUnknownAndIneffectiveAndIllTypedKeysByName) {
  EXPECT_EQ(message_of({{"r.toml:3", "schedule.lrr", "1"}}),
            "r.toml:3: unknown key \"schedule.lrr\"; did you mean \"schedule.lr\"?");
  EXPECT_EQ(message_of({{"cli", "steps", "many"}}), "cli: steps wants a whole number, found \"many\"");
  EXPECT_EQ(message_of({{"cli", "steps", "0"}}), "cli: steps wants > 0, found 0");
  EXPECT_EQ(message_of({{"cli", "schedule.kind", "cubic"}}),
            "cli: schedule.kind wants cosine | constant, found cubic");
  EXPECT_EQ(message_of({{"cli", "schedule.warmup", "3"}, {"cli", "schedule.kind", "constant"}}),
            "cli: schedule.warmup would have no effect: a constant rate has no warm-up; remove it");
}

TEST(Fields, JsonAndDiffAndHashFollowTheDeclaration) {
  Outer a, b;
  b.schedule.lr = 1;
  EXPECT_EQ(config_json(a),
            "{\n  \"steps\": 5,\n  \"fast\": false,\n  \"schedule\": {\n    \"lr\": 0.0004,\n    \"kind\": "
            "\"cosine\",\n    "
            "\"warmup\": 10\n  },\n  \"names\": [\"a\"]\n}\n");
  EXPECT_EQ(fields_diff(fields_of(a), fields_of(b)), std::vector<std::string>{"schedule.lr: 0.0004 -> 1"});
  EXPECT_NE(fields_hash(fields_of(a)), fields_hash(fields_of(b)));
}

TEST(Threads, EveryTaskRunsOnceAtAnyThreadCount) {
  for (int threads : {1, 2, 5}) {
    set_thread_count(threads);
    for (int round = 0; round < 200; ++round) {
      std::vector<std::atomic<int>> seen(97);
      parallel_for(97, [&](int64_t task, int worker) {
        ASSERT_LT(worker, threads);
        seen[static_cast<size_t>(task)]++;
      });
      for (auto& s : seen) ASSERT_EQ(s.load(), 1);
    }
  }
  set_thread_count(2);
}

TEST(Threads, NestedRegionsRunInlineAndErrorsArrive) {
  std::atomic<int> total{0};
  parallel_for(4, [&](int64_t, int) { parallel_for(3, [&](int64_t, int) { total++; }); });
  EXPECT_EQ(total.load(), 12);
  EXPECT_THROW(parallel_for(8, [&](int64_t task, int) { check(task != 5, "task", "five"); }), Error);
  parallel_for(4, [&](int64_t, int) { total++; });  // the pool survives
  EXPECT_EQ(total.load(), 16);
}

TEST(Random, IsAFunctionOfItsArgumentsWithTheRightMoments) {
  const RandomKey key(7);
  EXPECT_EQ(key.with(3).bits(5), RandomKey(7).with(3).bits(5));
  EXPECT_NE(key.with(3).bits(5), key.with(4).bits(5));
  double sum = 0, square = 0;
  const int n = 100000;
  for (int i = 0; i < n; ++i) {
    const double x = key.normal(static_cast<uint64_t>(i));
    sum += x, square += x * x;
  }
  EXPECT_NEAR(sum / n, 0, 0.02);
  EXPECT_NEAR(square / n, 1, 0.02);
  for (int i = 0; i < 1000; ++i)
    EXPECT_LE(std::abs(key.truncated_normal(static_cast<uint64_t>(i), 1.5)), 1.5);
}

TEST(File, ReplacesAtomicallyAndNamesWhatFails) {
  const std::string folder =
      (std::filesystem::temp_directory_path() / ("lyceum_base_" + std::to_string(getpid()))).string();
  write_file(folder + "/deep/x.txt", "one");
  write_file(folder + "/deep/x.txt", "two");
  EXPECT_EQ(read_file(folder + "/deep/x.txt"), "two");
  EXPECT_EQ(list_directory(folder + "/deep"), std::vector<std::string>{"x.txt"});
  try {
    MappedFile missing(folder + "/none");
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::kNotFound);
    EXPECT_NE(std::string(e.what()).find(folder + "/none"), std::string::npos);
  }
  write_file(folder + "/empty", "");
  EXPECT_EQ(MappedFile(folder + "/empty").size(), 0u);
  std::filesystem::remove_all(folder);
}

TEST(Text, HumanUnitsReadWell) {
  EXPECT_EQ(human_bytes(1536), "1.5 KiB");
  EXPECT_EQ(human_count(412000), "412 K");
  EXPECT_EQ(human_seconds(200), "3 min 20 s");
}

}  // namespace
}  // namespace lyceum
