// Which instruction set each kind of op takes at the level in force, and why: for `lyceum doctor` and the
// summary of tests.
#pragma once

#include <string>
#include <vector>

namespace lyceum::kernels {

struct KernelPath {
  std::string op;    // "products, bf16", "attention, bf16", "norms, softmax, optimiser", ...
  std::string path;  // name of the level whose table is taken
  std::string why;
};
std::vector<KernelPath> kernel_paths();

}  // namespace lyceum::kernels
