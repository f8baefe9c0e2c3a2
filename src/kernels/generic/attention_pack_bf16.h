// How attention lays out its operands for products over pairs of bf16 (E = bf16, 16 lanes, rows in bf16).
constexpr int64_t kPair = 2;
constexpr int kDegree = 4;  // of 2^x

static inline const bf16* elements(const ConstRows& r) { return static_cast<const bf16*>(r.data); }

// A register of pairs (words) of a row, from column 2 w on; zeros past the width d.
static inline F load_words(const ConstRows& r, int64_t at, int64_t w, int64_t d) {
  const float* p = reinterpret_cast<const float*>(elements(r) + at + 2 * w);
  const int64_t left = d / 2 - w;
  return left >= 16 ? load(p, Full{}) : left > 0 ? load(p, Tail(left)) : splat(0);
}

// to[i][dp] = rows of `d` columns, zeros beyond rows and d.
static void pack_rows(E* to, const ConstRows& r, int64_t at, int64_t rows, int64_t padded, int64_t d,
                      int64_t dp) {
  for (int64_t i = 0; i < padded; ++i, at += r.stride)
    for (int64_t w = 0; w < dp / 2; w += 16)
      store(reinterpret_cast<float*>(to + i * dp + 2 * w), i < rows ? load_words(r, at, w, d) : splat(0),
            Full{});
}

static inline F interleave_rows(const ConstRows& r, int64_t at, bool first, bool second, int64_t gap,
                                int64_t left) {
  if (!first || left <= 0) return splat(0);
  const bf16* a = elements(r) + at;
  const bf16* b = second ? a + gap * r.stride : nullptr;
  return left >= 16 ? interleave(a, b, Full{}) : interleave(a, b, Tail(left));
}

// Operand B of sums over rows: to[g][16][dp] words, word = (row 32 g + i, row 32 g + i + 16); see
// emit_gradient for the same order of rows.
static void pack_contracted(E* to, const ConstRows& r, int64_t at, int64_t rows, int64_t padded, int64_t d,
                            int64_t dp) {
  for (int64_t g = 0; g < padded; g += 32)
    for (int64_t i = 0; i < 16; ++i)
      for (int64_t c = 0; c < dp; c += 16, to += 32)
        store(reinterpret_cast<float*>(to),
              interleave_rows(r, at + (g + i) * r.stride + c, g + i < rows, g + i + 16 < rows, 16, d - c),
              Full{});
}

// to[dp][kKeys] = up to kKeys rows transposed.
static void pack_transposed(E* to, const ConstRows& r, int64_t at, int64_t rows, int64_t d, int64_t dp) {
  for (int64_t j = 0; j < kKeys; j += 32)
    for (int64_t c = 0; c < dp; c += 16) {
      F block[16];
#pragma GCC unroll 16
      for (int p = 0; p < 16; ++p) {
        const int64_t row = j + 2 * p;
        block[p] = interleave_rows(r, at + row * r.stride + c, row < rows, row + 1 < rows, 1, d - c);
      }
      transpose(block);
#pragma GCC unroll 16
      for (int i = 0; i < 16; ++i)
        store(reinterpret_cast<float*>(to + (c + i) * kKeys + j), block[i], Full{});
    }
}

// Probabilities of keys j, j + 1 for one register of queries, as operand B of sums over keys.
static inline void emit_pair(E* p, int64_t j, int64_t lane, F even, F odd) {
  store(reinterpret_cast<float*>(p + (j / 2 * kBlock + lane) * 2), pack_words(even, odd), Full{});
}
// Keys j, j + 1 for all 32 queries of a block: as operand A of sums over queries, whose word i is the pair of
// queries (i, i + 16).                                                           to [key][kQueries]
static inline void emit_row(E* to, int64_t j, const F* lanes) {
  store(reinterpret_cast<float*>(to + j * kQueries), pack_words(lanes[0], lanes[1]), Full{});
}
