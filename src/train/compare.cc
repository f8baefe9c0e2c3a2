#include "train/compare.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <sstream>

#include "train/step.h"

namespace lyceum {

std::pair<std::string, std::vector<Setting>> parse_variant(const std::string& text) {
  const char* where = "compare.variants";
  const size_t colon = text.find(':');
  check(colon != std::string::npos && colon > 0, where, "wanted \"name: section.key=value ...\", found ",
        quote(text));
  std::pair<std::string, std::vector<Setting>> out{text.substr(0, colon), {}};
  for (char c : out.first)
    check((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_', where,
          "a variant's name becomes a folder: small letters, digits, - and _; found ", quote(out.first));
  std::istringstream words(text.substr(colon + 1));
  for (std::string word; words >> word;) {
    const size_t equals = word.find('=');
    check(equals != std::string::npos && word.find('.') < equals, where, "variant ", out.first,
          ": wanted section.key=value, found ", quote(word));
    out.second.push_back({"variant " + out.first, word.substr(0, equals), word.substr(equals + 1)});
  }
  return out;
}

std::vector<ComparedRun> compared_runs(const std::string& recipe, const std::vector<Setting>& overrides) {
  // The recipe itself need not be a run: keys that only some variants understand are checked with them.
  std::vector<Setting> given = read_toml_settings(recipe);
  given.insert(given.end(), overrides.begin(), overrides.end());
  TrainConfig base;
  detail::apply_settings(fields_of(base), given);
  std::vector<ComparedRun> out;
  std::set<std::string> names;
  for (const std::string& text : base.compare.variants) {
    auto [name, settings] = parse_variant(text);
    check(names.insert(name).second, "compare.variants", "two variants are called ", name);
    for (const Setting& s : settings)
      check(s.key.starts_with("model.") || s.key.starts_with("router.") || s.key.starts_with("balance."),
            "compare.variants", "variant ", name, " sets ", s.key,
            ": variants may set model., router. and balance. keys, everything else is shared");
    std::vector<Setting> all = overrides;
    all.insert(all.end(), settings.begin(), settings.end());
    all.push_back({"variant " + name, "train.folder", base.train.folder + "/" + name});
    ComparedRun run{name, read_recipe(recipe, all), 0};
    run.config.validate();
    ModelConfig shape = run.config.model;
    shape.vocab = 1;
    if (shape.router == "random_routed")
      shape.routing.n_domains = std::max<int64_t>(1, shape.routing.n_domains);
    run.active = active_matrix_parameters(Model(shape, DType::kBF16));
    const double first = static_cast<double>(out.empty() ? run.active : out[0].active);
    check(std::abs(static_cast<double>(run.active) - first) <= base.compare.active_tolerance * first,
          "compare.variants", "variant ", name, " has ", run.active, " active parameters, ",
          out.empty() ? name : out[0].name, " has ", static_cast<int64_t>(first),
          "; make top_k * d_ff the same, or raise compare.active_tolerance");
    out.push_back(std::move(run));
  }
  return out;
}

}  // namespace lyceum
