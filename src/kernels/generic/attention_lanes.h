// The product of attention on vector lanes. Before it stand E, kRegisterRows and dot(a, b, c): c + a b for
// one register of words, a word being one float or a pair of bf16.
static inline void begin_products() {}
static inline void end_products() {}

static inline F broadcast_word(const E* p) {
  float word;
  __builtin_memcpy(&word, p, 4);
  return splat(word);
}

// c [m, n] (+)= a [m, k] b [k / pair][n][pair]; m, n, k multiples of 32. kRegisterRows x 2 registers of sums.
static void product(int64_t m, int64_t n, int64_t k, const E* a, int64_t lda, const E* b, int64_t ldb,
                    float* c, int64_t ldc, bool accumulate) {
  constexpr int64_t kPair = 4 / sizeof(E);
  for (int64_t j = 0; j < n; j += 2 * kLanes)
    for (int64_t i = 0; i < m; i += kRegisterRows) {
      F sum[kRegisterRows][2];
      float* to = c + i * ldc + j;
#pragma GCC unroll 16
      for (int r = 0; r < kRegisterRows; ++r) {
        sum[r][0] = accumulate ? load(to + r * ldc, Full{}) : splat(0);
        sum[r][1] = accumulate ? load(to + r * ldc + kLanes, Full{}) : splat(0);
      }
      const E *row = a + i * lda, *column = b + j * kPair;
      for (int64_t p = 0; p < k; p += kPair, row += kPair, column += ldb * kPair) {
        const F b0 = load(reinterpret_cast<const float*>(column), Full{});
        const F b1 = load(reinterpret_cast<const float*>(column) + kLanes, Full{});
#pragma GCC unroll 16
        for (int r = 0; r < kRegisterRows; ++r) {
          const F x = broadcast_word(row + r * lda);
          sum[r][0] = dot(x, b0, sum[r][0]);
          sum[r][1] = dot(x, b1, sum[r][1]);
        }
      }
#pragma GCC unroll 16
      for (int r = 0; r < kRegisterRows; ++r) {
        store(to + r * ldc, sum[r][0], Full{});
        store(to + r * ldc + kLanes, sum[r][1], Full{});
      }
    }
}
