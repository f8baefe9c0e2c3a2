#include "moe/balance.h"

#include <cmath>

#include "base/threads.h"

namespace lyceum {
namespace {

// mean over tokens of p, per expert, in double and in token order.
std::vector<double> mean_probability(const Routing& r) {
  std::vector<double> mean(static_cast<size_t>(r.n_experts));
  for (int64_t t = 0; t < r.tokens; ++t)
    for (int64_t e = 0; e < r.n_experts; ++e)
      mean[static_cast<size_t>(e)] += r.probs.f32()[t * r.n_experts + e];
  for (double& m : mean) m /= static_cast<double>(std::max<int64_t>(1, r.tokens));
  return mean;
}

double logsumexp(const float* x, int64_t n) {
  double top = x[0], sum = 0;
  for (int64_t i = 1; i < n; ++i) top = std::max<double>(top, x[i]);
  for (int64_t i = 0; i < n; ++i) sum += std::exp(x[i] - top);
  return top + std::log(sum);
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
BalanceLosses balance_losses(Tape& tape, const std::vector<Routing>& all, const BalanceOptions& o,
                             double weight) {
  const Tape::Span span(tape, "balance_losses");
  std::vector<Routing> routings;
  for (const Routing& r : all)
    if (r.probs && r.tokens > 0) routings.push_back(r);
  BalanceLosses out;
  if (routings.empty()) return out;

  const double layers = static_cast<double>(routings.size());
  const int64_t n_experts = routings[0].n_experts;
  std::vector<std::vector<double>> load, mean;
  for (const Routing& r : routings) {
    ensure(r.n_experts == n_experts, "balance", "layers with ", n_experts, " and ", r.n_experts, " experts");
    load.emplace_back();
    for (int64_t n : r.load()) load.back().push_back(static_cast<double>(n));
    mean.push_back(mean_probability(r));
  }

  // factors[l][e]: what multiplies mean_t p_{l,t,e} in the loss, divided by E.
  std::vector<std::vector<float>> factors(routings.size());
  for (size_t l = 0; l < routings.size(); ++l) {
    const double tokens = static_cast<double>(routings[l].tokens),
                 k = static_cast<double>(routings[l].edges()) / tokens;
    double own = 0;
    for (int64_t i = 0; i < n_experts; ++i) {
      const size_t e = static_cast<size_t>(i);
      double factor = load[l][e] / tokens / layers;
      if (o.form == BalanceForm::kMegaBlocks) factor /= k;
      if (o.form == BalanceForm::kHuggingFace) {
        factor = 0;
        for (const auto& counts : load) factor += counts[e];
        factor /= layers * tokens * layers;
      }
      factors[l].push_back(static_cast<float>(factor));
      out.balance += static_cast<double>(n_experts) * factor * mean[l][e];
      own += static_cast<double>(n_experts) * load[l][e] / tokens / k * mean[l][e];
    }
    out.balance_by_layer.push_back(own);
  }

  const auto z_divisor = [layers, form = o.form](const Routing& r) {
    const double rows = layers * static_cast<double>(r.tokens);
    return form == BalanceForm::kMegaBlocks
               ? rows * static_cast<double>(r.edges()) / static_cast<double>(r.tokens)
               : rows;
  };
  std::vector<Tensor> lse;
  for (const Routing& r : routings) {
    lse.emplace_back(Shape{r.tokens}, DType::kF32);
    float* row = lse.back().f32();
    parallel_ranges(r.tokens, 256, [&](int64_t begin, int64_t end, int) {
      for (int64_t t = begin; t < end; ++t)
        row[t] = static_cast<float>(logsumexp(r.logits.f32() + t * n_experts, n_experts));
    });
    double sum = 0;
    for (int64_t t = 0; t < r.tokens; ++t) sum += static_cast<double>(row[t]) * row[t];
    out.z += sum / z_divisor(r);
    out.z_by_layer.push_back(sum / static_cast<double>(r.tokens));
  }

  if (tape.recording() && (o.balance_coefficient != 0 || o.z_coefficient != 0))
    tape.record("balance_losses", [&tape, routings, factors, lse, n_experts, z_divisor, o, weight] {
      for (size_t l = 0; l < routings.size(); ++l) {
        const Routing& r = routings[l];
        const float balance = static_cast<float>(
            weight * o.balance_coefficient * static_cast<double>(n_experts) / static_cast<double>(r.tokens));
        const float z = static_cast<float>(weight * o.z_coefficient * 2 / z_divisor(r));
        const Tape::Target target = tape.accumulating(r.logits);
        const float* p = r.probs.f32();
        float* d = target.buffer.f32();
        parallel_ranges(r.tokens, 256, [&](int64_t begin, int64_t end, int) {
          for (int64_t t = begin; t < end; ++t) {
            float inner = 0;  // softmax gradient: p_e (factor_e - sum p factor)
            for (int64_t e = 0; e < n_experts; ++e)
              inner += p[t * n_experts + e] * factors[l][static_cast<size_t>(e)];
            for (int64_t e = 0; e < n_experts; ++e) {
              const int64_t i = t * n_experts + e;
              const float add =
                  p[i] * (balance * (factors[l][static_cast<size_t>(e)] - inner) + z * lse[l].f32()[t]);
              d[i] = target.add ? d[i] + add : add;
            }
          }
        });
      }
    });
  return out;
}

}  // namespace lyceum
