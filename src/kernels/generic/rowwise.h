// The row functions in the words of simd_*.h, written once for every instruction set. Included inside the
// unnamed namespace of an ISA file; kernels/rowwise.h says what each computes. kTable, at the end, is the
// table of this level.

struct Mixed {};  // stands for "f32 or bf16, asked at each access", where the operands differ in type

// One row of a matrix: get and put a register at column i.
template <class E>
struct Row {
  E* p;
  Row(const ConstRows& r, int64_t row)
      : p(const_cast<E*>(static_cast<const E*>(r.data)) + (r.data ? row * r.stride : 0)) {}
  Row(const Rows& r, int64_t row) : p(static_cast<E*>(r.data) + row * r.stride) {}
  template <class Tag>
  F get(int64_t i, Tag t) const {
    return load(p + i, t);
  }
  template <class Tag>
  void put(int64_t i, F x, Tag t) const {
    store(p + i, x, t);
  }
};
template <>
struct Row<Mixed> {
  void* p;
  bool wide;
  Row(const void* data, DType type, int64_t at) : wide(type == DType::kF32) {
    p = const_cast<char*>(static_cast<const char*>(data)) + (data ? at * (wide ? 4 : 2) : 0);
  }
  Row(const ConstRows& r, int64_t row) : Row(r.data, r.type, row * r.stride) {}
  Row(const Rows& r, int64_t row) : Row(r.data, r.type, row * r.stride) {}
  template <class Tag>
  F get(int64_t i, Tag t) const {
    return wide ? load(static_cast<const float*>(p) + i, t) : load(static_cast<const bf16*>(p) + i, t);
  }
  template <class Tag>
  void put(int64_t i, F x, Tag t) const {
    if (wide) store(static_cast<float*>(p) + i, x, t);
    else store(static_cast<bf16*>(p) + i, x, t);
  }
};

// f(E{}) with the element type that all operands share, or Mixed.
template <class Body>
static inline void by_type(DType a, DType b, DType c, Body&& f) {
  if (a == DType::kBF16 && b == a && c == a) f(bf16{});
  else if (a == DType::kF32 && b == a && c == a) f(0.0f);
  else f(Mixed{});
}

static inline float inverse_root(float x) { return 1.0f / __builtin_sqrtf(x); }

static void rms_norm(int64_t rows, int64_t width, const Rows& x, const ConstRows& add, const float* w,
                     float eps, const Rows& y, float* inv) {
  by_type(x.type, add.data ? add.type : x.type, y.type, [&](auto type) {
    using R = Row<decltype(type)>;
    for (int64_t r = 0; r < rows; ++r) {
      const R in(x, r), more(add, r), out(y, r);
      F sum;
      if (add.data)
        sum = each_sum(width, splat(0), [&](int64_t i, auto t, F& s) {
          in.put(i, in.get(i, t) + more.get(i, t), t);
          const F v = in.get(i, t);  // as rounded: what later readers of x see
          s = fma(v, v, s);
        });
      else
        sum = each_sum(width, splat(0), [&](int64_t i, auto t, F& s) {
          const F v = in.get(i, t);
          s = fma(v, v, s);
        });
      const float scale = inverse_root(lanes_sum(sum) / static_cast<float>(width) + eps);
      if (inv) inv[r] = scale;
      const F s = splat(scale);
      if (w) each(width, [&](int64_t i, auto t) { out.put(i, in.get(i, t) * s * load(w + i, t), t); });
      else each(width, [&](int64_t i, auto t) { out.put(i, in.get(i, t) * s, t); });
    }
  });
}

static void rms_norm_gradient(int64_t rows, int64_t width, const ConstRows& x, const float* w,
                              const float* inv, const ConstRows& dy, const Rows& dx, bool accumulate,
                              float* dw) {
  const F one = splat(1);
  by_type(x.type, dy.type, dx.type, [&](auto type) {
    using R = Row<decltype(type)>;
    for (int64_t r = 0; r < rows; ++r) {
      const R in(x, r), from(dy, r), out(dx, r);
      const F dot = each_sum(width, splat(0), [&](int64_t i, auto t, F& s) {
        const F g = w ? from.get(i, t) * load(w + i, t) : from.get(i, t);
        s = fma(g, in.get(i, t), s);
      });
      const float scale = inv[r];
      const F s = splat(scale), minus = splat(-scale * scale * (lanes_sum(dot) / static_cast<float>(width)));
      each(width, [&](int64_t i, auto t) {
        const F g = from.get(i, t), v = in.get(i, t);
        if (dw) store(dw + i, fma(g * v, s, load(dw + i, t)), t);
        const F d = fma(minus, v, g * (w ? load(w + i, t) : one));
        out.put(i, accumulate ? fma(s, d, out.get(i, t)) : s * d, t);
      });
    }
  });
}

