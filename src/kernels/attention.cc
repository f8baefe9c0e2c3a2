// Attention: checks, the choice of the level, the cut into parts.
#include "kernels/attention.h"

#include <algorithm>
#include <memory>
#include <vector>

#include "base/error.h"
#include "base/threads.h"
#include "kernels/attention_table.h"
#include "kernels/isa.h"

namespace lyceum::kernels {
namespace {

void check_rows(const char* where, const char* name, const ConstRows& rows) {
  check(rows.type == DType::kF32 || rows.type == DType::kBF16, where, "wanted ", name,
        " in f32 or bf16, found ", dtype_name(rows.type));
}

void check_shape(const char* where, const AttentionShape& s) {
  check(s.n_kv_heads > 0 && s.n_heads > 0 && s.n_heads % s.n_kv_heads == 0, where,
        "wanted a number of query heads that is a multiple of the key heads, found ", s.n_heads, " and ",
        s.n_kv_heads);
  check(s.d_head > 0 && s.d_value > 0, where, "wanted head widths above 0, found ", s.d_head, " and ",
        s.d_value);
  check(s.scale > 0, where, "wanted a scale above 0, found ", s.scale);
  check(!s.bias || (s.bias_span > 0 && s.bias_zero >= 0 && s.bias_zero < s.bias_span), where, "a bias of ",
        s.bias_span, " distances has no distance 0 at ", s.bias_zero);
  check(s.window >= 0 && (s.causal || s.window == 0), where, "a window wants causal attention");
}

// The table for these rows, or null for the reference.
const AttentionTable* table_for(const AttentionShape& s, bool all_bf16) {
  switch (attention_isa(all_bf16 && s.d_head % 2 == 0 && s.d_value % 2 == 0)) {
    case Isa::kAmx:
      return &kAttentionAmx;
    case Isa::kAvx512Bf16:
      return &kAttentionAvx512Bf16;
    case Isa::kAvx512:
      return &kAttentionAvx512;
    case Isa::kAvx2:
      return &kAttentionAvx2;
    case Isa::kAmxEmulated:
      return &kAttentionAmxEmulated;
    case Isa::kReference:
      break;
  }
  return nullptr;
}

// Scratch memory of this thread, kept between calls.
char* scratch(int64_t bytes) {
  struct Free {
    void operator()(char* p) const { ::operator delete(p, std::align_val_t{64}); }
  };
  static thread_local std::unique_ptr<char, Free> memory;
  static thread_local int64_t size = 0;
  if (size < bytes) {
    memory.reset();
    memory.reset(static_cast<char*>(::operator new(static_cast<size_t>(bytes), std::align_val_t{64})));
    size = bytes;
  }
  return memory.get();
}

constexpr int64_t kLanesPerPart = 512;  // queries times heads: enough to pay for packing the keys, and the
                                        // part's state stays in the second-level cache

// Cuts a call into parts, those with most work first. Forward: any cut gives the same bits.
void cut(const AttentionShape& s, bool whole_sequences, std::vector<AttentionPart>* parts) {
  parts->clear();
  const int64_t step = std::max<int64_t>(32, kLanesPerPart / (s.n_heads / s.n_kv_heads) / 32 * 32);
  for (int64_t i = 0; i < s.sequences; ++i) {
    const int64_t n = s.q_offsets[i + 1] - s.q_offsets[i];
    for (int64_t kv_head = 0; kv_head < s.n_kv_heads; ++kv_head)
      if (whole_sequences) parts->push_back({i, kv_head, 0, n});
      else
        for (int64_t begin = 0; begin < n; begin += step)
          parts->push_back({i, kv_head, begin, std::min(begin + step, n)});
  }
  auto work = [&](const AttentionPart& p) {
    const int64_t keys = s.k_offsets[p.sequence + 1] - s.k_offsets[p.sequence];
    const int64_t before =
        s.causal ? keys - (s.q_offsets[p.sequence + 1] - s.q_offsets[p.sequence]) + p.q_end : keys;
    return (p.q_end - p.q_begin) * std::max<int64_t>(1, before);
  };
  std::sort(parts->begin(), parts->end(), [&](const AttentionPart& a, const AttentionPart& b) {
    const int64_t x = work(a), y = work(b);
    if (x != y) return x > y;
    if (a.sequence != b.sequence) return a.sequence < b.sequence;
    return a.kv_head != b.kv_head ? a.kv_head < b.kv_head : a.q_begin < b.q_begin;
  });
}

}  // namespace

Isa attention_isa(bool pairs) {
  const Isa level = isa_level();
  if (pairs) return level;
  if (level == Isa::kAmx || level == Isa::kAvx512Bf16) return Isa::kAvx512;
  return level == Isa::kAmxEmulated ? Isa::kReference : level;
}

void attention(const AttentionShape& shape, ConstRows q, ConstRows k, ConstRows v, Rows out,
               float* logsumexp) {
  check_shape("attention", shape);
  check_rows("attention", "q", q), check_rows("attention", "k", k), check_rows("attention", "v", v);
  check_rows("attention", "out", out);
  AttentionCall call{};
  call.shape = &shape;
  call.q = q, call.k = k, call.v = v, call.out = out, call.logsumexp = logsumexp;
  const bool all_bf16 = q.type == DType::kBF16 && k.type == q.type && v.type == q.type;
  const AttentionTable* table = table_for(shape, all_bf16);
  if (!table) return attention_reference(call);
  static thread_local std::vector<AttentionPart> storage;
  cut(shape, false, &storage);
  const std::vector<AttentionPart>& parts = storage;
  parallel_for(static_cast<int64_t>(parts.size()), [&](int64_t task, int) {
    const AttentionPart& part = parts[static_cast<size_t>(task)];
    table->forward(call, part, scratch(table->forward_bytes(shape, part.q_end - part.q_begin)));
  });
}

void attention_gradient(const AttentionShape& shape, ConstRows q, ConstRows k, ConstRows v, ConstRows out,
                        const float* logsumexp, ConstRows dout, Rows dq, Rows dk, Rows dv, float* dsinks,
                        float* dbias) {
  const char* where = "attention_gradient";
  check_shape(where, shape);
  check_rows(where, "q", q), check_rows(where, "k", k), check_rows(where, "v", v);
  check_rows(where, "out", out), check_rows(where, "dout", dout);
  check_rows(where, "dq", dq), check_rows(where, "dk", dk), check_rows(where, "dv", dv);
  check(!dsinks || shape.sinks, where, "a gradient of sinks was asked for without sinks");
  check(!dbias || shape.bias, where, "a gradient of the bias was asked for without a bias");
  static thread_local std::vector<float> sinks;  // [sequences, n_heads]
  const size_t size = dsinks ? static_cast<size_t>(shape.sequences * shape.n_heads) : 0;
  if (sinks.size() < size) sinks.resize(size);
  AttentionCall call{};
  call.shape = &shape;
  call.q = q, call.k = k, call.v = v, call.dout = dout, call.dq = dq, call.dk = dk, call.dv = dv;
  call.out = Rows{const_cast<void*>(out.data), out.type, out.stride};  // read only
  call.logsumexp = const_cast<float*>(logsumexp);
  call.dsinks_of = dsinks ? sinks.data() : nullptr;
  static thread_local std::vector<float> biases;  // [sequences, n_heads, bias_span]
  const int64_t of_sequence = dbias ? shape.n_heads * shape.bias_span : 0;
  const size_t all = static_cast<size_t>(shape.sequences * of_sequence);
  if (biases.size() < all) biases.resize(all);
  call.dbias_of = dbias ? biases.data() : nullptr;
  const bool all_bf16 = q.type == DType::kBF16 && k.type == q.type && v.type == q.type && dout.type == q.type;
  if (const AttentionTable* table = table_for(shape, all_bf16)) {
    static thread_local std::vector<AttentionPart> storage;
    cut(shape, true, &storage);
    const std::vector<AttentionPart>& parts = storage;
    parallel_for(static_cast<int64_t>(parts.size()), [&](int64_t task, int) {
      const AttentionPart& part = parts[static_cast<size_t>(task)];
      const int64_t keys = shape.k_offsets[part.sequence + 1] - shape.k_offsets[part.sequence];
      table->gradient(call, part, scratch(table->gradient_bytes(shape, part.q_end - part.q_begin, keys)));
    });
  } else {
    attention_gradient_reference(call);
  }
  if (dsinks)
    for (int64_t s = 0; s < shape.sequences; ++s)
      for (int64_t h = 0; h < shape.n_heads; ++h)
        dsinks[h] += sinks[static_cast<size_t>(s * shape.n_heads + h)];
  for (int64_t s = 0; s < shape.sequences; ++s)
    for (int64_t i = 0; i < of_sequence; ++i) dbias[i] += biases[static_cast<size_t>(s * of_sequence + i)];
}

}  // namespace lyceum::kernels
