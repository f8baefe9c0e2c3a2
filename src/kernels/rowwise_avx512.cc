// The row functions of the avx512 level. Compiled with that level's flags: nothing but what stands in the
// unnamed namespace may leave this file, and no standard template may enter it.
#include <immintrin.h>

#include "kernels/row_table.h"

namespace lyceum::kernels {
namespace rows_avx512 {
namespace {
#include "kernels/generic/simd_avx512.h"
// clang-format: the order matters
#include "kernels/generic/maths.h"
// clang-format: the order matters
#include "kernels/generic/scores.h"
// clang-format: the order matters
#include "kernels/generic/rowwise.h"
}  // namespace
}  // namespace rows_avx512

constinit const RowTable kRowsAvx512 = rows_avx512::kTable;

}  // namespace lyceum::kernels
