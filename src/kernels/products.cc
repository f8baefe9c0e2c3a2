// The public products: checks of the arguments and the choice of a level.
#include "kernels/products.h"

#include "kernels/products_reference.h"

namespace lyceum::kernels {

void product(const Groups& groups, ConstRows x, const int32_t* gather, const Weights& w, Rows y,
             bool accumulate) {
  reference::product(groups, x, gather, w, y, accumulate);
}

void activated_product(const Groups& groups, ConstRows x, const int32_t* gather, const Weights& w,
                       Activation activation, const float* scale, Rows pre, Rows h) {
  reference::activated_product(groups, x, gather, w, activation, scale, pre, h);
}

void product_dgrad(const Groups& groups, ConstRows dy, const int32_t* gather, const Weights& w, Rows dx,
                   bool accumulate) {
  reference::product_dgrad(groups, dy, gather, w, dx, accumulate);
}

void activation_gradient(int64_t slots, int64_t n, int64_t parts, Activation activation, const float* scale,
                         ConstRows pre, ConstRows dh, Rows dpre, Rows h, float* dscale) {
  reference::activation_gradient(slots, n, parts, activation, scale, pre, dh, dpre, h, dscale);
}

void product_wgrad(const Groups& groups, ConstRows dy, const int32_t* dy_gather, ConstRows x,
                   const int32_t* x_gather, const WeightLayout& layout, float* dw, int64_t stride) {
  reference::product_wgrad(groups, dy, dy_gather, x, x_gather, layout, dw, stride);
}

void bias_gradient(const Groups& groups, ConstRows dy, int64_t n, float* dbias) {
  reference::bias_gradient(groups, dy, n, dbias);
}

void combine(int64_t tokens, int64_t width, const int32_t* first, const int32_t* slot, ConstRows out,
             ConstRows residual, Rows y) {
  reference::combine(tokens, width, first, slot, out, residual, y);
}

}  // namespace lyceum::kernels
