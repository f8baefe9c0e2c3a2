// Times the grouped and dense products at the sizes that training uses, each sample beside a probe of the
// machine's phase (the level's peak loop on all threads): shared machines change speed within seconds, so the
// share of the peak is taken sample by sample and its median reported.
//
//   build/lyceum_bench_products [--level amx] [--shape olmoe|small|narrow|narrow_dense|dense|f32|head]
//       [--seconds 10] [--threads N] [--experts N] [--tokens N --width N --vocab N]
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/random.h"
#include "base/threads.h"
#include "kernels/isa.h"
#include "kernels/peak.h"
#include "kernels/product_blocks.h"
#include "kernels/products.h"

using namespace lyceum;
using namespace lyceum::kernels;

namespace {

// With one thread, the processor time it got: other programs do not count.
double seconds() {
  timespec t;
  clock_gettime(thread_count() == 1 ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

struct Case {
  std::string name;
  double flops;
  std::function<void()> run;
  std::vector<double> rate, share;
};

// Memory of `n` elements of 2 or 4 bytes, 2 MiB aligned, filled with small random values of its type.
struct Buffer {
  std::unique_ptr<void, void (*)(void*)> data{nullptr, std::free};
  DType type;
  Buffer(int64_t n, DType t, uint64_t seed) : type(t) {
    const size_t bytes = (static_cast<size_t>(n) * dtype_size(t) + (2 << 20) - 1) >> 21 << 21;
    data.reset(std::aligned_alloc(2 << 20, bytes));
    ensure(data != nullptr, "bench", "out of memory");
    const RandomKey key(seed);
    parallel_ranges(n, 1 << 16, [&](int64_t begin, int64_t end, int) {
      for (int64_t i = begin; i < end; ++i) {
        const float v = seed ? static_cast<float>(key.uniform(i) - 0.5) : 0.0f;
        if (t == DType::kBF16) static_cast<bf16*>(data.get())[i] = to_bf16(v);
        else static_cast<float*>(data.get())[i] = v;
      }
    });
  }
  Rows rows(int64_t width) const { return {data.get(), type, width}; }
};

// An expert layer: tokens * top_k slots over experts of [2 * d_ff, d_model] and [d_model, d_ff]; loads as
// uneven as a trained router's (standard deviation about half of the mean).
struct Layer {
  int64_t tokens, d_model, d_ff, experts, slots;
  std::vector<int32_t> first, gather;
  Buffer x, pre, h, out, w13, w2, dw13, dw2;
  WeightLayout in, down;
  Groups groups;

  Layer(int64_t t, int64_t d, int64_t f, int64_t e, int64_t k, DType type)
      : tokens(t),
        d_model(d),
        d_ff(f),
        experts(e),
        slots(t * k),
        x(t * d, type, 1),
        pre(slots * 2 * f, type, 2),
        h(slots * f, type, 3),
        out(slots * d, type, 4),
        w13(e * 2 * f * d, type, 5),
        w2(e * d * f, type, 6),
        dw13(e * 2 * f * d, DType::kF32, 0),
        dw2(e * d * f, DType::kF32, 0),
        in{2, f, d, type},
        down{1, d, f, type} {
    std::vector<double> load;
    double sum = 0;
    for (int64_t i = 0; i < e; ++i) {
      load.push_back(e == 1 ? 1 : std::exp(0.5 * RandomKey(7).normal(i)));
      sum += load.back();
    }
    first.push_back(0);
    double so_far = 0;
    for (double l : load) {
      so_far += l;
      first.push_back(static_cast<int32_t>(std::llround(so_far / sum * static_cast<double>(slots))));
    }
    for (int64_t s = 0; s < slots; ++s) gather.push_back(static_cast<int32_t>(RandomKey(8).below(s, t)));
    for (int64_t i = 0; i < e; ++i) std::sort(gather.begin() + first[i], gather.begin() + first[i + 1]);
    groups = {e, first.data()};
  }
  Weights view(const Buffer& w, const WeightLayout& l) const { return {w.data.get(), l, l.size(), nullptr}; }

  void add_cases(std::vector<Case>& cases, const std::string& name) {
    const double flops = 2.0 * static_cast<double>(slots * d_model * d_ff);
    cases.push_back({name + " forward gate+up",
                     2 * flops,
                     [this] {
                       activated_product(groups, x.rows(d_model), gather.data(), view(w13, in),
                                         Activation::kSilu, nullptr, pre.rows(2 * d_ff), h.rows(d_ff));
                     },
                     {},
                     {}});
    cases.push_back({name + " forward down",
                     flops,
                     [this] { product(groups, h.rows(d_ff), nullptr, view(w2, down), out.rows(d_model)); },
                     {},
                     {}});
    cases.push_back(
        {name + " dgrad down",
         flops,
         [this] { product_dgrad(groups, out.rows(d_model), nullptr, view(w2, down), h.rows(d_ff)); },
         {},
         {}});
    cases.push_back(
        {name + " dgrad gate+up",
         2 * flops,
         [this] { product_dgrad(groups, pre.rows(2 * d_ff), nullptr, view(w13, in), out.rows(d_model)); },
         {},
         {}});
    cases.push_back({name + " wgrad down",
                     flops,
                     [this] {
                       product_wgrad(groups, out.rows(d_model), nullptr, h.rows(d_ff), nullptr, down,
                                     static_cast<float*>(dw2.data.get()), down.size());
                     },
                     {},
                     {}});
    cases.push_back({name + " wgrad gate+up",
                     2 * flops,
                     [this] {
                       product_wgrad(groups, pre.rows(2 * d_ff), nullptr, x.rows(d_model), gather.data(), in,
                                     static_cast<float*>(dw13.data.get()), in.size());
                     },
                     {},
                     {}});
  }
};

// The three products of the head over one block of tokens; see kernels/head.cc.
struct HeadCase {
  int64_t tokens, width, vocab;
  const ProductTable& table;
  Buffer x, w, dw, dx;
  WeightLayout layout;
  PackedRows e;
  Buffer e_data, panels, sums;

  HeadCase(int64_t t, int64_t d, int64_t v, DType type)
      : tokens(t),
        width(d),
        vocab(v),
        table(*product_table(type, type)),
        x(t * d, type, 1),
        w(v * d, type, 2),
        dw(v * d, DType::kF32, 0),
        dx(t * d, DType::kF32, 0),
        layout{1, v, d, type},
        e(packed_rows(table, v)),
        e_data(packed_bytes(e, t) / 4, DType::kF32, 0),
        panels(packed_bytes(e, d) / 4, DType::kF32, 0),
        sums((v / 16 / kSumPanels + 1) * t * 16, DType::kF32, 0) {
    e.data = e_data.data.get();
  }

  void add_cases(std::vector<Case>& cases) {
    const double flops = 2.0 * static_cast<double>(tokens * width * vocab);
    const Weights weights{w.data.get(), layout, layout.size(), nullptr};
    transpose_weights(table, weights, panels.data.get());
    cases.push_back({"head exponentials",
                     flops,
                     [this, weights] {
                       exponential_product(table, tokens, x.rows(width), weights, 1, nullptr, nullptr, e,
                                           static_cast<float*>(sums.data.get()), nullptr);
                     },
                     {},
                     {}});
    cases.push_back({"head dgrad",
                     flops,
                     [this] { packed_dgrad(table, tokens, e, panels.data.get(), width, dx.rows(width)); },
                     {},
                     {}});
    cases.push_back({"head wgrad",
                     flops,
                     [this] {
                       packed_wgrad(table, tokens, e, x.rows(width), layout,
                                    static_cast<float*>(dw.data.get()));
                     },
                     {},
                     {}});
  }
};

double middle(std::vector<double> v, double at) {
  std::sort(v.begin(), v.end());
  return v.empty() ? 0 : v[static_cast<size_t>(at * static_cast<double>(v.size() - 1))];
}

void run(std::vector<Case>& cases, double limit, bool f32) {
  for (Case& c : cases) c.run();
  const double begin = seconds();
  do {
    for (Case& c : cases) {
      const double before = probe_peak(f32), start = seconds();
      c.run();
      const double time = seconds() - start, after = probe_peak(f32);
      c.rate.push_back(c.flops / time);
      c.share.push_back(c.flops / time / (0.5 * (before + after)));
    }
  } while (seconds() - begin < limit);
  std::printf("%-28s %10s %12s %12s %16s %8s\n", "product", "GFLOP", "TFLOP/s best", "median",
              "share of peak", "samples");
  for (const Case& c : cases)
    std::printf("%-28s %10.2f %12.3f %12.3f %14.1f %% %8zu\n", c.name.c_str(), c.flops * 1e-9,
                middle(c.rate, 1) * 1e-12, middle(c.rate, 0.5) * 1e-12, 100 * middle(c.share, 0.5),
                c.rate.size());
}

}  // namespace

int main(int argc, char** argv) try {
  std::string shape = "small";
  double limit = 10;
  int64_t experts = 0, tokens = 256, vocab = 16384, width = 512;
  for (int i = 1; i < argc; ++i) {
    const std::string key = argv[i];
    check(i + 1 < argc, "lyceum_bench_products", "wanted a value after ", key);
    const std::string value = argv[++i];
    if (key == "--level") {
      bool found = false;
      for (Isa isa :
           {Isa::kReference, Isa::kAvx2, Isa::kAvx512, Isa::kAvx512Bf16, Isa::kAmx, Isa::kAmxEmulated})
        if (value == isa_name(isa)) set_isa_level(isa), found = true;
      check(found, "--level", "wanted avx2, avx512, avx512_bf16, amx or amx_emulated, found ", value);
    } else if (key == "--shape") {
      shape = value;
    } else if (key == "--seconds") {
      limit = std::stod(value);
    } else if (key == "--experts") {
      experts = std::stoll(value);
    } else if (key == "--tokens") {
      tokens = std::stoll(value);
    } else if (key == "--vocab") {
      vocab = std::stoll(value);
    } else if (key == "--width") {
      width = std::stoll(value);
    } else if (key == "--threads") {
      set_thread_count(std::stoi(value));
    } else {
      fail(ErrorKind::kInvalidArgument, "lyceum_bench_products", "found ", key,
           ", wanted --level, --shape, --seconds, --experts, --tokens, --width, --vocab or --threads");
    }
  }
  const bool f32 = shape == "f32";
  const Peak peak = measure_peak(true, f32);
  std::printf("%s, level %s, %d threads: peak %.3f TFLOP/s on one thread, %.3f on all; memory %.1f GB/s\n",
              cpu_info().name.c_str(), isa_name(isa_level()), thread_count(), peak.flops_one * 1e-12,
              peak.flops_all * 1e-12, peak.read_bandwidth * 1e-9);
  std::vector<Case> cases;
  if (shape == "head") {
    HeadCase head(tokens, width, vocab, DType::kBF16);
    head.add_cases(cases);
    run(cases, limit, false);
    return 0;
  }
  std::unique_ptr<Layer> layer;
  if (shape == "olmoe") {  // the tokens of a share of the experts
    const int64_t n = experts ? experts : 64;
    layer = std::make_unique<Layer>(64 * n, 2048, 1024, n, 8, DType::kBF16);
  } else if (shape == "small" || f32) {
    const int64_t n = experts ? experts : 32;
    layer = std::make_unique<Layer>(128 * n, 512, 256, n, 4, f32 ? DType::kF32 : DType::kBF16);
  } else if (shape == "narrow") {  // the quick start's
    layer = std::make_unique<Layer>(2048, 128, 128, 8, 2, DType::kBF16);
  } else if (shape == "narrow_dense") {
    layer = std::make_unique<Layer>(2048, 128, 128, 1, 1, DType::kBF16);
  } else if (shape == "dense") {
    layer = std::make_unique<Layer>(4096, 512, 1024, 1, 1, DType::kBF16);
  } else {
    fail(ErrorKind::kInvalidArgument, "--shape",
         "wanted olmoe, small, narrow, narrow_dense, dense, f32 or head, found ", shape);
  }
  layer->add_cases(cases, shape);
  run(cases, limit, f32);
  return 0;
} catch (const std::exception& e) {
  std::fprintf(stderr, "%s\n", e.what());
  return 1;
}
