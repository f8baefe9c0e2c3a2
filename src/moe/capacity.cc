#include "moe/capacity.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/threads.h"

namespace lyceum {
namespace {

template <class Enum>
Enum choice(const char* key, const std::string& word, const std::vector<std::string>& words) {
  for (size_t i = 0; i < words.size(); ++i)
    if (words[i] == word) return static_cast<Enum>(i);
  fail(ErrorKind::kInvalidArgument, "router", key, " is \"", word, "\"; known: ", listed(words));
}

}  // namespace

std::vector<std::string> Capacity::rules() {
  return {"none", "fixed", "switch", "round", "ceil", "even", "fastmoe", "tutel"};
}
std::vector<std::string> Capacity::groups() { return {"batch", "sequence", "tokens"}; }
std::vector<std::string> Capacity::drops() {
  return {"position", "token", "priority", "probability", "random"};
}

Capacity::Capacity(const RouterOptions& o)
    : rule_(choice<Rule>("capacity", o.capacity == "published" ? find_router(o.router).capacity : o.capacity,
                         rules())),
      group_(choice<Group>("group", o.group, groups())),
      drop_(choice<Drop>("drop", o.drop, drops())),
      training_factor_(o.capacity_factor),
      evaluation_factor_(o.evaluation_capacity_factor),
      minimum_(o.capacity_minimum),
      tokens_(o.capacity_tokens),
      group_size_(o.group_size),
      n_experts_(o.n_experts),
      top_k_(o.top_k) {
  check(rule_ != Rule::kFixed || tokens_ > 0, "router",
        "capacity = fixed wants capacity_tokens above 0, found ", tokens_);
  check(group_ != Group::kTokens || group_size_ > 0, "router", "group_size must be positive, found ",
        group_size_);
  check(training_factor_ >= 0 && evaluation_factor_ >= 0, "router",
        "capacity factors must not be negative, found ", training_factor_, " and ", evaluation_factor_);
}

int64_t Capacity::places(int64_t tokens, Phase phase) const {
  const double factor = phase == Phase::kTraining ? training_factor_ : evaluation_factor_;
  const double k = static_cast<double>(top_k_), n = static_cast<double>(tokens),
               experts = static_cast<double>(n_experts_);
  double c = 0;
  if (rule_ == Rule::kFixed) return tokens_;
  if (rule_ == Rule::kNone || factor == 0) return tokens * top_k_;
  switch (rule_) {
    case Rule::kNone:
    case Rule::kFixed:
      break;
    case Rule::kSwitch:
      c = std::floor(factor * n / experts);
      break;
    case Rule::kRound:  // halves to even, as Python rounds
      c = std::nearbyint(factor * n / experts);
      break;
    case Rule::kCeil:
      c = std::ceil(k * n / experts * factor);
      break;
    case Rule::kEven:
      c = std::floor(k * factor * n / experts);
      c += std::fmod(c, 2);
      break;
    case Rule::kFastMoe:
      c = std::floor(std::ceil(factor * n) * k / experts);
      break;
    case Rule::kTutel:
      c = k * std::floor(factor * std::ceil(n / experts));
      break;
  }
  return std::max(minimum_, static_cast<int64_t>(c));
}

// Marks the edges of tokens [begin, end) of one group; taken [n_experts] counts the places that are gone.
void Capacity::fill(const Routing& r, int64_t begin, int64_t end, int64_t limit, const float* rank,
                    int32_t* taken) const {
  const int32_t* expert = r.expert.i32();
  uint8_t* kept = r.kept.as<uint8_t>();
  const int64_t k = r.top_k, n = end - begin;
  const auto take = [&](int64_t edge) {
    if (!kept[edge]) return;
    int32_t& count = taken[expert[edge]];
    kept[edge] = count < limit;
    ++count;
  };
  if (drop_ == Drop::kToken) {
    for (int64_t e = begin * k; e < end * k; ++e) take(e);
    return;
  }
  if (drop_ == Drop::kPosition) {
    for (int64_t j = 0; j < k; ++j)
      for (int64_t t = begin; t < end; ++t) take(t * k + j);
    return;
  }
  if (drop_ == Drop::kPriority) {  // tokens by falling score of their first choice
    PoolVector<int32_t> order(static_cast<size_t>(n));
    for (int64_t i = 0; i < n; ++i) order[static_cast<size_t>(i)] = static_cast<int32_t>(begin + i);
    const auto best = [&](int32_t t) { return ordered(rank[t * n_experts_ + expert[t * k]]); };
    std::sort(order.begin(), order.end(),
              [&](int32_t a, int32_t b) { return best(a) != best(b) ? best(a) > best(b) : a < b; });
    for (int64_t j = 0; j < k; ++j)
      for (int32_t t : order) take(t * k + j);
    return;
  }
  // probability, random: an expert's edges by falling rank
  PoolVector<int32_t> order(static_cast<size_t>(n * k));
  for (size_t i = 0; i < order.size(); ++i)
    order[i] = static_cast<int32_t>(begin * k) + static_cast<int32_t>(i);
  const auto score = [&](int32_t e) { return ordered(rank[e / k * n_experts_ + expert[e]]); };
  std::sort(order.begin(), order.end(),
            [&](int32_t a, int32_t b) { return score(a) != score(b) ? score(a) > score(b) : a < b; });
  for (int32_t e : order) take(e);
}

Tensor Capacity::groups_of(const Routing& r) const {
  if (group_ == Group::kSequence) return r.offsets;
  const int64_t size = group_ == Group::kTokens ? group_size_ : std::max<int64_t>(r.tokens, 1);
  const int64_t n = (r.tokens + size - 1) / size;
  Tensor out({n + 1}, DType::kI32);
  for (int64_t g = 0; g <= n; ++g) out.i32()[g] = static_cast<int32_t>(std::min(r.tokens, g * size));
  return out;
}

void Capacity::apply(Context& c, const RouterNoise& noise, const Tensor& scores, Routing& r) const {
  if (!limited()) return;
  ensure(r.top_k > 0, "capacity", "a routing without a fixed number of choices");
  SequenceState::Layer* state = nullptr;
  if (c.state) {
    if (rule_ != Rule::kFixed || group_ != Group::kSequence) return;
    if (c.state->layers.size() <= static_cast<size_t>(r.layer))
      c.state->layers.resize(static_cast<size_t>(r.layer) + 1);
    state = &c.state->layers[static_cast<size_t>(r.layer)];
    if (!state->expert_places) state->expert_places = Tensor::zeros({n_experts_}, DType::kI32);
  }
  if (!r.kept) {
    r.kept = Tensor({r.edges()}, DType::kU8);
    std::memset(r.kept.data(), 1, r.kept.bytes());
  }
  Tensor drawn;
  if (drop_ == Drop::kRandom) drawn = noise.uniform(c, r.layer, NoiseUse::kDrop, r.tokens, n_experts_);
  const float* rank = drop_ == Drop::kRandom ? drawn.f32() : scores ? scores.f32() : nullptr;

  const Tensor groups = groups_of(r);
  const int64_t n_groups = groups.elements() - 1;
  const Tensor taken = Tensor::zeros({n_groups, n_experts_}, DType::kI32);
  if (state) std::memcpy(taken.data(), state->expert_places.data(), state->expert_places.bytes());
  parallel_for(n_groups, [&](int64_t g, int) {
    const int64_t begin = groups.i32()[g], end = groups.i32()[g + 1];
    fill(r, begin, end, places(end - begin, c.phase), rank, taken.i32() + g * n_experts_);
  });
  if (state) std::memcpy(state->expert_places.data(), taken.data(), state->expert_places.bytes());
}

}  // namespace lyceum
