// Reads tokenizer.json: every piece by name, each unknown one refused by name.
#include <algorithm>
#include <cstdlib>

#include "text/json_node.h"
#include "text/model_json.h"
#include "text/precompiled.h"
#include "text/tokenizer_build.h"
#include "text/tokenizer_config.h"

namespace lyceum {
namespace {

NormalizerPtr read_normalizer(const Node& node) {
  static const std::map<std::string, NormalizerPtr (*)(const Node&)> kMakers = {
      {"NFC", [](const Node&) { return make_unicode_normalizer(UnicodeForm::kNfc); }},
      {"NFD", [](const Node&) { return make_unicode_normalizer(UnicodeForm::kNfd); }},
      {"NFKC", [](const Node&) { return make_unicode_normalizer(UnicodeForm::kNfkc); }},
      {"NFKD", [](const Node&) { return make_unicode_normalizer(UnicodeForm::kNfkd); }},
      {"Prepend", [](const Node& n) { return make_prepend(n.text("prepend")); }},
      {"Replace",
       [](const Node& n) {
         bool is_regex;
         const std::string pattern = n.pattern("pattern", &is_regex);
         return make_replace(pattern, is_regex, n.text("content"));
       }},
      {"Strip",
       [](const Node& n) { return make_strip(n.flag("strip_left", true), n.flag("strip_right", true)); }},
      {"Lowercase", [](const Node&) { return make_lowercase(); }},
      {"StripAccents", [](const Node&) { return make_strip_accents(); }},
      {"BertNormalizer",
       [](const Node& n) {
         const bool lowercase = n.flag("lowercase", true);
         return make_bert_normalizer(n.flag("clean_text", true), n.flag("handle_chinese_chars", true),
                                     n.flag("strip_accents", lowercase), lowercase);
       }},
      {"Nmt", [](const Node&) { return make_nmt(); }},
      {"ByteLevel", [](const Node&) { return make_byte_level_normalizer(); }},
      {"Precompiled",
       [](const Node& n) {
         // no rules at all: what a SentencePiece model without normaliser was converted to
         const std::string blob = n.get("precompiled_charsmap") ? n.text("precompiled_charsmap") : "";
         return make_precompiled(from_base64(blob, n.where), n.where);
       }},
      {"Sequence",
       [](const Node& n) {
         return make_normalizer_sequence(make_pieces(n, "normalizers", read_normalizer));
       }},
  };
  return make_piece(node, kMakers);
}

const std::map<std::string, SplitBehavior> kBehaviors = {
    {"Removed", SplitBehavior::kRemoved},
    {"Isolated", SplitBehavior::kIsolated},
    {"MergedWithPrevious", SplitBehavior::kMergedWithPrevious},
    {"MergedWithNext", SplitBehavior::kMergedWithNext},
    {"Contiguous", SplitBehavior::kContiguous}};

PrependScheme read_scheme(const Node& n) {
  static const std::map<std::string, PrependScheme> kSchemes = {
      {"first", PrependScheme::kFirst}, {"never", PrependScheme::kNever}, {"always", PrependScheme::kAlways}};
  if (n.get("prepend_scheme")) return n.choice("prepend_scheme", kSchemes);
  return n.flag("add_prefix_space", true) ? PrependScheme::kAlways : PrependScheme::kNever;
}

PreTokenizerPtr read_pre_tokenizer(const Node& node) {
  static const std::map<std::string, PreTokenizerPtr (*)(const Node&)> kMakers = {
      {"ByteLevel",
       [](const Node& n) {
         return make_byte_level(n.flag("add_prefix_space", true), n.flag("use_regex", true));
       }},
      {"Split",
       [](const Node& n) {
         bool is_regex;
         const std::string pattern = n.pattern("pattern", &is_regex);
         return make_split(pattern, is_regex, n.choice("behavior", kBehaviors), n.flag("invert", false));
       }},
      {"UnicodeScripts", [](const Node&) { return make_unicode_scripts(); }},
      {"Digits", [](const Node& n) { return make_digits(n.flag("individual_digits", false)); }},
      {"Punctuation",
       [](const Node& n) {
         return make_punctuation(n.get("behavior") ? n.choice("behavior", kBehaviors)
                                                   : SplitBehavior::kIsolated);
       }},
      {"Whitespace", [](const Node&) { return make_whitespace(); }},
      {"WhitespaceSplit", [](const Node&) { return make_whitespace_split(); }},
      {"BertPreTokenizer", [](const Node&) { return make_bert_split(); }},
      {"CharDelimiterSplit", [](const Node& n) { return make_char_delimiter(n.character("delimiter")); }},
      {"FixedLength",
       [](const Node& n) { return make_fixed_length(n.get("length") ? n.count("length") : 5); }},
      {"Metaspace",
       [](const Node& n) {
         std::string replacement;
         append_char(replacement, n.character("replacement"));
         return make_metaspace(replacement, read_scheme(n), n.flag("split", true));
       }},
      {"Sequence",
       [](const Node& n) { return make_sequence(make_pieces(n, "pretokenizers", read_pre_tokenizer)); }},
  };
  return make_piece(node, kMakers);
}

DecoderPtr read_decoder(const Node& node) {
  static const std::map<std::string, DecoderPtr (*)(const Node&)> kMakers = {
      {"ByteLevel", [](const Node&) { return make_byte_level_decoder(); }},
      {"Replace",
       [](const Node& n) {
         bool is_regex;
         const std::string pattern = n.pattern("pattern", &is_regex);
         return make_replace_decoder(pattern, is_regex, n.text("content"));
       }},
      {"ByteFallback", [](const Node&) { return make_byte_fallback_decoder(); }},
      {"Fuse", [](const Node&) { return make_fuse_decoder(); }},
      {"Strip",
       [](const Node& n) {
         return make_strip_decoder(n.character("content"), n.count("start"), n.count("stop"));
       }},
      {"Metaspace",
       [](const Node& n) {
         std::string replacement;
         append_char(replacement, n.character("replacement"));
         return make_metaspace_decoder(replacement, read_scheme(n) != PrependScheme::kNever);
       }},
      {"WordPiece",
       [](const Node& n) {
         return make_word_piece_decoder(n.text_or("prefix", "##"), n.flag("cleanup", true));
       }},
      {"CTC",
       [](const Node& n) {
         return make_ctc_decoder(n.text_or("pad_token", "<pad>"), n.text_or("word_delimiter_token", "|"),
                                 n.flag("cleanup", true));
       }},
      {"BPEDecoder", [](const Node& n) { return make_suffix_decoder(n.text_or("suffix", "</w>")); }},
      {"Sequence",
       [](const Node& n) { return make_decoder_sequence(make_pieces(n, "decoders", read_decoder)); }},
  };
  return make_piece(node, kMakers);
}

// Ids that a template of a post-processor puts before and behind the text.
void read_post_processor(const Node& node, std::vector<int32_t>& prefix, std::vector<int32_t>& suffix) {
  check_depth(node);
  const std::string type = node.text("type");
  if (type == "ByteLevel") return;  // concerns offsets only
  if (type == "Sequence") {
    for (const Node& part : node.list("processors")) read_post_processor(part, prefix, suffix);
    return;
  }
  std::vector<int32_t> before, behind;
  if (type == "TemplateProcessing") {
    bool seen = false;
    for (const Node& part : node.list("single")) {
      if (part.get("Sequence")) {
        check_data(!seen, part.where.c_str(), "wanted the text once in a template, found it twice");
        seen = true;
        continue;
      }
      const std::string name = part.child("SpecialToken").text("id");
      const Node token = node.child("special_tokens").child(name.c_str());
      const Json* ids = token.get("ids");
      if (!ids || !ids->is_array()) token.bad("ids", "a list");
      for (const Json& id : *ids) {
        if (!id.is_number_unsigned() || id.get<uint64_t>() > 0x7fffffff)
          token.bad("ids", "ids of 0 and above");
        (seen ? behind : before).push_back(id.get<int32_t>());
      }
    }
    check_data(seen, node.where.c_str(), "single: wanted a template with the text in it, found none");
  } else if (type == "RobertaProcessing" || type == "BertProcessing") {
    for (const char* key : {"cls", "sep"}) {
      const Json* pair = node.get(key);
      if (!pair || !pair->is_array() || pair->size() != 2 || !(*pair)[1].is_number_unsigned() ||
          (*pair)[1].get<uint64_t>() > 0x7fffffff)
        node.bad(key, "a token and its id");
      (key[0] == 'c' ? before : behind).push_back((*pair)[1].get<int32_t>());
    }
  } else {
    fail(ErrorKind::kUnsupported, node.where.c_str(), "the piece ", type,
         " is unknown here; known are BertProcessing, ByteLevel, RobertaProcessing, Sequence, "
         "TemplateProcessing");
  }
  prefix.insert(prefix.begin(), before.begin(), before.end());
  suffix.insert(suffix.end(), behind.begin(), behind.end());
}

std::vector<AddedToken> read_added_tokens(const Node& root) {
  std::vector<AddedToken> tokens;
  if (!root.get("added_tokens")) return tokens;
  for (const Node& node : root.list("added_tokens")) {
    AddedToken t;
    t.id = static_cast<int32_t>(node.count("id"));
    t.content = node.text("content");
    t.single_word = node.flag("single_word", false);
    t.lstrip = node.flag("lstrip", false);
    t.rstrip = node.flag("rstrip", false);
    t.special = node.flag("special", false);
    t.normalized = node.flag("normalized", !t.special);
    if (t.content.size() > 4096)
      fail(ErrorKind::kUnsupported, node.where.c_str(), "wanted added tokens up to 4096 bytes, found ",
           t.content.size());
    if (!t.content.empty()) tokens.push_back(std::move(t));
  }
  return tokens;
}

std::string describe(const Node& root, size_t n_ids) {
  const auto type_of = [](const Json& piece) {
    const bool named = piece.is_object() && piece.contains("type") && piece["type"].is_string();
    return named ? piece["type"].get<std::string>() : std::string("?");
  };
  const auto name = [&](const char* key) {
    const Json* piece = root.get(key);
    if (!piece) return std::string("none");
    std::string text;
    for (const char* inner : {"normalizers", "pretokenizers", "processors", "decoders"})
      if (piece->contains(inner) && (*piece)[inner].is_array())
        for (const Json& part : (*piece)[inner]) text += (text.empty() ? "" : " + ") + type_of(part);
    return text.empty() ? type_of(*piece) : text;
  };
  return detail::join(root.child("model").text_or("type", "BPE"), ", ", n_ids, " ids, normalizer ",
                      name("normalizer"), ", pre-tokenizer ", name("pre_tokenizer"), ", post-processor ",
                      name("post_processor"), ", decoder ", name("decoder"));
}

// A decimal number as serde_json reads it for Hugging Face `tokenizers`: 64 bits of digits, then one division
// or product by a power of ten, which may miss the nearest double. Scores of Unigram that are equal to the
// last bit decide between ways.
double read_like_serde(std::string_view text) {
  uint64_t digits = 0;
  int exponent = 0;
  bool point = false, full = false;
  for (size_t i = text.starts_with('-') ? 1 : 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '.') {
      point = true;
    } else if (c == 'e' || c == 'E') {
      exponent +=
          static_cast<int>(std::clamp(std::strtol(text.data() + i + 1, nullptr, 10), -99999L, 99999L));
      break;
    } else {
      uint64_t more = 0;
      full = full || __builtin_mul_overflow(digits, uint64_t{10}, &more) ||
             __builtin_add_overflow(more, static_cast<uint64_t>(c - '0'), &more);
      if (!full) digits = more;
      exponent += (full ? 1 : 0) - (point ? 1 : 0);
    }
  }
  const auto power = [](int n) {  // exact powers, correctly rounded
    return std::strtod(("1e" + std::to_string(n)).c_str(), nullptr);
  };
  auto value = static_cast<double>(digits);
  for (; exponent < -308 && value != 0; exponent += 308) value /= power(308);
  value = exponent < 0 ? value / power(std::min(-exponent, 308)) : value * power(std::min(exponent, 308));
  return text.starts_with('-') ? -value : value;
}

struct JsonReader : nlohmann::detail::json_sax_dom_parser<Json> {
  using json_sax_dom_parser::json_sax_dom_parser;
  bool number_float(double, const std::string& text) {
    return json_sax_dom_parser::number_float(read_like_serde(text), text);
  }
};

std::shared_ptr<Tokenizer::State> read_root(std::string text, const std::string& where) {
  Json json;
  JsonReader reader(json);
  Json::sax_parse(text, &reader);
  const Node root{json, where};
  auto s = std::make_shared<Tokenizer::State>();
  const std::string version = root.text_or("version", "1.0");
  if (version != "1.0") fail(ErrorKind::kUnsupported, where.c_str(), "version: wanted 1.0, found ", version);
  if (root.get("normalizer")) s->normalizer = read_normalizer(root.child("normalizer"));
  if (root.get("pre_tokenizer")) s->pre_tokenizer = read_pre_tokenizer(root.child("pre_tokenizer"));
  if (root.get("decoder")) s->decoder = read_decoder(root.child("decoder"));
  // "truncation" and "padding" say how batches were once padded; like `transformers`, we leave them alone
  const Node model = root.child("model");
  const ModelDraft draft = read_model(model, s->pre_tokenizer && s->pre_tokenizer->byte_level());
  std::vector<AddedToken> added = read_added_tokens(root);
  assign_added_ids(added, draft.vocab, *s, where);
  index_pieces(draft.vocab, *s, where);
  const size_t n_ids = s->pieces.size();
  make_models(draft.make, draft.vocab, *s);
  if (root.get("post_processor")) read_post_processor(root.child("post_processor"), s->prefix, s->suffix);
  for (const auto* ids : {&s->prefix, &s->suffix})
    for (const int32_t id : *ids)
      check_data(static_cast<size_t>(id) < n_ids, where.c_str(), "post_processor: wanted ids below ", n_ids,
                 ", found ", id);
  s->may_cut = (!s->normalizer || s->normalizer->is_local()) && s->pre_tokenizer &&
               s->pre_tokenizer->scan() && added_tokens_allow_cuts(*s);
  s->description = describe(root, n_ids);
  s->model_file = {"tokenizer.json", std::move(text)};
  return s;
}

}  // namespace

std::shared_ptr<Tokenizer::State> read_tokenizer_json(std::string text, const std::string& where) {
  try {
    return read_root(std::move(text), where);
  } catch (const Json::exception& e) {
    fail(ErrorKind::kCorruptData, where.c_str(), "wanted the JSON of a tokenizer, found ", e.what());
  } catch (const Error& e) {
    // what the file says stands in the message: it must stay one short line
    std::string message = e.what();
    for (char& c : message)
      if (static_cast<uint8_t>(c) < ' ' || c == 0x7f) c = '?';
    if (message.size() > 400) message = message.substr(0, 400) + "...";
    throw Error(e.kind(), message);
  }
}

}  // namespace lyceum
