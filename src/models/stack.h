// A stack of blocks with its final norm: the whole of a decoder-only model, and each half of one with an
// encoder.
#pragma once

#include "models/block.h"

namespace lyceum {

struct StackOptions {
  std::string name = "model";  // parameters are <name>.layers.<i>..., <name>.norm
  int64_t n_layers = 0;
  bool encoder = false, cross = false;  // StackForm
};

class Stack {
 public:
  Stack(const ModelConfig& config, const StackOptions& options, ParameterList& parameters);

  // x [tokens, d_model] -> after the final norm. `queries` asks in the last block (PanGu), `memory` are the
  // encoder's rows. With `recompute`, a block keeps only its input and is computed again in the backward
  // pass.
  Tensor forward(Context& context, Tensor x, const Tensor& queries, const Tensor& memory,
                 std::vector<Routing>& routings, bool recompute) const;

  // Of its sparse blocks, in order.
  void add_routers(std::vector<Router*>& routers) const {
    for (const Block& b : blocks_)
      if (Router* router = b.router()) routers.push_back(router);
  }

 private:
  Tensor recomputed_block(Context& context, const BlockInput& in, const Block& block,
                          std::vector<Routing>& routings) const;
  std::vector<Block> blocks_;
  std::unique_ptr<Norm> norm_;
  bool norm_before_query_;
  mutable std::vector<Routing> spare_;  // of one recomputed block; training is one thread's work
};

}  // namespace lyceum
