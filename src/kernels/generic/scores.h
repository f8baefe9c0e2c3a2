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

// Minus the largest of q k_j over j: at the largest k where q is positive, at the smallest where it is not.
struct KeyRange {
  F most, least;
  KeyRange(int64_t n, const float* k) {
    float high = k[0], low = k[0];
    for (int64_t j = 1; j < n; ++j) high = k[j] > high ? k[j] : high, low = k[j] < low ? k[j] : low;
    most = splat(high), least = splat(low);
  }
  F minus_top(F q) const { return splat(0) - larger(q * most, q * least); }
};

// A register holds queries, the loop goes over keys: no sum crosses lanes.
static void expert_attention(int64_t rows, int64_t n, const float* q, const float* k, const float* v,
                             float* r) {
  for (int64_t t = 0; t < rows; ++t, q += n, k += n, v += n, r += n) {
    const KeyRange keys(n, k);
    each(n, [&](int64_t i, auto tag) {
      const F query = load(q + i, tag), minus = keys.minus_top(query);
      F below = splat(0), above = splat(0);
      for (int64_t j = 0; j < n; ++j) {
        const F e = exponential(fma(query, splat(k[j]), minus));
        below = below + e, above = fma(e, splat(v[j]), above);
      }
      store(r + i, above / below, tag);
    });
  }
}

// Lanes past the end have no slope, so they add nothing to the keys and values of the others.
static void expert_attention_gradient(int64_t rows, int64_t n, const float* q, const float* k, const float* v,
                                      const float* r, const float* dr, float* dq, float* dk, float* dv) {
  alignas(64) float e[kMaxAttentiveExperts * kLanes], of_key[kMaxAttentiveExperts * kLanes],
      of_value[kMaxAttentiveExperts * kLanes];
  for (int64_t t = 0; t < rows; ++t, q += n, k += n, v += n, r += n, dr += n, dq += n, dk += n, dv += n) {
    for (int64_t j = 0; j < n * kLanes; j += kLanes)
      store(of_key + j, splat(0), Full{}), store(of_value + j, splat(0), Full{});
    const KeyRange keys(n, k);
    each(n, [&](int64_t i, auto tag) {
      const F query = load(q + i, tag), minus = keys.minus_top(query), mean = load(r + i, tag);
      F below = splat(0), slope_of_query = splat(0);
      for (int64_t j = 0; j < n; ++j) {
        const F x = exponential(fma(query, splat(k[j]), minus));
        store(e + j * kLanes, x, Full{});
        below = below + x;
      }
      const F slope_of = load(dr + i, tag) / below;
      for (int64_t j = 0; j < n; ++j) {
        const int64_t at = j * kLanes;
        const F w = slope_of * load(e + at, Full{}), slope = w * (splat(v[j]) - mean);
        store(of_value + at, load(of_value + at, Full{}) + w, Full{});
        store(of_key + at, fma(slope, query, load(of_key + at, Full{})), Full{});
        slope_of_query = fma(slope, splat(k[j]), slope_of_query);
      }
      store(dq + i, slope_of_query, tag);
    });
    for (int64_t j = 0; j < n; ++j) {
      dk[j] = lanes_sum(load(of_key + j * kLanes, Full{}));
      dv[j] = lanes_sum(load(of_value + j * kLanes, Full{}));
    }
  }
}
