// What `lyceum bench` does, verb by verb; src/cli/bench.cc has their options. Each prints a table.
#pragma once

#include "bench/products.h"
#include "bench/routers.h"

namespace lyceum::bench {

struct MeasureOptions {
  double seconds = 1;  // of each case
  std::string json;    // the file that gets the results too
};

struct ProductsOptions : MeasureOptions {
  std::string shape = "small";
  int64_t n_experts = 0;  // 0: the shape's
  HeadShape head;
};
void run_products(const ProductsOptions& options);

struct OpsOptions : MeasureOptions {
  std::string only;  // cases that have this in their name
};
void run_ops(const OpsOptions& options);

struct RoutersOptions : MeasureOptions {
  RouterShape shape;
  std::vector<std::string> names;  // empty: all
};
void run_routers(const RoutersOptions& options);

struct FamiliesOptions : MeasureOptions {
  std::vector<std::string> names;  // empty: all
  bool ops = false;                // and where the time of each goes
  std::string recipes = "recipes/families";
};
void run_families(const FamiliesOptions& options);

struct LoadOptions : MeasureOptions {
  std::string model;  // a directory
};
void run_load(const LoadOptions& options);

struct StepOptions {
  std::string shape = "small", optimizer = "adamw", model, data;
  int64_t sequences = 0, length = 512, micro_batches = 8, repeats = 3;
  bool recompute = false;
};
void run_step(const StepOptions& options);

}  // namespace lyceum::bench
