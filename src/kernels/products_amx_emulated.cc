// The AMX products over emulated tiles: portable, slow, and bit for bit what the instruction computes.
#include "kernels/product_pack_plain.h"
#include "kernels/product_tiles.h"
#include "kernels/product_tiles_emulated.h"

namespace lyceum::kernels {
namespace {

void nothing() {}

}  // namespace

constinit const ProductTable kProductsAmxEmulated = {
    .name = "amx_emulated",
    .operand = DType::kBF16,
    .row_block = 32,
    .panels = 2,
    .k_step = 32,
    .tiled = true,
    .begin = nothing,
    .end = nothing,
    .pack_rows = pack_rows_tiles_plain,
    .pack_columns = pack_columns_tiles_plain,
    .pack_panels = pack_panels_plain,
    .transpose = transpose_plain,
    .overlaps = true,
    .sweep = sweep_tiles<EmulatedTiles>,
    .scratch_floats = tiles_scratch,
    .peak = tiles_peak<EmulatedTiles>,
    .peak_flops = kTilesPeakFlops,
    .activation_gradient = activation_gradient_rows,
    .combine = combine_rows,
    .log_sum_exp = log_sum_exp_row,
    .scale_row = scale_row,
};

}  // namespace lyceum::kernels
