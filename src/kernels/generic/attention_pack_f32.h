// How attention lays out its operands for f32 products (E = float; rows of f32 or bf16). The words of
// attention_pack_bf16.h, with words of one float.
constexpr int64_t kPair = 1;
constexpr int kDegree = 5;

static inline F load_words(const ConstRows& r, int64_t at, int64_t w, int64_t d) {
  return get_left(r, at + w, d - w);
}

static void pack_rows(E* to, const ConstRows& r, int64_t at, int64_t rows, int64_t padded, int64_t d,
                      int64_t dp) {
  for (int64_t i = 0; i < padded; ++i, at += r.stride)
    for (int64_t w = 0; w < dp; w += kLanes)
      store(to + i * dp + w, i < rows ? load_words(r, at, w, d) : splat(0), Full{});
}

static void pack_contracted(E* to, const ConstRows& r, int64_t at, int64_t rows, int64_t padded, int64_t d,
                            int64_t dp) {
  pack_rows(to, r, at, rows, padded, d, dp);
}

static void pack_transposed(E* to, const ConstRows& r, int64_t at, int64_t rows, int64_t d, int64_t dp) {
  for (int64_t j = 0; j < kKeys; j += kLanes)
    for (int64_t c = 0; c < dp; c += kLanes) {
      F block[kLanes];
#pragma GCC unroll 16
      for (int i = 0; i < kLanes; ++i)
        block[i] = j + i < rows ? load_words(r, at + (j + i) * r.stride, c, d) : splat(0);
      transpose(block);
#pragma GCC unroll 16
      for (int i = 0; i < kLanes; ++i) store(to + (c + i) * kKeys + j, block[i], Full{});
    }
}

static inline void emit_pair(E* p, int64_t j, int64_t lane, F even, F odd) {
  store(p + j * kBlock + lane, even, Full{});
  store(p + (j + 1) * kBlock + lane, odd, Full{});
}
static inline void emit_row(E* to, int64_t j, const F* lanes) {
#pragma GCC unroll 4
  for (int v = 0; v < kBlock / kLanes; ++v) store(to + j * kQueries + v * kLanes, lanes[v], Full{});
}
