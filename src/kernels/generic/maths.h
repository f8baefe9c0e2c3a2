// Walking rows by registers, and elementary functions, in the words of simd_*.h. Included inside the unnamed
// namespace of an ISA file.

// f(i, tag) for each register's worth of [0, n).
template <class Body>
static inline void each(int64_t n, Body&& f) {
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) f(i, Full{});
  if (i < n) f(i, Tail(n - i));
}

// The same with four accumulators in turn, so that sums are not bound by latency: f(i, tag, accumulator).
template <class Sum, class Body>
static inline Sum each_sum(int64_t n, Sum zero, Body&& f) {
  Sum a = zero, b = zero, c = zero, d = zero;
  int64_t i = 0;
  for (; i + 4 * kLanes <= n; i += 4 * kLanes) {
    f(i, Full{}, a), f(i + kLanes, Full{}, b);
    f(i + 2 * kLanes, Full{}, c), f(i + 3 * kLanes, Full{}, d);
  }
  for (; i + kLanes <= n; i += kLanes) f(i, Full{}, a);
  if (i < n) f(i, Tail(n - i), b);
  return (a + b) + (c + d);
}

static inline float larger_float(float a, float b) { return a > b ? a : b; }

struct F2 {
  F a, b;
};
static inline F2 operator+(const F2& x, const F2& y) { return {x.a + y.a, x.b + y.b}; }

// exp to about 1 ulp: x = n ln 2 + r, |r| <= ln 2 / 2, Taylor in r to the 7th power (remainder 2^-28).
// exp(-infinity) = 0, results may be denormal, NaN stays NaN.
static inline F exponential(F x) {
  x = smaller(splat(89.0f), larger(splat(-104.0f), x));  // NaN is the second operand and passes
  const F n = nearest(x * splat(1.442695041f));
  F r = fnma(n, splat(0.693145752f), x);  // ln 2 in two parts; n * high is exact
  r = fnma(n, splat(1.42860677e-6f), r);
  F p = fma(splat(1.0f / 5040), r, splat(1.0f / 720));
  p = fma(p, r, splat(1.0f / 120));
  p = fma(p, r, splat(1.0f / 24));
  p = fma(p, r, splat(1.0f / 6));
  p = fma(p, r, splat(0.5f));
  p = fma(p, r * r, r);  // e^r - 1
  return times_power_of_two(p + splat(1.0f), n);
}

// sin and cos of a f32 angle, |angle| up to about 10^6: the multiple of pi/2 is taken off in three parts
// (exact by FMA), then the minimax polynomials of Cephes (Moshier, sinf.c) on |r| <= pi/4.
static inline void sine_cosine(F angle, F* sine, F* cosine) {
  const F n = nearest(angle * splat(0.636619772f));
  F r = fnma(n, splat(1.57079637f), angle);
  r = fnma(n, splat(-4.37113883e-8f), r);
  r = fnma(n, splat(-1.71512451e-15f), r);
  const F z = r * r;
  F s = fma(splat(-1.9515295891e-4f), z, splat(8.3321608736e-3f));
  s = fma(s, z, splat(-1.6666654611e-1f));
  s = fma(s * z, r, r);
  F c = fma(splat(2.443315711809948e-5f), z, splat(-1.388731625493765e-3f));
  c = fma(c, z, splat(4.166664568298827e-2f));
  c = fma(c, z * z, fnma(splat(0.5f), z, splat(1.0f)));
  quadrant(n, s, c, sine, cosine);
}

// 2^x: x = n + r, r in [0, 1); minimax polynomial 1 + r q(r) of the given degree, relative error 2.9e-6 for 4
// (as good as bf16 needs) and 8e-8 for 5. 2^-infinity = 0, NaN stays NaN.
template <int kDegree>
static inline F power_of_two_of(F x) {
  const F r = fraction(x);
  F q;
  if constexpr (kDegree == 4) {
    q = fma(splat(0.013426684f), r, splat(0.052242473f));
    q = fma(q, r, splat(0.2412802f));
    q = fma(q, r, splat(0.69304484f));
  } else {
    q = fma(splat(0.00186713f), r, splat(0.009017031f));
    q = fma(q, r, splat(0.055799913f));
    q = fma(q, r, splat(0.24016444f));
    q = fma(q, r, splat(0.6931513f));
  }
  return times_power_of_two_floor(fma(q, r, splat(1.0f)), x);
}

// ln x of a normal x above 0: x = m 2^e, t = (m - 1) / (m + 1), ln m = 2 (t + t^3/3 + t^5/5 + ...), |t| <=
// 0.2.
static inline F logarithm(F x) {
  F m, e;
  split_float(x, &m, &e);
  const F t = (m - splat(1.0f)) / (m + splat(1.0f)), z = t * t;
  F p = fma(splat(2.0f / 9), z, splat(2.0f / 7));
  p = fma(p, z, splat(2.0f / 5));
  p = fma(p, z, splat(2.0f / 3));
  p = fma(p * z, t, t + t);
  return fma(e, splat(0.693147181f), p);
}
