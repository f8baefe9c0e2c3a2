#include "kernels/paths.h"

#include <cstdlib>

#include "kernels/attention_table.h"
#include "kernels/isa.h"
#include "kernels/product_blocks.h"
#include "kernels/row_table.h"

namespace lyceum::kernels {
namespace {

std::string reason(const std::string& path, bool bf16) {
  const CpuInfo& cpu = cpu_info();
  if (const char* forced = std::getenv("LYCEUM_ISA"); forced && *forced)
    return path == forced ? "LYCEUM_ISA asks for it"
                          : std::string("the best below LYCEUM_ISA=") + forced + " that has it";
  if (path == "amx") return "tiles multiply bf16 fastest here";
  if (path == "avx512_bf16") return "this CPU takes vdpbf16ps at full rate";
  if (path == "avx512") {
    if (bf16 && cpu.avx512_bf16 && !cpu.amx_bf16) return "vdpbf16ps is slower than f32 products on this CPU";
    return bf16 ? "the widest set this CPU has" : "f32 operands: tiles and vdpbf16ps take bf16 only";
  }
  if (path == "avx2") return "this CPU has no AVX-512";
  return "no faster table runs here";
}

}  // namespace

std::vector<KernelPath> kernel_paths() {
  std::vector<KernelPath> out;
  const auto add = [&](const char* op, const std::string& path, bool bf16) {
    out.push_back({op, path, reason(path, bf16)});
  };
  for (bool bf16 : {true, false}) {
    const DType type = bf16 ? DType::kBF16 : DType::kF32;
    const ProductTable* table = product_table(type, type);
    add(bf16 ? "products and experts, bf16" : "products and experts, f32", table ? table->name : "reference",
        bf16);
    add(bf16 ? "attention, bf16" : "attention, f32", isa_name(attention_isa(bf16)), bf16);
  }
  const RowTable& rows = row_table();
  const char* name = &rows == &kRowsAvx512 ? "avx512" : &rows == &kRowsAvx2 ? "avx2" : "reference";
  out.push_back({"norms, softmax, rope, optimiser", name,
                 std::string(name) == "avx512" ? "f32 arithmetic, sixteen lanes" : reason(name, true)});
  return out;
}

}  // namespace lyceum::kernels
