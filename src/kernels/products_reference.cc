#include "kernels/products_reference.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/threads.h"
#include "kernels/rows_access.h"

namespace lyceum::kernels::reference {
namespace {

constexpr int64_t kPanel = WeightLayout::kPanel;

// The group of a slot; groups may be empty.
int64_t group_of(const Groups& groups, int64_t slot) {
  return std::upper_bound(groups.first, groups.first + groups.n + 1, static_cast<int32_t>(slot)) -
         groups.first - 1;
}

int64_t row_of(const int32_t* gather, int64_t slot) { return gather ? gather[slot] : slot; }

// z[o] = sum_i x[i] W[o, i] + bias[o] for all parts * n outputs of one row.
void multiply_row(const float* x, const Weights& w, int64_t group, float* z) {
  const WeightLayout& layout = w.layout;
  std::vector<float>& panel = scratch<float, 0>(layout.panel_size());
  for (int64_t part = 0; part < layout.parts; ++part)
    for (int64_t p = 0; p < layout.n; p += kPanel) {
      read_panel(w, group, part, p, panel.data());
      double sum[kPanel] = {};
      for (int64_t i = 0; i < layout.k; ++i)
        for (int64_t o = 0; o < kPanel; ++o) sum[o] += static_cast<double>(x[i]) * panel[i * kPanel + o];
      for (int64_t o = 0; o < std::min(kPanel, layout.n - p); ++o) {
        const int64_t column = part * layout.n + p + o;
        if (w.bias) sum[o] += w.bias[group * layout.parts * layout.n + column];
        z[column] = static_cast<float>(sum[o]);
      }
    }
}

constexpr int64_t kGrain = 4;  // slots of one task

}  // namespace

double activate(Activation activation, double x) {
  switch (activation) {
    case Activation::kSilu:
      return x / (1 + std::exp(-x));
    case Activation::kGelu:
      return 0.5 * x * (1 + std::erf(x * M_SQRT1_2));
    case Activation::kGeluTanh:
      return 0.5 * x * (1 + std::tanh(0.79788456080286536 * (x + 0.044715 * x * x * x)));
    case Activation::kRelu:
      return x > 0 ? x : 0;
    case Activation::kQuickGelu:
      return x / (1 + std::exp(-1.702 * x));
    default:
      break;
  }
  return x;
}

double activate_slope(Activation activation, double x) {
  switch (activation) {
    case Activation::kSilu: {
      const double s = 1 / (1 + std::exp(-x));
      return s * (1 + x * (1 - s));
    }
    case Activation::kGelu:
      return 0.5 * (1 + std::erf(x * M_SQRT1_2)) + x * 0.39894228040143268 * std::exp(-0.5 * x * x);
    case Activation::kGeluTanh: {
      constexpr double c = 0.79788456080286536;
      const double t = std::tanh(c * (x + 0.044715 * x * x * x));
      return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * c * (1 + 3 * 0.044715 * x * x);
    }
    case Activation::kRelu:
      return x > 0 ? 1 : 0;
    case Activation::kQuickGelu: {
      const double s = 1 / (1 + std::exp(-1.702 * x));
      return s * (1 + 1.702 * x * (1 - s));
    }
    default:
      break;
  }
  return 1;
}

void product(const Groups& groups, ConstRows x, const int32_t* gather, const Weights& w, Rows y,
             bool accumulate) {
  const int64_t width = w.layout.parts * w.layout.n;
  parallel_ranges(groups.slots(), kGrain, [&](int64_t begin, int64_t end, int) {
    std::vector<float>&in = scratch<float, 1>(w.layout.k), &z = scratch<float, 2>(width);
    for (int64_t s = begin; s < end; ++s) {
      read_row(x, row_of(gather, s), w.layout.k, in.data());
      multiply_row(in.data(), w, group_of(groups, s), z.data());
      for (int64_t o = 0; o < width; ++o) write(y, s, o, z[o] + (accumulate ? read(y, s, o) : 0));
    }
  });
}

void activated_product(const Groups& groups, ConstRows x, const int32_t* gather, const Weights& w,
                       Activation activation, const float* scale, Rows pre, Rows h) {
  const int64_t n = w.layout.n, parts = w.layout.parts;
  parallel_ranges(groups.slots(), kGrain, [&](int64_t begin, int64_t end, int) {
    std::vector<float>&in = scratch<float, 1>(w.layout.k), &z = scratch<float, 2>(parts * n);
    for (int64_t s = begin; s < end; ++s) {
      read_row(x, row_of(gather, s), w.layout.k, in.data());
      multiply_row(in.data(), w, group_of(groups, s), z.data());
      if (pre.data)
        for (int64_t o = 0; o < parts * n; ++o) write(pre, s, o, z[o]);
      for (int64_t o = 0; o < n; ++o) {
        const double up = parts == 2 ? z[n + o] : 1.0;
        write(h, s, o, static_cast<float>((scale ? scale[s] : 1.0) * activate(activation, z[o]) * up));
      }
    }
  });
}

void product_dgrad(const Groups& groups, ConstRows dy, const int32_t* gather, const Weights& w, Rows dx,
                   bool accumulate) {
  const WeightLayout& layout = w.layout;
  const int64_t width = layout.parts * layout.n;
  parallel_ranges(groups.slots(), kGrain, [&](int64_t begin, int64_t end, int) {
    std::vector<float>&in = scratch<float, 1>(width), &panel = scratch<float, 0>(layout.panel_size());
    std::vector<double>& sum = scratch<double, 0>(layout.k);
    for (int64_t s = begin; s < end; ++s) {
      read_row(dy, row_of(gather, s), width, in.data());
      std::fill(sum.begin(), sum.begin() + layout.k, 0.0);
      for (int64_t part = 0; part < layout.parts; ++part)
        for (int64_t p = 0; p < layout.n; p += kPanel) {
          read_panel(w, group_of(groups, s), part, p, panel.data());
          const int64_t outputs = std::min(kPanel, layout.n - p);
          const float* g = in.data() + part * layout.n + p;
          for (int64_t i = 0; i < layout.k; ++i)
            for (int64_t o = 0; o < outputs; ++o) sum[i] += static_cast<double>(g[o]) * panel[i * kPanel + o];
        }
      for (int64_t i = 0; i < layout.k; ++i)
        write(dx, s, i, static_cast<float>(sum[i] + (accumulate ? read(dx, s, i) : 0)));
    }
  });
}

void activation_gradient(int64_t slots, int64_t n, int64_t parts, Activation activation, const float* scale,
                         ConstRows pre, ConstRows dh, Rows dpre, Rows h, float* dscale) {
  parallel_ranges(slots, 16, [&](int64_t begin, int64_t end, int) {
    for (int64_t s = begin; s < end; ++s) {
      const double factor = scale ? scale[s] : 1.0;
      double total = 0;
      for (int64_t o = 0; o < n; ++o) {
        const double gate = read(pre, s, o), up = parts == 2 ? read(pre, s, n + o) : 1.0;
        const double d = read(dh, s, o), a = activate(activation, gate);
        write(dpre, s, o, static_cast<float>(factor * d * up * activate_slope(activation, gate)));
        if (parts == 2) write(dpre, s, n + o, static_cast<float>(factor * d * a));
        if (h.data) write(h, s, o, static_cast<float>(factor * a * up));
        total += d * a * up;
      }
      if (dscale) dscale[s] = static_cast<float>(total);
    }
  });
}

void product_wgrad(const Groups& groups, ConstRows dy, const int32_t* dy_gather, ConstRows x,
                   const int32_t* x_gather, const WeightLayout& layout, float* dw, int64_t stride) {
  const int64_t panels = layout.n_padded() / kPanel;
  parallel_for(groups.n * layout.parts * panels, [&](int64_t task, int) {
    const int64_t g = task / (layout.parts * panels), part = task / panels % layout.parts;
    const int64_t p = task % panels * kPanel, outputs = std::min(kPanel, layout.n - p);
    std::vector<float>& in = scratch<float, 1>(layout.k);
    std::vector<double>& sum = scratch<double, 0>(layout.k * kPanel);
    std::fill(sum.begin(), sum.begin() + layout.k * kPanel, 0.0);
    for (int64_t s = groups.first[g]; s < groups.first[g + 1]; ++s) {
      double d[kPanel] = {};
      for (int64_t o = 0; o < outputs; ++o) d[o] = read(dy, row_of(dy_gather, s), part * layout.n + p + o);
      read_row(x, row_of(x_gather, s), layout.k, in.data());
      for (int64_t i = 0; i < layout.k; ++i)
        for (int64_t o = 0; o < kPanel; ++o) sum[i * kPanel + o] += d[o] * in[i];
    }
    if (groups.first[g] == groups.first[g + 1]) return;
    for (int64_t i = 0; i < layout.k; ++i)
      for (int64_t o = 0; o < outputs; ++o) {
        float& to = dw[g * stride + layout.index(part, p + o, i)];
        to = static_cast<float>(to + sum[i * kPanel + o]);
      }
  });
}

void bias_gradient(const Groups& groups, ConstRows dy, int64_t n, float* dbias) {
  constexpr int64_t kColumns = 64;
  const int64_t blocks = (n + kColumns - 1) / kColumns;
  parallel_for(groups.n * blocks, [&](int64_t task, int) {
    const int64_t g = task / blocks, begin = task % blocks * kColumns, end = std::min(n, begin + kColumns);
    double sum[kColumns] = {};
    for (int64_t s = groups.first[g]; s < groups.first[g + 1]; ++s)
      for (int64_t o = begin; o < end; ++o) sum[o - begin] += read(dy, s, o);
    for (int64_t o = begin; o < end; ++o)
      dbias[g * n + o] = static_cast<float>(dbias[g * n + o] + sum[o - begin]);
  });
}

void combine(int64_t tokens, int64_t width, const int32_t* first, const int32_t* slot, ConstRows out,
             ConstRows residual, Rows y) {
  parallel_ranges(tokens, 16, [&](int64_t begin, int64_t end, int) {
    for (int64_t t = begin; t < end; ++t)
      for (int64_t i = 0; i < width; ++i) {
        double sum = 0;
        for (int32_t e = first[t]; e < first[t + 1]; ++e)
          if (slot[e] >= 0) sum += read(out, slot[e], i);
        write(y, t, i, static_cast<float>(sum + (residual.data ? read(residual, t, i) : 0)));
      }
  });
}

}  // namespace lyceum::kernels::reference
