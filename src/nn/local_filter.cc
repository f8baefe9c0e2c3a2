#include "nn/local_filter.h"

#include <cstring>

namespace lyceum {
namespace {

// The last row, by itself.
Tensor last_row(const Tensor& x) {
  Tensor row({1, x.width()}, x.type());
  std::memcpy(row.data(), static_cast<const char*>(x.data()) + (x.bytes() - row.bytes()), row.bytes());
  return row;
}

// Swaps what stands before the first row of a batch for what will stand before the next one's.
Tensor before(Context& c, Tensor SequenceState::Layer::*kept, int64_t layer, const Tensor& rows) {
  if (!c.state || rows.rows() == 0) return {};
  Tensor& slot = c.state->layers[static_cast<size_t>(layer)].*kept;
  const Tensor found = slot;
  slot = last_row(rows);
  return found;
}

}  // namespace

LocalFilter::LocalFilter(int64_t width, const std::string& prefix, ParameterList& parameters)
    : conv1_(parameters.matrix(prefix + ".conv1.weight", {width / 2, 2 * width})),
      conv2_(parameters.matrix(prefix + ".conv2.weight", {width, width / 2 * 2})),
      bias1_(parameters.vector(prefix + ".conv1.bias", width / 2)),
      bias2_(parameters.vector(prefix + ".conv2.bias", width)),
      norm_({NormOptions::Kind::kRms, 1e-6}, prefix + ".output_layernorm", width, parameters) {}

Tensor LocalFilter::forward(Context& c, const Tensor& h, int64_t layer) const {
  using Layer = SequenceState::Layer;
  const std::vector<int32_t>& offsets = c.batch.offsets;
  const Tensor pairs = ops::with_previous(c.tape, h, offsets, before(c, &Layer::filter_h, layer, h));
  const Tensor c1 = ops::linear(c.tape, pairs, *conv1_, bias1_);
  const Tensor twos = ops::with_previous(c.tape, c1, offsets, before(c, &Layer::filter_c1, layer, c1));
  const Tensor c2 = ops::linear(c.tape, twos, *conv2_, bias2_);
  return norm_.forward(c, ops::add(c.tape, c2, h));
}

}  // namespace lyceum
