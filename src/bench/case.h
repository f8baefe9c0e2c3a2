// A benchmark: work of known size that is held against a limit of this machine. Each is defined once, in a
// list of its folder; `lyceum bench` and lyceum_benchmarks (Google Benchmark) are two ways to run the same
// lists.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace lyceum::bench {

// What the machine can do at most: the level's product instruction fed from L1, in FLOP/s; memory that no
// cache holds, read or updated in place, in bytes/s (an update reads and writes, both counted).
enum class Limit { kProducts, kProductsF32, kRead, kUpdate };

const char* limit_name(Limit limit);  // "peak", "f32 peak", "reading", "updating"
const char* limit_unit(Limit limit);  // "FLOP/s", "bytes/s"
// One short sample of the limit: a shared machine changes its speed within seconds. 0 where it is not known.
double probe(Limit limit);
// The clock of samples and probes. One thread alone is timed by the processor time it got, so that other
// programs do not count.
double work_seconds();

// A case that has its memory.
struct OpenCase {
  double work;  // of one run: FLOPs or bytes; 0 where nothing is worth counting
  std::function<void()> run;
  std::function<void()> prepare = {};  // before each run, not timed
};

struct BenchCase {
  std::string name;
  Limit limit;
  std::function<OpenCase()> open;
};

// Throws kOutOfMemory, saying what is wanted and what there is, before any of it is taken.
void refuse_what_cannot_fit(const std::string& what, double bytes, const char* advice);

// What the cases of a group work on, shared while one of them is open.
template <class T>
class Shared {
 public:
  Shared(std::string what, double bytes, const char* advice, std::function<std::shared_ptr<T>()> make)
      : what_(std::move(what)), bytes_(bytes), advice_(advice), make_(std::move(make)) {}

  std::shared_ptr<T> open() {
    if (auto there = open_.lock()) return there;
    refuse_what_cannot_fit(what_, bytes_, advice_);
    auto made = make_();
    open_ = made;
    return made;
  }

 private:
  std::string what_;
  double bytes_;
  const char* advice_;
  std::function<std::shared_ptr<T>()> make_;
  std::weak_ptr<T> open_;
};

template <class T>
BenchCase case_of(const std::string& name, Limit limit, double work, std::shared_ptr<Shared<T>> group,
                  void (T::*run)()) {
  return {name, limit, [work, group, run] {
            const std::shared_ptr<T> open = group->open();
            return OpenCase{work, [open, run] { (open.get()->*run)(); }};
          }};
}

}  // namespace lyceum::bench
