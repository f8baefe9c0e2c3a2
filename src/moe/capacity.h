// Capacity: an expert takes so many tokens of a group, the others are dropped (their edge stays in the list,
// marked). One implementation for all routers that give every token the same number of choices; it runs
// before gates are finished, because some systems divide by the sum of the gates that stayed.
//
// Where capacity is counted by sequence with a fixed number of places, a decoder carries the places taken in
// its SequenceState, so that generation token by token drops what a full pass drops. Elsewhere generation is
// dropless: the group is not there yet.
#pragma once

#include "moe/router.h"

namespace lyceum {

class Capacity {
 public:
  // Throws kInvalidArgument for an unknown rule, group or drop policy, or a number that cannot be.
  explicit Capacity(const RouterOptions& options);
  bool limited() const { return rule_ != Rule::kNone; }
  // Places of an expert for a group of so many tokens.
  int64_t places(int64_t tokens, Phase phase) const;
  // Tokens of each group, [n_groups + 1] i32.
  Tensor groups_of(const Routing& r) const;
  // Fills r.kept; edges that are marked 0 already take no place. scores [tokens, n_experts]: what the
  // policies priority and probability rank by. r.top_k > 0.
  void apply(Context& context, const RouterNoise& noise, const Tensor& scores, Routing& r) const;

  static std::vector<std::string> rules(), groups(), drops();

 private:
  enum class Rule { kNone, kFixed, kSwitch, kRound, kCeil, kEven, kFastMoe, kTutel };
  enum class Group { kBatch, kSequence, kTokens };
  enum class Drop { kPosition, kToken, kPriority, kProbability, kRandom };
  void fill(const Routing& r, int64_t begin, int64_t end, int64_t limit, const float* rank,
            int32_t* taken) const;

  Rule rule_;
  Group group_;
  Drop drop_;
  double training_factor_, evaluation_factor_;
  int64_t minimum_, tokens_, group_size_, n_experts_, top_k_;
};

}  // namespace lyceum