static void layer_norm(int64_t rows, int64_t width, const ConstRows& x, const float* w, const float* b,
                       float eps, const Rows& y, float* mean, float* inv) {
  by_type(x.type, y.type, y.type, [&](auto type) {
    using R = Row<decltype(type)>;
    for (int64_t r = 0; r < rows; ++r) {
      const R in(x, r), out(y, r);
      const float n = static_cast<float>(width);
      const float average =
          lanes_sum(each_sum(width, splat(0), [&](int64_t i, auto t, F& s) { s = s + in.get(i, t); })) / n;
      const F m = splat(average);
      float square = lanes_sum(each_sum(width, splat(0), [&](int64_t i, auto t, F& s) {
        const F d = in.get(i, t) - m;
        s = fma(d, d, s);
      }));
      // The lanes past the row's end added average^2 each.
      const int64_t past = (kLanes - width % kLanes) % kLanes;
      square -= static_cast<float>(past) * average * average;
      const float scale = inverse_root(larger_float(square, 0) / n + eps);
      if (mean) mean[r] = average;
      if (inv) inv[r] = scale;
      const F s = splat(scale), one = splat(1), none = splat(0);
      each(width, [&](int64_t i, auto t) {
        const F z = (in.get(i, t) - m) * s;
        out.put(i, fma(z, w ? load(w + i, t) : one, b ? load(b + i, t) : none), t);
      });
    }
  });
}

static void layer_norm_gradient(int64_t rows, int64_t width, const ConstRows& x, const float* w,
                                const float* mean, const float* inv, const ConstRows& dy, const Rows& dx,
                                bool accumulate, float* dw, float* db) {
  const F one = splat(1);
  by_type(x.type, dy.type, dx.type, [&](auto type) {
    using R = Row<decltype(type)>;
    for (int64_t r = 0; r < rows; ++r) {
      const R in(x, r), from(dy, r), out(dx, r);
      const F m = splat(mean[r]), s = splat(inv[r]);
      const F2 sums = each_sum(width, F2{splat(0), splat(0)}, [&](int64_t i, auto t, F2& sum) {
        const F g = w ? from.get(i, t) * load(w + i, t) : from.get(i, t);  // 0 past the row's end
        sum.a = sum.a + g;
        sum.b = fma(g * (in.get(i, t) - m), s, sum.b);
      });
      const float n = static_cast<float>(width);
      const F mean_g = splat(lanes_sum(sums.a) / n), mean_gz = splat(lanes_sum(sums.b) / n);
      each(width, [&](int64_t i, auto t) {
        const F g = from.get(i, t), z = (in.get(i, t) - m) * s;
        if (dw) store(dw + i, fma(g, z, load(dw + i, t)), t);
        if (db) store(db + i, g + load(db + i, t), t);
        const F d = fnma(z, mean_gz, g * (w ? load(w + i, t) : one) - mean_g);
        out.put(i, accumulate ? fma(s, d, out.get(i, t)) : s * d, t);
      });
    }
  });
}

