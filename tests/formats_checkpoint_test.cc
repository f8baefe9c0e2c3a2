// formats/: checkpoints. Oracles: contents that are a function of the step, the manifest's own checksums
// recomputed, and everything that can go wrong between two operations: a refusing, full, dying or powerless
// file layer at every operation, kill -9 at random moments, small disks, read-only folders.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cstring>

#include "base/log.h"
#include "base/random.h"
#include "failing_files.h"
#include "formats/checkpoint.h"

namespace lyceum {
namespace {

namespace fs = std::filesystem;

// 64 numbers that only this step and tensor have.
std::vector<float> numbers(int64_t step, uint64_t tensor) {
  std::vector<float> values(64);
  const RandomKey key = RandomKey(9).with(static_cast<uint64_t>(step)).with(tensor);
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(key.uniform(i));
  return values;
}

TensorSource source(const char* name, int64_t step, uint64_t tensor) {
  return {name, FileDType::kF32, {8, 8}, [=](const ByteSink& sink) {
            const std::vector<float> values = numbers(step, tensor);
            sink(values.data(), 128);
            sink(values.data() + 32, 128);
          }};
}

CheckpointContents contents_of(int64_t step) {
  CheckpointContents c;
  c.step = step;
  c.texts = {{"config.json", "{\"step\": " + std::to_string(step) + "}"}, {"tokenizer.json", "{}"}};
  c.weights = {source("embed", step, 0), source("head", step, 1)};
  c.state = "{\"cursor\": " + std::to_string(step * 10) + "}";
  c.training_tensors = {source("embed.moment", step, 2)};
  return c;
}

// The folder holds exactly what contents_of(step) says, by every way to look at it.
void expect_checkpoint(const std::string& folder, int64_t step) {
  ASSERT_EQ(verify_checkpoint(folder), std::vector<std::string>{});
  const Checkpoint c(folder);
  ASSERT_EQ(c.step(), step);
  ASSERT_EQ(c.text("config.json"), "{\"step\": " + std::to_string(step) + "}");
  ASSERT_EQ(c.state(), "{\"cursor\": " + std::to_string(step * 10) + "}");
  ASSERT_EQ(std::memcmp(c.weight("embed").data, numbers(step, 0).data(), 256), 0);
  ASSERT_EQ(std::memcmp(c.weight("head").data, numbers(step, 1).data(), 256), 0);
  ASSERT_EQ(std::memcmp(c.training_tensor("embed.moment").data, numbers(step, 2).data(), 256), 0);
}

std::vector<std::string> folders(const std::string& root) { return list_directory(root); }

struct Quiet : ::testing::Test {  // warnings about damage are expected here
  LogLevel before = log_level();
  Quiet() { set_log_level(LogLevel::kOff); }
  ~Quiet() override { set_log_level(before); }
};
struct CheckpointTest : Quiet {};

TEST_F(CheckpointTest, HoldsWhatWasSavedAndPublishesTheNewest) {
  TestFolder run;
  CheckpointStore store(run / "checkpoints", {}, run / "checkpoint");
  EXPECT_EQ(latest_complete(run / "checkpoints"), std::nullopt);
  for (const int64_t step : {5, 10}) {
    EXPECT_EQ(store.save(contents_of(step)),
              run / "checkpoints/" + (step == 5 ? "step-000005" : "step-000010"));
    expect_checkpoint(run / "checkpoint", step);
    EXPECT_EQ(latest_complete(run / "checkpoints")->step, step);
  }
  expect_checkpoint(run / "checkpoints/step-000005", 5);
  EXPECT_TRUE(fs::read_symlink(run / "checkpoint").is_relative());
  EXPECT_EQ(list_directory(run / "checkpoint"),
            (std::vector<std::string>{"config.json", "manifest.json", "model.safetensors", "tokenizer.json",
                                      "training_state"}));
}

TEST_F(CheckpointTest, ShardsAndModelsWithoutTrainingStateAreCheckpointsToo) {
  TestFolder run;
  CheckpointContents c = contents_of(1);
  c.max_shard_bytes = 256;
  expect_checkpoint(CheckpointStore(run / "a").save(c), 1);
  EXPECT_TRUE(file_exists(run / "a/step-000001/model-00002-of-00002.safetensors"));
  c.state.clear();
  c.training_tensors.clear();
  const Checkpoint model(CheckpointStore(run / "b").save(c));
  EXPECT_FALSE(model.has_training_state());
  EXPECT_NE(message_of([&] { model.training_tensors(); }).find("cannot resume"), std::string::npos);
}

TEST_F(CheckpointTest, KeepsTheLastAndEveryNth) {
  TestFolder run;
  CheckpointStore store(run / "c", {.last = 2, .every = 30});
  for (int64_t step = 10; step <= 100; step += 10) store.save(contents_of(step));
  EXPECT_EQ(folders(run / "c"),
            (std::vector<std::string>{"step-000030", "step-000060", "step-000090", "step-000100"}));
  EXPECT_THROW(CheckpointStore(run / "c", {.last = 0}), Error);
}

TEST_F(CheckpointTest, AStepSavedAgainIsANewRevisionAndTheOldOneGoes) {
  TestFolder run;
  CheckpointStore store(run / "c", {}, run / "link");
  store.save(contents_of(3));
  EXPECT_EQ(store.save(contents_of(3)), run / "c/step-000003.2");
  EXPECT_EQ(folders(run / "c"), std::vector<std::string>{"step-000003.2"});
  expect_checkpoint(run / "link", 3);
  store.save(contents_of(1000000));
  EXPECT_EQ(latest_complete(run / "c")->step, 1000000);  // by number, not by name
}

TEST_F(CheckpointTest, AFlippedByteAnywhereIsReportedWithTheNameOfTheTensorOrFile) {
  TestFolder run;
  const std::string folder = CheckpointStore(run / "c").save(contents_of(3));
  const CheckpointManifest manifest = read_manifest(folder);
  std::vector<std::string> names = {kManifestName};
  for (const auto& [name, file] : manifest.files) names.push_back(name);
  EXPECT_EQ(names.size(), 6u);
  for (const std::string& name : names) {
    const std::string path = folder + "/" + name, good = read_file(path);
    for (size_t i = 0; i < good.size(); i += 1 + good.size() / 40) {
      std::string bad = good;
      bad[i] = static_cast<char>(bad[i] ^ 1);
      if (name == kManifestName && (good[i] == ' ' || good[i] == '\n' || bad[i] == ' ')) continue;  // blanks
      write_file(path, bad);
      const auto lines = verify_checkpoint(folder);
      ASSERT_EQ(lines.size(), 1u) << name << " byte " << i;
      EXPECT_NE(lines[0].find(name), std::string::npos);
    }
    write_file(path, good.substr(0, good.size() - 1));
    EXPECT_EQ(verify_checkpoint(folder).size(), name == kManifestName ? 0u : 1u)
        << name;  // its last byte: line end
    write_file(path, good);
  }
  expect_checkpoint(folder, 3);

  const std::string path = folder + "/model.safetensors";
  std::string bad = read_file(path);
  bad[bad.size() - 3] ^= 4;  // within the second tensor
  write_file(path, bad);
  EXPECT_EQ(verify_checkpoint(folder),
            std::vector<std::string>{path + ": tensor \"head\" is damaged: its checksum differs"});
  const Checkpoint c(folder);
  c.weight("embed");
  EXPECT_EQ(message_of([&] { c.weight("head"); }),
            folder + ": tensor \"head\" is damaged: its checksum differs; take an older checkpoint");
}

TEST_F(CheckpointTest, ReadersIgnoreWhatIsNotComplete) {
  TestFolder run;
  CheckpointStore store(run / "c", {.last = 9});
  for (const int64_t step : {1, 2, 3, 4, 5}) store.save(contents_of(step));
  fs::remove(run / "c/step-000005/manifest.json");
  fs::remove(run / "c/step-000004/config.json");
  fs::resize_file(run / "c/step-000003/model.safetensors", 100);
  fs::rename(run / "c/step-000002", run / "c/step-000009");
  fs::create_directories(run / "c/step-7");
  EXPECT_EQ(latest_complete(run / "c")->step, 1);
  EXPECT_NE(message_of([&] { Checkpoint c(run / "c/step-000005"); }).find("not a complete checkpoint"),
            std::string::npos);
  store.save(contents_of(5));  // the unmarked one went, what is damaged or foreign stays for its owner to see
  EXPECT_EQ(folders(run / "c"), (std::vector<std::string>{"step-000001", "step-000003", "step-000004",
                                                          "step-000005", "step-000009", "step-7"}));
}

// Saves 1, then 2 and 3 over the misbehaving layer, for every operation of the two.
void survive(Misbehaviour how) {
  for (int64_t n = 0;; ++n) {
    TestFolder run;
    const std::string root = run / "c", link = run / "checkpoint";
    CheckpointStore(root, {.last = 1}, link).save(contents_of(1));
    FailingFiles files(how, n, run / "scratch");
    int64_t saved = 1, tried = 1;
    try {
      CheckpointStore store(root, {.last = 1}, link, files);
      for (const int64_t step : {2, 3}) {
        tried = step;
        try {
          store.save(contents_of(step));
          saved = step;
        } catch (const Error& e) {  // the trainer goes on
          ASSERT_EQ(std::string(e.what()).find('\n'), std::string::npos);
        }
      }
    } catch (const Died&) {
    }
    const auto latest = latest_complete(root);
    ASSERT_TRUE(latest.has_value()) << n;
    ASSERT_GE(latest->step, saved) << n;
    ASSERT_LE(latest->step, tried) << n;
    expect_checkpoint(latest->path, latest->step);
    const auto published = fs::canonical(link).filename().string();
    expect_checkpoint(link, read_manifest(link).step);  // the link always leads to a whole one
    ASSERT_GE(read_manifest(link).step, saved) << n << " " << published;

    CheckpointStore after(root, {.last = 1}, link);
    after.recover();
    expect_checkpoint(link, latest->step);
    after.save(contents_of(4));
    expect_checkpoint(link, 4);
    ASSERT_EQ(folders(root), std::vector<std::string>{"step-000004"}) << n;  // no rests
    if (!files.triggered()) {
      EXPECT_GT(n, 60);
      EXPECT_EQ(saved, 3);
      break;
    }
  }
}
TEST_F(CheckpointTest, AFailureAtAnyOperationLeavesTheNewestWhole) { survive(Misbehaviour::kThrows); }
TEST_F(CheckpointTest, AFullDiskAtAnyOperationLeavesTheNewestWhole) { survive(Misbehaviour::kFull); }
TEST_F(CheckpointTest, DeathAtAnyOperationLeavesTheNewestWhole) { survive(Misbehaviour::kDies); }
TEST_F(CheckpointTest, PowerLossAtAnyOperationLeavesTheNewestWhole) { survive(Misbehaviour::kPower); }

// A child saves one checkpoint after the other until it is killed.
[[noreturn]] void save_for_ever(const std::string& root, const std::string& link) {
  try {
    CheckpointStore store(root, {.last = 2, .every = 7}, link);
    const auto latest = latest_complete(root);
    for (int64_t step = latest ? latest->step + 1 : 1;; ++step) store.save(contents_of(step));
  } catch (const std::exception& e) {
    std::fprintf(stderr, "child: %s\n", e.what());
  }
  _exit(1);
}

TEST_F(CheckpointTest, KillAtAHundredRandomMomentsNeverCostsTheNewest) {
  TestFolder run;
  const std::string root = run / "c", link = run / "checkpoint";
  int64_t before = 0;
  int interrupted = 0;
  // A hundred kills at least, and ten that fell into a save, however fast this disk is.
  for (uint64_t i = 0; i < 100 || (interrupted < 10 && i < 3000); ++i) {
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) save_for_ever(root, link);
    usleep(static_cast<useconds_t>(2000 + RandomKey(1).below(i, 30000)));
    kill(child, SIGKILL);
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << "the writer ended by itself";
    const auto latest = latest_complete(root);
    ASSERT_TRUE(latest || before == 0);
    if (!latest) continue;
    ASSERT_GE(latest->step, before);
    before = latest->step;
    expect_checkpoint(latest->path, latest->step);
    expect_checkpoint(link, read_manifest(link).step);
    for (const std::string& name : folders(root))
      interrupted += !file_exists(root + "/" + name + "/manifest.json");
  }
  EXPECT_GT(before, 1);
  EXPECT_GT(interrupted, 0) << "no kill fell into a save; the test shows nothing";
  CheckpointStore store(root, {.last = 1}, link);
  store.save(contents_of(before + 1));
  expect_checkpoint(link, before + 1);
  for (const std::string& name : folders(root))
    expect_checkpoint(root + "/" + name, read_manifest(root + "/" + name).step);
}

TEST_F(CheckpointTest, ASmallDiskIsRefusedBeforeAnythingIsWritten) {
  TestFolder run;
  CheckpointContents c = contents_of(2);
  c.weights.push_back({"huge", FileDType::kF32, {int64_t{1} << 55}, [](const ByteSink&) { FAIL(); }});
  const std::string message = message_of([&] { CheckpointStore(run / "c").save(c); });
  EXPECT_NE(message.find(run / "c: the checkpoint of step 2 wants "), std::string::npos) << message;
  EXPECT_NE(message.find("free some space or keep fewer checkpoints"), std::string::npos) << message;
  EXPECT_FALSE(directory_exists(run / "c"));
}

TEST_F(CheckpointTest, ADiskThatFillsDuringASaveKeepsTheCheckpointBefore) {
  TestFolder run;
  fs::create_directories(run / "disk");
  if (mount("tmpfs", (run / "disk").c_str(), "tmpfs", 0, "size=4m") != 0)
    GTEST_SKIP() << "mounting a small disk needs root";
  const std::string root = run / "disk/c";
  CheckpointStore store(root);
  store.save(contents_of(1));
  CheckpointContents c = contents_of(2);
  const std::vector<char> mebibyte(1 << 20);
  c.weights.push_back({"big", FileDType::kU8, {1 << 21}, [&](const ByteSink& sink) {
                         sink(mebibyte.data(), mebibyte.size());
                         try {  // somebody else takes what is left
                           write_file(run / "disk/other", std::string(4 << 20, 'x'));
                         } catch (const Error&) {
                         }
                         sink(mebibyte.data(), mebibyte.size());
                       }});
  const std::string message = message_of([&] { store.save(c); });
  EXPECT_NE(message.find("No space left on device; free some space"), std::string::npos) << message;
  for (const std::string& name : list_directory(run / "disk"))
    if (name.starts_with("other")) fs::remove(run / "disk/" + name);
  EXPECT_EQ(folders(root), std::vector<std::string>{"step-000001"});
  expect_checkpoint(latest_complete(root)->path, 1);
  store.save(contents_of(2));
  expect_checkpoint(latest_complete(root)->path, 2);
  umount((run / "disk").c_str());
}

TEST_F(CheckpointTest, AFileSizeLimitKeepsTheCheckpointBefore) {
  TestFolder run;
  const std::string root = run / "c";
  CheckpointStore(root).save(contents_of(1));
  const pid_t child = fork();
  if (child == 0) {
    signal(SIGXFSZ, SIG_IGN);
    const rlimit small{600, 600};
    setrlimit(RLIMIT_FSIZE, &small);
    const std::string message = message_of([&] { CheckpointStore(root).save(contents_of(2)); });
    _exit(message.find("model.safetensors") != message.npos && message.find("File too large") != message.npos
              ? 0
              : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  EXPECT_EQ(folders(root), std::vector<std::string>{"step-000001"});
  expect_checkpoint(latest_complete(root)->path, 1);
}

TEST_F(CheckpointTest, AReadOnlyFolderGetsOneLine) {
  TestFolder run;
  const std::string root = run / "disk/c";
  fs::create_directories(run / "disk");
  if (geteuid() == 0) {  // permissions do not bind root, a read-only disk does
    if (mount("tmpfs", (run / "disk").c_str(), "tmpfs", 0, "size=4m") != 0)
      GTEST_SKIP() << "no right to mount";
    CheckpointStore(root).save(contents_of(1));
    ASSERT_EQ(mount(nullptr, (run / "disk").c_str(), nullptr, MS_REMOUNT | MS_RDONLY, nullptr), 0);
  } else {
    CheckpointStore(root).save(contents_of(1));
    ASSERT_EQ(chmod(root.c_str(), 0555), 0);
  }
  const std::string message = message_of([&] { CheckpointStore(root).save(contents_of(2)); });
  EXPECT_NE(message.find("choose a folder you may write to"), std::string::npos) << message;
  expect_checkpoint(latest_complete(root)->path, 1);
  if (geteuid() == 0) umount((run / "disk").c_str());
  else chmod(root.c_str(), 0755);
}

TEST_F(CheckpointTest, AFolderInTheWayOfTheLinkAndNamesOutOfPlaceAreRefused) {
  TestFolder run;
  write_file(run / "checkpoint/mine", "x");
  EXPECT_NE(message_of([&] {
              CheckpointStore(run / "c", {}, run / "checkpoint").save(contents_of(1));
            }).find("in the way of the link"),
            std::string::npos);
  for (const char* name : {"", "../x", "manifest.json", ".x", "a/b", "model.safetensors"}) {
    CheckpointContents c = contents_of(1);
    c.texts[name] = "x";
    EXPECT_NE(message_of([&] { CheckpointStore(run / "c").save(c); }).find("plain name"), std::string::npos)
        << name;
  }
}

}  // namespace
}  // namespace lyceum
