// Blockwise attention, forward (Dao 2023, arXiv:2307.08691). A part is some queries of all query heads that
// share a key head, in blocks of 32 lanes; keys are taken in pieces of kKeys from key 0 on, each packed once
// and applied to every block.
//
//   S = K Q^T;  r' = max(r, c max S) if that grows by more than 8, else r;  P = 2^(c S - r')
//   l = l 2^(r - r') + sum P;  O^T = O^T 2^(r - r') + V^T P;  out = O / l;  c = scale log2 e
//
// The reference r of a query may lag behind its maximum by a factor of 2^8: rescaling is rare, nothing
// overflows, and the decision is each lane's own, so a query's bits depend on no other query. l is summed by
// key index modulo kLanes for the same reason: a row-wise kernel can repeat it.

struct LaneBlock {
  E* q;              // [dp / kPair][32][kPair]
  float* sum;        // [vp][32], O^T
  float* weight;     // [kLanes][32], l by key index modulo kLanes
  float* reference;  // [32]
  float *first, *own;
  LaneBias* bias;
  int64_t *q_at, *out_at, *lse_at;  // elements of each lane's rows, -1 for none
  int64_t begin, end;               // keys that any lane sees
  int64_t clear_from, clear_to;     // keys that all lanes see
};

struct ForwardScratch {
  int64_t dp, vp, blocks;
  E *k, *v, *p;
  float* s;
  LaneBlock* block;
  char* end;

  ForwardScratch(const AttentionShape& shape, int64_t queries, char* start)
      : dp(round_up(shape.d_head, 32)), vp(round_up(shape.d_value, 32)) {
    const int64_t group = shape.n_heads / shape.n_kv_heads;
    blocks = queries >= kBlock ? group * ((queries + kBlock - 1) / kBlock)
                               : (group * queries + kBlock - 1) / kBlock;
    Pieces pieces{start};
    k = pieces.take<E>(kKeys * dp);
    v = pieces.take<E>(kKeys * vp);
    p = pieces.take<E>(kKeys * kBlock);
    s = pieces.take<float>(kKeys * kBlock);
    block = pieces.take<LaneBlock>(blocks);
    for (int64_t b = 0; b < blocks; ++b) {
      LaneBlock lanes;
      lanes.q = pieces.take<E>(dp * kBlock);
      lanes.sum = pieces.take<float>(vp * kBlock);
      lanes.weight = pieces.take<float>(kLanes * kBlock);
      lanes.reference = pieces.take<float>(kBlock);
      lanes.first = pieces.take<float>(kBlock);
      lanes.own = pieces.take<float>(kBlock);
      lanes.bias = shape.bias ? pieces.take<LaneBias>(1) : nullptr;
      lanes.q_at = pieces.take<int64_t>(kBlock);
      lanes.out_at = pieces.take<int64_t>(kBlock);
      lanes.lse_at = pieces.take<int64_t>(kBlock);
      if (start) block[b] = lanes;
    }
    end = pieces.at;
  }
};

