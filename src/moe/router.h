// A router decides which experts see which tokens. What it returns is a list of edges; dispatch, combine,
// balance losses, analysis and serving all read the same list and none knows which router made it.
#pragma once

#include <limits>
#include <memory>
#include <string>

#include "base/fields.h"
#include "moe/noise.h"
#include "nn/context.h"

namespace lyceum {

// Edges of one layer, sorted by token. Top-k gives k edges a token, expert choice a varying number.
struct Routing {
  int64_t layer = 0, tokens = 0, n_experts = 0;
  int64_t top_k = 0;  // edges per token where that number is fixed, else 0
  Tensor first;       // i32 [tokens + 1]: edges of token t are first[t] .. first[t + 1]
  Tensor expert;      // i32 [edges] or [tokens, top_k]; of one token first choice first
  Tensor gate;        // f32, as expert, differentiable; what multiplies the expert's output
  Tensor kept;        // u8 [edges]: 0 where capacity dropped the edge; empty: all kept
  Tensor offsets;     // i32 [sequences + 1]: tokens of each sequence, for what is counted by sequence

  // What balance losses read; empty for routers without a product (hash, tables).
  Tensor logits;  // f32 [tokens, n_experts], raw scores of the router's product, differentiable
  Tensor probs;   // f32 [tokens, n_experts], a distribution by row, differentiable: softmax of the logits, or
                  // sigmoids over their sum
  Tensor logsumexp;  // f32 [tokens] of the logits; empty where the router did not need it
  // Losses that need the router's own noise (Shazeer et al. 2017): f32 [1], differentiable, or empty.
  Tensor importance, load_loss;

  int64_t edges() const { return expert ? expert.elements() : 0; }
  ops::Edges list() const { return {first, expert, kept}; }
  // Kept edges of each expert.
  std::vector<int64_t> load() const;

  // f(mine, theirs) for every tensor that a loss may send a gradient to, where there is one.
  template <class F>
  void for_loss_inputs(const Routing& other, F&& f) const {
    if (logits) f(logits, other.logits);
    if (probs) f(probs, other.probs);
    if (importance) f(importance, other.importance);
    if (load_loss) f(load_loss, other.load_loss);
  }
};

// All a router can be told. Which keys mean something is the router's business (RouterKind::uses): a key that
// would have no effect is refused by name, from a recipe and from code alike.
struct RouterOptions {
  std::string router = "softmax_top_k";  // a name of the router table
  int64_t d_model = 0, n_experts = 0, top_k = 0;
  bool renormalise = false;      // divide the chosen gates by their sum (= softmax over the chosen logits)
  double gate_scale = 1;         // and multiply them by this
  int64_t layer = 0, vocab = 0;  // for tables of token ids, which differ by layer
  int64_t n_domains = 0;         // random_routed: groups of experts; 0: the trainer takes those of the data
  std::vector<int64_t> domain_experts = {};  // random_routed: experts of each group; empty: as many in each

  bool bias = false;              // logits = W x + b                                        gpt-oss
  std::string precision = "f32";  // f32: selective precision; bf16: product, scores and gates in bf16
  double jitter = 0;              // training: x * uniform(1 - jitter, 1 + jitter)     Switch, PhiMoE's input

  // sigmoid_top_k, softmax_top_k: choose inside the best groups of experts only.
  bool selection_bias = false;  // choose by score + a bias that is no weight (loss-free balancing)
  int64_t groups = 1, kept_groups = 1;
  std::string group_score = "max";  // of a group: its largest score (DeepSeek-V2), or top2_sum (V3)

  double expert_dropout = 0;    // training: inside the experts' networks          Switch's fine-tuning: 0.4
  int64_t table_seed = 1;       // random_routed, hash: of the tables
  std::string hash = "random";  // random, balanced (needs token counts), bigram
  double threshold = 0.01;      // sparsemixer: experts further than 2 * this below the best are masked

  // switch, gshard: choose by logits + Gumbel noise in training (gshard: from the second choice on); the gate
  // stays that of the clean softmax.                                                            DeepSpeed
  bool sample = false;
  // gshard: the second expert always, at random with probability 2 g (before places are taken), or
  // random_after (fastmoe: a place is taken all the same).
  std::string second = "random";
  std::string gates =
      "chosen";               // gshard: divided by the sum of the chosen (GShard) or of the kept (DeepSpeed)
  double noise_floor = 0.01;  // noisy_top_k, hierarchical: added to the softplus (fastmoe; the paper: 0)
  double experts_per_token = 0;  // expert_choice: on average; 0: top_k

