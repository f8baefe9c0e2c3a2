// One call of every emulated intrinsic; see cases_avx512.cc.
#pragma once

#include <cstddef>
#include <cstdint>

namespace lyceum_emulated {

struct alignas(64) CaseInput {
  unsigned char a[64], b[64], c[64];
  uint64_t mask;
};
struct alignas(64) CaseOutput {
  unsigned char bytes[128];
};
enum class Equal : uint8_t {
  kBits,
  kFloats,   // the same bits, but for which NaN it is
  kDoubles,  // the same
  kNear      // relative difference of floats below 2^-13
};
struct Case {
  const char* name;
  Equal equal;
  void (*run)(const CaseInput& in, CaseOutput* out);
};
struct Cases {
  const Case* first;
  size_t count;
  const Case* begin() const { return first; }
  const Case* end() const { return first + count; }
};

extern const Cases kEmulatedCases;
extern const Cases kRealCases;  // only where isa_runs(kAvx512), the last three kAvx512Bf16

}  // namespace lyceum_emulated
