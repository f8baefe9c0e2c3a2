#include "moe/balance.h"

#include <cmath>

#include "base/threads.h"

namespace lyceum {
namespace {

// mean[e]: mean over tokens of p, in double and in token order; load[e]: kept edges.
void count(const Routing& r, double* mean, double* load) {
  for (int64_t e = 0; e < r.n_experts; ++e) mean[e] = load[e] = 0;
  for (int64_t t = 0; t < r.tokens; ++t)
    for (int64_t e = 0; e < r.n_experts; ++e) mean[e] += r.probs.f32()[t * r.n_experts + e];
  for (int64_t e = 0; e < r.n_experts; ++e) mean[e] /= static_cast<double>(std::max<int64_t>(1, r.tokens));
  const uint8_t* keep = r.kept ? r.kept.as<uint8_t>() : nullptr;
  for (int64_t e = 0; e < r.edges(); ++e)
    if (!keep || keep[e]) ++load[r.expert.i32()[e]];
}

double logsumexp(const float* x, int64_t n) {
  double top = x[0], sum = 0;
  for (int64_t i = 1; i < n; ++i) top = std::max<double>(top, x[i]);
  for (int64_t i = 0; i < n; ++i) sum += std::exp(x[i] - top);
  return top + std::log(sum);
}

// One layer's gradient: d_logit = p (balance (factor - sum p factor) + z logsumexp).
void record_layer(Tape& tape, const Routing& r, const Tensor& factor, const Tensor& lse, float balance,
                  float z) {
  tape.record("balance_losses", [&tape, logits = r.logits, probs = r.probs, factor, lse, balance, z] {
    const Tape::Target target = tape.accumulating(logits);
    const float *p = probs.f32(), *f = factor.f32(), *row = lse.f32();
    float* d = target.buffer.f32();
    const int64_t n = probs.width();
    parallel_ranges(probs.rows(), 256, [&](int64_t begin, int64_t end, int) {
      for (int64_t t = begin; t < end; ++t) {
        float inner = 0;
        for (int64_t e = 0; e < n; ++e) inner += p[t * n + e] * f[e];
        for (int64_t e = 0; e < n; ++e) {
          const int64_t i = t * n + e;
          const float add = p[i] * (balance * (f[e] - inner) + z * row[t]);
          d[i] = target.add ? d[i] + add : add;
        }
      }
    });
  });
}

}  // namespace

const std::vector<std::string>& balance_form_names() {
  static const std::vector<std::string> names = {"huggingface", "megablocks", "paper"};
  return names;
}

BalanceForm balance_form(const std::string& name) {
  for (size_t i = 0; i < 3; ++i)
    if (name == balance_form_names()[i]) return static_cast<BalanceForm>(i);
  fail(ErrorKind::kInvalidArgument, "balance", "unknown form \"", name,
       "\"; known: huggingface, megablocks, paper");
}

// d balance / d p_{l,t,e} = E * factor_{l,e} / T with  factor = f_e / L, c_{l,e} / (L T k), c_{l,e} / (L T);
// d z / d l_{l,t,e} = 2 logsumexp p / (L T) or / (L T k)
BalanceLosses balance_losses(Tape& tape, const std::vector<Routing>& routings, const BalanceOptions& o,
                             double weight) {
  BalanceLosses out;
  balance_losses(tape, routings, o, weight, out);
  return out;
}

void balance_losses(Tape& tape, const std::vector<Routing>& routings, const BalanceOptions& o, double weight,
                    BalanceLosses& out) {
  const Tape::Span span(tape, "balance_losses");
  out.balance = out.z = 0;
  out.balance_by_layer.clear(), out.z_by_layer.clear();
  int64_t layers = 0, n_experts = 0;
  const auto counts = [](const Routing& r) { return r.probs && r.tokens > 0; };
  for (const Routing& r : routings) {
    if (!counts(r)) continue;
    ensure(layers == 0 || r.n_experts == n_experts, "balance", "layers with ", n_experts, " and ",
           r.n_experts, " experts");
    ++layers, n_experts = r.n_experts;
  }
  if (layers == 0) return;

  const double depth = static_cast<double>(layers), experts = static_cast<double>(n_experts);
  const size_t n = static_cast<size_t>(n_experts);
  PoolVector<double> mean(static_cast<size_t>(layers) * n), load(static_cast<size_t>(layers) * n), pooled(n);
  size_t l = 0;
  for (const Routing& r : routings)
    if (counts(r)) count(r, &mean[l * n], &load[l * n]), ++l;
  for (size_t i = 0; i < load.size(); ++i) pooled[i % n] += load[i];

  l = 0;
  for (const Routing& r : routings) {
    if (!counts(r)) continue;
    const double tokens = static_cast<double>(r.tokens), k = static_cast<double>(r.edges()) / tokens;
    const Tensor factor({n_experts}, DType::kF32), lse({r.tokens}, DType::kF32);
    double own = 0, z = 0;
    for (size_t e = 0; e < n; ++e) {  // what multiplies mean_t p_{l,t,e} in the loss, divided by E
      double f = load[l * n + e] / tokens / depth;
      if (o.form == BalanceForm::kMegaBlocks) f /= k;
      if (o.form == BalanceForm::kHuggingFace) f = pooled[e] / (depth * tokens * depth);
      factor.f32()[e] = static_cast<float>(f);
      out.balance += experts * f * mean[l * n + e];
      own += experts * load[l * n + e] / tokens / k * mean[l * n + e];
    }
    float* row = lse.f32();
    parallel_ranges(r.tokens, 256, [&](int64_t begin, int64_t end, int) {
      for (int64_t t = begin; t < end; ++t)
        row[t] = static_cast<float>(logsumexp(r.logits.f32() + t * n_experts, n_experts));
    });
    for (int64_t t = 0; t < r.tokens; ++t) z += static_cast<double>(row[t]) * row[t];
    const double z_divisor = depth * tokens * (o.form == BalanceForm::kMegaBlocks ? k : 1);
    out.z += z / z_divisor;
    out.balance_by_layer.push_back(own);
    out.z_by_layer.push_back(z / tokens);
    if (tape.recording() && (o.balance_coefficient != 0 || o.z_coefficient != 0))
      record_layer(tape, r, factor, lse,
                   static_cast<float>(weight * o.balance_coefficient * experts / tokens),
                   static_cast<float>(weight * o.z_coefficient * 2 / z_divisor));
    ++l;
  }
}

}  // namespace lyceum