// Which query and head each lane of block b holds; many queries: blocks of one head, few: heads side by side.
static void fill_block(const AttentionCall& call, const AttentionPart& part, const Place& place, int64_t b,
                       const ForwardScratch& scratch) {
  const AttentionShape& s = *call.shape;
  LaneBlock& lanes = scratch.block[b];
  const int64_t queries = part.q_end - part.q_begin, per_head = (queries + kBlock - 1) / kBlock;
  const bool many = queries >= kBlock;
  lanes.begin = place.nk, lanes.end = 0, lanes.clear_from = 0, lanes.clear_to = place.nk - 1;
  if (s.bias) lanes.bias->span = s.bias_span, lanes.bias->run = many;
  __builtin_memset(lanes.weight, 0, static_cast<size_t>(kLanes * kBlock) * sizeof(float));
  int64_t h = many ? b / per_head : b * kBlock / queries;  // of the lane, and its query
  int64_t i = part.q_begin + (many ? b % per_head * kBlock : b * kBlock % queries);
  for (int64_t l = 0; l < kBlock; ++l, ++i) {
    if (!many && i == part.q_end) i = part.q_begin, ++h;
    const bool real = h < place.group && i < part.q_end;
    const int64_t row = place.q_row + i, head = place.head + h;
    lanes.q_at[l] = real ? row * call.q.stride + head * s.d_head : -1;
    lanes.out_at[l] = real ? row * call.out.stride + head * s.d_value : -1;
    lanes.lse_at[l] = real ? row * s.n_heads + head : -1;
    const int64_t first = real ? place.first(i) : 0, own = real ? place.own(i) : -1;
    lanes.first[l] = static_cast<float>(first), lanes.own[l] = static_cast<float>(own);
    lanes.reference[l] = real && s.sinks ? s.sinks[head] * kLog2E : kNone;
    lanes.weight[l] = real && s.sinks ? 1.0f : 0.0f;
    if (s.bias) {
      lanes.bias->row[l] = real ? s.bias + head * s.bias_span : nullptr;
      lanes.bias->at[l] = s.bias_zero + i + place.shift;
      lanes.bias->run = lanes.bias->run && real;
    }
    if (!real) continue;
    lanes.begin = least(lanes.begin, first), lanes.end = most(lanes.end, own + 1);
    lanes.clear_from = most(lanes.clear_from, first), lanes.clear_to = least(lanes.clear_to, own);
  }
  __builtin_memset(lanes.sum, 0, static_cast<size_t>(scratch.vp * kBlock) * sizeof(float));
  pack_lanes(lanes.q, call.q, lanes.q_at, s.d_head, scratch.dp);
}

// Scores of one register of lanes, rows [begin, end) of the piece, to probabilities.
static inline void soften(const float* s, E* p, int64_t begin, int64_t end, float scale, int64_t vp,
                          const LaneBlock& lanes, int64_t v) {
  const F c = splat(scale);
  F m[4] = {splat(kNone), splat(kNone), splat(kNone), splat(kNone)};
  for (int64_t j = begin; j < end; j += 4)
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) m[i] = larger(load(s + (j + i) * kBlock + v, Full{}), m[i]);
  const F bound = larger(larger(m[0], m[1]), larger(m[2], m[3])) * c;
  const F before = load(lanes.reference + v, Full{});
  const F r = select_at_most(bound, before + splat(8.0f), before, bound);
  if (lanes_max(r - before) > 0) {
    const F shrink = power_of_two_of<kDegree>(before - r);
    store(lanes.reference + v, r, Full{});
    for (int64_t i = 0; i < vp; ++i)
      store(lanes.sum + i * kBlock + v, load(lanes.sum + i * kBlock + v, Full{}) * shrink, Full{});
    for (int64_t i = 0; i < kLanes; ++i)
      store(lanes.weight + i * kBlock + v, load(lanes.weight + i * kBlock + v, Full{}) * shrink, Full{});
  }
  const F minus = splat(0) - r;
  F weight[kLanes];
#pragma GCC unroll 16
  for (int i = 0; i < kLanes; ++i) weight[i] = load(lanes.weight + i * kBlock + v, Full{});
  for (int64_t j = begin; j < end; j += kLanes)
#pragma GCC unroll 8
    for (int i = 0; i < kLanes; i += 2) {
      const F even = power_of_two_of<kDegree>(fma(load(s + (j + i) * kBlock + v, Full{}), c, minus));
      const F odd = power_of_two_of<kDegree>(fma(load(s + (j + i + 1) * kBlock + v, Full{}), c, minus));
      weight[i] = weight[i] + even, weight[i + 1] = weight[i + 1] + odd;
      emit_pair(p, j + i, v, even, odd);
    }
#pragma GCC unroll 16
  for (int i = 0; i < kLanes; ++i) store(lanes.weight + i * kBlock + v, weight[i], Full{});
}

