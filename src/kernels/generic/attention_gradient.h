// Blockwise attention, gradient (Dao 2023, arXiv:2307.08691), one sequence and key head at a time, scores
// recomputed. In transposed form, [keys, queries]:
//
//   P = 2^(c K Q^T - log2-sum),  D = sum(dout * out) by query,  dS = P * (V dO^T - D)
//   dV += P dO;  dK += scale dS Q;  dQ^T += scale K^T dS
//
// Heads, then pieces of kKeys keys, then kQueries queries, always in this order: dk and dv are summed over
// queries and heads, dq over keys, in one order whatever the threads.

constexpr int64_t kSlice = 32;  // keys whose scores are held at a time

struct GradientScratch {
  int64_t dp, vp, nkp, nqp;
  E *k, *v, *k_columns;              // [nkp, dp], [nkp, vp], [nkp / kKeys][dp, kKeys]
  float *dk, *dv;                    // [nkp, dp], [nkp, vp]
  E *q_lanes, *o_lanes;              // by blocks of 32 queries: [dp / kPair][32][kPair]
  E *q_rows, *o_rows;                // operands of sums over queries: [nqp / kPair][dp][kPair]
  float* dq;                         // by blocks of 32 queries: [dp][32]
  float *lse, *delta, *first, *own;  // [nqp]
  float *s, *t;                      // [kSlice, 32]: scores, V dO^T
  E *p_rows, *ds_rows;               // [kKeys, kQueries]
  E* ds;                             // [kKeys / kPair][32][kPair]
  char* end;

  GradientScratch(const AttentionShape& shape, int64_t queries, int64_t keys, char* start)
      : dp(round_up(shape.d_head, 32)),
        vp(round_up(shape.d_value, 32)),
        nkp(round_up(keys, kKeys)),
        nqp(round_up(queries, kQueries)) {
    Pieces pieces{start};
    k = pieces.take<E>(nkp * dp), v = pieces.take<E>(nkp * vp), k_columns = pieces.take<E>(nkp * dp);
    dk = pieces.take<float>(nkp * dp), dv = pieces.take<float>(nkp * vp);
    q_lanes = pieces.take<E>(nqp * dp), o_lanes = pieces.take<E>(nqp * vp);
    q_rows = pieces.take<E>(nqp * dp), o_rows = pieces.take<E>(nqp * vp);
    dq = pieces.take<float>(nqp * dp);
    lse = pieces.take<float>(nqp), delta = pieces.take<float>(nqp);
    first = pieces.take<float>(nqp), own = pieces.take<float>(nqp);
    s = pieces.take<float>(kSlice * kBlock), t = pieces.take<float>(kSlice * kBlock);
    p_rows = pieces.take<E>(kKeys * kQueries), ds_rows = pieces.take<E>(kKeys * kQueries);
    ds = pieces.take<E>(kKeys * kBlock);
    end = pieces.at;
  }
};

constexpr int kSides = kQueries / kBlock;

// The bias by distance of one head, and its gradient. Query i and key j are at distance zero + i - j.
struct HeadBias {
  const float* row;  // null: none
  float* d;          // null: not asked for
  int64_t span, zero;
};

static int64_t gradient_bytes(const AttentionShape& shape, int64_t queries, int64_t keys) {
  return reinterpret_cast<intptr_t>(GradientScratch(shape, queries, keys, nullptr).end);
}

static float row_dot(const ConstRows& a, int64_t a_at, const Rows& b, int64_t b_at, int64_t n) {
  const ConstRows other(b);
  F sum = splat(0);
  for (int64_t i = 0; i < n; i += kLanes)
    sum = fma(get_left(a, a_at + i, n - i), get_left(other, b_at + i, n - i), sum);
  return lanes_sum(sum);
}

