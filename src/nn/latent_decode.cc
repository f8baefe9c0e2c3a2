#include "nn/latent_decode.h"

#include "kernels/products.h"
#include "kernels/rowwise.h"

namespace lyceum {
namespace {

// The matrix of every head, [rows of a head, kv_rank], as one group of a product.
kernels::Weights by_head(const Parameter& p, int64_t rows, int64_t columns) {
  const WeightLayout head{1, rows, columns, p.type()};
  return {p.value.data(), head, head.size(), nullptr};
}

}  // namespace

bool can_decode_latent(const LatentRows& w) {
  return w.d_nope % WeightLayout::kPanel == 0 && w.d_value % WeightLayout::kPanel == 0;
}

Tensor decode_latent(const LatentRows& w, const kernels::AttentionShape& plain, const Tensor& q,
                     const Tensor& kept, const Parameter& k_b, const Parameter& v_b) {
  const int64_t tokens = q.rows(), heads = w.n_heads, slots = tokens * heads;
  const int64_t width = w.d_rope + w.kv_rank, asked = w.d_rope + w.d_nope;
  // Slots of a group are the tokens of a head; rows of q and of the sums stand token by token.
  std::vector<int32_t> first, row;
  for (int64_t h = 0; h <= heads; ++h) first.push_back(static_cast<int32_t>(h * tokens));
  for (int64_t h = 0; h < heads; ++h)
    for (int64_t t = 0; t < tokens; ++t) row.push_back(static_cast<int32_t>(t * heads + h));
  const kernels::Groups groups{heads, first.data()};

  const Tensor turned({slots, w.kv_rank}, q.type());
  const ConstRows by_slot(q.data(), q.type(), asked);
  kernels::product_dgrad(groups, columns_from(by_slot, w.d_rope), row.data(),
                         by_head(k_b, w.d_nope, w.kv_rank), turned.as_rows());
  const Tensor queries({tokens, heads * width}, q.type());
  kernels::copy_columns(slots, w.d_rope, by_slot, {queries.data(), q.type(), width});
  for (int64_t h = 0; h < heads; ++h)
    kernels::copy_columns(tokens, w.kv_rank, rows_from(turned.as_rows(), h * tokens),
                          columns_from(queries.as_rows(), h * width + w.d_rope));

  kernels::AttentionShape shape = plain;
  shape.n_kv_heads = 1, shape.d_head = width, shape.d_value = w.kv_rank;
  const Tensor sums({tokens, heads * w.kv_rank}, q.type());
  kernels::attention(shape, queries.as_rows(), kept.as_rows(), columns_from(kept.as_rows(), w.d_rope),
                     sums.as_rows(), nullptr);

  const Tensor values({slots, w.d_value}, q.type());
  kernels::product(groups, {sums.data(), q.type(), w.kv_rank}, row.data(), by_head(v_b, w.d_value, w.kv_rank),
                   values.as_rows());
  Tensor out({tokens, heads * w.d_value}, q.type());
  for (int64_t h = 0; h < heads; ++h)
    kernels::copy_columns(tokens, w.d_value, rows_from(values.as_rows(), h * tokens),
                          columns_from(out.as_rows(), h * w.d_value));
  return out;
}

}  // namespace lyceum
