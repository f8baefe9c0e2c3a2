// tests/emulated: every AVX-512 intrinsic of the kernels has its emulation and its row in cases_avx512.cc;
// the emulation against the instructions, bit for bit, where the CPU has them, and against AVX2's own
// flushing of denormals.
#include <gtest/gtest.h>
#include <immintrin.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>
#include <regex>
#include <set>
#include <sstream>

#include "base/random.h"
#include "emulated/cases.h"
#include "kernels/isa.h"

namespace lyceum_emulated {
namespace {

using lyceum::RandomKey;

float from_bits(uint32_t bits) {
  float f;
  std::memcpy(&f, &bits, 4);
  return f;
}
uint32_t to_bits(float f) {
  uint32_t bits;
  std::memcpy(&bits, &f, 4);
  return bits;
}

// Words of one kind in four: any bits, floats near 1, floats with a whole part, what is special, the edge of
// what is normal, numbers of bf16, small integers.
uint32_t random_word(const RandomKey& key, int64_t i) {
  static const uint32_t special[] = {0,          0x80000000, 0x7f800000, 0xff800000, 0x7fc00000, 0xffc12345,
                                     0x7f812345, 0x00000001, 0x807fffff, 0x00800000, 0x80800000, 0x7f7fffff,
                                     0xff7fffff, 0x3f800000, 0xbf800000, 0x3f7fffff, 0x33800000, 0xb3000001};
  const uint32_t bits = static_cast<uint32_t>(key.below(2 * i, int64_t{1} << 32));
  const float normal = static_cast<float>(key.normal(2 * i + 1));
  switch (key.with(i / 4).below(0, 8)) {
    case 0:
      return bits;
    case 1:
      return to_bits(normal);
    case 2:
      return to_bits(normal * 100);
    case 3:
      return special[bits % (sizeof special / sizeof *special)];
    case 4:
      return (bits & 0x80ffffffu) + (bits % 3 << 23);
    case 5:
      return to_bits(normal) & 0xffff0000u;
    case 6:
      return to_bits(std::round(normal * 50));
    default:
      return bits % 40;
  }
}
CaseInput random_input(uint64_t seed) {
  const RandomKey key(seed);
  CaseInput in;
  unsigned char* const to[] = {in.a, in.b, in.c};
  for (int j = 0; j < 3; ++j)
    for (int64_t i = 0; i < 16; ++i) {
      const uint32_t word = random_word(key.with(j), i);
      std::memcpy(to[j] + 4 * i, &word, 4);
    }
  in.mask = seed % 5 == 0 ? ~uint64_t{0} : static_cast<uint64_t>(key.below(99, int64_t{1} << 62));
  return in;
}
CaseOutput result_of(const Case& c, const CaseInput& in) {
  CaseOutput out;
  std::memset(out.bytes, 0xee, sizeof out.bytes);
  c.run(in, &out);
  return out;
}
template <class Float>
bool same_floats(const CaseOutput& a, const CaseOutput& b) {
  for (size_t i = 0; i < sizeof a.bytes; i += sizeof(Float)) {
    Float x, y;
    std::memcpy(&x, a.bytes + i, sizeof x), std::memcpy(&y, b.bytes + i, sizeof y);
    if (std::memcmp(&x, &y, sizeof x) && !(std::isnan(x) && std::isnan(y))) return false;
  }
  return true;
}
bool near_floats(const CaseOutput& a, const CaseOutput& b) {
  for (size_t i = 0; i < sizeof a.bytes; i += 4) {
    float x, y;
    std::memcpy(&x, a.bytes + i, 4), std::memcpy(&y, b.bytes + i, 4);
    if (std::isnan(x) && std::isnan(y)) continue;
    if (!(x == y || std::abs(x - y) <= 0x1p-13f * std::abs(y) + 0x1p-126f)) return false;
  }
  return true;
}
bool agree(Equal how, const CaseOutput& a, const CaseOutput& b) {
  if (how == Equal::kFloats) return same_floats<float>(a, b);
  if (how == Equal::kDoubles) return same_floats<double>(a, b);
  if (how == Equal::kNear) return near_floats(a, b);
  return !std::memcmp(a.bytes, b.bytes, sizeof a.bytes);
}
std::string words(const unsigned char* p, size_t bytes) {
  std::ostringstream out;
  for (size_t i = 0; i < bytes; i += 4) {
    uint32_t w;
    std::memcpy(&w, p + i, 4);
    out << std::hex << w << ' ';
  }
  return out.str();
}

TEST(EmulatedIntrinsics, EveryIntrinsicOfTheKernelsHasACase) {
  std::set<std::string> known, used;
  for (const Case& c : kEmulatedCases) known.insert(c.name);
  const std::regex intrinsic("_mm512_\\w+|_mm(256)?_maskz?_\\w+");
  for (const auto& entry : std::filesystem::recursive_directory_iterator(LYCEUM_SOURCE_DIR "/src/kernels")) {
    if (!entry.is_regular_file()) continue;
    std::ifstream file(entry.path());
    const std::string text((std::istreambuf_iterator<char>(file)), {});
    for (auto at = std::sregex_iterator(text.begin(), text.end(), intrinsic); at != std::sregex_iterator();
         ++at)
      used.insert(at->str());
  }
  EXPECT_GT(used.size(), 50u);
  for (const std::string& name : used)
    EXPECT_TRUE(known.count(name))
        << name << " is used in src/kernels and has no row in tests/emulated/cases_avx512.cc";
}

TEST(EmulatedIntrinsics, GiveTheBitsOfTheInstructions) {
  if (!lyceum::isa_runs(lyceum::Isa::kAvx512))
    GTEST_SKIP() << "this CPU has no AVX-512: the emulation is held against no instruction";
  const bool bf16 = lyceum::isa_runs(lyceum::Isa::kAvx512Bf16);
  ASSERT_EQ(kRealCases.count, kEmulatedCases.count);
  for (size_t i = 0; i < kRealCases.count; ++i) {
    const Case &real = kRealCases.first[i], &emulated = kEmulatedCases.first[i];
    ASSERT_STREQ(real.name, emulated.name);
    if (!bf16 && i + 3 >= kRealCases.count) continue;
    for (uint64_t seed = 1; seed <= 2000; ++seed) {
      const CaseInput in = random_input(seed);
      const CaseOutput wanted = result_of(real, in), got = result_of(emulated, in);
      if (agree(real.equal, got, wanted)) continue;
      ADD_FAILURE() << real.name << ", row " << i << ": the instruction gives\n  " << words(wanted.bytes, 128)
                    << "\nand the emulation\n  " << words(got.bytes, 128) << "\nof\n  " << words(in.a, 64)
                    << "\n  " << words(in.b, 64) << "\n  " << words(in.c, 64) << "\n  mask " << in.mask;
      break;
    }
  }
}

const Case& emulated(const char* name) {
  for (const Case& c : kEmulatedCases)
    if (!std::strcmp(c.name, name)) return c;
  throw std::runtime_error(std::string("no case ") + name);
}

// Intel's manual: dest += odd product, then dest += even product, each by an FMA with denormals taken and
// given as zero. That is the CPU's own FMA with these two bits of MXCSR set.
__attribute__((target("avx2,fma"))) float dot_of_the_cpu(float c, uint32_t a, uint32_t b) {
  const unsigned before = _mm_getcsr();
  _mm_setcsr((before & ~0x6000u) | 0x8040u);
  __m128 sum = _mm_set_ss(c);
  sum = _mm_fmadd_ss(_mm_set_ss(from_bits(a & 0xffff0000u)), _mm_set_ss(from_bits(b & 0xffff0000u)), sum);
  sum = _mm_fmadd_ss(_mm_set_ss(from_bits(a << 16)), _mm_set_ss(from_bits(b << 16)), sum);
  const float out = _mm_cvtss_f32(sum);
  _mm_setcsr(before);
  return out;
}
TEST(EmulatedIntrinsics, DotProductIsTwoFlushingMultiplyAdds) {
  if (!lyceum::isa_runs(lyceum::Isa::kAvx2)) GTEST_SKIP() << "this CPU has no AVX2";
  const Case& dot = emulated("_mm512_dpbf16_ps");
  int edges = 0;
  for (uint64_t seed = 1; seed <= 20000; ++seed) {
    CaseInput in = random_input(seed);
    const RandomKey key(seed + 1000000);
    for (int64_t i = 0; i < 16 && seed % 2; ++i) {  // odd products near 2^-126 in sums around it
      const uint32_t bits = static_cast<uint32_t>(key.below(i, int64_t{1} << 32));
      const uint32_t a = ((127 - 70 + bits % 12) << 23 | (bits & 0x007f0000u)) & 0xffff0000u;
      const uint32_t b = ((127 - 62 + bits % 3) << 23 | (bits << 7 & 0x007f0000u)) & 0xffff0000u;
      const uint32_t c = (bits & 0x80000000u) | (1 + bits % 5) << 23 | (bits & 0x007f0000u) * (bits >> 8 & 1);
      std::memcpy(in.a + 4 * i, &a, 4), std::memcpy(in.b + 4 * i, &b, 4), std::memcpy(in.c + 4 * i, &c, 4);
      if (bits >> 9 & 1) {  // c = +-2^-125 and a product close to -+2^-126: right at the edge
        const float product = -0x1p-126f * (1 - 0x1p-8f * static_cast<float>(bits >> 10 & 1));
        const uint32_t p = to_bits(product * 0x1p126f), q = to_bits(0x1p-126f), r = to_bits(0x1p-125f);
        std::memcpy(in.a + 4 * i, &p, 4), std::memcpy(in.b + 4 * i, &q, 4), std::memcpy(in.c + 4 * i, &r, 4);
      }
    }
    const CaseOutput got = result_of(dot, in);
    for (int i = 0; i < 16; ++i) {
      uint32_t a, b;
      float c, g;
      std::memcpy(&a, in.a + 4 * i, 4), std::memcpy(&b, in.b + 4 * i, 4);
      std::memcpy(&c, in.c + 4 * i, 4), std::memcpy(&g, got.bytes + 4 * i, 4);
      const float wanted = dot_of_the_cpu(c, a, b);
      edges += std::abs(wanted) == 0x1p-126f;
      ASSERT_TRUE(to_bits(g) == to_bits(wanted) || (std::isnan(g) && std::isnan(wanted)))
          << "seed " << seed << " lane " << i << ": a " << std::hex << a << " b " << b << " c " << to_bits(c)
          << " wanted " << to_bits(wanted) << " found " << to_bits(g);
    }
  }
  EXPECT_GT(edges, 100);
}

// A double holds x 2^n of floats exactly, and rounds x - floor(x) where a float would.
TEST(EmulatedIntrinsics, ScaleAndFractionEqualTheirDefinitionInDouble) {
  if (!lyceum::isa_runs(lyceum::Isa::kAvx2)) GTEST_SKIP() << "this CPU has no AVX2";
  for (uint64_t seed = 1; seed <= 5000; ++seed) {
    const CaseInput in = random_input(seed);
    const CaseOutput scaled = result_of(emulated("_mm512_scalef_ps"), in);
    const CaseOutput fraction = result_of(emulated("_mm512_reduce_ps"), in);
    for (int i = 0; i < 16; ++i) {
      float x, n, s, f;
      std::memcpy(&x, in.a + 4 * i, 4), std::memcpy(&n, in.b + 4 * i, 4);
      std::memcpy(&s, scaled.bytes + 4 * i, 4), std::memcpy(&f, fraction.bytes + 4 * i, 4);
      if (!std::isfinite(x) || !std::isfinite(n)) continue;
      const double power = std::min(400.0, std::max(-400.0, std::floor(static_cast<double>(n))));
      ASSERT_EQ(s, static_cast<float>(std::ldexp(static_cast<double>(x), static_cast<int>(power))))
          << x << " * 2^" << n;
      ASSERT_TRUE(f >= 0 && f < 1) << x;
      ASSERT_LE(std::abs(f - (static_cast<double>(x) - std::floor(static_cast<double>(x)))), 0x1p-24) << x;
    }
  }
}

}  // namespace
}  // namespace lyceum_emulated
