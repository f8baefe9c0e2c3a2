#include "text/sentencepiece.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <unordered_set>

#include "base/error.h"
#include "text/bpe.h"
#include "text/sentencepiece.pb.h"
#include "text/sentencepiece_text.h"
#include "text/tokenizer_build.h"
#include "text/unicode.h"
#include "text/unigram.h"

namespace lyceum {
namespace {

enum PieceType { kNormal = 1, kUnknown, kControl, kUserDefined, kUnused, kByte };
enum ModelType { kUnigram = 1, kBpe = 2 };

// What the loader of Yuan 2.0 adds to its model, in the order of its ids (IEIT-Yuan/Yuan2.0-M32, README).
constexpr const char* kYuanTokens[] = {
    "<eod>",          "<sep>",           "<pad>",          "<mask>",          "<predict>",
    "<FIM_SUFFIX>",   "<FIM_PREFIX>",    "<FIM_MIDDLE>",   "<commit_before>", "<commit_msg>",
    "<commit_after>", "<jupyter_start>", "<jupyter_text>", "<jupyter_code>",  "<jupyter_output>",
    "<empty_output>"};

// Hugging Face's classes of these names shift or insert ids.
constexpr const char* kShiftingClasses[] = {"XLMRoberta",  "MBart",   "Camembert",
                                            "Barthez",     "XGLM",    "NllbTokenizer",
                                            "SeamlessM4T", "Pegasus", "XLMProphetNet"};

void check_model(const sentencepiece::Model& model, const SentencePieceExtras& extras,
                 const std::string& where) {
  const char* at = where.c_str();
  check_data(model.pieces_size() > 0, at, "wanted a SentencePiece model, found one without pieces");
  const int type = model.trainer().model_type();
  if (type != kUnigram && type != kBpe)
    fail(ErrorKind::kUnsupported, at, "model_type: wanted 1 (unigram) or 2 (BPE), found ", type,
         type == 3   ? " (words)"
         : type == 4 ? " (characters)"
                     : "");
  if (!model.denormalizer().precompiled_charsmap().empty())
    fail(ErrorKind::kUnsupported, at, "denormalizer: rules for decoding are not supported");
  for (const char* name : kShiftingClasses)
    if (extras.tokenizer_class.starts_with(name))
      fail(ErrorKind::kUnsupported, at, "tokenizer_class ", quote(extras.tokenizer_class),
           " gives pieces other ids than the model file; save it as tokenizer.json first");
  std::unordered_set<std::string_view> seen;
  int unknown = 0;
  for (int id = 0; id < model.pieces_size(); ++id) {
    const sentencepiece::Piece& p = model.pieces(id);
    check_data(!p.piece().empty() && valid_utf8_prefix(p.piece()) == p.piece().size(), at, "piece ", id,
               ": wanted text in UTF-8, found ", quote(p.piece()));
    check_data(seen.insert(p.piece()).second, at, "piece ", id, ": ", quote(p.piece()), " is there twice");
    check_data(std::isfinite(p.score()), at, "piece ", id, ": wanted a finite score, found ", p.score());
    if (p.type() < kNormal || p.type() > kByte)
      fail(ErrorKind::kUnsupported, at, "piece ", id, ": wanted a type from 1 to 6, found ", p.type());
    if (p.type() == kUnused && type == kBpe)
      fail(ErrorKind::kUnsupported, at, "piece ", id,
           ": unused pieces (type 5) in a BPE model are not supported");
    check_data(p.type() != kByte || byte_of_token(p.piece()) >= 0, at, "piece ", id,
               ": wanted a byte as <0xNN>, found ", quote(p.piece()));
    unknown += p.type() == kUnknown;
  }
  check_data(unknown == 1, at, "wanted one unknown piece, found ", unknown);
}

std::vector<AddedToken> added_tokens(const sentencepiece::Model& model, const SentencePieceExtras& extras,
                                     bool yuan) {
  std::vector<AddedToken> added;
  const auto add = [&](const std::string& content, bool special) {
    AddedToken t;
    t.content = content;
    t.special = special;
    t.normalized = !special;
    added.push_back(std::move(t));
  };
  for (const sentencepiece::Piece& p : model.pieces())
    if (p.type() == kControl || p.type() == kUnknown || p.type() == kUserDefined)
      add(p.piece(), p.type() != kUserDefined);
  if (yuan)
    for (const char* name : kYuanTokens) add(name, true);
  for (const AddedToken& t : extras.added)
    if (std::none_of(added.begin(), added.end(), [&](const AddedToken& a) { return a.content == t.content; }))
      added.push_back(t);
  return added;
}

std::unique_ptr<const TokenModel> make_model(const sentencepiece::Model& model,
                                             const std::vector<bool>& control) {
  const bool bytes = model.trainer().byte_fallback();
  const auto in_text = [&](int id) {
    const int type = model.pieces(id).type();
    return !control[id] && (type == kNormal || type == kUserDefined);
  };
  int unk = 0;
  while (model.pieces(unk).type() != kUnknown) ++unk;
  if (model.trainer().model_type() == kUnigram) {
    UnigramSpec spec;
    spec.unk = unk;
    spec.byte_fallback = bytes;
    spec.float_sums = true;
    for (int id = 0; id < model.pieces_size(); ++id) {
      const sentencepiece::Piece& p = model.pieces(id);
      spec.pieces.push_back(
          {p.piece(), p.score(), in_text(id), p.type() == kUserDefined, p.type() == kNormal});
    }
    return make_unigram(std::move(spec));
  }
  BpeSpec spec;
  spec.unk_token = model.pieces(unk).piece();
  spec.byte_fallback = bytes;
  spec.fuse_unk = true;
  for (int id = 0; id < model.pieces_size(); ++id) {
    spec.vocab.emplace_back(model.pieces(id).piece(), id);
    spec.scores.push_back(model.pieces(id).score());
    spec.control.push_back(!in_text(id));
  }
  return make_bpe(std::move(spec));
}

SentencePieceRules read_rules(const sentencepiece::Model& model, const std::string& where) {
  const sentencepiece::Normalizer& n = model.normalizer();
  SentencePieceRules rules;
  rules.rules = CharsMap(n.precompiled_charsmap(), where);
  rules.dummy_prefix = n.add_dummy_prefix();
  rules.remove_extra_spaces = n.remove_extra_whitespaces();
  rules.escape_spaces = n.escape_whitespaces();
  rules.suffix = model.trainer().treat_whitespace_as_suffix();
  rules.unk_surface = model.trainer().unk_surface();
  for (const sentencepiece::Piece& p : model.pieces()) {
    if (p.type() == kUnknown) rules.unk_piece = p.piece();
    if (p.type() == kUserDefined) rules.user_defined.push_back(p.piece());
  }
  return rules;
}

// Begin and end of a text as Hugging Face's classes of these names put them by default.
void add_ends(const sentencepiece::Model& model, const SentencePieceExtras& extras, bool yuan,
              Tokenizer::State& s) {
  const auto is = [&](const char* name) { return extras.tokenizer_class.find(name) != std::string::npos; };
  const bool bos = extras.add_bos >= 0 ? extras.add_bos != 0 : is("Llama") || is("Gemma");
  const bool eos = extras.add_eos >= 0 ? extras.add_eos != 0 : is("T5");
  const auto valid = [&](int id) { return id >= 0 && id < model.pieces_size(); };
  if (bos && !yuan && valid(model.trainer().bos_id())) s.prefix.push_back(model.trainer().bos_id());
  if (eos && !yuan && valid(model.trainer().eos_id())) s.suffix.push_back(model.trainer().eos_id());
}

}  // namespace

std::shared_ptr<Tokenizer::State> read_sentencepiece(std::string text, const SentencePieceExtras& extras,
                                                     const std::string& where) {
  sentencepiece::Model model;
  check_data(text.size() < std::numeric_limits<int>::max() &&
                 model.ParseFromArray(text.data(), static_cast<int>(text.size())),
             where.c_str(), "wanted a SentencePiece model (a protobuf message), found something else");
  check_model(model, extras, where);
  auto s = std::make_shared<Tokenizer::State>();
  Vocab vocab;
  bool has_end = false, has_separator = false;
  for (int id = 0; id < model.pieces_size(); ++id) {
    const sentencepiece::Piece& p = model.pieces(id);
    vocab.emplace_back(p.piece(), id);
    has_end = has_end || (p.type() == kNormal && p.piece() == kYuanTokens[0]);
    has_separator = has_separator || (p.type() == kNormal && p.piece() == kYuanTokens[1]);
  }
  s->yuan = has_end && has_separator;
  std::vector<AddedToken> added = added_tokens(model, extras, s->yuan);
  assign_added_ids(added, vocab, *s, where);
  index_pieces(vocab, *s, where);
  const SentencePieceRules rules = read_rules(model, where);
  s->normalizer = make_sentencepiece_normalizer(rules);
  s->decoder = make_sentencepiece_decoder(rules);
  make_models([&](const std::vector<bool>& control) { return make_model(model, control); }, vocab, *s);
  add_ends(model, extras, s->yuan, *s);
  const sentencepiece::Normalizer& n = model.normalizer();
  s->description = detail::join(
      "SentencePiece ", model.trainer().model_type() == kBpe ? "BPE" : "Unigram", ", ", s->pieces.size(),
      " ids, normalizer ", n.name().empty() ? "identity" : quote(n.name()).str(),
      n.add_dummy_prefix() ? ", a space before the text" : "",
      n.remove_extra_whitespaces() ? ", extra spaces removed" : "",
      model.trainer().byte_fallback() ? ", byte fallback" : "", s->yuan ? ", Yuan's added tokens" : "");
  s->model_file = {"tokenizer.model", std::move(text)};
  return s;
}

int32_t yuan_end_of_text(const Tokenizer::State& s) { return s.yuan ? s.ids.at(kYuanTokens[0]) : -1; }

}  // namespace lyceum
