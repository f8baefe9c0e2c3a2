// train/: whatever happens to the process or the disk, a run goes on to the bits of the undisturbed one.
// Oracles: the undisturbed run; kill -9 for real; the file layer that fails, fills, dies or loses power.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "base/clock.h"
#include "base/log.h"
#include "base/threads.h"
#include "failing_files.h"
#include "train_fixture.h"

namespace lyceum {
namespace {

TrainConfig small_config(const std::string& folder) {
  TrainConfig c = tiny_config(folder);
  c.model.d_model = 16, c.model.n_layers = 1, c.model.d_ff = 8, c.model.vocab = 32;
  c.data.loader.sequence_length = 8;
  c.train.micro_batch = c.train.micro_batches = 1;
  c.train.steps = 2, c.checkpoint.every = 1, c.checkpoint.minutes = 0;
  return c;
}

TrainResult run_with(const TrainConfig& c, FileSystem& files) {
  MemorySource source = tiny_source(c);
  TrainParts parts{source};
  parts.files = &files;
  return train(c, parts);
}

class Disk : public testing::TestWithParam<Misbehaviour> {};

TEST_P(Disk, AtEveryOperationCostsNothingThatWasSaved) {
  TrainFolder folder;
  const auto whole = checkpoint_tensors(tiny_train(small_config(folder / "whole")).checkpoint);
  set_log_level(LogLevel::kError);
  int64_t n = 0;
  for (bool triggered = true; triggered && n < 1000; ++n) {
    const TrainConfig c = small_config(folder / ("run" + std::to_string(n)));
    int64_t saved = 0;
    {
      FailingFiles files(GetParam(), n, folder / ("scratch" + std::to_string(n)));
      try {
        run_with(c, files);
      } catch (const Error&) {
      } catch (const Died&) {
      }
      triggered = files.triggered();
      if (const auto latest = latest_complete(c.train.folder + "/checkpoints")) saved = latest->step;
    }
    const TrainResult again = run_with(c, real_files());
    ASSERT_EQ(again.state.step, 2) << "operation " << n;
    ASSERT_EQ(again.steps_now, 2 - saved) << "operation " << n << ": a saved step was lost";
    ASSERT_EQ(checkpoint_tensors(again.checkpoint), whole) << "operation " << n;
    std::filesystem::remove_all(c.train.folder);
    std::filesystem::remove_all(folder / ("scratch" + std::to_string(n)));
  }
  set_log_level(LogLevel::kInfo);
  EXPECT_GT(n, 20) << "so many operations make two checkpoints at least";
}
INSTANTIATE_TEST_SUITE_P(Misbehaviours, Disk,
                         testing::Values(Misbehaviour::kThrows, Misbehaviour::kFull, Misbehaviour::kDies,
                                         Misbehaviour::kPower));

pid_t start_child(const std::string& folder) {
  const pid_t pid = fork();
  if (pid == 0) {
    execl("/proc/self/exe", "train_crash_test", "--train-child", folder.c_str(), nullptr);
    _exit(127);
  }
  return pid;
}

// Seconds from the start of a child to its first checkpoint: what "any moment" has to be measured by.
double time_to_first_checkpoint(const std::string& run) {
  const double begin = steady_seconds();
  const auto passed = [&] { return steady_seconds() - begin; };
  const pid_t pid = start_child(run);
  while (!latest_complete(run + "/checkpoints") && passed() < 120) usleep(1000);
  const double seconds = passed();
  kill(pid, SIGKILL);
  waitpid(pid, nullptr, 0);
  return seconds;
}

TEST(Kill, AHundredTimesAtAnyMomentNeverLeavesARunThatDoesNotGoOn) {
  TrainFolder folder;
  const std::string run = folder / "run";
  const double first = time_to_first_checkpoint(folder / "measured");
  int64_t last = 0;
  for (int i = 0; i < 100; ++i) {
    const pid_t pid = start_child(run);
    ASSERT_GT(pid, 0);
    usleep(static_cast<useconds_t>(1e6 * first * (0.3 + 2 * RandomKey(3).uniform(static_cast<uint64_t>(i)))));
    kill(pid, SIGKILL);
    int status = 0;
    ASSERT_EQ(waitpid(pid, &status, 0), pid);
    ASSERT_TRUE(WIFSIGNALED(status)) << "kill " << i << ": the run ended by itself with exit code "
                                     << WEXITSTATUS(status) << ", it could not go on";
    const auto latest = latest_complete(run + "/checkpoints");
    if (last > 0) {
      ASSERT_TRUE(latest) << "kill " << i;
    }
    if (!latest) continue;
    ASSERT_GE(latest->step, last) << "kill " << i << " cost a checkpoint";
    ASSERT_EQ(verify_checkpoint(latest->path), std::vector<std::string>()) << "kill " << i;
    last = latest->step;
  }
  ASSERT_GT(last, 0) << "no child lived long enough to save";
  // The run that was killed a hundred times has the bits of one that never was.
  TrainConfig c = small_config(run);
  c.train.steps = last + 2, c.schedule.kind = "constant", c.schedule.warmup = 0;
  const TrainResult killed = tiny_train(c);
  c.train.folder = folder / "whole";
  EXPECT_EQ(checkpoint_tensors(killed.checkpoint), checkpoint_tensors(tiny_train(c).checkpoint));
}

}  // namespace

int child(const std::string& folder) {
  set_thread_count(1);
  TrainConfig c = small_config(folder);
  c.train.steps = 1000000, c.schedule.kind = "constant", c.schedule.warmup = 0;
  set_log_level(LogLevel::kOff);
  try {
    tiny_train(c);
  } catch (const Error& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 1;
  }
  return 0;
}

}  // namespace lyceum

int main(int argc, char** argv) {
  if (argc == 3 && std::string(argv[1]) == "--train-child") return lyceum::child(argv[2]);
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
