// The tiles of tiles_amx.h in portable code, with the bits of the instructions: inputs and results that are
// denormal count as zero; the products of even and of odd k are summed apart from zero by fused
// multiply-adds, then together, then onto C.
struct Tiles {
  struct alignas(64) Memory {
    uint32_t word[8][16][16];
  };
  static Memory& memory() {
    static thread_local Memory tiles;
    return tiles;
  }
  static float as_float(uint32_t bits) {
    float f;
    __builtin_memcpy(&f, &bits, 4);
    return f;
  }
  static float flushed(float f) {
    uint32_t bits;
    __builtin_memcpy(&bits, &f, 4);
    return as_float(bits & 0x7f800000u ? bits : bits & 0x80000000u);
  }
  static void begin() {}
  static void end() {}
  template <int kTile>
  static void zero() {
    __builtin_memset(memory().word[kTile], 0, 1024);
  }
  template <int kTile>
  static void load(const void* from, int64_t stride) {
    for (int64_t i = 0; i < 16; ++i)
      __builtin_memcpy(memory().word[kTile][i], static_cast<const char*>(from) + i * stride, 64);
  }
  template <int kTile>
  static void store(void* to, int64_t stride) {
    for (int64_t i = 0; i < 16; ++i)
      __builtin_memcpy(static_cast<char*>(to) + i * stride, memory().word[kTile][i], 64);
  }
  template <int kC, int kA, int kB>
  static void dot() {
    Memory& m = memory();
    for (int i = 0; i < 16; ++i)
      for (int j = 0; j < 16; ++j) {
        float even = 0, odd = 0;
        for (int k = 0; k < 16; ++k) {
          const uint32_t a = m.word[kA][i][k], b = m.word[kB][k][j];
          even = flushed(__builtin_fmaf(flushed(as_float(a << 16)), flushed(as_float(b << 16)), even));
          odd = flushed(
              __builtin_fmaf(flushed(as_float(a & 0xffff0000u)), flushed(as_float(b & 0xffff0000u)), odd));
        }
        const float c = flushed(flushed(as_float(m.word[kC][i][j])) + flushed(even + odd));
        __builtin_memcpy(&m.word[kC][i][j], &c, 4);
      }
  }
};
