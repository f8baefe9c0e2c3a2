#include "train/held_out.h"

#include <algorithm>
#include <map>

#include "formats/token_shards.h"
#include "text/tokenizer.h"
#include "train/span_corruption.h"

namespace lyceum {

HeldOutSet read_held_out(const std::vector<std::string>& prefixes, const Tokenizer& tokenizer, int64_t vocab,
                         int64_t tokens, int64_t window) {
  HeldOutSet out;
  out.window = window;
  out.eos = tokenizer.eos_id();
  check(out.eos >= 0, "held out", "the tokenizer has no end-of-text token");
  std::vector<TokenShard> shards;
  std::map<std::string, size_t> index;
  for (const std::string& prefix : prefixes) {
    shards.emplace_back(prefix);
    for (const std::string& name : shards.back().domain_names())
      if (index.emplace(name, out.domains.size()).second) out.domains.push_back(name);
  }
  if (out.domains.empty()) out.domains.push_back("text");
  out.documents.resize(out.domains.size());
  const int64_t part = std::max<int64_t>(1, tokens / static_cast<int64_t>(out.domains.size()));
  std::vector<int64_t> taken(out.domains.size());
  for (const TokenShard& shard : shards)
    for (int64_t d = 0; d < shard.n_documents(); ++d) {
      const size_t domain = shard.has_domains() ? index.at(shard.domain_names().at(shard.domain(d))) : 0;
      if (taken[domain] >= part) continue;
      EncodedDocument doc;
      doc.ids.resize(static_cast<size_t>(shard.document_tokens(d)));
      shard.read(shard.document_begin(d), doc.ids, vocab);
      if (!doc.ids.empty() && doc.ids.back() == out.eos) doc.ids.pop_back();
      if (doc.ids.empty()) continue;
      doc.bytes = static_cast<int64_t>(tokenizer.decode(doc.ids).size());
      doc.domain = static_cast<int32_t>(domain);
      taken[domain] += static_cast<int64_t>(doc.ids.size());
      out.documents[domain].push_back(std::move(doc));
    }
  return out;
}

namespace {

// Mean loss of the tokens that a model with an encoder fills in, the same spans each time.
double corrupted_loss(const Model& model, const std::vector<EncodedDocument>& documents, int64_t window) {
  const SpanCorruption form = span_corruption_of(model.config());
  double nll = 0, tokens = 0;
  uint64_t n = 0;
  for (const EncodedDocument& d : documents)
    for (size_t begin = 0; begin + 1 < d.ids.size(); begin += static_cast<size_t>(window)) {
      Batch text;
      const size_t end = std::min(begin + static_cast<size_t>(window), d.ids.size());
      text.ids.assign(d.ids.begin() + static_cast<std::ptrdiff_t>(begin),
                      d.ids.begin() + static_cast<std::ptrdiff_t>(end));
      if (text.tokens() < 2) continue;
      text.domains.assign(text.ids.size(), d.domain);
      text.offsets = {0, static_cast<int32_t>(text.ids.size())};
      const Batch batch = form.apply(text, RandomKey(0).with(n++));
      Tape tape(false);
      Context context{tape, batch};
      context.activations = model.weight_type();
      nll += model.cross_entropy(tape, model.forward(context).hidden, batch.targets, batch.weights).loss;
      tokens += static_cast<double>(batch.tokens());
    }
  return tokens > 0 ? nll / tokens : 0;
}

NamedNumbers evaluate_corrupted(const Model& model, const HeldOutSet& held_out) {
  NamedNumbers out;
  double sum = 0;
  for (size_t d = 0; d < held_out.domains.size(); ++d) {
    if (held_out.documents[d].empty()) continue;
    out.emplace_back(held_out.domains[d], corrupted_loss(model, held_out.documents[d], held_out.window));
    sum += out.back().second;
  }
  out.emplace_back("all", out.empty() ? 0 : sum / static_cast<double>(out.size()));
  return out;
}

}  // namespace

NamedNumbers evaluate(const Model& model, const HeldOutSet& held_out) {
  if (model.config().encoder_decoder()) return evaluate_corrupted(model, held_out);
  LikelihoodOptions options;
  options.window = options.stride = held_out.window;
  options.eos = held_out.eos;
  NamedNumbers out;
  Likelihood all;
  const auto number = [](const Likelihood& l) {
    return l.bytes > 0 ? l.bits_per_byte() : l.nll / static_cast<double>(std::max<int64_t>(1, l.tokens));
  };
  for (size_t d = 0; d < held_out.domains.size(); ++d) {
    if (held_out.documents[d].empty()) continue;
    const Likelihood one = likelihood(model, held_out.documents[d], options);
    out.emplace_back(held_out.domains[d], number(one));
    all += one;
  }
  out.emplace_back("all", number(all));
  return out;
}

}  // namespace lyceum