  // Capacity: how many tokens of a group an expert takes. G tokens of the group, E experts, k choices, CF:
  //   none        dropless
  //   fixed       capacity_tokens                                    transformers' Switch
  //   switch      floor(CF G / E)                                    Fedus et al. 2021
  //   round       round(CF G / E), no factor k                       flaxformer: ST-MoE, OpenMoE in JAX
  //   ceil        ceil(CF k G / E)                                   GShard, DeepSpeed, fairscale (CF = 1)
  //   even        floor(CF k G / E), made even by adding 1           ColossalAI: OpenMoE in PyTorch
  //   fastmoe     ceil(CF G) k div E                                 fastmoe's GShard gate
  //   tutel       k floor(CF ceil(G / E))                            Tutel
  //   published   what the router's authors did (the default)
  std::string capacity = "published";
  double capacity_factor = 1.25, evaluation_capacity_factor = 2;  // 0: dropless in that phase
  int64_t capacity_minimum = 4, capacity_tokens = 0;
  std::string group = "batch";  // who shares places: batch (a micro-batch), sequence, tokens (group_size)
  int64_t group_size = 4096;
  // Who stays: position (all first choices in token order, then all second ones), token (token by token, all
  // choices), priority (as position, tokens by falling best gate), probability (the largest of an expert),
  // random.
  std::string drop = "position";

  void fields(Fields& f);
};

class Router {
 public:
  virtual ~Router() = default;
  // x [tokens, d_model], the normalised input of the layer.
  virtual Routing route(Context& context, const Tensor& x, int64_t layer) const = 0;
  // For routers whose tables are built from how often ids occur: counts [n_domains, vocab]. Returns a line
  // that says how evenly the experts will be loaded, or "" for routers without such a table.
  virtual std::string build_table(const std::vector<double>& counts) { return ""; }
  // [n_experts], the buffer that loss-free balancing moves; null for routers without one.
  virtual Parameter* selection_bias() const { return nullptr; }
  // Replaces the random numbers, so that a published implementation can be followed draw by draw.
  void use_noise(const RouterNoise& noise) { noise_ = &noise; }

 protected:
  const RouterNoise* noise_ = &random_noise();
};

// Which options mean something under a router.
enum RouterUse : unsigned {
  kUsesRenormalise = 1 << 0,
  kUsesGateScale = 1 << 1,
  kUsesBias = 1 << 2,
  kUsesPrecision = 1 << 3,
  kUsesJitter = 1 << 4,
  kUsesSelectionBias = 1 << 5,
  kUsesGroups = 1 << 6,
  kUsesThreshold = 1 << 7,
  kUsesCapacity = 1 << 8,
  kUsesTable = 1 << 9,
  kUsesHash = 1 << 10,
  kUsesSample = 1 << 11,
  kUsesSecond = 1 << 12,
  kUsesNoise = 1 << 13,   // and has importance and load losses
  kUsesGroup = 1 << 14,   // of tokens, without the other keys of capacity
  kUsesLogits = 1 << 15,  // has a router z-loss
  kLooksAhead = 1 << 16,  // in evaluation too: a decoder's held-out loss says nothing
};

// A row of the table: the router's name, whether balance losses mean something for it, and its constructor.
struct RouterKind {
  const char* name;
  const char* summary;
  bool has_balance_loss;
  unsigned uses;         // RouterUse
  const char* capacity;  // the published rule
  std::unique_ptr<Router> (*make)(const RouterOptions& options, const std::string& prefix,
                                  ParameterList& parameters);
};

const std::vector<RouterKind>& router_table();
// Throws kInvalidArgument naming the known routers.
const RouterKind& find_router(const std::string& name);
std::vector<std::string> router_names();
// Checks the options against the table and each other, and makes the router.
std::unique_ptr<Router> make_router(const RouterOptions& options, const std::string& prefix,
                                    ParameterList& parameters);
// Throws kInvalidArgument naming the option that cannot be, or that means nothing under this router.
void check_router(const RouterOptions& options);

// x, NaN below every number: what to sort scores by. A step that diverged still gets a routing, and is
// skipped when its loss is seen.
inline float ordered(float x) { return x == x ? x : -std::numeric_limits<float>::infinity(); }

// `first` of a routing with k edges for every token.
Tensor uniform_first(int64_t tokens, int64_t k);

}  // namespace lyceum
