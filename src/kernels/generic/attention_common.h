// Sizes, places and small steps that the forward and the gradient of blockwise attention share. Included
// inside the unnamed namespace of an ISA file after `using E`, a product and a packing header's constants.
//
// Everything works on transposed scores: S [keys, queries], 32 queries side by side in lanes, so that maxima
// and sums over keys are plain register operations and masks are one comparison with a key's index.

static inline int64_t round_up(int64_t n, int64_t to) { return (n + to - 1) / to * to; }
static inline int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }

constexpr int64_t kVectors = kBlock / kLanes;
constexpr float kLog2E = 1.44269504f, kLn2 = 0.693147181f;
constexpr float kNone = -3e38f;  // the reference of a query that has seen no key: finite, so that
                                 // -infinity - kNone is no NaN

// Hands out 64-byte aligned pieces of the scratch memory; from a null start it only measures.
struct Pieces {
  char* at;
  template <class T>
  T* take(int64_t n) {
    T* p = reinterpret_cast<T*>(at);
    const int64_t bytes = round_up(n * static_cast<int64_t>(sizeof(T)), 64);
    at = reinterpret_cast<char*>(reinterpret_cast<uintptr_t>(at) + static_cast<uintptr_t>(bytes));
    return p;
  }
};

// One sequence and key head: where its rows start and how queries stand to keys.
struct Place {
  int64_t nq, nk, q_row, k_row, shift, group, head, window;
  bool causal;
  Place(const AttentionShape& s, const AttentionPart& part)
      : nq(s.q_offsets[part.sequence + 1] - s.q_offsets[part.sequence]),
        nk(s.k_offsets[part.sequence + 1] - s.k_offsets[part.sequence]),
        q_row(s.q_offsets[part.sequence]),
        k_row(s.k_offsets[part.sequence]),
        shift(nk - nq),
        group(s.n_heads / s.n_kv_heads),
        head(part.kv_head * group),
        window(s.window),
        causal(s.causal) {}
  // Query i sees keys first(i) .. own(i).
  int64_t own(int64_t i) const { return causal ? i + shift : nk - 1; }
  int64_t first(int64_t i) const { return window > 0 ? most(0, i + shift - window + 1) : 0; }
};

// Scores of keys outside [first, own] of their lane become -infinity. Rows [begin, end) of s are keys key +
// row; lanes are clear of masks for keys in [clear_from, clear_to].
static void mask_scores(float* s, int64_t begin, int64_t end, int64_t key, const float* first,
                        const float* own, int64_t clear_from, int64_t clear_to) {
  const F never = splat(-__builtin_inff());
  for (int64_t j = begin; j < end; ++j) {
    if (key + j >= clear_from && key + j <= clear_to) continue;
    const F at = splat(static_cast<float>(key + j));
    for (int64_t v = 0; v < kBlock; v += kLanes) {
      F x = load(s + j * kBlock + v, Full{});
      x = select_at_most(at, load(own + v, Full{}), x, never);
      store(s + j * kBlock + v, select_at_most(load(first + v, Full{}), at, x, never), Full{});
    }
  }
}

// Where the lanes of a block of queries stand in the bias by distance: element at[l] - key of row[l]. `run`:
// the lanes are consecutive queries of one head.
struct LaneBias {
  const float* row[kBlock];  // of the lane's head; null for an empty lane
  int64_t at[kBlock], span;
  bool run;
};

// s[j][lane] += bias / scale for keys key + [begin, end).
static void add_bias(float* s, int64_t begin, int64_t end, int64_t key, const LaneBias& bias, float scale) {
  const float by = 1.0f / scale;
  for (int64_t j = begin; j < end; ++j) {
    float* to = s + j * kBlock;
    const int64_t low = bias.at[0] - (key + j);
    if (bias.run && low >= 0 && low + kBlock <= bias.span) {
      for (int64_t v = 0; v < kBlock; v += kLanes)
        store(to + v, fma(load(bias.row[0] + low + v, Full{}), splat(by), load(to + v, Full{})), Full{});
      continue;
    }
    for (int64_t l = 0; l < kBlock; ++l) {
      const int64_t at = bias.at[l] - (key + j);
      if (bias.row[l] && at >= 0 && at < bias.span) to[l] = __builtin_fmaf(bias.row[l][at], by, to[l]);
    }
  }
}

// Operand B of products with queries in lanes: to[words][32 lanes], lane l the row that starts at element
// at[l], or zeros if at[l] < 0.
static void pack_lanes(E* to, const ConstRows& r, const int64_t* at, int64_t d, int64_t dp) {
  for (int64_t w = 0; w < dp / kPair; w += kLanes)
    for (int64_t v = 0; v < kBlock; v += kLanes) {
      F block[kLanes];
#pragma GCC unroll 16
      for (int i = 0; i < kLanes; ++i) block[i] = at[v + i] >= 0 ? load_words(r, at[v + i], w, d) : splat(0);
      transpose(block);
#pragma GCC unroll 16
      for (int i = 0; i < kLanes; ++i)
        store(reinterpret_cast<float*>(to + ((w + i) * kBlock + v) * kPair), block[i], Full{});
    }
}

// Rows at[l] (if >= 0) = from[d][32 lanes] transposed, times factor[lane]; the scratch behind d is readable.
// Rows of bf16 are rounded before they turn: pairs of columns are words.
static void unpack_lanes(const Rows& r, const int64_t* at, const float* from, int64_t d,
                         const float* factor) {
  const bool words = r.type == DType::kBF16 && d % 2 == 0;
  const int64_t step = words ? 2 * kLanes : kLanes;
  for (int64_t c = 0; c < d; c += step)
    for (int64_t v = 0; v < kBlock; v += kLanes) {
      const F by = load(factor + v, Full{});
      F block[kLanes];
      if (words) {
#pragma GCC unroll 16
        for (int i = 0; i < kLanes; ++i) {
          const float* pair = from + (c + 2 * i) * kBlock + v;
          block[i] = pack_words_even(load(pair, Full{}) * by, load(pair + kBlock, Full{}) * by);
        }
        transpose(block);
        const int64_t left = (d - c) / 2;
#pragma GCC unroll 16
        for (int i = 0; i < kLanes; ++i) {
          if (at[v + i] < 0) continue;
          float* to = reinterpret_cast<float*>(static_cast<bf16*>(r.data) + at[v + i] + c);
          if (left >= kLanes) store(to, block[i], Full{});
          else store(to, block[i], Tail(left));
        }
        continue;
      }
#pragma GCC unroll 16
      for (int i = 0; i < kLanes; ++i) block[i] = load(from + (c + i) * kBlock + v, Full{}) * by;
      transpose(block);
#pragma GCC unroll 16
      for (int i = 0; i < kLanes; ++i)
        if (at[v + i] >= 0) put_left(r, at[v + i] + c, block[i], d - c);
    }
}

// Asks for d columns of a row ahead of time: the rows of one head lie far apart, which the hardware does not
// foresee.
static inline void prefetch_row(const ConstRows& r, int64_t at, int64_t d) {
  const int64_t size = r.type == DType::kF32 ? 4 : 2;
  const char* p = static_cast<const char*>(r.data) + at * size;
  for (int64_t i = 0; i < d * size; i += 64) __builtin_prefetch(p + i, 0, 2);
}
