// A router decides which experts see which tokens. What it returns is a list of edges; dispatch, combine,
// balance losses, analysis and serving all read the same list and none knows which router made it.
#pragma once

#include <memory>
#include <string>

#include "nn/context.h"

namespace lyceum {

// Edges of one layer, sorted by token. Top-k gives k edges a token, expert choice a varying number.
struct Routing {
  int64_t layer = 0, tokens = 0, n_experts = 0;
  int64_t top_k = 0;  // edges per token where that number is fixed, else 0
  Tensor first;       // i32 [tokens + 1]: edges of token t are first[t] .. first[t + 1]
  Tensor expert;      // i32 [edges]; of one token in falling order of score
  Tensor gate;        // f32 [edges], differentiable; what multiplies the expert's output
  Tensor kept;        // u8 [edges]: 0 where capacity dropped the edge; empty: all kept
  Tensor
      logits;    // f32 [tokens, n_experts], raw scores of the router's product; empty for routers without one
  Tensor probs;  // f32 [tokens, n_experts], softmax of the logits; empty without logits

  int64_t edges() const { return expert ? expert.elements() : 0; }
  // Kept edges of each expert.
  std::vector<int64_t> load() const;
};

struct RouterOptions {
  std::string router = "softmax_top_k";  // a name of the router table
  int64_t d_model = 0, n_experts = 0, top_k = 0;
  bool renormalise = false;  // divide the chosen gates by their sum
  double gate_scale = 1;     // and multiply them by this
};

class Router {
 public:
  virtual ~Router() = default;
  // x [tokens, d_model], the normalised input of the layer.
  virtual Routing route(Context& context, const Tensor& x, int64_t layer) const = 0;
};

// A row of the table: the router's name, whether balance losses mean something for it, and its constructor.
struct RouterKind {
  const char* name;
  const char* summary;
  bool has_balance_loss;
  std::unique_ptr<Router> (*make)(const RouterOptions& options, const std::string& prefix,
                                  ParameterList& parameters);
};

const std::vector<RouterKind>& router_table();
// Throws kInvalidArgument naming the known routers.
const RouterKind& find_router(const std::string& name);
std::vector<std::string> router_names();

// `first` of a routing with k edges for every token.
Tensor uniform_first(int64_t tokens, int64_t k);

}  // namespace lyceum