static void rope(int64_t rows, int64_t n_heads, int64_t d_head, int64_t rotary, bool interleaved,
                 const int32_t* positions, const float* inverse_frequency, float scale, int sign,
                 const Rows& x) {
  const int64_t half = rotary / 2;
  alignas(64) float cosine[kMaxRotary / 2 + kLanes], sine[kMaxRotary / 2 + kLanes];
  const F by = splat(scale), by_sign = splat(scale * static_cast<float>(sign));
  by_type(x.type, x.type, x.type, [&](auto type) {
    using R = Row<decltype(type)>;
    for (int64_t r = 0; r < rows; ++r) {
      const F position = splat(static_cast<float>(positions[r]));
      each(half, [&](int64_t i, auto t) {
        F s, c;
        sine_cosine(position * load(inverse_frequency + i, t), &s, &c);
        store(cosine + i, c * by, Full{}), store(sine + i, s * by_sign, Full{});
      });
      const R row(x, r);
      for (int64_t h = 0; h < n_heads; ++h) {
        const int64_t base = h * d_head;
        if (!interleaved) {
          each(half, [&](int64_t i, auto t) {
            const F a = row.get(base + i, t), b = row.get(base + half + i, t);
            const F c = load(cosine + i, Full{}), s = load(sine + i, Full{});
            row.put(base + i, fnma(b, s, a * c), t), row.put(base + half + i, fma(a, s, b * c), t);
          });
          continue;
        }
        for (int64_t i = 0; i < half; i += kLanes) {
          const int64_t left = rotary - 2 * i, at = base + 2 * i;  // elements from here to the end
          auto rotate = [&](auto first, auto second) {
            F a, b, low, high;
            split_pairs(row.get(at, first), row.get(at + kLanes, second), &a, &b);
            const F c = load(cosine + i, Full{}), s = load(sine + i, Full{});
            join_pairs(fnma(b, s, a * c), fma(a, s, b * c), &low, &high);
            row.put(at, low, first), row.put(at + kLanes, high, second);
          };
          if (left >= 2 * kLanes) rotate(Full{}, Full{});
          else if (left >= kLanes) rotate(Full{}, Tail(left - kLanes));
          else rotate(Tail(left), Tail(0));
        }
      }
    }
  });
}

static void softmax(int64_t rows, int64_t width, const float* x, float* p, float* logsumexp) {
  for (int64_t r = 0; r < rows; ++r, x += width, p += width) {
    F most = splat(-__builtin_inff());
    int64_t i = 0;
    for (; i + kLanes <= width; i += kLanes) most = larger(load(x + i, Full{}), most);
    float largest = lanes_max(most);
    for (; i < width; ++i) largest = x[i] > largest ? x[i] : largest;
    if (largest == -__builtin_inff()) largest = 0;  // all -infinity: 0/0, every p is NaN
    const F shift = splat(largest);
    each(width, [&](int64_t j, auto t) { store(p + j, exponential(load(x + j, t) - shift), t); });
    const float sum =
        lanes_sum(each_sum(width, splat(0), [&](int64_t j, auto t, F& s) { s = s + load(p + j, t); }));
    const F by = splat(1.0f / sum);
    each(width, [&](int64_t j, auto t) { store(p + j, load(p + j, t) * by, t); });
    if (logsumexp) logsumexp[r] = static_cast<float>(largest + __builtin_log(static_cast<double>(sum)));
  }
}

static void softmax_gradient(int64_t rows, int64_t width, const float* p, const float* dp, float* dx,
                             bool accumulate) {
  for (int64_t r = 0; r < rows; ++r, p += width, dp += width, dx += width) {
    const F dot = splat(lanes_sum(each_sum(
        width, splat(0), [&](int64_t i, auto t, F& s) { s = fma(load(p + i, t), load(dp + i, t), s); })));
    each(width, [&](int64_t i, auto t) {
      const F d = load(dp + i, t) - dot, q = load(p + i, t);
      store(dx + i, accumulate ? fma(q, d, load(dx + i, t)) : q * d, t);
    });
  }
}

// Short rows: k times the largest of what is left, in registers or in memory. Long rows: one scan that stops
// only at what beats the k-th so far.
constexpr int64_t kShortRow = 512;

template <int kRegisters>
static void top_k_registers(int64_t width, int64_t k, const float* x, int32_t* index) {
  I keys[kRegisters];
  for (int j = 0; j < kRegisters; ++j) {
    const int64_t left = width - j * kLanes;
    keys[j] = splat_key(INT32_MIN);
    if (left >= kLanes) {
      keys[j] = order_keys(load(x + j * kLanes, Full{}));
    } else if (left > 0) {
      alignas(64) int32_t lanes[kLanes];
      store_keys(lanes, order_keys(load(x + j * kLanes, Tail(left))));
      for (int64_t i = left; i < kLanes; ++i) lanes[i] = INT32_MIN;
      keys[j] = load_keys(lanes);
    }
  }
  for (int64_t n = 0; n < k; ++n) {
    I most = keys[0];
#pragma GCC unroll 8
    for (int j = 1; j < kRegisters; ++j) most = larger_keys(most, keys[j]);
    const I wanted = splat_key(lanes_max_key(most));
    uint64_t found = 0;
#pragma GCC unroll 8
    for (int j = kRegisters - 1; j >= 0; --j) found = found << kLanes | equal_keys(keys[j], wanted);
    const unsigned at = static_cast<unsigned>(__builtin_ctzll(found));
    index[n] = static_cast<int32_t>(at);
#pragma GCC unroll 8
    for (int j = 0; j < kRegisters; ++j) keys[j] = drop_key(keys[j], at, j);
  }
}

