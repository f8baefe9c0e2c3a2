// What travels with a forward pass: the batch, the tape, who listens, and the state of the sequences when
// decoding.
#pragma once

#include <memory>

#include "base/random.h"
#include "nn/batch.h"
#include "tensor/ops.h"

namespace lyceum {

// Listeners at the stations of a token's road. tap() is free when nobody listens. A recomputed span is
// silent.
class Taps {
 public:
  virtual ~Taps() = default;
  // station: "embedding", "router_logits", "hidden" (residual stream after a block), "final"; layer -1 where
  // none.
  virtual void on(const char* station, int64_t layer, const Tensor& value) = 0;
};

// Keys and values of one sequence, layer by layer.
struct SequenceState {
  struct Layer {
    Tensor k, v;                 // [capacity, n_kv_heads * width], the first `length` rows are filled
    Tensor source_k, source_v;   // of the source sequence, for attention across
    Tensor filter_h, filter_c1;  // [1, width]: last rows of a local filter
    Tensor expert_places;        // i32 [n_experts] places taken, where capacity is counted by sequence
  };
  std::vector<Layer> layers;
  int64_t length = 0;      // tokens seen so far
  int32_t last_id = -1;    // the newest of them; -1: none
  int64_t capacity = 0;    // most tokens it can hold
  int64_t span_begin = 0;  // first token that the next one sees
};

enum class Phase { kTraining, kEvaluation };

struct Context {
  Tape& tape;
  const Batch& batch;
  Phase phase = Phase::kEvaluation;
  RandomKey key = {};               // a function of seed, step and micro-batch
  DType activations = DType::kF32;  // of the residual stream
  Taps* taps = nullptr;
  SequenceState* state = nullptr;  // decoding: one sequence, its keys and values before this batch

  // Attention spans where they are not those of the batch (a mask that ends with a document).
  const std::vector<int32_t>* spans = nullptr;

  const char* stack = "";  // "encoder", "decoder" where a model has both; stands before the station

  void tap(const char* station, int64_t layer, const Tensor& value) const {
    if (!taps) return;
    if (*stack) taps->on((std::string(stack) + "." + station).c_str(), layer, value);
    else taps->on(station, layer, value);
  }
};

// Owns the parameters of a model; modules hold pointers, which stay valid.
class ParameterList {
 public:
  // `weights` is the dtype of matrices: f32, or bf16 with an exact residual when trained. Vectors are f32.
  explicit ParameterList(DType weights) : weights_(weights) {}
  Parameter* matrix(std::string name, Shape shape, int64_t parts = 1);  // packed, of the list's dtype
  Parameter* matrix_f32(std::string name, Shape shape);                 // packed, f32 (routers)
  Parameter* table(std::string name, Shape shape);                      // row major (embeddings)
  Parameter* vector(std::string name, int64_t width);                   // f32
  Parameter* vectors(std::string name, Shape shape);                    // f32, stacked biases
  // Not trained, but saved with the model: f32, or i32 for tables of ids. Zero until its layer fills it.
  Parameter* buffer(std::string name, Shape shape, DType type = DType::kF32);

  std::vector<Parameter*> all() const;
  Parameter* find(const std::string& name) const;  // nullptr if absent

 private:
  Parameter* add(Parameter p);
  DType weights_;
  std::vector<std::unique_ptr<Parameter>> list_;
};

}  // namespace lyceum
