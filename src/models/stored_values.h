// The values of a tensor of a file, whatever the file keeps them in: numbers as they are, or the two packed
// forms that weights are published in.
//
//   FP8, DeepSeek-V3: <name> F8_E4M3 [n, k] and <name>_scale_inv [n / 128, k / 128] rounded up
//     value[i, j] = fp8[i, j] scale[i / 128, j / 128]
//   MXFP4, gpt-oss: <name>_blocks U8 [experts, n, k / 32, 16] and <name>_scales U8 [experts, n, k / 32]
//     value = e2m1 2^(scale - 127), two to a byte, the low half first; the tensor is held transposed,
//     [experts, n, k] where the plain form is [experts, k, n]
//
// Sources: DeepSeek-V3's inference/kernel.py (weight_dequant), transformers' integrations/mxfp4.py and the
// OCP Microscaling specification 1.0.
#pragma once

#include "formats/tensor_files.h"
#include "models/file_tensors.h"

namespace lyceum {

struct StoredValues {
  const StoredTensor* tensor = nullptr;
  const StoredTensor* scales = nullptr;  // of the packed forms
  bool transposed = false;               // MXFP4

  // Elements [begin, begin + n) in row-major order of the tensor's values.
  void read(int64_t begin, int64_t n, float* out) const;
  void read(int64_t begin, int64_t n, bf16* out) const;  // of a BF16 tensor
  // Every step-th element from `begin` on.
  template <class T>
  void read_strided(int64_t begin, int64_t n, int64_t step, T* out) const {
    if (step == 1) return read(begin, n, out);
    for (int64_t i = 0; i < n; ++i) read(begin + i * step, 1, out + i);
  }
};

// Finds the tensor, or its packed form, and checks shapes and types; ids (i32 parameters) are whole numbers.
// Throws kCorruptData or kUnsupported, naming file, tensor, what was expected and found.
StoredValues find_values(const TensorFiles& files, const FileTensor& wanted);

// The span of the same tensor with its last two dimensions exchanged, [.., rows, columns] as wanted.
FileSpan transposed_span(const FileSpan& span, int64_t rows, int64_t columns);

}  // namespace lyceum