static void pack_keys(const AttentionCall& call, const AttentionPart& part, const Place& place,
                      const GradientScratch& g) {
  const AttentionShape& s = *call.shape;
  const int64_t k_at = place.k_row * call.k.stride + part.kv_head * s.d_head;
  const int64_t v_at = place.k_row * call.v.stride + part.kv_head * s.d_value;
  pack_rows(g.k, call.k, k_at, place.nk, g.nkp, s.d_head, g.dp);
  pack_rows(g.v, call.v, v_at, place.nk, g.nkp, s.d_value, g.vp);
  for (int64_t key = 0; key < g.nkp; key += kKeys)
    pack_transposed(g.k_columns + key * g.dp, call.k, k_at + key * call.k.stride, place.nk - key, s.d_head,
                    g.dp);
  __builtin_memset(g.dk, 0, static_cast<size_t>(g.nkp * g.dp) * sizeof(float));
  __builtin_memset(g.dv, 0, static_cast<size_t>(g.nkp * g.vp) * sizeof(float));
}

// Everything of one query head: operands, log-sums (in base 2), D; the sink's gradient.
static void pack_head(const AttentionCall& call, const AttentionPart& part, const Place& place, int64_t head,
                      const GradientScratch& g) {
  const AttentionShape& s = *call.shape;
  const int64_t q_at = place.q_row * call.q.stride + head * s.d_head;
  const int64_t o_at = place.q_row * call.dout.stride + head * s.d_value;
  double sink = 0;
  for (int64_t i = 0; i < g.nqp; ++i) {
    const bool real = i < place.nq;
    const float lse = real ? call.logsumexp[(place.q_row + i) * s.n_heads + head] : -__builtin_inff();
    g.lse[i] = lse == -__builtin_inff() ? 1e30f : lse * kLog2E;  // sees nothing: every probability 0
    g.delta[i] = real ? row_dot(call.dout, o_at + i * call.dout.stride, call.out,
                                (place.q_row + i) * call.out.stride + head * s.d_value, s.d_value)
                      : 0;
    g.first[i] = real ? static_cast<float>(place.first(i)) : 0;
    g.own[i] = real ? static_cast<float>(place.own(i)) : -1;
    if (real && s.sinks && call.dsinks_of)
      sink -= __builtin_exp(static_cast<double>(s.sinks[head]) - lse) * g.delta[i];
  }
  if (call.dsinks_of) call.dsinks_of[part.sequence * s.n_heads + head] = static_cast<float>(sink);
  for (int64_t block = 0; block < g.nqp; block += kBlock) {
    int64_t q_lane[kBlock], o_lane[kBlock];
    for (int64_t l = 0; l < kBlock; ++l) {
      q_lane[l] = block + l < place.nq ? q_at + (block + l) * call.q.stride : -1;
      o_lane[l] = block + l < place.nq ? o_at + (block + l) * call.dout.stride : -1;
    }
    pack_lanes(g.q_lanes + block * g.dp, call.q, q_lane, s.d_head, g.dp);
    pack_lanes(g.o_lanes + block * g.vp, call.dout, o_lane, s.d_value, g.vp);
  }
  pack_contracted(g.q_rows, call.q, q_at, place.nq, g.nqp, s.d_head, g.dp);
  pack_contracted(g.o_rows, call.dout, o_at, place.nq, g.nqp, s.d_value, g.vp);
  __builtin_memset(g.dq, 0, static_cast<size_t>(g.nqp * g.dp) * sizeof(float));
}

// kSlice rows of a piece from `begin` on, one block of queries: P and dS in both layouts. `side` is the
// block's place among the kQueries.
static void soften_gradient(const GradientScratch& g, int64_t begin, int64_t query, int64_t side, float scale,
                            bool keep) {
  const F c = splat(scale);
  F minus[kVectors], delta[kVectors];
#pragma GCC unroll 4
  for (int v = 0; v < kVectors; ++v) {
    minus[v] = splat(0) - load(g.lse + query + v * kLanes, Full{});
    delta[v] = load(g.delta + query + v * kLanes, Full{});
  }
  E *p_rows = g.p_rows + side * kBlock, *ds_rows = g.ds_rows + side * kBlock;
  for (int64_t j = begin; j < begin + kSlice; j += 2) {
    F ds[2][kVectors];
#pragma GCC unroll 2
    for (int i = 0; i < 2; ++i) {
      const float *s = g.s + (j - begin + i) * kBlock, *t = g.t + (j - begin + i) * kBlock;
      F p[kVectors];
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) {
        p[v] = power_of_two_of<kDegree>(fma(load(s + v * kLanes, Full{}), c, minus[v]));
        ds[i][v] = p[v] * (load(t + v * kLanes, Full{}) - delta[v]);
        if (keep) store(g.t + (j - begin + i) * kBlock + v * kLanes, ds[i][v], Full{});
      }
      emit_row(p_rows, j + i, p);
      emit_row(ds_rows, j + i, ds[i]);
    }
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) emit_pair(g.ds, j, v * kLanes, ds[0][v], ds[1][v]);
  }
}

