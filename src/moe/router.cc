#include "moe/router.h"

#include "moe/capacity.h"

namespace lyceum {

std::vector<int64_t> Routing::load() const {
  std::vector<int64_t> counts(static_cast<size_t>(n_experts));
  const uint8_t* keep = kept ? kept.as<uint8_t>() : nullptr;
  for (int64_t e = 0; e < edges(); ++e)
    if (!keep || keep[e]) ++counts[static_cast<size_t>(expert.i32()[e])];
  return counts;
}

void RouterOptions::fields(Fields& f) {
  const RouterKind* kind = nullptr;
  for (const RouterKind& k : router_table())
    if (router == k.name) kind = &k;
  const auto means = [&](unsigned use, const char* what) {
    return effective(kind && (kind->uses & use),
                     router.empty() ? "the model is dense" : "the router " + router + " has no " + what);
  };
  const FieldRule capacity_rule = means(kUsesCapacity, "capacity");
  const std::string rule = capacity != "published" || !kind ? capacity : kind->capacity;
  const auto if_rule = [&](bool holds) { return effective(holds, "capacity is \"" + rule + "\""); };
  std::vector<std::string> rules = Capacity::rules();
  rules.push_back("published");

  f.add("gate_scale", gate_scale, "factor of all gates", means(kUsesGateScale, "gate scale"));
  f.add("bias", bias, "a bias beside the router's matrix", means(kUsesBias, "bias"));
  f.add("precision", precision, "of product, scores and gates", one_of({"f32", "bf16"}),
        means(kUsesPrecision, "product"));
  f.add("jitter", jitter, "training: inputs times uniform(1 - jitter, 1 + jitter)", at_least(0), below(1),
        means(kUsesJitter, "jitter"));
  f.add("expert_dropout", expert_dropout, "training: share of an expert's hidden units that are dropped",
        at_least(0), below(1), effective(kind != nullptr, "the model is dense"));
  f.add("selection_bias", selection_bias, "choose by score plus a bias that balance.bias_rate moves",
        means(kUsesSelectionBias, "selection bias"));
  f.add("groups", groups, "groups of experts", at_least(1), means(kUsesGroups, "groups of experts"));
  f.add("kept_groups", kept_groups, "groups whose experts may be chosen", at_least(1),
        means(kUsesGroups, "groups of experts"), effective(groups > 1, "groups is 1"));
  f.add("group_score", group_score, "of a group: its largest score, or the sum of its two largest",
        one_of({"max", "top2_sum"}), means(kUsesGroups, "groups of experts"),
        effective(groups > 1, "groups is 1"));
  f.add("threshold", threshold, "experts further than twice this below the best are masked", above(0),
        means(kUsesThreshold, "threshold"));
  f.add("n_domains", n_domains, "groups of experts, one for each domain of the text; 0: as the data have",
        at_least(0), effective(router == "random_routed", "only random_routed asks for domains"));
  f.add("domain_experts", domain_experts, "experts of each domain; empty: equal shares",
        effective(router == "random_routed", "only random_routed asks for domains"));
  f.add("table_seed", table_seed, "of the random tables", at_least(0), means(kUsesTable, "table"));
  f.add("hash", hash, "of token ids", one_of({"random", "balanced", "bigram"}), means(kUsesHash, "hash"));
  f.add("sample", sample, "training: choose by logits plus Gumbel noise",
        means(kUsesSample, "sampled choice"));
  f.add("second", second,
        "the experts after the first: always, at random, or at random after a place is taken",
        one_of({"always", "random", "random_after"}), means(kUsesSecond, "random second expert"));
  f.add("gates", gates, "divided by the sum of the chosen, or of the kept", one_of({"chosen", "kept"}),
        means(kUsesSecond, "choice of what gates are divided by"));
  f.add("noise_floor", noise_floor, "least standard deviation of the noise", at_least(0),
        means(kUsesNoise, "noise"));
  f.add("experts_per_token", experts_per_token, "on average; 0: top_k", at_least(0),
        effective(router == "expert_choice", "only expert_choice has an average"));
  f.add("capacity", capacity, "rule for the places of an expert", one_of(rules), capacity_rule);
  const bool by_factor = rule != "none" && rule != "fixed";
  f.add("capacity_factor", capacity_factor, "in training; 0: dropless", at_least(0), capacity_rule,
        if_rule(by_factor));
  f.add("evaluation_capacity_factor", evaluation_capacity_factor, "in evaluation; 0: dropless", at_least(0),
        capacity_rule, if_rule(by_factor));
  f.add("capacity_minimum", capacity_minimum, "least places of an expert", at_least(0), capacity_rule,
        if_rule(by_factor));
  f.add("capacity_tokens", capacity_tokens, "places of an expert", at_least(0), capacity_rule,
        if_rule(rule == "fixed"));
  const FieldRule group_rule = means(kUsesCapacity | kUsesGroup, "groups of tokens");
  f.add("group", group, "whose tokens share the places", one_of(Capacity::groups()), group_rule,
        if_rule(rule != "none" || (kind && (kind->uses & kUsesGroup))));
  f.add("group_size", group_size, "tokens of a group", at_least(1), group_rule,
        effective(group == "tokens", "group is \"" + group + "\""));
  f.add("drop", drop, "who finds no place", one_of(Capacity::drops()), capacity_rule,
        if_rule(rule != "none"));
}

const RouterKind& find_router(const std::string& name) {
  for (const RouterKind& kind : router_table())
    if (name == kind.name) return kind;
  fail(ErrorKind::kInvalidArgument, "router", "unknown router \"", name,
       "\"; known: ", listed(router_names()));
}

std::vector<std::string> router_names() {
  std::vector<std::string> names;
  for (const RouterKind& kind : router_table()) names.push_back(kind.name);
  return names;
}

void check_router(const RouterOptions& o) {
  const RouterKind& kind = find_router(o.router);
  RouterOptions given = o, plain;
  plain.router = o.router;
  const std::vector<Field> found = fields_of(given), defaults = fields_of(plain);
  std::vector<Setting> changed;
  for (size_t i = 0; i < found.size(); ++i)
    if (found[i].default_text != defaults[i].default_text)
      changed.push_back({"router", found[i].key, found[i].default_text});
  detail::check_settings(found, changed);
  check(!o.renormalise || (kind.uses & kUsesRenormalise), "router", "renormalise has no effect: the router ",
        o.router, " fixes what its gates sum to");
  const char* where = "router";
  check(o.groups >= 1 && o.n_experts % o.groups == 0, where, "groups = ", o.groups, " does not divide ",
        o.n_experts, " experts");
  check(o.groups == 1 || (o.kept_groups >= 1 && o.kept_groups <= o.groups), where,
        "kept_groups must be 1 to ", o.groups, ", found ", o.kept_groups);
  check(o.groups == 1 || o.top_k <= o.kept_groups * (o.n_experts / o.groups), where, "top_k = ", o.top_k,
        " experts cannot come from ", o.kept_groups, " groups of ", o.n_experts / o.groups);
  check(o.group_score != "top2_sum" || o.n_experts / o.groups >= 2, where,
        "group_score = top2_sum wants groups of two experts or more, found ", o.n_experts / o.groups);
}

std::unique_ptr<Router> make_router(const RouterOptions& o, const std::string& prefix,
                                    ParameterList& parameters) {
  check_router(o);
  return find_router(o.router).make(o, prefix, parameters);
}

Tensor uniform_first(int64_t tokens, int64_t k) {
  Tensor first({tokens + 1}, DType::kI32);
  for (int64_t t = 0; t <= tokens; ++t) first.i32()[t] = static_cast<int32_t>(t * k);
  return first;
}

}  // namespace lyceum
