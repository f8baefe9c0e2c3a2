#include "infer/generate.h"

#include <algorithm>
#include <cstring>

namespace lyceum {

namespace {

int32_t domain_of(const ModelConfig& c, int32_t domain) {
  const bool routed = c.sparse() && c.router == "random_routed";
  check(routed || domain < 0, "generate", "the model does not look at the domain of a text, found domain ",
        domain);
  if (!routed || c.routing.n_domains <= 1) return 0;
  check(domain >= 0 && domain < c.routing.n_domains, "generate",
        "the experts of this model are chosen by domain and id: give the text a domain from 0 to ",
        c.routing.n_domains - 1,
        domain < 0 ? std::string(", found none") : ", found " + std::to_string(domain));
  return domain;
}

Batch one_sequence(std::span<const int32_t> ids, int64_t from, int32_t domain) {
  Batch batch;
  batch.ids.assign(ids.begin(), ids.end());
  for (size_t i = 0; i < ids.size(); ++i)
    batch.positions.push_back(static_cast<int32_t>(from + static_cast<int64_t>(i)));
  batch.domains.assign(ids.size(), domain);
  batch.offsets = {0, static_cast<int32_t>(ids.size())};
  return batch;
}

}  // namespace

TextSequence::TextSequence(const Model& model, int64_t capacity, int64_t vocab, int32_t domain,
                           std::span<const int32_t> source)
    : model_(model),
      vocab_(vocab > 0 ? std::min(vocab, model.config().vocab) : model.config().vocab),
      domain_(domain_of(model.config(), domain)),
      source_(source.begin(), source.end()),
      state_(model.new_state(capacity)) {
  const bool encoder = model.config().encoder_decoder();
  check(encoder == !source.empty(), "generate", "a ", model.config().family, " model ",
        encoder ? "has an encoder and wants a source text" : "has no encoder to read a source text");
}

std::span<const float> TextSequence::read(std::span<const int32_t> ids) {
  check(!ids.empty(), "generate", "nothing to read");
  check(state_.length + static_cast<int64_t>(ids.size()) <= state_.capacity, "generate",
        "the text would have ", state_.length + static_cast<int64_t>(ids.size()), " tokens, room is for ",
        state_.capacity);
  Batch batch = one_sequence(ids, state_.length, domain_);
  if (!source_.empty()) batch.source.push_back(one_sequence(source_, 0, domain_));
  Tape tape(false);
  Context context{tape, batch};
  context.activations = model_.weight_type();
  context.state = &state_;
  const Tensor hidden = model_.forward(context).hidden;
  Tensor last({1, hidden.width()}, hidden.type());
  const size_t row = static_cast<size_t>(hidden.width()) * dtype_size(hidden.type());
  std::memcpy(last.data(),
              static_cast<const char*>(hidden.data()) + static_cast<size_t>(hidden.rows() - 1) * row, row);
  logits_ = model_.logits(tape, last).to_floats();
  return {logits_.data(), static_cast<size_t>(vocab_)};
}

std::vector<int32_t> generate(const Model& model, std::span<const int32_t> prompt,
                              const GenerateOptions& options, int64_t vocab,
                              const std::function<bool(int32_t)>& sink) {
  check(!prompt.empty(), "generate", "the prompt is empty; give at least one token");
  const bool encoder = model.config().encoder_decoder();
  const std::vector<int32_t> start = {static_cast<int32_t>(model.config().decoder_start)};
  const std::span<const int32_t> source = encoder ? prompt : std::span<const int32_t>(),
                                 begin = encoder ? std::span<const int32_t>(start) : prompt;
  TextSequence sequence(model, static_cast<int64_t>(begin.size()) + options.max_tokens, vocab, options.domain,
                        source);
  Sampler sampler(options.sampling);
  std::vector<int32_t> history(begin.begin(), begin.end()), fresh;
  std::span<const float> logits = sequence.read(begin);
  while (static_cast<int64_t>(fresh.size()) < options.max_tokens) {
    const int32_t id = sampler.next(logits, history);
    if (std::find(options.stop_ids.begin(), options.stop_ids.end(), id) != options.stop_ids.end()) break;
    fresh.push_back(id);
    history.push_back(id);
    if (sink && !sink(id)) break;
    if (static_cast<int64_t>(fresh.size()) < options.max_tokens) logits = sequence.read({&id, 1});
  }
  return fresh;
}

}  // namespace lyceum
