#include "moe/balance.h"

#include <algorithm>
#include <cmath>

#include "base/threads.h"
#include "kernels/rowwise.h"

namespace lyceum {
namespace {

constexpr int64_t kPiece = 256;  // tokens whose sums are taken by one task, so that no sum depends on threads

struct Piece {
  int64_t begin, end, group;
};

// Sums of one layer by group (the whole batch, or its sequences), [groups, n_experts] each.
struct Sums {
  PoolVector<double> p, edges, tokens;  // tokens [groups]
  int64_t groups = 1;
};

bool has_losses(const Routing& r) { return r.probs && r.tokens > 0; }

bool by_sequence(BalanceForm form) { return form == BalanceForm::kSwitch || form == BalanceForm::kSequence; }

bool counts_edge(const Routing& r, BalanceForm form, int32_t edge, int32_t first) {
  if (form == BalanceForm::kGShard) return edge == first;
  if (form == BalanceForm::kKept) return !r.kept || r.kept.as<uint8_t>()[edge] != 0;
  return true;
}

PoolVector<Piece> cut(const Routing& r, bool sequences) {
  PoolVector<Piece> out;
  const int64_t groups = sequences && r.offsets ? r.offsets.elements() - 1 : 1;
  for (int64_t g = 0; g < groups; ++g) {
    const int64_t begin = groups == 1 ? 0 : r.offsets.i32()[g],
                  end = groups == 1 ? r.tokens : r.offsets.i32()[g + 1];
    for (int64_t t = begin; t < end; t += kPiece) out.push_back({t, std::min(end, t + kPiece), g});
  }
  return out;
}

void add_up(const Routing& r, BalanceForm form, const PoolVector<Piece>& pieces, Sums& s) {
  const size_t n = static_cast<size_t>(r.n_experts);
  s.groups = pieces.empty() ? 1 : pieces.back().group + 1;
  const size_t groups = static_cast<size_t>(s.groups);
  s.p.assign(groups * n, 0), s.edges.assign(groups * n, 0), s.tokens.assign(groups, 0);
  PoolVector<float> partial(pieces.size() * 2 * n);
  parallel_for(static_cast<int64_t>(pieces.size()), [&](int64_t i, int) {
    const Piece& piece = pieces[static_cast<size_t>(i)];
    float *p = &partial[static_cast<size_t>(i) * 2 * n], *edges = p + n;
    std::fill(p, p + 2 * n, 0.0f);
    for (int64_t t = piece.begin; t < piece.end; ++t) {
      const float* row = r.probs.f32() + t * r.n_experts;
      for (size_t e = 0; e < n; ++e) p[e] += row[e];
      const int32_t first = r.first.i32()[t];
      for (int32_t e = first; e < r.first.i32()[t + 1]; ++e)
        if (counts_edge(r, form, e, first)) ++edges[r.expert.i32()[e]];
    }
  });
  for (size_t i = 0; i < pieces.size(); ++i) {
    const size_t g = static_cast<size_t>(pieces[i].group);
    s.tokens[g] += static_cast<double>(pieces[i].end - pieces[i].begin);
    for (size_t e = 0; e < n; ++e) {
      s.p[g * n + e] += partial[i * 2 * n + e];
      s.edges[g * n + e] += partial[i * 2 * n + n + e];
    }
  }
}

// dp_{t,e} = balance * factor[group of t, e];  dl_{t,e} = z * logsumexp_t * softmax(l)_{t,e}
void record_layer(Tape& tape, const Routing& r, const Tensor& factor, const Tensor& softmax,
                  const Tensor& logsumexp, bool sequences, float balance, float z) {
  tape.record("balance_losses",
              [&tape, logits = r.logits, probs = r.probs, offsets = r.offsets, tokens = r.tokens,
               n = r.n_experts, factor, softmax, logsumexp, sequences, balance, z] {
                if (balance != 0) {
                  const Tape::Target dp = tape.accumulating(probs);
                  const bool many = sequences && factor.rows() > 1;
                  parallel_ranges(tokens, kPiece, [&](int64_t begin, int64_t end, int) {
                    int64_t g = 0;
                    for (int64_t t = begin; t < end; ++t) {
                      while (many && offsets.i32()[g + 1] <= t) ++g;
                      const float* f = factor.f32() + g * n;
                      float* d = dp.buffer.f32() + t * n;
                      if (dp.add)
                        for (int64_t e = 0; e < n; ++e) d[e] += balance * f[e];
                      else
                        for (int64_t e = 0; e < n; ++e) d[e] = balance * f[e];
                    }
                  });
                }
                if (z == 0) return;
                const Tape::Target dl = tape.accumulating(logits);
                parallel_ranges(tokens, kPiece, [&](int64_t begin, int64_t end, int) {
                  for (int64_t t = begin; t < end; ++t) {
                    const float* p = softmax.f32() + t * n;
                    float* d = dl.buffer.f32() + t * n;
                    const float slope = z * logsumexp.f32()[t];
                    if (dl.add)
                      for (int64_t e = 0; e < n; ++e) d[e] += slope * p[e];
                    else
                      for (int64_t e = 0; e < n; ++e) d[e] = slope * p[e];
                  }
                });
              });
}

// What multiplies sum_t p_{l,t,e} of a group in the loss. `edges`: of that layer and group; `pooled`: the
// same over all layers; L layers.
double factor_of(BalanceForm form, double edges, double pooled, double tokens, double all_edges,
                 double groups, double L, double E) {
  switch (form) {
    case BalanceForm::kHuggingFace:
      return E * pooled / (L * tokens) / (L * tokens);
    case BalanceForm::kMegaBlocks:
      return E * edges / all_edges / (L * tokens);
    case BalanceForm::kPaper:
    case BalanceForm::kGShard:
      return E * edges / tokens / (L * tokens);
    case BalanceForm::kSwitch:
      return E / groups * pooled / (L * tokens) / (L * tokens);
    case BalanceForm::kKept:
      return E * edges / all_edges / (L * all_edges);
    case BalanceForm::kSequence:
      return E / groups * edges / all_edges / (L * tokens);
    case BalanceForm::kGlobal:
      return E * pooled / all_edges / (L * tokens);
  }
  return 0;
}

double sum_of(const double* x, size_t n) {
  double sum = 0;
  for (size_t i = 0; i < n; ++i) sum += x[i];
  return sum;
}

void pass_scalar(Tape& tape, const Tensor& x, double gradient) {
  if (!tape.recording() || gradient == 0) return;
  tape.record("balance_losses", [&tape, x, gradient = static_cast<float>(gradient)] {
    const Tape::Target d = tape.accumulating(x);
    d.buffer.f32()[0] = d.add ? d.buffer.f32()[0] + gradient : gradient;
  });
}

}  // namespace

const std::vector<std::string>& balance_form_names() {
  static const std::vector<std::string> names = {"huggingface", "megablocks", "paper",    "switch",
                                                 "gshard",      "kept",       "sequence", "global"};
  return names;
}

BalanceForm balance_form(const std::string& name) {
  std::string known;
  for (size_t i = 0; i < balance_form_names().size(); ++i) {
    if (name == balance_form_names()[i]) return static_cast<BalanceForm>(i);
    known += (i ? ", " : "") + balance_form_names()[i];
  }
  fail(ErrorKind::kInvalidArgument, "balance", "unknown form \"", name, "\"; known: ", known);
}

BalanceLosses balance_losses(Tape& tape, const std::vector<Routing>& routings, const BalanceOptions& o,
                             double weight) {
  BalanceLosses out;
  balance_losses(tape, routings, o, weight, out);
  return out;
}

void balance_losses(Tape& tape, const std::vector<Routing>& routings, const BalanceOptions& o, double weight,
                    BalanceLosses& out) {
  const Tape::Span span(tape, "balance_losses");
  out.balance = out.z = out.importance = out.load = 0;
  out.balance_by_layer.clear(), out.z_by_layer.clear(), out.probability.clear();
  size_t layers = 0, n = 0;
  for (const Routing& r : routings) {
    if (!has_losses(r)) continue;
    ensure(layers == 0 || r.n_experts == static_cast<int64_t>(n), "balance", "layers with ", n, " and ",
           r.n_experts, " experts");
    ++layers, n = static_cast<size_t>(r.n_experts);
  }
  if (layers == 0) return;

  const bool sequences = by_sequence(o.form), global = o.form == BalanceForm::kGlobal;
  const double L = static_cast<double>(layers), E = static_cast<double>(n);
  PoolVector<Sums> sums(layers);
  PoolVector<double> pooled;  // [groups, n_experts]
  if (global) out.step_load.resize(layers * n);
  size_t l = 0;
  for (const Routing& r : routings) {
    if (!has_losses(r)) continue;
    Sums& s = sums[l];
    add_up(r, o.form, cut(r, sequences), s);
    if (pooled.empty()) pooled.assign(s.edges.size(), 0);
    ensure(pooled.size() == s.edges.size(), "balance", "layers with different sequences");
    for (size_t i = 0; i < pooled.size(); ++i) pooled[i] += s.edges[i];
    if (global)
      for (size_t e = 0; e < n; ++e) out.step_load[l * n + e] += s.edges[e];
    ++l;
  }

  l = 0;
  for (const Routing& r : routings) {
    if (!has_losses(r)) continue;
    const Sums& s = sums[l];
    const double tokens = static_cast<double>(r.tokens), k = static_cast<double>(r.edges()) / tokens;
    const double groups = static_cast<double>(s.groups);
    const Tensor factor({s.groups, r.n_experts}, DType::kF32);
    double own = 0;
    for (size_t e = 0; e < n; ++e) out.probability.push_back(0);
    for (size_t g = 0; g < static_cast<size_t>(s.groups); ++g) {
      const double* shared = global ? &out.step_load[l * n] : &pooled[g * n];
      const double all = std::max(1e-9, sum_of(global ? shared : &s.edges[g * n], n));
      for (size_t e = 0; e < n; ++e) {
        const double p = s.p[g * n + e], edges = s.edges[g * n + e];
        const double f =
            s.tokens[g] > 0 ? factor_of(o.form, edges, shared[e], s.tokens[g], all, groups, L, E) : 0;
        factor.f32()[g * n + e] = static_cast<float>(f);
        out.balance += f * p;
        out.probability[l * n + e] += p;
        own += E * edges / all * p / tokens;
      }
    }
    Tensor softmax = r.probs, logsumexp = r.logsumexp;
    if (!logsumexp) {  // the distribution is no softmax
      softmax = Tensor(r.logits.shape(), DType::kF32), logsumexp = Tensor({r.tokens}, DType::kF32);
      kernels::softmax(r.tokens, r.n_experts, r.logits.f32(), softmax.f32(), logsumexp.f32());
    }
    double z = 0;
    for (int64_t t = 0; t < r.tokens; ++t) z += static_cast<double>(logsumexp.f32()[t]) * logsumexp.f32()[t];
    const bool per_choice =
        o.z_form == BalanceOptions::ZForm::kMegaBlocks ||
        (o.z_form == BalanceOptions::ZForm::kAsForm && o.form == BalanceForm::kMegaBlocks);
    const double z_divisor = L * tokens * (per_choice ? k : 1);
    out.z += z / z_divisor;
    out.balance_by_layer.push_back(own);
    out.z_by_layer.push_back(z / tokens);
    if (tape.recording() && (o.balance_coefficient != 0 || o.z_coefficient != 0))
      record_layer(tape, r, factor, softmax, logsumexp, sequences,
                   static_cast<float>(weight * o.balance_coefficient),
                   static_cast<float>(weight * o.z_coefficient * 2 / z_divisor));
    if (r.importance) {
      out.importance += r.importance.f32()[0] / L;
      pass_scalar(tape, r.importance, weight * o.importance_coefficient / L);
    }
    if (r.load_loss) {
      out.load += r.load_loss.f32()[0] / L;
      pass_scalar(tape, r.load_loss, weight * o.load_coefficient / L);
    }
    ++l;
  }
}

void update_selection_bias(Parameter& bias, const std::vector<double>& load, double rate) {
  ensure(bias.elements() == static_cast<int64_t>(load.size()), "balance", bias.name, " has ", bias.elements(),
         " elements for ", load.size(), " experts");
  const double mean = sum_of(load.data(), load.size()) / static_cast<double>(load.size());
  for (size_t e = 0; e < load.size(); ++e)
    bias.value.f32()[e] += static_cast<float>(rate * ((mean > load[e]) - (mean < load[e])));
}

}  // namespace lyceum
