#include "models/families.h"

#include <algorithm>

namespace lyceum {

extern const Family kOlmoe, kLlama, kOlmo, kOlmo2, kGptNeox, kMixtral, kQwen2Moe, kQwen3Moe, kGraniteMoe,
    kPhiMoe, kGptOss, kDeepseekV2, kDeepseekV3, kOpenMoe, kYuan, kPanguAlpha, kPanguSigma, kT5, kSwitch;

const std::vector<Family>& family_table() {
  static const std::vector<Family> table = {kOlmoe,      kLlama,      kOlmo,       kOlmo2,      kGptNeox,
                                            kMixtral,    kQwen2Moe,   kQwen3Moe,   kGraniteMoe, kPhiMoe,
                                            kGptOss,     kDeepseekV2, kDeepseekV3, kOpenMoe,    kYuan,
                                            kPanguAlpha, kPanguSigma, kT5,         kSwitch};
  return table;
}

const Family& find_family(const std::string& name) {
  for (const Family& family : family_table())
    if (name == family.name) return family;
  fail(ErrorKind::kUnsupported, "model", "unknown family \"", name, "\"; known: ", listed(family_names()));
}

std::vector<std::string> family_names() {
  std::vector<std::string> names;
  for (const Family& family : family_table()) names.push_back(family.name);
  return names;
}

bool family_is_sparse(const std::string& name) {
  for (const Family& family : family_table())
    if (name == family.name) return family.sparse;
  return false;
}

bool family_has(const std::string& name, const std::string& key) {
  for (const Family& family : family_table())
    if (name == family.name)
      return std::find(family.keys.begin(), family.keys.end(), key) != family.keys.end();
  return false;
}

ModelConfig family_form(const ModelConfig& config) {
  ModelConfig plain, asked = config, out = config;
  find_family(config.family).fix(out);
  const auto compare = [&](auto& unset, auto& set, auto& fixed) {
    const std::vector<Field> before = fields_of(unset), wanted = fields_of(set), after = fields_of(fixed);
    for (size_t i = 0; i < wanted.size(); ++i) {
      const std::string text = field_text(wanted[i].value), own = field_text(after[i].value);
      check(text == own || text == field_text(before[i].value), "model", wanted[i].key, " = ", text,
            ", but in the family ", config.family, " it is ", own);
    }
  };
  compare(plain, asked, out);
  compare(plain.routing, asked.routing, out.routing);
  return out;
}

}  // namespace lyceum
