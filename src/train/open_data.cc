#include "train/open_data.h"

#include <algorithm>

#include "base/file.h"
#include "kernels/peak.h"
#include "models/families.h"
#include "text/tokenizer.h"

namespace lyceum {
namespace {

// Files that make a folder a tokenizer for transformers; they travel into every checkpoint.
constexpr const char* kTokenizerFiles[] = {"tokenizer.json", "tokenizer_config.json",
                                           "special_tokens_map.json", "chat_template.jinja"};

}  // namespace

TrainParts OpenedData::parts() {
  return {*source, held_out.empty() ? nullptr : &held_out,
          texts,   nullptr,
          {},      kernels::measure_peak(false, config.precision() == DType::kF32).flops_all};
}

Tokenizer resolve_model(TrainConfig& c) {
  check(!c.data.tokenizer.empty(), "data",
        "data.tokenizer must name the folder of the tokenizer.json that made the shards");
  Tokenizer tokenizer = Tokenizer::load(c.data.tokenizer);
  check(tokenizer.eos_id() >= 0, c.data.tokenizer.c_str(), "the tokenizer has no end-of-text token");
  if (!c.train.from.empty()) {
    const std::string path = c.train.from + "/config.json";
    const double balance = c.model.balance_coefficient;
    c.model = read_model_config(read_file(path), path);
    c.model.balance_coefficient = balance;
  }
  if (c.model.vocab == 0) c.model.vocab = tokenizer.vocab_size();
  check(c.model.vocab >= tokenizer.vocab_size(), "model", "model.vocab = ", c.model.vocab,
        " is smaller than the tokenizer's ", tokenizer.vocab_size(), " ids; set it to 0 or more");
  c.model.eos = tokenizer.eos_id(), c.model.bos = tokenizer.bos_id(), c.model.pad = tokenizer.pad_id();
  return tokenizer;
}

OpenedData open_data(const TrainConfig& wanted) {
  OpenedData out;
  TrainConfig& c = out.config = wanted;
  check(!c.data.train.empty(), "data", "data.train names no token shards; `lyceum data prepare` makes them");
  const Tokenizer tokenizer = resolve_model(c);
  for (const char* name : kTokenizerFiles)
    if (file_exists(c.data.tokenizer + "/" + name))
      out.texts[name] = read_file(c.data.tokenizer + "/" + name);

  out.source = std::make_unique<ShardSource>(c.data.loader, c.data.train, c.model.vocab, tokenizer.eos_id(),
                                             c.train.micro_batch);
  const ModelConfig form = family_form(c.model);  // some families have a router of their own
  if (form.router == "random_routed") {
    const auto found = static_cast<int64_t>(out.source->loader().domain_names().size());
    int64_t& groups = c.model.routing.n_domains;
    if (groups == 0) groups = found;
    check(groups == 1 || groups >= found, "train", "n_domains = ", groups, ", but the data have ", found,
          " domains: set it to ", found, " or more, to 0 (as the data have), or to 1 (one group for all)");
  }
  if (!c.data.held_out.empty())
    out.held_out = read_held_out(c.data.held_out, tokenizer, c.model.vocab, c.evaluation.tokens,
                                 c.data.loader.sequence_length);
  return out;
}

TrainResult train(const TrainConfig& config, const std::vector<TrainObserver*>& observers) {
  config.validate();
  ModelConfig shape = config.model;  // before anything is opened; the vocabulary may come with the tokenizer
  shape.vocab = std::max<int64_t>(1, shape.vocab);
  if (config.train.from.empty()) shape.validate();
  OpenedData data = open_data(config);
  TrainParts parts = data.parts();
  refuse_what_cannot_fit(data.config);
  if (!latest_complete(config.train.folder + "/checkpoints")) {
    refuse_small_disk(data.config);
    parts.forecast = forecast(data.config);
  }
  return train(data.config, parts, observers);
}

}  // namespace lyceum
