// Element types and borrowed views. Included by files that are compiled with ISA flags, so everything here is
// static or constexpr: nothing in it may become a weak symbol.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

// Where the compiler is to take a vector to be; emulated registers (tests/emulated) are memory.
#ifdef LYCEUM_EMULATED_ISA
#define LYCEUM_REGISTER "m"
#else
#define LYCEUM_REGISTER "v"
#endif

// clang 16 crashes when it sees that a value used as 32 bf16 is a broadcast; gcc needs to see it.
#ifdef __clang__
#define LYCEUM_OPAQUE(x) __asm__("" : "+" LYCEUM_REGISTER(x))
#else
#define LYCEUM_OPAQUE(x) (void)0
#endif

namespace lyceum {

enum class DType : uint8_t { kF32, kBF16, kF16, kI32, kI16, kU8 };

constexpr size_t dtype_size(DType type) {
  return type == DType::kF32 || type == DType::kI32 ? 4 : type == DType::kU8 ? 1 : 2;
}

constexpr const char* dtype_name(DType type) {
  constexpr const char* names[] = {"f32", "bf16", "f16", "i32", "i16", "u8"};
  return names[static_cast<int>(type)];
}

// bfloat16: the high half of a float.
struct bf16 {
  uint16_t bits;
};

// IEEE binary16; files hold it, kernels convert it.
struct half {
  uint16_t bits;
};

static inline float to_float(bf16 x) {
  const uint32_t bits = static_cast<uint32_t>(x.bits) << 16;
  float f;
  std::memcpy(&f, &bits, 4);
  return f;
}

// Round to nearest even; NaN stays NaN.
static inline bf16 to_bf16(float f) {
  uint32_t bits;
  std::memcpy(&bits, &f, 4);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return bf16{static_cast<uint16_t>((bits >> 16) | 0x40)};
  return bf16{static_cast<uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1)) >> 16)};
}

// Borrowed rows of activations, row major; `stride` counts elements between rows. f32 or bf16.
struct Rows {
  void* data = nullptr;
  DType type = DType::kF32;
  int64_t stride = 0;
};
struct ConstRows {
  const void* data = nullptr;
  DType type = DType::kF32;
  int64_t stride = 0;
  ConstRows() = default;
  ConstRows(const void* d, DType t, int64_t s) : data(d), type(t), stride(s) {}
  ConstRows(const Rows& r) : data(r.data), type(r.type), stride(r.stride) {}
};
// The same rows, seen from row or column `first` on; none stay none.
inline Rows rows_from(Rows x, int64_t first) {
  if (x.data)
    x.data = static_cast<char*>(x.data) + first * x.stride * static_cast<int64_t>(dtype_size(x.type));
  return x;
}
inline ConstRows rows_from(ConstRows x, int64_t first) {
  if (x.data)
    x.data = static_cast<const char*>(x.data) + first * x.stride * static_cast<int64_t>(dtype_size(x.type));
  return x;
}
inline Rows columns_from(Rows x, int64_t first) {
  x.data = static_cast<char*>(x.data) + first * static_cast<int64_t>(dtype_size(x.type));
  return x;
}
inline ConstRows columns_from(ConstRows x, int64_t first) {
  x.data = static_cast<const char*>(x.data) + first * static_cast<int64_t>(dtype_size(x.type));
  return x;
}

enum class Activation : uint8_t {
  kSilu,
  kGelu,
  kGeluTanh,
  kRelu,
  kQuickGelu,  // x sigmoid(1.702 x)
  kIdentity,
  kClampedSwiglu,  // these two are no function of one number: kernels/expert_rows.h
  kDoubleGated
};

}  // namespace lyceum
