// Whole steps of training: forward and backward of micro-batches, clipping, the update.
#pragma once

#include "bench/case.h"
#include "models/model.h"
#include "train/optimizer.h"

namespace lyceum::bench {

struct StepShape {
  std::string name = "small";
  ModelConfig model;
  int64_t sequences = 8, length = 512, micro_batches = 1;  // sequences of a micro-batch
  bool recompute = false;                                  // keep only the inputs of blocks
  std::string optimizer = "adamw";
};

// "small", "layer" (one of OLMoE-1B-7B) or the path of a config.json. Throws kInvalidArgument naming them.
StepShape step_shape(const std::string& name);
// The model of a family, as its recipe in `folder` has it, widened to one shape: d_model 512, 4
// blocks, 8 heads of 64, 4 x 512 tokens; 16 experts of 256, 4 to a token (one of 1024 where a family has top
// 1).
StepShape family_shape(const std::string& family, const std::string& folder = "recipes/families");

class TrainingStep {
 public:
  // Random weights and made-up text. Throws kOutOfMemory before anything is taken that cannot fit.
  explicit TrainingStep(const StepShape& shape);
  // A model that exists and the micro-batches of a step.
  TrainingStep(const StepShape& shape, std::unique_ptr<Model> model, std::vector<Batch> batches);

  const Model& model() const { return *model_; }
  const StepShape& shape() const { return shape_; }
  int64_t tokens() const;  // of a step, those of an encoder with them
  // Each adds what it did to `profile` when there is one.
  void micro_batch(int64_t index, Profile* profile);
  void update(Profile* profile);
  void run(Profile* profile = nullptr);

 private:
  void prepare();

  StepShape shape_;
  std::unique_ptr<Model> model_;
  std::vector<Batch> batches_;
  std::unique_ptr<Optimizer> optimizer_;
};

double profile_flops(const Profile& profile);

// One step, held against the peak; what counts as work is its products and attention.
BenchCase step_case(std::shared_ptr<TrainingStep> step);
// The same of steps that are made when they are opened.
std::vector<BenchCase> step_cases(const std::vector<StepShape>& shapes);

}  // namespace lyceum::bench
