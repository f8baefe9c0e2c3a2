// The pool of compute threads.
//
// Our own small pool rather than OpenMP or TBB: an op is one parallel region of a few microseconds to
// milliseconds, so what counts is the cost of opening a region with threads that spin for microseconds and
// then sleep (the two cores of a small machine must also be able to serve HTTP). Invariants:
//   1. What a task computes never depends on which worker runs it or how many there are; hence the same bits
//   at
//      any thread count.
//   2. Regions do not nest: a parallel_for inside a task runs inline.
//   3. The first exception of a region is rethrown in the caller after all tasks have ended.
#pragma once

#include <cstdint>
#include <memory>
#include <type_traits>

namespace lyceum {

// Number of compute threads, the caller included. Default: LYCEUM_THREADS, else the cores this process may
// use.
int thread_count();

// Sets the number of compute threads (1 .. 1024). Call between regions only; more threads than cores are
// refused by the command line, not here.
void set_thread_count(int n);

namespace detail {
void run_region(int64_t n_tasks, void (*body)(void* context, int64_t task, int worker), void* context);
}

// Runs f(task, worker) for task in [0, n_tasks), handed out in order one by one to whoever is free; worker in
// [0, thread_count()) names scratch memory, nothing else.
template <class F>
void parallel_for(int64_t n_tasks, F&& f) {
  using Body = std::remove_reference_t<F>;
  detail::run_region(
      n_tasks, [](void* context, int64_t task, int worker) { (*static_cast<Body*>(context))(task, worker); },
      const_cast<void*>(static_cast<const void*>(std::addressof(f))));
}

// Runs f(begin, end, worker) over [0, n) in pieces of `grain` (the last may be shorter).
template <class F>
void parallel_ranges(int64_t n, int64_t grain, F&& f) {
  if (grain < 1) grain = 1;
  parallel_for((n + grain - 1) / grain, [&](int64_t task, int worker) {
    const int64_t begin = task * grain;
    f(begin, begin + grain < n ? begin + grain : n, worker);
  });
}

}  // namespace lyceum
