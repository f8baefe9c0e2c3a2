// 16 floats by the compiler's vector extension: the words of simd_avx512.h that attention needs, with the
// same bits, for machines without AVX-512 and for holding the AMX kernels against their emulation.

constexpr int64_t kLanes = 16;
typedef float F __attribute__((vector_size(64)));
typedef int32_t I __attribute__((vector_size(64)));

struct Full {};
struct Tail {
  int n;
  explicit Tail(int64_t count) : n(static_cast<int>(count)) {}
};
static inline int lanes_of(Full) { return 16; }
static inline int lanes_of(Tail t) { return t.n; }

static inline F splat(float x) { return x - F{}; }
static inline F fma(F a, F b, F c) {
  for (int i = 0; i < 16; ++i) c[i] = __builtin_fmaf(a[i], b[i], c[i]);
  return c;
}
static inline F fnma(F a, F b, F c) { return fma(-a, b, c); }
static inline F smaller(F a, F b) { return a < b ? a : b; }
static inline F larger(F a, F b) { return a > b ? a : b; }
static inline F select_at_most(F a, F b, F yes, F no) { return a <= b ? yes : no; }

template <class Tag>
static inline F load(const float* p, Tag t) {
  F x = {};
  __builtin_memcpy(&x, p, 4 * static_cast<size_t>(lanes_of(t)));
  return x;
}
template <class Tag>
static inline void store(float* p, F x, Tag t) {
  __builtin_memcpy(p, &x, 4 * static_cast<size_t>(lanes_of(t)));
}
template <class Tag>
static inline F load(const bf16* p, Tag t) {
  F x = {};
  for (int i = 0; i < lanes_of(t); ++i) x[i] = to_float(p[i]);
  return x;
}
template <class Tag>
static inline void store(bf16* p, F x, Tag t) {
  for (int i = 0; i < lanes_of(t); ++i) p[i] = to_bf16(x[i]);
}

static inline float lanes_sum(F x) {
  for (int step = 8; step; step /= 2)
    for (int i = 0; i < step; ++i) x[i] += x[i + step];
  return x[0];
}

static inline float lanes_max(F x) {
  float m = x[0];
  for (int i = 1; i < 16; ++i) m = x[i] > m ? x[i] : m;
  return m;
}

static inline F nearest(F x) {
  for (int i = 0; i < 16; ++i) x[i] = __builtin_nearbyintf(x[i]);
  return x;
}
static inline F times_power_of_two(F x, F n) {
  for (int i = 0; i < 16; ++i) x[i] = __builtin_ldexpf(x[i], static_cast<int>(n[i]));
  return x;
}
static inline void quadrant(F n, F sine_r, F cosine_r, F* sine, F* cosine) {
  for (int i = 0; i < 16; ++i) {
    const int q = static_cast<int>(n[i]);
    const float s = q & 1 ? cosine_r[i] : sine_r[i], c = q & 1 ? sine_r[i] : cosine_r[i];
    (*sine)[i] = q & 2 ? -s : s, (*cosine)[i] = (q + 1) & 2 ? -c : c;
  }
}
// vreduceps rounds its difference down, so that it stays below 1.
static inline F fraction(F x) {
  for (int i = 0; i < 16; ++i) {
    const double whole = __builtin_floor(x[i]), rest = static_cast<double>(x[i]) - whole;
    float r = static_cast<float>(rest);
    if (r > rest || r >= 1) r = __builtin_nextafterf(r, 0.0f);
    x[i] = __builtin_isinf(x[i]) ? 0 : r;
  }
  return x;
}
static inline F times_power_of_two_floor(F p, F x) {
  for (int i = 0; i < 16; ++i) {
    const float n = __builtin_floorf(x[i]);
    if (x[i] != x[i]) p[i] = x[i];
    else if (n < -300) p[i] = 0 * p[i];
    else p[i] = __builtin_ldexpf(p[i], n > 300 ? 300 : static_cast<int>(n));
  }
  return p;
}

static inline void transpose(F* r) {
  for (int i = 0; i < 16; ++i)
    for (int j = 0; j < i; ++j) {
      int32_t a, b;
      __builtin_memcpy(&a, reinterpret_cast<const char*>(&r[i]) + 4 * j, 4);
      __builtin_memcpy(&b, reinterpret_cast<const char*>(&r[j]) + 4 * i, 4);
      __builtin_memcpy(reinterpret_cast<char*>(&r[i]) + 4 * j, &b, 4);
      __builtin_memcpy(reinterpret_cast<char*>(&r[j]) + 4 * i, &a, 4);
    }
}

static inline void split_float(F x, F* m, F* e) {
  const I bits = reinterpret_cast<I>(x), exponent = (bits - 0x3f400000) >> 23;
  *m = reinterpret_cast<F>(bits - (exponent << 23));
  *e = __builtin_convertvector(exponent, F);
}

template <class Tag>
static inline F interleave(const bf16* a, const bf16* b, Tag t) {
  I words = {};
  for (int i = 0; i < lanes_of(t); ++i)
    words[i] = a[i].bits | (b ? static_cast<int32_t>(b[i].bits) << 16 : 0);
  return reinterpret_cast<F>(words);
}
static inline F pack_words(F a, F b) {
  const I low = (reinterpret_cast<I>(a) + 0x8000) >> 16 & 0xffff,
          high = (reinterpret_cast<I>(b) + 0x8000) & -65536;
  return reinterpret_cast<F>(low | high);
}
static inline F pack_words_even(F a, F b) {
  I words;
  for (int i = 0; i < 16; ++i) words[i] = to_bf16(a[i]).bits | static_cast<int32_t>(to_bf16(b[i]).bits) << 16;
  return reinterpret_cast<F>(words);
}
