#include "kernels/attention.h"

#include "bench/ops.h"
#include "bench/random_tensor.h"

namespace lyceum::bench {
namespace {

using namespace kernels;

// Sequences of `keys` tokens whose last `queries` ask: all of them in training, one when decoding.
struct AttentionSize {
  int64_t sequences, queries, keys, n_heads, n_kv_heads, d_head;

  double flops() const {  // causal: pairs of a query and a key that it sees
    const double seen = static_cast<double>(sequences * queries) *
                        (static_cast<double>(keys) - static_cast<double>(queries - 1) / 2);
    return 4 * seen * static_cast<double>(n_heads * d_head);
  }
  double key_bytes() const { return 4 * static_cast<double>(sequences * keys * n_kv_heads * d_head); }
  double bytes() const {
    return 8 * static_cast<double>(sequences * queries * n_heads * d_head) + 2 * key_bytes();
  }
  std::string text() const {
    const std::string heads = std::to_string(n_heads);
    return (sequences == 1 ? "" : std::to_string(sequences) + " x ") + std::to_string(keys) +
           (queries == 1 ? " keys, " : ", ") +
           (n_kv_heads == n_heads ? heads : heads + "/" + std::to_string(n_kv_heads)) + " heads of " +
           std::to_string(d_head);
  }
};

struct AttentionMemory {
  AttentionShape shape;
  std::vector<int32_t> q_offsets{0}, k_offsets{0};
  Tensor q, k, v, dout, out, dq, dk, dv, logsumexp;

  explicit AttentionMemory(const AttentionSize& s) {
    for (int64_t i = 0; i < s.sequences; ++i)
      q_offsets.push_back(q_offsets.back() + static_cast<int32_t>(s.queries)),
          k_offsets.push_back(k_offsets.back() + static_cast<int32_t>(s.keys));
    shape.n_heads = s.n_heads, shape.n_kv_heads = s.n_kv_heads, shape.d_head = shape.d_value = s.d_head;
    shape.scale = 0.125f, shape.sequences = s.sequences;
    shape.q_offsets = q_offsets.data(), shape.k_offsets = k_offsets.data();
    const Shape queries{q_offsets.back(), s.n_heads * s.d_head},
        keys{k_offsets.back(), s.n_kv_heads * s.d_head};
    q = random_tensor(queries, DType::kBF16, 1, 4), k = random_tensor(keys, DType::kBF16, 2, 4);
    v = random_tensor(keys, DType::kBF16, 3), dout = random_tensor(queries, DType::kBF16, 4);
    out = Tensor(queries, DType::kBF16), dq = Tensor(queries, DType::kBF16);
    dk = Tensor(keys, DType::kBF16), dv = Tensor(keys, DType::kBF16);
    logsumexp = Tensor({q_offsets.back(), s.n_heads}, DType::kF32);
    forward();
  }
  void forward() { attention(shape, q.as_rows(), k.as_rows(), v.as_rows(), out.as_rows(), logsumexp.f32()); }
  void gradient() {
    attention_gradient(shape, q.as_rows(), k.as_rows(), v.as_rows(), out.as_rows(), logsumexp.f32(),
                       dout.as_rows(), dq.as_rows(), dk.as_rows(), dv.as_rows(), nullptr);
  }
};

std::shared_ptr<Shared<AttentionMemory>> attention_memory(const AttentionSize& s) {
  return std::make_shared<Shared<AttentionMemory>>("attention over " + s.text(), s.bytes(),
                                                   "close other programs",
                                                   [s] { return std::make_shared<AttentionMemory>(s); });
}

}  // namespace

std::vector<BenchCase> attention_cases(const OpSizes& sizes) {
  const int64_t n = sizes.length;
  std::vector<BenchCase> cases;
  for (const AttentionSize& s :
       {AttentionSize{8, n, n, 8, 8, 64}, {4, n, n, 16, 16, 128}, {1, 2 * n, 2 * n, 32, 8, 128}}) {
    const auto training = attention_memory(s);
    cases.push_back(
        case_of("attention " + s.text(), Limit::kProducts, s.flops(), training, &AttentionMemory::forward));
    cases.push_back(case_of("attention gradient " + s.text(), Limit::kProducts, 2.5 * s.flops(), training,
                            &AttentionMemory::gradient));
  }
  for (const AttentionSize& s : {AttentionSize{8, 1, 4 * n, 16, 16, 128}, {8, 1, 4 * n, 32, 4, 128}})
    cases.push_back(case_of("attention decoding " + s.text(), Limit::kRead, s.key_bytes(),
                            attention_memory(s), &AttentionMemory::forward));
  return cases;
}

}  // namespace lyceum::bench
