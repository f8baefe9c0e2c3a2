// The tape: closures that carry gradients from the outputs of ops to their inputs, run in reverse.
//
// An op computes its output and, if the tape records, leaves a closure; the tensors the closure captures are
// the memory the op keeps. Gradients live with the tensors they belong to:
//   1. accumulating(x) gives the buffer and says whether to write or to add: the first writer need not clear.
//   2. pass(x, g) hands a whole gradient on without copying; buffers shared this way are copied before the
//   first
//      addition (copy on write).
//   3. take(y) moves the gradient out; an op whose output got none does nothing.
// Closures live in an arena that is reused: no allocation per step.
#pragma once

#include <new>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "tensor/tensor.h"

namespace lyceum {

struct Parameter;

// Where the time of a step goes, op by op. Filled by tapes that were given one; thread: the one that runs the
// tape.
struct Profile {
  struct Row {
    std::string op;
    int64_t calls = 0;
    double forward_seconds = 0, backward_seconds = 0;
    double forward_flops = 0, backward_flops = 0;  // of products; 0 where memory is what counts
  };
  std::vector<Row> rows;  // in order of first appearance
  Row& row(const char* op);
};

class Tape {
 public:
  explicit Tape(bool recording = true) : recording_(recording) {}
  ~Tape() { clear(); }
  Tape(const Tape&) = delete;
  Tape& operator=(const Tape&) = delete;

  bool recording() const { return recording_; }

  // Set for the last micro-batch of a step: what is added to the gradients of parameters completes them, and
  // products leave the sums of their squares (Parameter::squares) for the norm.
  void complete_gradients(bool value) { completes_gradients_ = value; }
  // Where a product that adds to p's gradient puts them, or null.
  double* squares_of(Parameter& p) const;

  // Measures from here on into `profile` (null: no more).
  void measure(Profile* profile) { profile_ = profile; }
  Profile* profile() const { return profile_; }
  // Stands at the head of an op: measures its forward while it lives. flops: of its products, forward.
  class Span {
   public:
    Span(const Tape& tape, const char* op, double flops = 0)
        : profile_(tape.profile_), op_(op), flops_(flops) {
      if (profile_) begin_ = now();
    }
    ~Span() {
      if (profile_) close();
    }
    Span(const Span&) = delete;
    Span& operator=(const Span&) = delete;

   private:
    friend class Tape;
    static double now();  // seconds
    void close();
    Profile* profile_;
    const char* op_;
    double flops_, begin_ = 0;
  };

  // Keeps `backward` (called once, without arguments) until backward() or clear(). `op` must be a literal;
  // flops: of the products in `backward`.
  template <class F>
  void record(const char* op, F&& backward, double flops = 0) {
    if (!recording_) return;
    using Closure = std::decay_t<F>;
    void* memory = arena(sizeof(Closure), alignof(Closure));
    new (memory) Closure(std::forward<F>(backward));
    nodes_.push_back({op, [](void* p) { (*static_cast<Closure*>(p))(); },
                      [](void* p) { static_cast<Closure*>(p)->~Closure(); }, memory, flops});
  }

  // A gradient buffer of x: same shape and dtype. If `add`, it holds a sum already; else it must be
  // overwritten.
  struct Target {
    Tensor buffer;
    bool add;
  };
  Target accumulating(const Tensor& x);
  // Adds g to the gradient of x; shares g when it is the first.
  void pass(const Tensor& x, const Tensor& g);
  // Moves the gradient of y out; an empty tensor if none arrived.
  Tensor take(const Tensor& y);

  // Runs the closures in reverse and forgets them.
  void backward();
  void clear();

  // Names of the ops recorded since the last clear, in order (for tests that every op has a gradient check).
  std::vector<const char*> ops() const;

 private:
  struct Node {
    const char* op;
    void (*run)(void*);
    void (*destroy)(void*);
    void* closure;
    double flops;
  };
  void* arena(size_t bytes, size_t alignment);

  bool recording_;
  bool completes_gradients_ = false;
  Profile* profile_ = nullptr;
  PoolVector<Node> nodes_;
  PoolVector<Tensor> chunks_;  // u8
  size_t chunk_ = 0, used_ = 0;
};

}  // namespace lyceum