static void finish_block(const AttentionCall& call, const LaneBlock& lanes) {
  alignas(64) float factor[kBlock], lse[kBlock];
  for (int64_t v = 0; v < kBlock; v += kLanes) {
    for (int64_t step = kLanes / 2; step; step /= 2)  // the order of lanes_sum
      for (int64_t i = 0; i < step; ++i) {
        float* w = lanes.weight + i * kBlock + v;
        store(w, load(w, Full{}) + load(w + step * kBlock, Full{}), Full{});
      }
    const F total = load(lanes.weight + v, Full{}), none = splat(0);
    store(factor + v, select_at_most(total, none, none, splat(1.0f) / total), Full{});
    const F log = fma(load(lanes.reference + v, Full{}), splat(kLn2), logarithm(total));
    store(lse + v, select_at_most(total, none, splat(-__builtin_inff()), log), Full{});
  }
  unpack_lanes(call.out, lanes.out_at, lanes.sum, call.shape->d_value, factor);
  if (call.logsumexp)
    for (int64_t l = 0; l < kBlock; ++l)
      if (lanes.lse_at[l] >= 0) call.logsumexp[lanes.lse_at[l]] = lse[l];
}

static int64_t forward_bytes(const AttentionShape& shape, int64_t queries) {
  return reinterpret_cast<intptr_t>(ForwardScratch(shape, queries, nullptr).end);
}

static void forward(const AttentionCall& call, const AttentionPart& part, char* memory) {
  const AttentionShape& shape = *call.shape;
  const Place place(shape, part);
  const ForwardScratch scratch(shape, part.q_end - part.q_begin, memory);
  const int64_t dp = scratch.dp, vp = scratch.vp;
  const float scale = shape.scale * kLog2E;
  begin_products();
  int64_t begin = place.nk, end = 0;
  for (int64_t b = 0; b < scratch.blocks; ++b) {
    fill_block(call, part, place, b, scratch);
    begin = least(begin, scratch.block[b].begin), end = most(end, scratch.block[b].end);
  }
  for (int64_t key = begin / kKeys * kKeys; key < end; key += kKeys) {
    const int64_t keys = least(kKeys, place.nk - key), row = place.k_row + key;
    pack_rows(scratch.k, call.k, row * call.k.stride + part.kv_head * shape.d_head, keys, round_up(keys, 32),
              shape.d_head, dp);
    pack_transposed(scratch.v, call.v, row * call.v.stride + part.kv_head * shape.d_value, keys,
                    shape.d_value, vp);
    const int64_t asked = scratch.blocks > 1 ? least(row + 2 * kKeys, place.k_row + end) : 0;
    for (int64_t next = row + kKeys; next < asked; ++next) {
      prefetch_row(call.k, next * call.k.stride + part.kv_head * shape.d_head, shape.d_head);
      prefetch_row(call.v, next * call.v.stride + part.kv_head * shape.d_value, shape.d_value);
    }
    for (int64_t b = 0; b < scratch.blocks; ++b) {
      const LaneBlock& lanes = scratch.block[b];
      const int64_t from = most(0, lanes.begin - key) / 32 * 32;
      const int64_t to = least(round_up(keys, 32), round_up(lanes.end - key, 32));
      if (from >= to) continue;
      product(to - from, kBlock, dp, scratch.k + from * dp, dp, lanes.q, kBlock, scratch.s + from * kBlock,
              kBlock, false);
      if (lanes.bias) add_bias(scratch.s, from, to, key, *lanes.bias, shape.scale);
      if (key + from < lanes.clear_from || key + to - 1 > lanes.clear_to)
        mask_scores(scratch.s, from, to, key, lanes.first, lanes.own, lanes.clear_from, lanes.clear_to);
      for (int64_t v = 0; v < kBlock; v += kLanes)
        soften(scratch.s, scratch.p, from, to, scale, vp, lanes, v);
      product(vp, kBlock, to - from, scratch.v + from, kKeys, scratch.p + from * kBlock, kBlock, lanes.sum,
              kBlock, true);
    }
  }
  for (int64_t b = 0; b < scratch.blocks; ++b) finish_block(call, scratch.block[b]);
  end_products();
}
