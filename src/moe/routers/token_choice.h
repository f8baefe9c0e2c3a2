// What routers share in which every token chooses its experts by a score: product, scores, selection,
// capacity, gates. A router fills Form, or replaces a step.
//   l = W jitter(x) + b                                          logits()
//   s = softmax(l) or sigmoid(l)                                 balance losses read s / sum(s)
//   chosen = the k largest of s (+ selection bias), inside the best groups       choose()
//   kept = apply capacity
//   g_j = scale * s_j,  divided by a sum where the form says so
#pragma once

#include "moe/capacity.h"
#include "moe/router.h"

namespace lyceum {

// The router's matrix and what happens before it. Named <name>.weight [outputs, d_model], <name>.bias.
// precision = f32: the matrix and the product are f32 whatever the model is (selective precision); bf16: the
// matrix is as the model's others are, inputs and product are rounded.
class RouterProduct {
 public:
  RouterProduct(const RouterOptions& options, const std::string& name, int64_t outputs,
                ParameterList& parameters);
  // [tokens, outputs] f32
  Tensor forward(Context& context, const Tensor& x, int64_t layer, const RouterNoise& noise) const;

 private:
  double jitter_;
  bool narrow_;
  Parameter *weight_, *bias_ = nullptr;
};

// x, or what bf16 keeps of it.
Tensor narrowed(Tape& tape, const Tensor& x, bool narrow);

// y = x * (1 - size + 2 size u), in f32.
Tensor jittered(Tape& tape, const Tensor& x, const Tensor& u, float size);

// Makes r.kept where there is none yet, all 1.
void mark_all_kept(Routing& r);

// Offsets of the batch's sequences; one sequence where x is not the batch (an encoder's side).
Tensor sequence_offsets(const Context& context, int64_t tokens);

class TokenChoice : public Router {
 public:
  struct Form {
    bool sigmoid = false;
    ops::GateSum sum = ops::GateSum::kNone;
  };
  TokenChoice(const RouterOptions& options, const std::string& prefix, ParameterList& parameters, Form form);
  Routing route(Context& context, const Tensor& x, int64_t layer) const override;
  Parameter* selection_bias() const override { return selection_bias_; }

 protected:
  // For routers whose logits do not come from one matrix.
  struct NoProduct {};
  TokenChoice(const RouterOptions& options, const std::string& prefix, ParameterList& parameters, Form form,
              NoProduct);
  virtual Tensor logits(Context& context, const Tensor& x, int64_t layer) const;
  // route() with logits at hand.
  Routing route_logits(Context& context, const Tensor& logits, int64_t layer) const;
  // Fills r.expert [tokens, k], first choice first, from scores [tokens, n_experts].
  virtual void choose(Context& context, const Tensor& scores, Routing& r) const;
  // May mark edges that are not wanted: before places are taken, or when they are.
  virtual void before_places(Context& context, const Tensor& scores, Routing& r) const {}
  virtual void after_places(Context& context, const Tensor& scores, Routing& r) const {}

  void sample(Context& context, const Tensor& scores, Routing& r) const;

  RouterOptions options_;
  Form form_;
  bool narrow_;
  Capacity capacity_;
  std::unique_ptr<RouterProduct> product_;
  Parameter* selection_bias_ = nullptr;
};

}  // namespace lyceum
