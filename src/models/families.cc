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
  std::string known;
  for (const std::string& n : family_names()) known += (known.empty() ? "" : ", ") + n;
  fail(ErrorKind::kUnsupported, "model", "unknown family \"", name, "\"; known: ", known);
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

}  // namespace lyceum
