#include "bench/load.h"

#include "models/weights.h"

namespace lyceum::bench {

std::vector<BenchCase> load_cases(const std::string& folder) {
  const double bytes = static_cast<double>(TensorFiles(folder).total_bytes());
  return {
      {"open", Limit::kUpdate,
       [folder] {
         return OpenCase{0, [folder] { TensorFiles files(folder); }};
       }},
      {"load", Limit::kUpdate,
       [folder, bytes] {
         refuse_what_cannot_fit("the weights of " + folder, bytes, "take a smaller model");
         return OpenCase{2 * bytes, [folder] { open_model(folder, DType::kBF16); }};
       }},
  };
}

}  // namespace lyceum::bench
