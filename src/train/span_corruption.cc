#include "train/span_corruption.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "base/error.h"
#include "models/families.h"

namespace lyceum {
namespace {

// n items in k parts of at least one, every cut as likely as any other.
std::vector<int64_t> parts_of(int64_t n, int64_t k, RandomKey key) {
  std::vector<int64_t> places(static_cast<size_t>(n - 1));  // 1 before an item that begins a part
  for (size_t i = 0; i < places.size(); ++i) places[i] = static_cast<int64_t>(i) < k - 1;
  for (size_t i = places.size(); i > 1; --i) std::swap(places[i - 1], places[key.below(i, i)]);
  std::vector<int64_t> out(1, 1);
  for (int64_t begins : places) {
    if (begins) out.push_back(0);
    ++out.back();
  }
  return out;
}

void append(Batch& b, int32_t id, int32_t position, int32_t domain) {
  b.ids.push_back(id), b.positions.push_back(position), b.domains.push_back(domain);
}

}  // namespace

Batch SpanCorruption::apply(const Batch& text, RandomKey key) const {
  Batch target, source;
  target.offsets.assign(1, 0), source.offsets.assign(1, 0);
  for (int64_t s = 0; s < text.sequences(); ++s) {
    const auto first = static_cast<size_t>(text.offsets[static_cast<size_t>(s)]);
    const int64_t n = text.offsets[static_cast<size_t>(s) + 1] - static_cast<int64_t>(first);
    check(n >= 2, "span corruption", "a text of ", n, " tokens has nothing to cut out");
    const double wanted = static_cast<double>(n) * noise;
    const int64_t noisy = std::clamp<int64_t>(std::llround(wanted), 1, n - 1);
    const int64_t spans = std::clamp<int64_t>(std::llround(static_cast<double>(noisy) / mean_span), 1,
                                              std::min(noisy, n - noisy));
    check(spans < vocab, "span corruption", spans, " sentinels for a vocabulary of ", vocab);
    const RandomKey own = key.with(static_cast<uint64_t>(s));
    const std::vector<int64_t> cut = parts_of(noisy, spans, own.with(0));
    const std::vector<int64_t> kept = parts_of(n - noisy, spans, own.with(1));
    size_t at = first;
    int32_t source_place = 0, target_place = 0, before = start;
    const auto to_source = [&](int32_t id) { append(source, id, source_place++, text.domains[at]); };
    const auto to_target = [&](int32_t id, float weight) {
      append(target, before, target_place++, text.domains[at]);
      target.targets.push_back(id), target.weights.push_back(weight);
      before = id;
    };
    for (int64_t i = 0; i < spans; ++i) {
      for (int64_t j = 0; j < kept[static_cast<size_t>(i)]; ++j, ++at) to_source(text.ids[at]);
      const int32_t sentinel = static_cast<int32_t>(vocab - 1 - i);
      const float weight = text.weights.empty() ? 1.0f : text.weights[at];
      to_source(sentinel);
      to_target(sentinel, weight);
      for (int64_t j = 0; j < cut[static_cast<size_t>(i)]; ++j, ++at) to_target(text.ids[at], weight);
    }
    source.offsets.push_back(static_cast<int32_t>(source.tokens()));
    target.offsets.push_back(static_cast<int32_t>(target.tokens()));
  }
  target.source.push_back(std::move(source));
  return target;
}

SpanCorruption span_corruption_of(const ModelConfig& model) {
  SpanCorruption form;
  form.vocab = model.vocab, form.start = static_cast<int32_t>(model.decoder_start);
  return form;
}

std::optional<CorruptedSource> corrupted_source(const ModelConfig& model, BatchSource& texts, int64_t seed) {
  const ModelConfig form = family_form(model);
  if (!form.encoder_decoder()) return std::nullopt;
  return CorruptedSource(texts, span_corruption_of(form), static_cast<uint64_t>(seed));
}

void CorruptedSource::next(Batch& batch) {
  Batch text;
  texts_.next(text);
  batch = form_.apply(text, RandomKey(seed_).with(batches_++));
}

void CorruptedSource::seek(const std::string& cursor) {
  char* end = nullptr;
  const unsigned long long n = std::strtoull(cursor.c_str(), &end, 10);
  check_data(end != cursor.c_str() && *end == ' ', "span corruption", "no cursor: ", quote(cursor));
  texts_.seek(end + 1);
  batches_ = n;
}

}  // namespace lyceum