static void top_k_short(int64_t width, int64_t k, const float* x, int32_t* index) {
  alignas(64) int32_t keys[kShortRow + kLanes];
  const int64_t padded = (width + kLanes - 1) / kLanes * kLanes;
  each(width, [&](int64_t i, auto t) { store_keys(keys + i, order_keys(load(x + i, t))); });
  for (int64_t i = width; i < padded; ++i) keys[i] = INT32_MIN;
  for (int64_t n = 0; n < k; ++n) {
    I most = load_keys(keys);
    for (int64_t i = kLanes; i < padded; i += kLanes) most = larger_keys(most, load_keys(keys + i));
    const I wanted = splat_key(lanes_max_key(most));
    for (int64_t i = 0;; i += kLanes)
      if (const unsigned found = equal_keys(load_keys(keys + i), wanted)) {
        const int64_t at = i + __builtin_ctz(found);
        index[n] = static_cast<int32_t>(at);
        keys[at] = INT32_MIN;
        break;
      }
  }
}

static int32_t order_key(float x) {
  alignas(64) int32_t lanes[kLanes];
  store_keys(lanes, order_keys(splat(x)));
  return lanes[0];
}

static void top_k_long(int64_t width, int64_t k, const float* x, int32_t* index) {
  int64_t held = 0;
  int32_t bar = INT32_MIN;  // the k-th largest so far
  for (int64_t i = 0; i < width; i += kLanes) {
    const int64_t n = width - i < kLanes ? width - i : kLanes;
    const I keys = order_keys(n < kLanes ? load(x + i, Tail(n)) : load(x + i, Full{}));
    unsigned found = above_keys(keys, splat_key(bar)) & ((1u << n) - 1);
    for (; found; found &= found - 1) {
      const int32_t candidate = static_cast<int32_t>(i + __builtin_ctz(found));
      const int32_t key = order_key(x[candidate]);
      if (key <= bar) continue;
      int64_t at = held < k ? held++ : k - 1;
      for (; at > 0 && key > order_key(x[index[at - 1]]); --at) index[at] = index[at - 1];
      index[at] = candidate;
      if (held == k) bar = order_key(x[index[k - 1]]);
    }
  }
}

static void top_k(int64_t rows, int64_t width, int64_t k, const float* x, float* value, int32_t* index) {
  for (int64_t r = 0; r < rows; ++r, x += width, index += k) {
    if (width <= 2 * kLanes) top_k_registers<2>(width, k, x, index);
    else if (width <= 64) top_k_registers<64 / kLanes>(width, k, x, index);
    else if (width <= kShortRow) top_k_short(width, k, x, index);
    else top_k_long(width, k, x, index);
    if (value)
      for (int64_t i = 0; i < k; ++i) value[r * k + i] = x[index[i]];
  }
}

// f(p) with a pointer of the element's own type.
template <class Body>
static inline void typed(const void* p, DType type, Body&& f) {
  if (type == DType::kBF16) f(static_cast<const bf16*>(p));
  else if (type == DType::kF16) f(static_cast<const half*>(p));
  else f(static_cast<const float*>(p));
}
template <class Body>
static inline void typed(void* p, DType type, Body&& f) {
  if (type == DType::kBF16) f(static_cast<bf16*>(p));
  else if (type == DType::kF16) f(static_cast<half*>(p));
  else f(static_cast<float*>(p));
}

