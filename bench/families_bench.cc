// Every family at one shape: share of the probed peak of forward, backward and AdamW, beside OLMoE's. The
// families are those of recipes/families/, widened to the shape; whatever they have of their own (attention,
// router, activation, biases, an encoder) stays. What counts as work is the products and attention, op by op.
//   usage: lyceum_bench_families [--ops] [FAMILY ...]         --ops: also where each one's time goes
#include <algorithm>
#include <cstdio>
#include <cstring>

#include "base/clock.h"
#include "base/threads.h"
#include "kernels/isa.h"
#include "kernels/peak.h"
#include "models/families.h"
#include "train/config.h"
#include "train/optimizer.h"
#include "train/span_corruption.h"
#include "train/step.h"
#include "train/synthetic.h"

namespace lyceum {
namespace {

constexpr int64_t kVocab = 4096, kLength = 512, kSequences = 4;

double median(std::vector<double> v) {
  std::sort(v.begin(), v.end());
  return v[v.size() / 2];
}

// d_model 512, 4 blocks, 8 heads of 64; 16 experts of 256, 4 to a token (one of 1024 where a family has top
// 1).
ModelConfig shape_of(const std::string& family) {
  ModelConfig m = read_recipe("recipes/families/" + family + ".toml", {}).model;
  m.vocab = kVocab, m.d_model = 512, m.n_layers = 4, m.n_heads = 8;
  if (m.n_kv_heads) m.n_kv_heads = 2;
  if (m.d_head) m.d_head = 64;
  if (m.kv_rank) m.q_rank = 256, m.kv_rank = 128, m.d_nope = 48, m.d_rope = 16, m.d_value = 64;
  if (m.sparse()) {
    const bool one = m.top_k == 1;
    m.top_k = one ? 1 : 4, m.d_ff = one ? 1024 : 256, m.n_experts = 16;
    if (m.d_ff_shared) m.d_ff_shared = 256;
    if (m.d_ff_dense) m.d_ff_dense = 1024;
    if (m.routing.groups > 1) m.routing.groups = 4, m.routing.kept_groups = 2;
  } else {
    m.d_ff = 1024;
  }
  if (m.n_encoder_layers) m.n_encoder_layers = 4;
  return m;
}

struct Measured {
  double share = 0, tokens_per_second = 0;
};

Measured measure(const std::string& family, bool ops) {
  ModelConfig config = shape_of(family);
  find_family(config.family).fix(config);
  Model model(config, DType::kBF16);
  model.initialise(RandomKey(1));
  model.enable_gradients();
  const auto parameters = model.parameters();
  const auto optimizer = make_optimizer({}, parameters);
  MemorySource text(synthetic_ids(64 * kLength, kVocab, 1), kLength, kSequences, 1);
  auto corrupted = corrupted_source(config, text, 1);
  BatchSource& source = corrupted ? static_cast<BatchSource&>(*corrupted) : text;
  Profile profile;
  std::vector<double> times, peaks, work;
  int64_t tokens = 0;
  for (int step = 0; step < 6; ++step) {
    std::vector<Batch> batches(1);
    source.next(batches[0]);
    peaks.push_back(kernels::probe_peak(false));
    profile.rows.clear();
    const double begin = steady_seconds();
    {
      const Batch& b = batches[0];
      Tape tape(true);
      tape.measure(&profile);
      Context c{tape, b, Phase::kTraining, RandomKey(static_cast<uint64_t>(step)), DType::kBF16};
      const Model::Output out = model.forward(c, false);
      BalanceOptions losses;
      balance_losses(tape, out.routings, losses, 1);
      balance_losses(tape, out.encoder_routings, losses, 1);
      model.cross_entropy(tape, out.hidden, b.targets, b.weights);
      tape.backward();
    }
    const double update = steady_seconds();
    optimizer->step(1e-5, 1);
    Profile::Row& row = profile.row("optimizer");
    row.forward_seconds += steady_seconds() - update, ++row.calls;
    times.push_back(steady_seconds() - begin);
    double flops = 0;
    for (const Profile::Row& r : profile.rows) flops += r.forward_flops + r.backward_flops;
    work.push_back(flops / times.back());
    tokens = batches[0].tokens() + (batches[0].source.empty() ? 0 : batches[0].source[0].tokens());
  }
  times.erase(times.begin(), times.begin() + 2), work.erase(work.begin(), work.begin() + 2);
  if (ops) {
    std::sort(profile.rows.begin(), profile.rows.end(), [](const auto& a, const auto& b) {
      return a.forward_seconds + a.backward_seconds > b.forward_seconds + b.backward_seconds;
    });
    for (size_t i = 0; i < std::min<size_t>(14, profile.rows.size()); ++i) {
      const Profile::Row& r = profile.rows[i];
      std::printf("    %-24s %8.1f ms forward %8.1f ms backward  %5.1f %%\n", r.op.c_str(),
                  1e3 * r.forward_seconds, 1e3 * r.backward_seconds,
                  100 * (r.forward_seconds + r.backward_seconds) / times.back());
    }
  }
  return {median(work) / median(peaks), static_cast<double>(tokens) / median(times)};
}

}  // namespace
}  // namespace lyceum

int main(int argc, char** argv) {
  using namespace lyceum;
  bool ops = false;
  std::vector<std::string> wanted;
  for (int i = 1; i < argc; ++i)
    if (std::strcmp(argv[i], "--ops") == 0) ops = true;
    else wanted.push_back(argv[i]);
  std::printf("%s, level %s, %d threads; d_model 512, 4 blocks, %lld x %lld tokens, bf16\n",
              cpu_info().name.c_str(), isa_name(isa_level()), thread_count(),
              static_cast<long long>(kSequences), static_cast<long long>(kLength));
  std::printf("%-22s %12s %14s %10s\n", "family", "tokens/s", "share of peak", "of OLMoE's");
  const double olmoe = measure("olmoe", ops && wanted.empty()).share;
  for (const std::string& family : wanted.empty() ? family_names() : wanted) {
    const Measured m = measure(family, ops);
    std::printf("%-22s %12.0f %12.1f %% %8.0f %%\n", family.c_str(), m.tokens_per_second, 100 * m.share,
                100 * m.share / olmoe);
    std::fflush(stdout);
  }
}
