#include "base/threads.h"

#include <sched.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "base/error.h"

namespace lyceum {
namespace {

int usable_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0) return CPU_COUNT(&set);
  return 1;
}

int initial_thread_count() {
  if (const char* text = std::getenv("LYCEUM_THREADS")) {
    char* end = nullptr;
    const long n = std::strtol(text, &end, 10);
    check(end != text && *end == 0 && n >= 1 && n <= 1024, "LYCEUM_THREADS",
          "wanted a number from 1 to 1024, found \"", text, "\"");
    return static_cast<int>(n);
  }
  return usable_cores();
}

thread_local bool t_inside_region = false;

class Pool {
 public:
  ~Pool() { stop(); }

  int size() {
    if (size_ == 0) size_ = initial_thread_count();
    return size_;
  }

  void resize(int n) {
    stop();
    size_ = n;
  }

  void run(int64_t n_tasks, void (*body)(void*, int64_t, int), void* context) {
    if (n_tasks <= 0) return;
    std::unique_lock<std::mutex> turn(turn_, std::defer_lock);
    if (n_tasks == 1 || size() == 1 || t_inside_region) {
      for (int64_t task = 0; task < n_tasks; ++task) body(context, task, t_worker);
      return;
    }
    turn.lock();  // regions of several callers queue up
    start();
    body_ = body;
    context_ = context;
    n_tasks_ = n_tasks;
    next_.store(0, std::memory_order_relaxed);
    busy_.store(static_cast<int>(threads_.size()), std::memory_order_relaxed);
    generation_.fetch_add(1, std::memory_order_release);
    if (sleepers_.load(std::memory_order_seq_cst) > 0) {
      std::lock_guard<std::mutex> lock(mutex_);
      wake_.notify_all();
    }
    work(0);
    for (int turns = 0; busy_.load(std::memory_order_acquire) != 0; ++turns) {
      if (turns < 2000) relax();
      else std::this_thread::yield();  // a worker lost its core to somebody else's work: give ours away
    }
    if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
  }

 private:
  static void relax() {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#else
    std::this_thread::yield();
#endif
  }

  void start() {
    if (!threads_.empty()) return;
    stopping_ = false;
    const uint64_t now = generation_.load();
    for (int worker = 1; worker < size_; ++worker)
      threads_.emplace_back([this, worker, now] { loop(worker, now); });
  }

  void stop() {
    if (threads_.empty()) return;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      stopping_ = true;
      generation_.fetch_add(1);
      wake_.notify_all();
    }
    for (std::thread& t : threads_) t.join();
    threads_.clear();
  }

  void work(int worker) {
    t_inside_region = true;
    t_worker = worker;
    try {
      for (int64_t task; (task = next_.fetch_add(1, std::memory_order_relaxed)) < n_tasks_;)
        body_(context_, task, worker);
    } catch (...) {
      std::lock_guard<std::mutex> lock(mutex_);
      if (!error_) error_ = std::current_exception();
    }
    t_inside_region = false;
    t_worker = 0;
  }

  void loop(int worker, uint64_t seen) {
    constexpr auto kSpin = std::chrono::microseconds(40);
    while (true) {
      const auto begin = std::chrono::steady_clock::now();
      int turns = 0;
      while (generation_.load(std::memory_order_acquire) == seen) {
        relax();
        if (++turns % 64 == 0 && std::chrono::steady_clock::now() - begin > kSpin) {
          std::unique_lock<std::mutex> lock(mutex_);
          sleepers_.fetch_add(1, std::memory_order_seq_cst);
          wake_.wait(lock, [&] { return generation_.load(std::memory_order_seq_cst) != seen; });
          sleepers_.fetch_sub(1);
        }
      }
      if (stopping_) return;
      ++seen;
      work(worker);
      busy_.fetch_sub(1, std::memory_order_release);
    }
  }

  static thread_local int t_worker;
  int size_ = 0;
  std::vector<std::thread> threads_;
  std::mutex turn_, mutex_;
  std::condition_variable wake_;
  std::atomic<uint64_t> generation_{0};
  std::atomic<int> sleepers_{0}, busy_{0};
  std::atomic<int64_t> next_{0};
  std::atomic<bool> stopping_{false};
  void (*body_)(void*, int64_t, int) = nullptr;
  void* context_ = nullptr;
  int64_t n_tasks_ = 0;
  std::exception_ptr error_;
};

thread_local int Pool::t_worker = 0;

Pool& pool() {
  static Pool instance;
  return instance;
}

}  // namespace

int thread_count() { return pool().size(); }

void set_thread_count(int n) {
  check(n >= 1 && n <= 1024, "threads", "wanted 1 to 1024 threads, found ", n);
  pool().resize(n);
}

namespace detail {
void run_region(int64_t n_tasks, void (*body)(void*, int64_t, int), void* context) {
  pool().run(n_tasks, body, context);
}
}  // namespace detail

}  // namespace lyceum
