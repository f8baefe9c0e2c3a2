#include "eval/likelihood.h"

#include <algorithm>
#include <cmath>

namespace lyceum {

double Likelihood::bits_per_byte() const {
  return bytes ? nll / (std::log(2.0) * static_cast<double>(bytes)) : 0;
}
double Likelihood::perplexity() const { return tokens ? std::exp(nll / static_cast<double>(tokens)) : 0; }

Likelihood& Likelihood::operator+=(const Likelihood& other) {
  nll += other.nll, tokens += other.tokens, bytes += other.bytes, documents += other.documents;
  return *this;
}

namespace {

struct Stream {
  std::vector<int32_t> ids, domains;
};

Stream join(const std::vector<EncodedDocument>& documents, int32_t eos) {
  Stream s;
  for (const EncodedDocument& d : documents) {
    s.ids.push_back(eos);
    s.ids.insert(s.ids.end(), d.ids.begin(), d.ids.end());
    s.domains.resize(s.ids.size(), d.domain);
  }
  if (!documents.empty()) s.ids.push_back(eos), s.domains.push_back(documents.back().domain);
  return s;
}

double batch_nll(const Model& model, const Batch& batch, Taps* taps) {
  Tape tape(false);
  Context context{tape, batch};
  context.activations = model.weight_type();
  context.taps = taps;
  const Model::Output out = model.forward(context);
  return model.cross_entropy(tape, out.hidden, batch.targets, batch.weights).loss;
}

}  // namespace

Likelihood likelihood(const Model& model, const std::vector<EncodedDocument>& documents,
                      const LikelihoodOptions& o, const std::function<void(int64_t)>& progress, Taps* taps) {
  check(o.window >= 2 && o.stride >= 1 && o.stride <= o.window, "eval",
        "wanted 1 <= stride <= window and window >= 2, found stride ", o.stride, ", window ", o.window);
  Likelihood result;
  for (const EncodedDocument& d : documents) result.bytes += d.bytes, ++result.documents;
  const Stream stream = join(documents, o.eos);
  const int64_t inputs = static_cast<int64_t>(stream.ids.size()) - 1;  // the last id is only predicted
  Batch batch;
  int64_t predicted = 0;  // inputs whose next id has been counted
  for (int64_t begin = 0; predicted < inputs; begin += o.stride) {
    const int64_t end = std::min(begin + o.window, inputs);
    batch.offsets.push_back(static_cast<int32_t>(batch.tokens()));
    for (int64_t i = begin; i < end; ++i) {
      batch.ids.push_back(stream.ids[static_cast<size_t>(i)]);
      batch.domains.push_back(stream.domains[static_cast<size_t>(i)]);
      batch.positions.push_back(static_cast<int32_t>(i - begin));
      batch.targets.push_back(stream.ids[static_cast<size_t>(i + 1)]);
      batch.weights.push_back(i >= predicted ? 1.0f : 0.0f);
    }
    predicted = end;
    if (batch.tokens() + o.window > o.batch_tokens || predicted == inputs) {
      batch.offsets.push_back(static_cast<int32_t>(batch.tokens()));
      result.nll += batch_nll(model, batch, taps);
      if (progress) progress(predicted);
      batch = Batch();
    }
  }
  result.tokens = std::max<int64_t>(inputs, 0);
  return result;
}

}  // namespace lyceum
