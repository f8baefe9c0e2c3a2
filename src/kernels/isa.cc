#include "kernels/isa.h"

#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>

#include "base/error.h"

namespace lyceum {
namespace {

uint64_t xcr0() {  // which register states the operating system saves
  uint32_t low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (static_cast<uint64_t>(high) << 32) | low;
}

// Linux gives a process the AMX tile registers only on request (arch_prctl(ARCH_REQ_XCOMP_PERM, XTILEDATA)).
bool request_tiles() {
  constexpr int kRequest = 0x1023, kTileData = 18;
  return syscall(SYS_arch_prctl, kRequest, kTileData) == 0;
}

CpuInfo detect() {
  CpuInfo info;
  unsigned a = 0, b = 0, c = 0, d = 0;
  char brand[49] = {};
  if (__get_cpuid(0x80000000u, &a, &b, &c, &d) && a >= 0x80000004u)
    for (unsigned i = 0; i < 3; ++i) {
      unsigned r[4];
      __get_cpuid(0x80000002u + i, &r[0], &r[1], &r[2], &r[3]);
      std::memcpy(brand + 16 * i, r, 16);
    }
  info.name = brand;
  while (!info.name.empty() && info.name.back() == ' ') info.name.pop_back();
  char vendor[13] = {};
  __get_cpuid(0, &a, &b, &c, &d);
  std::memcpy(vendor, &b, 4), std::memcpy(vendor + 4, &d, 4), std::memcpy(vendor + 8, &c, 4);
  if (!__get_cpuid(1, &a, &b, &c, &d)) return info;
  info.family = static_cast<int>((a >> 8) & 15);
  info.model = static_cast<int>(((a >> 4) & 15) | ((a >> 12) & 0xf0));
  if (info.family == 15) info.family += static_cast<int>((a >> 20) & 255);
  const bool osxsave = c & (1u << 27), fma = c & (1u << 12), f16c = c & (1u << 29);
  if (!osxsave) return info;
  const uint64_t saved = xcr0();
  const bool ymm = (saved & 6) == 6, zmm = (saved & 0xe6) == 0xe6, tiles = (saved & 0x60000) == 0x60000;
  unsigned b7 = 0, c7 = 0, d7 = 0;
  if (!__get_cpuid_count(7, 0, &a, &b7, &c7, &d7)) return info;
  info.avx2 = ymm && fma && f16c && (b7 & (1u << 5));
#ifdef LYCEUM_EMULATED_ISA  // a copy of the kernels for tests: what AVX2 cannot do is emulated with it
  info.name = "AVX-512 and AMX emulated on " + info.name;
  info.avx512 = info.avx512_bf16 = info.amx_bf16 = info.avx2;
  return info;
#endif
  const unsigned f_dq_bw_vl = (1u << 16) | (1u << 17) | (1u << 30) | (1u << 31);
  info.avx512 = info.avx2 && zmm && (b7 & f_dq_bw_vl) == f_dq_bw_vl;
  info.avx512_vnni = info.avx512 && (c7 & (1u << 11));
  info.avx512_fp16 = info.avx512 && (d7 & (1u << 23));
  unsigned a1 = 0;
  if (__get_cpuid_count(7, 1, &a1, &b, &c, &d)) info.avx512_bf16 = info.avx512 && (a1 & (1u << 5));
  const bool amx_tile = d7 & (1u << 24);
  if (info.avx512_bf16 && tiles && amx_tile && request_tiles()) {
    info.amx_bf16 = d7 & (1u << 22);
    info.amx_int8 = d7 & (1u << 25);
  }
  info.fast_bf16_dot = info.avx512_bf16 && !std::strcmp(vendor, "AuthenticAMD");
  return info;
}

Isa best_level() {
  if (isa_runs(Isa::kAmx)) return Isa::kAmx;
  if (isa_runs(Isa::kAvx512Bf16) && cpu_info().fast_bf16_dot) return Isa::kAvx512Bf16;
  if (isa_runs(Isa::kAvx512)) return Isa::kAvx512;
  if (isa_runs(Isa::kAvx2)) return Isa::kAvx2;
  return Isa::kReference;
}

constexpr Isa kAll[] = {Isa::kReference,  Isa::kAvx2, Isa::kAvx512,
                        Isa::kAvx512Bf16, Isa::kAmx,  Isa::kAmxEmulated};

Isa initial_level() {
  const char* text = std::getenv("LYCEUM_ISA");
  if (!text || !*text) return best_level();
  for (Isa isa : kAll)
    if (!std::strcmp(text, isa_name(isa))) {
      if (!isa_runs(isa))
        fail(ErrorKind::kUnsupported, "LYCEUM_ISA", "this CPU (", cpu_info().name, ") cannot run ", text,
             "; its best level is ", isa_name(best_level()));
      return isa;
    }
  fail(ErrorKind::kInvalidArgument, "LYCEUM_ISA",
       "wanted reference, avx2, avx512, avx512_bf16, amx or amx_emulated, found \"", text, "\"");
}

Isa& level_cell() {
  static Isa level = initial_level();
  return level;
}

}  // namespace

const char* isa_name(Isa isa) {
  static const char* names[] = {"reference", "avx2", "avx512", "avx512_bf16", "amx", "amx_emulated"};
  return names[static_cast<int>(isa)];
}

const CpuInfo& cpu_info() {
  static const CpuInfo info = detect();
  return info;
}

bool isa_runs(Isa isa) {
  const CpuInfo& cpu = cpu_info();
  switch (isa) {
    case Isa::kReference:
    case Isa::kAmxEmulated:
      return true;
    case Isa::kAvx2:
      return cpu.avx2;
    case Isa::kAvx512:
      return cpu.avx512;
    case Isa::kAvx512Bf16:
      return cpu.avx512_bf16;
    case Isa::kAmx:
      return cpu.amx_bf16;
  }
  return false;
}

Isa isa_level() { return level_cell(); }

void set_isa_level(Isa isa) {
  if (!isa_runs(isa))
    fail(ErrorKind::kUnsupported, "isa", "this CPU (", cpu_info().name, ") cannot run ", isa_name(isa));
  level_cell() = isa;
}

std::vector<Isa> runnable_isas() {
  std::vector<Isa> out;
  for (Isa isa : kAll)
    if (isa_runs(isa)) out.push_back(isa);
  return out;
}

const std::vector<Isa>& fallback_order(Isa level) {  // asked at every product: nothing is allocated here
  static const std::vector<Isa> reference = {Isa::kReference}, avx2 = {Isa::kAvx2, Isa::kReference},
                                avx512 = {Isa::kAvx512, Isa::kAvx2, Isa::kReference},
                                dot = {Isa::kAvx512Bf16, Isa::kAvx512, Isa::kAvx2, Isa::kReference},
                                tiles = {Isa::kAmx, Isa::kAvx512, Isa::kAvx2, Isa::kReference},
                                emulated = {Isa::kAmxEmulated, Isa::kReference};
  switch (level) {
    case Isa::kReference:
      return reference;
    case Isa::kAvx2:
      return avx2;
    case Isa::kAvx512:
      return avx512;
    case Isa::kAvx512Bf16:
      return dot;
    case Isa::kAmx:
      return tiles;
    case Isa::kAmxEmulated:
      return emulated;
  }
  return reference;
}

}  // namespace lyceum
