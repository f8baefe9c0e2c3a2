// `lyceum bench products` and `lyceum bench ops`: lists of cases, one row for each.
#include <cstdio>

#include "base/error.h"
#include "bench/load.h"
#include "bench/ops.h"
#include "cli/bench/results.h"
#include "cli/bench/run.h"

namespace lyceum::bench {
namespace {

void run_cases(const std::string& what, const std::vector<BenchCase>& cases, const MeasureOptions& o) {
  bool begun = false;
  const std::vector<Result> results = measure(cases, o.seconds, [&](const Result& r) {
    if (!begun) std::printf("%s; %s\n", machine_text().c_str(), what.c_str()), print_head();
    begun = true;
    print_result(r);
  });
  write_results(o.json, results);
}

}  // namespace

void run_products(const ProductsOptions& o) {
  if (o.shape == "head") return run_cases("products of the head", head_cases(o.head), o);
  run_cases("products of " + o.shape, layer_cases(layer_shape(o.shape, o.n_experts)), o);
}

void run_ops(const OpsOptions& o) {
  const std::vector<BenchCase> all = op_cases();
  std::vector<BenchCase> cases;
  std::string names;
  for (const BenchCase& c : all) {
    names += (names.empty() ? "\"" : ", \"") + c.name + "\"";
    if (c.name.find(o.only) != std::string::npos) cases.push_back(c);
  }
  check(!cases.empty(), "bench", "wanted part of the name of a case, found \"", o.only, "\"; cases are ",
        names);
  run_cases("ops", cases, o);
}

void run_load(const LoadOptions& o) { run_cases("opening " + o.model, load_cases(o.model), o); }

}  // namespace lyceum::bench
