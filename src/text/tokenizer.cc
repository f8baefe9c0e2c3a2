#include "text/tokenizer.h"

#include <algorithm>

#include "base/error.h"
#include "base/threads.h"
#include "text/tokenizer_state.h"
#include "text/unicode.h"

namespace lyceum {
namespace {

using State = Tokenizer::State;

constexpr size_t kEncodedBytes = 128 << 10;  // bytes that one task encodes

// A model with scratch memory for one thread.
class ModelLease {
 public:
  explicit ModelLease(const SharedModel& shared) : shared_(shared) {
    {
      std::lock_guard<std::mutex> lock(shared.mutex);
      if (!shared.free_scratch.empty()) {
        scratch_ = std::move(shared.free_scratch.back());
        shared.free_scratch.pop_back();
      }
    }
    if (!scratch_) scratch_ = shared.model->make_scratch();
  }
  ~ModelLease() {
    std::lock_guard<std::mutex> lock(shared_.mutex);
    shared_.free_scratch.push_back(std::move(scratch_));
  }
  ModelLease(const ModelLease&) = delete;
  ModelLease& operator=(const ModelLease&) = delete;
  void encode(std::string_view word, std::vector<int32_t>& out) const {
    shared_.model->encode(word, *scratch_, out);
  }

 private:
  const SharedModel& shared_;
  std::unique_ptr<ModelScratch> scratch_;
};

const SharedModel& model_for(const State& s, const AllowedTokens& allowed) {
  return allowed.trusted && s.marked_model.model ? s.marked_model : s.model;
}

bool drops_first(const State& s, std::string_view text) {
  std::string buffer;
  return !text.empty() &&
         s.normalizer->apply(text.substr(0, static_cast<size_t>(char_length(text[0]))), buffer).empty();
}

// Calls on_id(id) for added tokens and on_text(text, at_start) for the normalised stretches between them, in
// order. Normalised text lives in `arena`, or, if that is null, until on_text returns.
template <class OnId, class OnText>
void walk(const State& s, std::string_view text, const AllowedTokens& allowed, TextArena* arena,
          const OnId& on_id, const OnText& on_text) {
  std::vector<TextSegment> raw, normalized;
  const bool marked = allowed.trusted != nullptr;
  (marked ? s.marked_matcher : s.raw_matcher).split(text, allowed, raw);
  // in marked text every control token was found by now
  const AllowedTokens in_normalized = marked ? AllowedTokens{.no_control = true} : allowed;
  std::string buffer;
  for (const TextSegment& segment : raw) {
    if (segment.id >= 0) {
      on_id(segment.id);
      continue;
    }
    std::string_view clean = segment.text;
    if (s.normalizer) {
      clean = s.normalizer->apply(segment.text, buffer);
      const bool moved =
          clean.data() < segment.text.data() || clean.data() >= segment.text.data() + segment.text.size();
      if (arena && moved) {
        arena->emplace_back(clean);
        clean = arena->back();
      }
    }
    // a text whose first character the normaliser drops has lost its beginning
    const bool whole =
        segment.text.data() == text.data() &&
        (!s.normalizer || clean.data() == segment.text.data() || !drops_first(s, segment.text));
    normalized.clear();
    s.normalized_matcher.split(clean, in_normalized, normalized);
    for (const TextSegment& part : normalized) {
      if (part.id >= 0) on_id(part.id);
      else on_text(part.text, whole && part.text.data() == clean.data());
    }
  }
}

// Everything in one pass and on this thread.
void encode_here(const State& s, std::string_view text, const AllowedTokens& allowed, const ModelLease& model,
                 std::vector<int32_t>& out) {
  const Scan scan = s.pre_tokenizer ? s.pre_tokenizer->scan() : nullptr;
  const bool whole = !s.pre_tokenizer || s.pre_tokenizer->is_identity();
  walk(
      s, text, allowed, nullptr, [&](int32_t id) { out.push_back(id); },
      [&](std::string_view part, bool at_start) {
        if (whole) return model.encode(part, out);
        if (scan) {
          const char *p = part.data(), *end = p + part.size();
          for (const char* next; p < end; p = next) {
            next = scan(p, end);
            model.encode({p, static_cast<size_t>(next - p)}, out);
          }
          return;
        }
        std::vector<Piece> pieces = {{part, at_start}};
        TextArena arena;
        s.pre_tokenizer->split(pieces, arena);
        for (const Piece& piece : pieces) model.encode(piece.text, out);
      });
}

// The first place at or after `from` where a text may be cut if State::may_cut: between a letter and white
// space or a full-width comma or stop. Whatever comes before, every scanner ends a word there, no normal form
// looks across, and may_cut says that no added token does.
size_t find_cut(std::string_view text, size_t from) {
  for (size_t i = std::max<size_t>(from, 1); i < text.size(); ++i) {
    const char c = text[i];
    const bool ascii = c == ' ' || c == '\n' || c == '\r' || c == '\t';
    if (!ascii && text.compare(i, 3, "\xe3\x80\x81") != 0 && text.compare(i, 3, "\xe3\x80\x82") != 0 &&
        text.compare(i, 3, "\xef\xbc\x8c") != 0)
      continue;
    size_t before = i - 1;
    while (before > 0 && is_continuation(text[before])) --before;
    int bytes;
    if (char_class(decode_char(&text[before], &bytes)) & kLetter) return i;
  }
  return text.size();
}

std::vector<std::string_view> cut_text(std::string_view text) {
  std::vector<std::string_view> parts;
  while (text.size() > kEncodedBytes + kEncodedBytes / 2) {
    const size_t cut = find_cut(text, kEncodedBytes);
    parts.push_back(text.substr(0, cut));
    text.remove_prefix(cut);
  }
  if (!text.empty()) parts.push_back(text);
  return parts;
}

// A text that must not be cut before it is split: words first, here, then their ids on all threads.
std::vector<int32_t> encode_by_words(const State& s, std::string_view text, const AllowedTokens& allowed) {
  struct Job {
    std::string_view word;
    int32_t id;  // of an added token, or -1
  };
  const SharedModel& shared = model_for(s, allowed);
  std::vector<Job> jobs;
  TextArena arena;
  walk(
      s, text, allowed, &arena,
      [&](int32_t id) {
        jobs.push_back({{}, id});
      },
      [&](std::string_view part, bool at_start) {
        std::vector<Piece> pieces = {{part, at_start}};
        if (s.pre_tokenizer) s.pre_tokenizer->split(pieces, arena);
        for (const Piece& piece : pieces)
          for (std::string_view rest = piece.text; !rest.empty();) {
            const size_t cut =
                rest.size() > kEncodedBytes ? shared.model->find_cut(rest, kEncodedBytes / 2) : rest.size();
            jobs.push_back({rest.substr(0, cut), -1});
            rest.remove_prefix(cut);
          }
      });
  std::vector<size_t> begins = {0};  // of the tasks
  size_t bytes = 0;
  for (size_t i = 0; i < jobs.size(); ++i) {
    bytes += jobs[i].word.size() + 4;
    if (bytes >= kEncodedBytes / 2 || i + 1 == jobs.size()) begins.push_back(i + 1), bytes = 0;
  }
  std::vector<std::vector<int32_t>> parts(begins.size() - 1);
  parallel_for(static_cast<int64_t>(parts.size()), [&](int64_t task, int) {
    const ModelLease model(shared);
    for (size_t i = begins[task]; i < begins[task + 1]; ++i) {
      if (jobs[i].id >= 0) parts[task].push_back(jobs[i].id);
      else model.encode(jobs[i].word, parts[task]);
    }
  });
  std::vector<int32_t> out;
  for (const auto& part : parts) out.insert(out.end(), part.begin(), part.end());
  return out;
}

std::vector<int32_t> encode_text(const State& s, std::string_view text, const AllowedTokens& allowed) {
  std::vector<int32_t> out;
  if (text.size() <= 2 * kEncodedBytes) {
    const ModelLease model(model_for(s, allowed));
    out.reserve(text.size() / 3 + 8);
    encode_here(s, text, allowed, model, out);
    return out;
  }
  if (!s.may_cut || allowed.trusted) return encode_by_words(s, text, allowed);
  const std::vector<std::string_view> chunks = cut_text(text);
  std::vector<std::vector<int32_t>> parts(chunks.size());
  parallel_for(static_cast<int64_t>(chunks.size()), [&](int64_t i, int) {
    const ModelLease model(model_for(s, allowed));
    parts[i].reserve(chunks[i].size() / 3 + 8);
    encode_here(s, chunks[i], allowed, model, parts[i]);
  });
  size_t total = 0;
  for (const auto& part : parts) total += part.size();
  out.reserve(total + s.prefix.size() + s.suffix.size());
  for (const auto& part : parts) out.insert(out.end(), part.begin(), part.end());
  return out;
}

void add_special(const State& s, std::vector<int32_t>& ids) {
  ids.insert(ids.begin(), s.prefix.begin(), s.prefix.end());
  ids.insert(ids.end(), s.suffix.begin(), s.suffix.end());
}

}  // namespace

std::vector<int32_t> Tokenizer::encode(std::string_view text, const EncodeOptions& options) const {
  std::string buffer;
  std::vector<int32_t> ids =
      encode_text(*state_, to_valid_utf8(text, buffer), {.special = options.allow_special});
  if (options.add_special) add_special(*state_, ids);
  return ids;
}

std::vector<int32_t> Tokenizer::encode_marked(std::span<const MarkedText> parts, bool with_special) const {
  std::string text, buffer;
  std::vector<std::pair<size_t, size_t>> trusted;
  for (const MarkedText& part : parts) {
    const size_t begin = text.size();
    text += to_valid_utf8(part.text, buffer);
    if (part.trusted) trusted.emplace_back(begin, text.size());
  }
  std::vector<int32_t> ids = encode_text(*state_, text, {.trusted = &trusted});
  if (with_special) add_special(*state_, ids);
  return ids;
}

std::vector<std::vector<int32_t>> Tokenizer::encode_batch(std::span<const std::string_view> texts,
                                                          const EncodeOptions& options) const {
  std::vector<std::vector<int32_t>> out(texts.size());
  std::vector<size_t> begins = {0};  // of the tasks: some texts each; long ones use all threads by themselves
  std::vector<size_t> long_texts;
  size_t bytes = 0;
  for (size_t i = 0; i < texts.size(); ++i) {
    if (texts[i].size() > 2 * kEncodedBytes) long_texts.push_back(i);
    else bytes += texts[i].size() + 64;
    if (bytes >= kEncodedBytes / 2 || i + 1 == texts.size()) begins.push_back(i + 1), bytes = 0;
  }
  parallel_for(static_cast<int64_t>(begins.size()) - 1, [&](int64_t task, int) {
    const ModelLease model(state_->model);
    std::string buffer;
    for (size_t i = begins[task]; i < begins[task + 1]; ++i) {
      if (texts[i].size() > 2 * kEncodedBytes) continue;
      out[i].reserve(texts[i].size() / 3 + 8);
      encode_here(*state_, to_valid_utf8(texts[i], buffer), AllowedTokens{.special = options.allow_special},
                  model, out[i]);
      if (options.add_special) add_special(*state_, out[i]);
    }
  });
  for (const size_t i : long_texts) out[i] = encode(texts[i], options);
  return out;
}

std::string Tokenizer::decode(std::span<const int32_t> ids, bool skip_special) const {
  const State& s = *state_;
  const auto wanted = [&](int32_t id) {
    if (id < 0 || id >= vocab_size() || s.pieces[id].empty()) return false;
    return !(skip_special && s.special[id]);
  };
  std::string text, buffer;
  if (s.decoder && s.decoder->is_byte_level()) {
    for (const int32_t id : ids)
      if (wanted(id)) text += s.piece_bytes[id];
    return std::string(to_valid_utf8(text, buffer));
  }
  std::vector<std::string> tokens;
  for (const int32_t id : ids)
    if (wanted(id)) tokens.push_back(s.pieces[id]);
  if (s.decoder) s.decoder->apply(tokens);
  for (size_t i = 0; i < tokens.size(); ++i) {
    if (!s.decoder && i > 0) text += ' ';
    text += tokens[i];
  }
  return text;
}

int32_t Tokenizer::vocab_size() const { return static_cast<int32_t>(state_->pieces.size()); }
int32_t Tokenizer::id_of(std::string_view piece) const {
  const auto it = state_->ids.find(std::string(piece));
  return it == state_->ids.end() ? -1 : it->second;
}
const std::string& Tokenizer::piece(int32_t id) const {
  static const std::string kNone;
  return id < 0 || id >= vocab_size() ? kNone : state_->pieces[id];
}
const std::vector<AddedToken>& Tokenizer::added_tokens() const { return state_->added; }
bool Tokenizer::is_special(int32_t id) const { return id >= 0 && id < vocab_size() && state_->special[id]; }
int32_t Tokenizer::bos_id() const { return state_->bos; }
int32_t Tokenizer::eos_id() const { return state_->eos; }
int32_t Tokenizer::pad_id() const { return state_->pad; }
const std::string& Tokenizer::description() const { return state_->description; }

void Tokenizer::save(const std::string& folder, FileSystem& files) const {
  files.make_directories(folder);
  write_file(folder + "/" + state_->model_file.first, state_->model_file.second, files);
  write_file(folder + "/tokenizer_config.json", state_->config_json, files);
  write_file(folder + "/special_tokens_map.json", state_->special_tokens_json, files);
}

namespace {

// What `now` has more than `before`, from a character on: bytes that were none may have become one.
std::string text_behind(const std::string& before, const std::string& now) {
  size_t from = before.size();
  while (from < now.size() && is_continuation(now[from])) ++from;
  return from < now.size() ? now.substr(from) : std::string();
}

}  // namespace

StreamDecoder::StreamDecoder(const Tokenizer& tokenizer, bool skip_special)
    : tokenizer_(tokenizer), skip_special_(skip_special) {}

std::string StreamDecoder::push(int32_t id) {
  const State& s = *tokenizer_.state_;
  if (s.decoder && s.decoder->is_byte_level()) {
    if (id < 0 || id >= tokenizer_.vocab_size() || (skip_special_ && s.special[id])) return {};
    bytes_ += s.piece_bytes[id];
    // all but a beginning of a character that more bytes may complete
    size_t sure = valid_utf8_prefix(bytes_);
    bool incomplete = false;
    while (sure < bytes_.size() && !incomplete) {
      const size_t bad = invalid_utf8_length(std::string_view(bytes_).substr(sure), &incomplete);
      if (!incomplete) sure += bad + valid_utf8_prefix(std::string_view(bytes_).substr(sure + bad));
    }
    std::string buffer;
    std::string out(to_valid_utf8(std::string_view(bytes_).substr(0, sure), buffer));
    bytes_.erase(0, sure);
    return out;
  }
  // Other decoders: the text of a window of ids, less the text of those before.
  const std::string before = tokenizer_.decode(std::span(ids_).first(sent_ids_), skip_special_);
  ids_.push_back(id);
  size_t settled = ids_.size() - begun_character();
  std::string now = tokenizer_.decode(std::span(ids_).first(settled), skip_special_);
  // tokens that hold parts of characters in another way than <0xNN>: wait for three more
  if (settled == ids_.size() && byte_of_token(tokenizer_.piece(id)) < 0 && now.ends_with("\xef\xbf\xbd")) {
    settled = settled - sent_ids_ < 4 ? sent_ids_ : sent_ids_ + 1;
    now = tokenizer_.decode(std::span(ids_).first(settled), skip_special_);
  }
  if (settled == sent_ids_) return {};
  const std::string out = text_behind(before, now);
  if (out.empty()) {  // of many ids without text some stand for all
    const auto first = ids_.begin() + static_cast<std::ptrdiff_t>(sent_ids_);
    if (settled - sent_ids_ > 64)
      ids_.erase(first + 8, first + static_cast<std::ptrdiff_t>(settled - sent_ids_ - 8));
    return {};
  }
  // The ids that were sent last stay as what stands before, unless decoders would strip their text.
  const std::span<const int32_t> last = std::span(ids_).subspan(sent_ids_, settled - sent_ids_);
  const size_t dropped =
      tokenizer_.decode(last, skip_special_).find_first_not_of(' ') == std::string::npos ? 0 : sent_ids_;
  ids_.erase(ids_.begin(), ids_.begin() + static_cast<std::ptrdiff_t>(dropped));
  sent_ids_ = settled - dropped;
  return out;
}

// How many of the last ids are bytes (<0xNN>) that more bytes may make a character of.
size_t StreamDecoder::begun_character() const {
  std::string bytes;
  for (size_t i = ids_.size(); i-- > sent_ids_;) {
    const int byte = byte_of_token(tokenizer_.piece(ids_[i]));
    if (byte < 0) break;
    bytes.insert(bytes.begin(), static_cast<char>(byte));
  }
  for (std::string_view rest = bytes; !rest.empty();) {
    rest.remove_prefix(valid_utf8_prefix(rest));
    bool incomplete = false;
    const size_t bad = rest.empty() ? 0 : invalid_utf8_length(rest, &incomplete);
    if (incomplete) return rest.size();
    rest.remove_prefix(bad);
  }
  return 0;
}

std::string StreamDecoder::finish() {
  std::string buffer;
  std::string out(to_valid_utf8(bytes_, buffer));
  bytes_.clear();
  if (ids_.size() > sent_ids_) {
    const std::string before = tokenizer_.decode(std::span(ids_).first(sent_ids_), skip_special_);
    out += text_behind(before, tokenizer_.decode(ids_, skip_special_));
  }
  ids_.clear();
  sent_ids_ = 0;
  return out;
}

}  // namespace lyceum
