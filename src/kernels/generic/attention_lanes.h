// The product of attention on vector lanes. Before it stand E, kRegisterRows and dot(a, b, c): c + a b for
// one register of words, a word being one float or a pair of bf16.
static inline void begin_products() {}
static inline void end_products() {}

static inline F broadcast_word(const E* p) {
  float word;
  __builtin_memcpy(&word, p, 4);
  return splat(word);
}

// kRows x 2 registers of sums of c (+)= a b.
template <int kRows>
static inline void product_tile(int64_t k, const E* a, int64_t lda, const E* b, int64_t ldb, float* c,
                                int64_t ldc, bool accumulate) {
  constexpr int64_t kPair = 4 / sizeof(E);
  F sum[kRows][2];
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
    sum[r][0] = accumulate ? load(c + r * ldc, Full{}) : splat(0);
    sum[r][1] = accumulate ? load(c + r * ldc + kLanes, Full{}) : splat(0);
  }
  for (int64_t p = 0; p < k; p += kPair, a += kPair, b += ldb * kPair) {
    const F b0 = load(reinterpret_cast<const float*>(b), Full{});
    const F b1 = load(reinterpret_cast<const float*>(b) + kLanes, Full{});
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
      const F x = broadcast_word(a + r * lda);
      sum[r][0] = dot(x, b0, sum[r][0]);
      sum[r][1] = dot(x, b1, sum[r][1]);
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
    store(c + r * ldc, sum[r][0], Full{});
    store(c + r * ldc + kLanes, sum[r][1], Full{});
  }
}

// c [m, n] (+)= a [m, k] b [k / pair][n][pair]; m, n, k multiples of 32.
static void product(int64_t m, int64_t n, int64_t k, const E* a, int64_t lda, const E* b, int64_t ldb,
                    float* c, int64_t ldc, bool accumulate) {
  constexpr int64_t kPair = 4 / sizeof(E);
  for (int64_t j = 0; j < n; j += 2 * kLanes, b += 2 * kLanes * kPair, c += 2 * kLanes) {
    int64_t i = 0;
    for (; i + kRegisterRows <= m; i += kRegisterRows)
      product_tile<kRegisterRows>(k, a + i * lda, lda, b, ldb, c + i * ldc, ldc, accumulate);
    for (; i < m; i += 2) product_tile<2>(k, a + i * lda, lda, b, ldb, c + i * ldc, ldc, accumulate);
  }
}