static void clear_rows(E* rows, int64_t begin, int64_t end, int64_t side) {
  for (int64_t j = begin; j < end; ++j)
    __builtin_memset(rows + j * kQueries + side * kBlock, 0, kBlock * sizeof(E));
}

// Adds dS of kSlice keys and a block of queries, as soften_gradient left it in g.t, to the distances' sums.
static void sum_bias(const GradientScratch& g, const Place& place, const HeadBias& bias, int64_t key,
                     int64_t query) {
  const int64_t lanes = least(kBlock, place.nq - query), keys = least(kSlice, place.nk - key);
  for (int64_t j = 0; j < keys; ++j) {
    const int64_t low = bias.zero + query - (key + j);
    const float* from = g.t + j * kBlock;
    if (lanes == kBlock && low >= 0 && low + kBlock <= bias.span) {
      for (int64_t v = 0; v < kBlock; v += kLanes) {
        float* to = bias.d + low + v;
        store(to, load(to, Full{}) + load(from + v, Full{}), Full{});
      }
      continue;
    }
    for (int64_t l = 0; l < lanes; ++l)
      if (low + l >= 0 && low + l < bias.span) bias.d[low + l] += from[l];
  }
}

// The piece of keys from `key` on against kQueries queries from `query` on.
static void gradient_block(const Place& place, const GradientScratch& g, int64_t key, int64_t query,
                           float scale, const HeadBias& bias) {
  const int64_t keys = round_up(least(kKeys, place.nk - key), 32);
  int64_t begin[kSides], end[kSides];  // rows of the piece that each block of 32 queries sees
  int64_t from = keys, to = 0;         // and those that any sees
  for (int side = 0; side < kSides; ++side) {
    const int64_t first = query + side * kBlock, last = least(first + kBlock, place.nq) - 1;
    begin[side] = end[side] = 0;
    if (last < first) continue;
    begin[side] = most(0, place.first(first) - key) / 32 * 32;
    end[side] = least(keys, round_up(most(0, place.own(last) + 1 - key), 32));
    if (begin[side] >= end[side]) begin[side] = end[side] = 0;
    else from = least(from, begin[side]), to = most(to, end[side]);
  }
  if (from >= to) return;
  for (int side = 0; side < kSides; ++side) {
    const int64_t a = begin[side], b = end[side], block = query + side * kBlock;
    if (a == b) {
      clear_rows(g.p_rows, from, to, side), clear_rows(g.ds_rows, from, to, side);
      continue;
    }
    clear_rows(g.p_rows, from, a, side), clear_rows(g.ds_rows, from, a, side);
    clear_rows(g.p_rows, b, to, side), clear_rows(g.ds_rows, b, to, side);
    const int64_t last = least(block + kBlock, place.nq) - 1;
    const int64_t clear_from = place.first(last), clear_to = least(place.nk - 1, place.own(block));
    LaneBias lanes;
    if (bias.row) {
      lanes.span = bias.span, lanes.run = block + kBlock <= place.nq;
      for (int64_t l = 0; l < kBlock; ++l) {
        lanes.row[l] = block + l < place.nq ? bias.row : nullptr;
        lanes.at[l] = bias.zero + block + l;
      }
    }
    for (int64_t j = a; j < b;
         j += kSlice) {  // scores are used while they are still in the first-level cache
      product(kSlice, kBlock, g.dp, g.k + (key + j) * g.dp, g.dp, g.q_lanes + block * g.dp, kBlock, g.s,
              kBlock, false);
      product(kSlice, kBlock, g.vp, g.v + (key + j) * g.vp, g.vp, g.o_lanes + block * g.vp, kBlock, g.t,
              kBlock, false);
      if (bias.row) add_bias(g.s, 0, kSlice, key + j, lanes, scale);
      if (key + j < clear_from || key + j + kSlice - 1 > clear_to)
        mask_scores(g.s, 0, kSlice, key + j, g.first + block, g.own + block, clear_from, clear_to);
      soften_gradient(g, j, block, side, scale * kLog2E, bias.d != nullptr);
      if (bias.d) sum_bias(g, place, bias, key + j, block);
    }
    product(g.dp, kBlock, b - a, g.k_columns + key * g.dp + a, kKeys, g.ds + a * kBlock, kBlock,
            g.dq + block * g.dp, kBlock, true);
  }
  product(to - from, g.vp, kQueries, g.p_rows + from * kQueries, kQueries, g.o_rows + query * g.vp, g.vp,
          g.dv + (key + from) * g.vp, g.vp, true);
  product(to - from, g.dp, kQueries, g.ds_rows + from * kQueries, kQueries, g.q_rows + query * g.dp, g.dp,
          g.dk + (key + from) * g.dp, g.dp, true);
}

