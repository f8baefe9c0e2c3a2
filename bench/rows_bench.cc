// Times the row kernels, the optimiser and attention at the sizes that training uses. Memory-bound cases are
// set against probes of the same memory taken beside each sample (reading; updating in place), attention, in
// causal FLOPs, against a probe of the product instruction. Shared machines change speed within seconds:
// medians of samples, shares pair by pair.
//
//   build/lyceum_bench_rows [--level amx] [--case attention] [--seconds 1] [--threads 2]
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <functional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/random.h"
#include "base/threads.h"
#include "kernels/attention.h"
#include "kernels/isa.h"
#include "kernels/optimizer.h"
#include "kernels/peak.h"
#include "kernels/rowwise.h"

using namespace lyceum;
using namespace lyceum::kernels;

namespace {

// With one thread, the processor time it got: other programs do not count.
double seconds() {
  timespec t;
  clock_gettime(thread_count() == 1 ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

template <class F>
double time_of(F&& f) {
  const double start = seconds();
  f();
  return seconds() - start;
}

double median(std::vector<double> v) {
  std::sort(v.begin(), v.end());
  return v.empty() ? 0 : v[v.size() / 2];
}

std::vector<float> wide(int64_t n, uint64_t seed, float size = 1) {
  std::vector<float> v(static_cast<size_t>(n));
  const RandomKey key(seed);
  for (size_t i = 0; i < v.size(); ++i) v[i] = size * static_cast<float>(key.uniform(i) - 0.5);
  return v;
}
std::vector<bf16> narrow(int64_t n, uint64_t seed, float size = 1) {
  const std::vector<float> from = wide(n, seed, size);
  std::vector<bf16> v(from.size());
  for (size_t i = 0; i < v.size(); ++i) v[i] = to_bf16(from[i]);
  return v;
}
Rows rows_of(std::vector<bf16>& v, int64_t width) { return {v.data(), DType::kBF16, width}; }

volatile double g_sink = 0;  // so that no sum is left out

// The memory's own speed: 64 MiB of floats, read or updated in place.
struct Probe {
  std::vector<float> memory = std::vector<float>(16 << 20, 1.0f);
  double read() {
    const double t =
        time_of([&] { g_sink = sum_of_squares(static_cast<int64_t>(memory.size()), memory.data()); });
    return 4.0 * static_cast<double>(memory.size()) / t;
  }
  double update() {
    const double t =
        time_of([&] { scale(static_cast<int64_t>(memory.size()), 1.0f, memory.data(), DType::kF32); });
    return 8.0 * static_cast<double>(memory.size()) / t;
  }
};

struct Case {
  std::string name;
  double work;  // bytes moved, or FLOPs
  bool flops;
  bool in_place;  // which probe it is held against
  std::function<void()> run;
};

std::vector<Case> memory_cases() {
  std::vector<Case> cases;
  constexpr int64_t kWeights = 16 << 20, kRows = 32768, kWidth = 512;
  static auto w = narrow(kWeights, 1);
  static std::vector<int16_t> residual(kWeights);
  static auto master = wide(kWeights, 1), g = wide(kWeights, 2), m = wide(kWeights, 3, 0.1f),
              v = std::vector<float>(kWeights, 0.01f);
  static AdamStep step{1e-3f, 0.9f, 0.95f, 1e-8f, 0.1f, 0.5f, 0.5f, 1.0f};
  cases.push_back({"adamw bf16 + residual", 32.0 * kWeights, false, true,
                   [] { adamw(kWeights, step, w.data(), residual.data(), g.data(), m.data(), v.data()); }});
  cases.push_back({"adamw f32", 32.0 * kWeights, false, true,
                   [] { adamw(kWeights, step, master.data(), g.data(), m.data(), v.data()); }});
  cases.push_back(
      {"sum_of_squares", 4.0 * kWeights, false, false, [] { g_sink = sum_of_squares(kWeights, g.data()); }});
  static auto x = narrow(kRows * kWidth, 4), add_rows = narrow(kRows * kWidth, 5, 0.01f),
              y = narrow(kRows * kWidth, 6);
  static auto weight = wide(kWidth, 7), inv = wide(kRows, 8), dw = wide(kWidth, 9), mean = wide(kRows, 10);
  constexpr double kElements = static_cast<double>(kRows * kWidth);
  cases.push_back({"rms_norm + residual sum, bf16", 8 * kElements, false, true, [] {
                     rms_norm(kRows, kWidth, rows_of(x, kWidth), rows_of(add_rows, kWidth), weight.data(),
                              1e-6f, rows_of(y, kWidth), inv.data());
                   }});
  cases.push_back({"rms_norm_gradient, bf16", 8 * kElements, false, true, [] {
                     rms_norm_gradient(kRows, kWidth, rows_of(add_rows, kWidth), weight.data(), inv.data(),
                                       rows_of(y, kWidth), rows_of(x, kWidth), true, dw.data());
                   }});
  cases.push_back({"layer_norm, bf16", 4 * kElements, false, true, [] {
                     layer_norm(kRows, kWidth, rows_of(add_rows, kWidth), weight.data(), weight.data(), 1e-6f,
                                rows_of(y, kWidth), mean.data(), inv.data());
                   }});
  static std::vector<int32_t> positions(kRows), ids(kRows);
  for (size_t i = 0; i < positions.size(); ++i)
    positions[i] = static_cast<int32_t>(i % 512), ids[i] = static_cast<int32_t>(i * 2654435761u % 16384);
  static auto frequency = wide(32, 11);
  cases.push_back(
      {"rope, 8 heads of 64, bf16", 4 * kElements, false, true,
       [] { rope(kRows, 8, 64, 64, false, positions.data(), frequency.data(), 1, 1, rows_of(y, kWidth)); }});
  cases.push_back({"embedding, bf16", 4 * kElements, false, false,
                   [] { embedding(kRows, kWidth, ids.data(), rows_of(x, kWidth), rows_of(y, kWidth)); }});
  static std::vector<float> table(16384 * kWidth);
  cases.push_back({"embedding_gradient, bf16 to f32", 10 * kElements, false, true, [] {
                     embedding_gradient(kRows, kWidth, 16384, ids.data(), rows_of(y, kWidth), table.data());
                   }});
  cases.push_back({"convert f32 to bf16", 6.0 * kWeights, false, true,
                   [] { convert(kWeights, master.data(), DType::kF32, y.data(), DType::kBF16); }});
  static auto scores = wide(kRows * 64, 12, 4), p = scores;
  static std::vector<int32_t> index(kRows * 8);
  cases.push_back({"softmax, 64 experts", 8.0 * kRows * 64, false, true,
                   [] { softmax(kRows, 64, scores.data(), p.data(), nullptr); }});
  cases.push_back({"top_k, 8 of 64", 4.0 * kRows * 64, false, false,
                   [] { top_k(kRows, 64, 8, scores.data(), nullptr, index.data()); }});
  return cases;
}

struct AttentionCase {
  AttentionShape shape;
  std::vector<int32_t> q_offsets{0}, k_offsets{0};
  std::vector<bf16> q, k, v, out, dout, dq, dk, dv;
  std::vector<float> lse;
  double flops = 0, bytes = 0;
  AttentionCase(int64_t heads, int64_t kv_heads, int64_t d, int64_t sequences, int32_t queries,
                int32_t keys) {
    shape.n_heads = heads, shape.n_kv_heads = kv_heads, shape.d_head = shape.d_value = d;
    shape.scale = 0.125f, shape.sequences = sequences;
    for (int64_t s = 0; s < sequences; ++s)
      q_offsets.push_back(q_offsets.back() + queries), k_offsets.push_back(k_offsets.back() + keys);
    const int64_t nq = sequences * queries, nk = sequences * keys;
    q = narrow(nq * heads * d, 1, 4), k = narrow(nk * kv_heads * d, 2, 4), v = narrow(nk * kv_heads * d, 3);
    dout = narrow(nq * heads * d, 4), out = dq = q, dk = dv = k, lse.resize(static_cast<size_t>(nq * heads));
    const double seen = static_cast<double>(nq) * (keys - (queries - 1) / 2.0);  // pairs of query and key
    flops = 4.0 * seen * static_cast<double>(heads * d);
    bytes = 4.0 * static_cast<double>(nk * kv_heads * d);
  }
  void forward() {
    shape.q_offsets = q_offsets.data(), shape.k_offsets = k_offsets.data();
    const int64_t a = shape.n_heads * shape.d_head, b = shape.n_kv_heads * shape.d_head;
    attention(shape, rows_of(q, a), rows_of(k, b), rows_of(v, b), rows_of(out, a), lse.data());
  }
  void gradient() {
    const int64_t a = shape.n_heads * shape.d_head, b = shape.n_kv_heads * shape.d_head;
    attention_gradient(shape, rows_of(q, a), rows_of(k, b), rows_of(v, b), rows_of(out, a), lse.data(),
                       rows_of(dout, a), rows_of(dq, a), rows_of(dk, b), rows_of(dv, b), nullptr);
  }
};

void add_attention(std::vector<Case>* cases, const std::string& name, AttentionCase* a, bool training) {
  a->forward();
  if (!training) {
    cases->push_back({"attention " + name, a->bytes, false, false, [a] { a->forward(); }});
    return;
  }
  cases->push_back({"attention " + name, a->flops, true, false, [a] { a->forward(); }});
  cases->push_back({"attention gradient " + name, 2.5 * a->flops, true, false, [a] { a->gradient(); }});
}

void run(const Case& c, Probe* probe, double limit) {
  std::vector<double> rate, share, times;
  c.run();
  const double start = seconds();
  while (seconds() - start < limit || rate.size() < 5) {
    const double t = time_of(c.run);
    times.push_back(t), rate.push_back(c.work / t);
    if (c.flops) share.push_back(c.work / t / std::max(1.0, probe_peak()));
    else share.push_back(c.work / t / (c.in_place ? probe->update() : probe->read()));
  }
  if (c.flops)
    std::printf("%-48s %8.3f ms %8.3f TFLOP/s %4.0f %% of the peak\n", c.name.c_str(), 1e3 * median(times),
                median(rate) * 1e-12, 100 * median(share));
  else
    std::printf("%-48s %8.3f ms %8.1f GB/s    %4.0f %% of %s in memory\n", c.name.c_str(),
                1e3 * median(times), median(rate) * 1e-9, 100 * median(share),
                c.in_place ? "updating" : "reading");
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) try {
  std::string only;
  double limit = 1;
  for (int i = 1; i < argc; i += 2) {
    const std::string key = argv[i];
    check(i + 1 < argc, "bench", "wanted a value after ", key);
    if (key == "--level") setenv("LYCEUM_ISA", argv[i + 1], 1);
    else if (key == "--case") only = argv[i + 1];
    else if (key == "--seconds") limit = std::atof(argv[i + 1]);
    else if (key == "--threads") set_thread_count(std::atoi(argv[i + 1]));
    else
      fail(ErrorKind::kInvalidArgument, "bench", "wanted --level, --case, --seconds or --threads, found ",
           key);
  }
  Probe probe;
  std::printf("%s, level %s, %d threads; memory %.1f GB/s reading, %.1f updating\n", cpu_info().name.c_str(),
              isa_name(isa_level()), thread_count(), probe.read() * 1e-9, probe.update() * 1e-9);
  std::vector<Case> cases = memory_cases();
  static AttentionCase small(8, 8, 64, 8, 512, 512), layer(16, 16, 128, 4, 512, 512),
      grouped(32, 8, 128, 1, 1024, 1024), decode(16, 16, 128, 8, 1, 2048),
      decode_grouped(32, 4, 128, 8, 1, 2048);
  add_attention(&cases, "small: 8 x 512, 8 heads of 64", &small, true);
  add_attention(&cases, "layer: 4 x 512, 16 heads of 128", &layer, true);
  add_attention(&cases, "grouped: 1024, 32/8 heads of 128", &grouped, true);
  add_attention(&cases, "decode: 8 x 2048 keys, 16 heads of 128", &decode, false);
  add_attention(&cases, "decode: 8 x 2048 keys, 32/4 heads of 128", &decode_grouped, false);
  for (const Case& c : cases)
    if (c.name.find(only) != std::string::npos) run(c, &probe, limit);
  std::printf("again: %s --level %s --threads %d --seconds %g%s%s\n", argv[0], isa_name(isa_level()),
              thread_count(), limit, only.empty() ? "" : " --case ", only.c_str());
  return 0;
} catch (const Error& e) {
  std::fprintf(stderr, "%s\n", e.what());
  return 1;
}
