// The AMX tile registers: eight of 16 rows x 64 bytes. Included inside the unnamed namespace of a file
// compiled with AMX flags. Assembler, since the intrinsics want literal numbers.
struct Tiles {
  static inline void begin() {
    struct alignas(64) {
      uint8_t palette, start_row, reserved[14];
      uint16_t row_bytes[16];
      uint8_t rows[16];
    } config;
    __builtin_memset(&config, 0, sizeof config);
    config.palette = 1;
    for (int i = 0; i < 8; ++i) config.row_bytes[i] = 64, config.rows[i] = 16;
    __asm__ volatile("ldtilecfg %0" ::"m"(config) : "memory");
  }
  static inline void end() { __asm__ volatile("tilerelease" ::: "memory"); }
  template <int kTile>
  static inline __attribute__((always_inline)) void zero() {
    __asm__ volatile("tilezero %%tmm%c0" ::"i"(kTile));
  }
  // 16 rows of 64 bytes that stand `stride` bytes apart.
  template <int kTile>
  static inline __attribute__((always_inline)) void load(const void* from, int64_t stride) {
    __asm__ volatile("tileloadd (%0,%1,1), %%tmm%c2" ::"r"(from), "r"(stride), "i"(kTile) : "memory");
  }
  template <int kTile>
  static inline __attribute__((always_inline)) void store(void* to, int64_t stride) {
    __asm__ volatile("tilestored %%tmm%c2, (%0,%1,1)" ::"r"(to), "r"(stride), "i"(kTile) : "memory");
  }
  // C [16][16] f32 += A [16][16 pairs] B [16 pairs][16], bf16.
  template <int kC, int kA, int kB>
  static inline __attribute__((always_inline)) void dot() {
    __asm__ volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(kC), "i"(kA), "i"(kB));
  }
};
