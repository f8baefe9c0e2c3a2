// Which instruction sets run here, asked once of the CPU and of the operating system.
//
// Levels are sets, each containing the ones before it except that AMX and AVX512_BF16 are independent of each
// other. A kernel table holds one entry per level it implements; select() takes the best entry that may run,
// and which of two levels that both run is better is a measured fact of the CPU (vdpbf16ps is slow on Intel,
// fast on Zen 4/5). LYCEUM_ISA=reference|avx2|avx512|avx512_bf16|amx|amx_emulated forces a level (and refuses
// one that cannot run).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace lyceum {

enum class Isa : uint8_t { kReference, kAvx2, kAvx512, kAvx512Bf16, kAmx, kAmxEmulated };

const char* isa_name(Isa isa);

struct CpuInfo {
  std::string name;  // "Intel(R) Xeon(R) Processor", "AMD EPYC 9R45"
  int family = 0, model = 0;
  bool avx2 = false, avx512 = false, avx512_bf16 = false, avx512_vnni = false, avx512_fp16 = false,
       amx_bf16 = false, amx_int8 = false;
  bool fast_bf16_dot = false;  // vdpbf16ps at full rate (AMD)
};
const CpuInfo& cpu_info();

// True if `isa` can run here (kReference and kAmxEmulated always).
bool isa_runs(Isa isa);
// The level in force: LYCEUM_ISA or the best for this CPU. Throws kUnsupported if the forced one cannot run.
Isa isa_level();
// Changes the level (tests, bench). Not while kernels run.
void set_isa_level(Isa isa);
// Levels that run here, weakest first, for tests that walk them all.
std::vector<Isa> runnable_isas();
// The levels to look for an entry in, best first, when `level` is in force: a table overrides what it does
// better.
const std::vector<Isa>& fallback_order(Isa level);

}  // namespace lyceum