static void unpack_rows(const Rows& r, int64_t at, const float* from, int64_t rows, int64_t d, int64_t dp,
                        float factor) {
  const F by = splat(factor);
  for (int64_t i = 0; i < rows; ++i, at += r.stride)
    for (int64_t c = 0; c < d; c += kLanes) put_left(r, at + c, load(from + i * dp + c, Full{}) * by, d - c);
}

static void gradient(const AttentionCall& call, const AttentionPart& part, char* memory) {
  const AttentionShape& s = *call.shape;
  const Place place(s, part);
  const GradientScratch g(s, place.nq, place.nk, memory);
  begin_products();
  pack_keys(call, part, place, g);
  alignas(64) float factor[kBlock];
  for (float& f : factor) f = s.scale;
  for (int64_t head = place.head; head < place.head + place.group; ++head) {
    pack_head(call, part, place, head, g);
    HeadBias bias{nullptr, nullptr, s.bias_span, s.bias_zero + place.shift};
    if (s.bias) bias.row = s.bias + head * s.bias_span;
    if (call.dbias_of) {
      bias.d = call.dbias_of + (part.sequence * s.n_heads + head) * s.bias_span;
      __builtin_memset(bias.d, 0, static_cast<size_t>(s.bias_span) * sizeof(float));
    }
    for (int64_t key = 0; key < place.nk; key += kKeys) {
      // Queries that see some of these keys.
      const int64_t begin = place.causal ? most(0, key - place.shift) / kQueries * kQueries : 0;
      const int64_t end =
          place.window > 0 ? least(place.nq, key + kKeys - 1 + place.window - place.shift) : place.nq;
      for (int64_t query = begin; query < end; query += kQueries)
        gradient_block(place, g, key, query, s.scale, bias);
    }
    for (int64_t block = 0; block < place.nq; block += kBlock) {
      int64_t at[kBlock];
      for (int64_t l = 0; l < kBlock; ++l)
        at[l] = block + l < place.nq ? (place.q_row + block + l) * call.dq.stride + head * s.d_head : -1;
      unpack_lanes(call.dq, at, g.dq + block * g.dp, s.d_head, factor);
    }
  }
  unpack_rows(call.dk, place.k_row * call.dk.stride + part.kv_head * s.d_head, g.dk, place.nk, s.d_head, g.dp,
              s.scale);
  unpack_rows(call.dv, place.k_row * call.dv.stride + part.kv_head * s.d_value, g.dv, place.nk, s.d_value,
              g.vp, 1);
  end_products();
}