static void convert(int64_t n, const void* from, DType from_type, void* to, DType to_type) {
  typed(from, from_type, [&](auto* a) {
    typed(to, to_type,
          [&](auto* b) { each(n, [&](int64_t i, auto t) { store(b + i, load(a + i, t), t); }); });
  });
}
static void add(int64_t n, const void* a, const void* b, void* y, DType type) {
  typed(y, type, [&](auto* to) {
    const auto *p = static_cast<decltype(to)>(const_cast<void*>(a)),
               *q = static_cast<decltype(to)>(const_cast<void*>(b));
    each(n, [&](int64_t i, auto t) { store(to + i, load(p + i, t) + load(q + i, t), t); });
  });
}
static void accumulate(int64_t n, const void* x, DType x_type, void* y, DType y_type) {
  typed(x, x_type, [&](auto* a) {
    typed(y, y_type, [&](auto* b) {
      each(n, [&](int64_t i, auto t) { store(b + i, load(b + i, t) + load(a + i, t), t); });
    });
  });
}
static void scale(int64_t n, float factor, void* x, DType type) {
  const F by = splat(factor);
  typed(x, type, [&](auto* p) { each(n, [&](int64_t i, auto t) { store(p + i, load(p + i, t) * by, t); }); });
}
static void clamp(int64_t n, float bound, void* x, DType type) {
  const F high = splat(bound), low = splat(-bound);
  typed(x, type, [&](auto* p) {
    each(n, [&](int64_t i, auto t) { store(p + i, larger(low, smaller(high, load(p + i, t))), t); });
  });
}
static void clamp_gradient(int64_t n, float bound, const void* x, void* dx, DType type) {
  const F high = splat(bound), none = splat(0);
  typed(dx, type, [&](auto* d) {
    const auto* p = static_cast<decltype(d)>(const_cast<void*>(x));
    each(n, [&](int64_t i, auto t) {
      const F v = load(p + i, t);
      store(d + i, select_at_most(larger(v, none - v), high, load(d + i, t), none), t);
    });
  });
}

// One register of AdamW; the new weight is returned.
struct Adam {
  F scale, beta1, beta2, rest1, rest2, decay, rate, correction2, eps;
  explicit Adam(const AdamStep& s)
      : scale(splat(s.gradient_scale)),
        beta1(splat(s.beta1)),
        beta2(splat(s.beta2)),
        rest1(splat(1 - s.beta1)),
        rest2(splat(1 - s.beta2)),
        decay(splat(1 - s.lr * s.weight_decay)),
        rate(splat(s.lr / s.correction1)),
        correction2(splat(1 / s.correction2)),
        eps(splat(s.eps)) {}
  template <class Tag>
  F operator()(F w, F g, float* m, float* v, Tag t) const {
    g = g * scale;
    const F m1 = fma(beta1, load(m, t), rest1 * g), v1 = fma(beta2, load(v, t), rest2 * g * g);
    store(m, m1, t), store(v, v1, t);
    return fnma(rate, m1 / (root(v1 * correction2) + eps), w * decay);
  }
};

static void adamw_f32(int64_t n, const AdamStep& step, float* weight, float* gradient, float* m, float* v) {
  const Adam adam(step);
  const bool clear = step.clear_gradient;
  each(n, [&](int64_t i, auto t) {
    store(weight + i, adam(load(weight + i, t), load(gradient + i, t), m + i, v + i, t), t);
    if (clear) store(gradient + i, splat(0), t);
  });
}
static void adamw_bf16(int64_t n, const AdamStep& step, bf16* weight, int16_t* residual, float* gradient,
                       float* m, float* v) {
  const Adam adam(step);
  const bool clear = step.clear_gradient;
  each(n, [&](int64_t i, auto t) {
    const F w = adam(load_master(weight + i, residual + i, t), load(gradient + i, t), m + i, v + i, t);
    store_master(weight + i, residual + i, w, t);
    if (clear) store(gradient + i, splat(0), t);
  });
}
static void descend(int64_t n, float keep, float step, bf16* weight, int16_t* residual, float* direction) {
  each(n, [&](int64_t i, auto t) {
    const F w = splat(keep) * load_master(weight + i, residual + i, t) - splat(step) * load(direction + i, t);
    store_master(weight + i, residual + i, w, t);
    store(direction + i, splat(0), t);
  });
}
static double sum_of_squares(int64_t n, const float* x) {
  Doubles sum, more;
  int64_t i = 0;
  for (; i + 2 * kLanes <= n; i += 2 * kLanes)
    add_squares(&sum, load(x + i, Full{})), add_squares(&more, load(x + i + kLanes, Full{}));
  for (; i < n; i += kLanes)
    if (n - i >= kLanes) add_squares(&sum, load(x + i, Full{}));
    else add_squares(&more, load(x + i, Tail(n - i)));
  return total(sum) + total(more);
}

constexpr RowTable kTable = {rms_norm,
                             rms_norm_gradient,
                             layer_norm,
                             layer_norm_gradient,
                             rope,
                             softmax,
                             softmax_gradient,
                             top_k,
                             convert,
                             add,
                             accumulate,
                             scale,
                             clamp,
                             clamp_gradient,
                             adamw_f32,
                             adamw_bf16,
                             descend,
                             sum_of_squares,
                             map,
                             expert_attention,
                             expert_attention_gradient};
