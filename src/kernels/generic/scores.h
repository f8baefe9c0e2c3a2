// What routers compute element by element or expert by expert, in the words of simd_*.h; kernels/scores.h
// says what each is. Included like rowwise.h, before it.

static inline F absolute(F x) { return larger(x, splat(0) - x); }

// ln(1 + u) of u in [0, 1], with what 1 + u rounds off put back
static inline F logarithm_above_one(F u) {
  const F w = splat(1) + u;
  return logarithm(w) + (u - (w - splat(1))) / w;
}

// (1 + erf(a / sqrt 2)) / 2 to 1e-7: Abramowitz & Stegun 7.1.26 on |a|
static inline F normal_share(F a) {
  const F z = absolute(a) * splat(0.707106781f), t = splat(1) / fma(splat(0.3275911f), z, splat(1));
  F p = fma(splat(1.061405429f), t, splat(-1.453152027f));
  p = fma(p, t, splat(1.421413741f));
  p = fma(p, t, splat(-0.284496736f));
  p = fma(p, t, splat(0.254829592f));
  const F tail = splat(0.5f) * p * t * exponential(splat(0) - z * z);  // the share beyond |a|
  return select_at_most(a, splat(0), tail, splat(1) - tail);
}

static void map(ScoreMap f, int64_t n, const float* x, float* y) {
  const F one = splat(1), none = splat(0);
  switch (f) {
    case ScoreMap::kSigmoid:
      return each(
          n, [&](int64_t i, auto t) { store(y + i, one / (one + exponential(none - load(x + i, t))), t); });
    case ScoreMap::kSoftplus:
      return each(n, [&](int64_t i, auto t) {
        const F v = load(x + i, t);
        store(y + i, larger(none, v) + logarithm_above_one(exponential(none - absolute(v))), t);
      });
    case ScoreMap::kNormalShare:
      return each(n, [&](int64_t i, auto t) { store(y + i, normal_share(load(x + i, t)), t); });
    case ScoreMap::kNormalDensity:
      return each(n, [&](int64_t i, auto t) {
        const F v = load(x + i, t);
        store(y + i, splat(0.39894228f) * exponential(splat(-0.5f) * v * v), t);
      });
    case ScoreMap::kNormalRadius:
      return each(n, [&](int64_t i, auto t) {
        store(y + i, root(larger(none, splat(-2) * logarithm(larger(splat(1e-30f), load(x + i, t))))), t);
      });
    case ScoreMap::kSine:
    case ScoreMap::kCosine:
      return each(n, [&](int64_t i, auto t) {
        F sine, cosine;
        sine_cosine(load(x + i, t), &sine, &cosine);
        store(y + i, f == ScoreMap::kSine ? sine : cosine, t);
      });
    case ScoreMap::kGumbel:
      return each(n, [&](int64_t i, auto t) {
        const F u = larger(splat(1e-6f), smaller(splat(1 - 1e-6f), load(x + i, t)));
        store(y + i, none - logarithm(none - logarithm(u)), t);
      });
  }
}

// The largest of q k_j over j: at the largest k for q >= 0, at the smallest otherwise.
struct KeyRange {
  float most, least;
  KeyRange(int64_t n, const float* k) : most(k[0]), least(k[0]) {
    for (int64_t j = 1; j < n; ++j) most = k[j] > most ? k[j] : most, least = k[j] < least ? k[j] : least;
  }
  float top(float q) const { return q >= 0 ? q * most : q * least; }
};

// The sum of the first n lanes.
static inline float first_lanes_sum(F x, int64_t n) {
  alignas(64) float lanes[kLanes];
  store(lanes, x, Full{});
  float sum = 0;
  for (int64_t l = 0; l < n; ++l) sum += lanes[l];
  return sum;
}

// f(j, tag) returns what a register at j adds; lanes past the end, whatever they hold, are not counted.
template <class Body>
static inline float sum_over(int64_t n, Body&& f) {
  F sum = splat(0);
  int64_t j = 0;
  for (; j + kLanes <= n; j += kLanes) sum = sum + f(j, Full{});
  const float whole = lanes_sum(sum);
  return j < n ? whole + first_lanes_sum(f(j, Tail(n - j)), n - j) : whole;
}

static void expert_attention(int64_t rows, int64_t n, const float* q, const float* k, const float* v,
                             float* r) {
  alignas(64) float weight[kLanes];
  for (int64_t t = 0; t < rows; ++t, q += n, k += n, v += n, r += n) {
    const KeyRange keys(n, k);
    for (int64_t i = 0; i < n; ++i) {
      const F query = splat(q[i]), minus = splat(-keys.top(q[i]));
      F sum = splat(0), all = splat(0);
      int64_t j = 0;
      for (; j + kLanes <= n; j += kLanes) {
        const F e = exponential(fma(query, load(k + j, Full{}), minus));
        sum = sum + e, all = fma(e, load(v + j, Full{}), all);
      }
      float below = lanes_sum(sum), above = lanes_sum(all);
      if (j < n) {
        store(weight, exponential(fma(query, load(k + j, Tail(n - j)), minus)), Full{});
        for (int64_t l = 0; j + l < n; ++l) below += weight[l], above += weight[l] * v[j + l];
      }
      r[i] = above / below;
    }
  }
}

static void expert_attention_gradient(int64_t rows, int64_t n, const float* q, const float* k, const float* v,
                                      const float* r, const float* dr, float* dq, float* dk, float* dv) {
  alignas(64) float e[kMaxAttentiveExperts + kLanes];
  for (int64_t t = 0; t < rows; ++t, q += n, k += n, v += n, r += n, dr += n, dq += n, dk += n, dv += n) {
    each(n, [&](int64_t j, auto tag) { store(dk + j, splat(0), tag), store(dv + j, splat(0), tag); });
    const KeyRange keys(n, k);
    for (int64_t i = 0; i < n; ++i) {
      const F query = splat(q[i]), minus = splat(-keys.top(q[i])), mean = splat(r[i]);
      const float below = sum_over(n, [&](int64_t j, auto tag) {
        const F x = exponential(fma(query, load(k + j, tag), minus));
        store(e + j, x, Full{});
        return x;
      });
      const F slope_of = splat(dr[i] / below);
      dq[i] = sum_over(n, [&](int64_t j, auto tag) {
        const F key = load(k + j, tag), w = slope_of * load(e + j, Full{}),
                slope = w * (load(v + j, tag) - mean);
        store(dv + j, load(dv + j, tag) + w, tag);
        store(dk + j, fma(slope, query, load(dk + j, tag)), tag);
        return slope * key;
      });
    }
  }
}
