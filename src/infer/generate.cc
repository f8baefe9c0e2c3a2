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

}  // namespace

TextSequence::TextSequence(const Model& model, int64_t capacity, int64_t vocab, int32_t domain)
    : model_(model),
      vocab_(vocab > 0 ? std::min(vocab, model.config().vocab) : model.config().vocab),
      domain_(domain_of(model.config(), domain)),
      state_(model.new_state(capacity)) {}

std::span<const float> TextSequence::read(std::span<const int32_t> ids) {
  check(!ids.empty(), "generate", "nothing to read");
  check(state_.length + static_cast<int64_t>(ids.size()) <= state_.capacity, "generate",
        "the text would have ", state_.length + static_cast<int64_t>(ids.size()), " tokens, room is for ",
        state_.capacity);
  Batch batch;
  batch.ids.assign(ids.begin(), ids.end());
  for (size_t i = 0; i < ids.size(); ++i)
    batch.positions.push_back(static_cast<int32_t>(state_.length + static_cast<int64_t>(i)));
  batch.domains.assign(ids.size(), domain_);
  batch.offsets = {0, static_cast<int32_t>(ids.size())};
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
  TextSequence sequence(model, static_cast<int64_t>(prompt.size()) + options.max_tokens, vocab,
                        options.domain);
  Sampler sampler(options.sampling);
  std::vector<int32_t> history(prompt.begin(), prompt.end()), fresh;
  std::span<const float> logits = sequence.read(prompt);
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
