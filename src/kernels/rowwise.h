// Kernels that work row by row: norms, rotary embedding, softmax, embedding, elementwise. Threaded over rows;
// sums over rows (weight gradients of norms) are taken in fixed blocks in a fixed order, so any thread count
// gives the same bits. Rows are f32 or bf16; statistics, weights and their gradients are f32.
#pragma once

#include "kernels/types.h"

namespace lyceum::kernels {

// y = x * inv * w, inv = 1 / sqrt(mean(x^2) + eps). w [width] nullable. inv [rows] is saved for the gradient.
// `add` nullable: first x += add (written back to x), the residual sum fused with the norm that follows it.
void rms_norm(int64_t rows, int64_t width, Rows x, ConstRows add, const float* w, float eps, Rows y,
              float* inv);
// dx (+)= inv * (w * dy - x * inv^2 * mean(w * dy * x));   dw += sum_rows dy * x * inv (dw nullable).
void rms_norm_gradient(int64_t rows, int64_t width, ConstRows x, const float* w, const float* inv,
                       ConstRows dy, Rows dx, bool accumulate, float* dw);

// y = (x - mean) * inv * w + b; w, b nullable; mean, inv [rows] saved.
void layer_norm(int64_t rows, int64_t width, ConstRows x, const float* w, const float* b, float eps, Rows y,
                float* mean, float* inv);
void layer_norm_gradient(int64_t rows, int64_t width, ConstRows x, const float* w, const float* mean,
                         const float* inv, ConstRows dy, Rows dx, bool accumulate, float* dw, float* db);

// Rotary embedding of the first `rotary` dims of each head, in place: pairs (i, i + rotary/2) ("half split")
// or (2i, 2i+1) ("interleaved"); angle = position * inverse_frequency[i]; multiplied by `scale` (YaRN).
// `sign` = +1 forward, -1 gradient. x [rows, n_heads * d_head]; inverse_frequency [rotary / 2].
void rope(int64_t rows, int64_t n_heads, int64_t d_head, int64_t rotary, bool interleaved,
          const int32_t* positions, const float* inverse_frequency, float scale, int sign, Rows x);

// The same with position, angle, cosine and sine each rounded to bf16, as a published model does it.
void rope_bf16(int64_t rows, int64_t n_heads, int64_t d_head, int64_t rotary, bool interleaved,
               const int32_t* positions, const float* inverse_frequency, float scale, int sign, Rows x);

// p = softmax(x) by rows, f32; logsumexp [rows] nullable.
void softmax(int64_t rows, int64_t width, const float* x, float* p, float* logsumexp);
// dx (+)= p * (dp - sum(p * dp))
void softmax_gradient(int64_t rows, int64_t width, const float* p, const float* dp, float* dx,
                      bool accumulate);
// The k largest of each row in falling order, ties to the lower index.   value, index [rows, k]; value
// nullable
void top_k(int64_t rows, int64_t width, int64_t k, const float* x, float* value, int32_t* index);

// y[t] = table[ids[t]]; table [vocab, width] row major (f32 or bf16), y f32 or bf16.
void embedding(int64_t tokens, int64_t width, const int32_t* ids, ConstRows table, Rows y);
// dtable[ids[t]] += dy[t], f32 [vocab, width], tokens of one id added in ascending order.
void embedding_gradient(int64_t tokens, int64_t width, int64_t vocab, const int32_t* ids, ConstRows dy,
                        float* dtable);

// The first `columns` of each row, of one type; x.data = nullptr: zeros.
void copy_columns(int64_t rows, int64_t columns, ConstRows x, Rows y);

// Elementwise over n contiguous elements.
void convert(int64_t n, const void* from, DType from_type, void* to, DType to_type);
void add(int64_t n, const void* a, const void* b, void* y, DType type);          // y = a + b
void accumulate(int64_t n, const void* x, DType x_type, void* y, DType y_type);  // y += x
void scale(int64_t n, float factor, void* x, DType type);                        // x *= factor
void clamp(int64_t n, float bound, void* x, DType type);  // x = min(max(x, -bound), bound)
// dx = |x| <= bound ? dx : 0, for x before clamping
void clamp_gradient(int64_t n, float bound, const void* x, void* dx, DType type);
void fill_zero(int64_t bytes, void* x);

}  // namespace lyceum::kernels
