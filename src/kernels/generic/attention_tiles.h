// The product of attention on tiles, real or emulated: E = bf16, operands in pairs of k.
using E = bf16;
static inline void begin_products() { Tiles::begin(); }
static inline void end_products() { Tiles::end(); }

// c [m, n] (+)= a [m, k] b [k / 2][n][2]; m, n, k multiples of 32. Four tiles of sums, the whole k in them.
static void product(int64_t m, int64_t n, int64_t k, const E* a, int64_t lda, const E* b, int64_t ldb,
                    float* c, int64_t ldc, bool accumulate) {
  const int64_t a_stride = lda * 2, b_stride = ldb * 4, c_stride = ldc * 4;
  for (int64_t j = 0; j < n; j += 32)
    for (int64_t i = 0; i < m; i += 32) {
      float* to = c + i * ldc + j;
      if (accumulate) {
        Tiles::load<0>(to, c_stride), Tiles::load<1>(to + 16, c_stride);
        Tiles::load<2>(to + 16 * ldc, c_stride), Tiles::load<3>(to + 16 * ldc + 16, c_stride);
      } else {
        Tiles::zero<0>(), Tiles::zero<1>(), Tiles::zero<2>(), Tiles::zero<3>();
      }
      const E *row = a + i * lda, *column = b + j * 2;
      for (int64_t p = 0; p < k; p += 32, row += 32, column += ldb * 32) {
        Tiles::load<6>(column, b_stride);
        Tiles::load<4>(row, a_stride);
        Tiles::dot<0, 4, 6>();
        Tiles::load<7>(column + 32, b_stride);
        Tiles::dot<1, 4, 7>();
        Tiles::load<5>(row + 16 * lda, a_stride);
        Tiles::dot<2, 5, 6>();
        Tiles::dot<3, 5, 7>();
      }
      Tiles::store<0>(to, c_stride), Tiles::store<1>(to + 16, c_stride);
      Tiles::store<2>(to + 16 * ldc, c_stride), Tiles::store<3>(to + 16 * ldc + 16, c_stride);
    }
}
