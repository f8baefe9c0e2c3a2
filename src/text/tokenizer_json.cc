// Reads tokenizer.json: every piece by name, each unknown one refused by name.
#include <map>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/log.h"
#include "text/bpe.h"
#include "text/tokenizer_config.h"
#include "text/tokenizer_state.h"
#include "text/unicode.h"

namespace lyceum {
namespace {

using Json = nlohmann::json;

// A JSON object and where it stands, for errors: "gpt.json: pre_tokenizer.pretokenizers[1]".
struct Node {
  const Json& json;
  std::string where;

  [[noreturn]] void bad(const char* key, const char* wanted) const {
    const Json* found = json.is_object() && json.contains(key) ? &json[key] : nullptr;
    std::string text = found ? found->dump(-1, ' ', false, Json::error_handler_t::replace) : "nothing";
    if (text.size() > 60) text = text.substr(0, 60) + "...";
    fail(ErrorKind::kCorruptData, where.c_str(), key, ": wanted ", wanted, ", found ", text);
  }
  const Json* get(const char* key) const {  // null when absent or null
    if (!json.is_object()) fail(ErrorKind::kCorruptData, where.c_str(), "wanted an object");
    const auto it = json.find(key);
    return it == json.end() || it->is_null() ? nullptr : &*it;
  }
  std::string text(const char* key) const {
    const Json* v = get(key);
    if (!v || !v->is_string()) bad(key, "a string");
    return v->get<std::string>();
  }
  std::string text_or(const char* key, const std::string& otherwise) const {
    return get(key) ? text(key) : otherwise;
  }
  bool flag(const char* key, bool otherwise) const {
    const Json* v = get(key);
    if (v && !v->is_boolean()) bad(key, "true or false");
    return v ? v->get<bool>() : otherwise;
  }
  uint32_t count(const char* key) const {
    const Json* v = get(key);
    if (!v || !v->is_number_unsigned() || v->get<uint64_t>() > 0x7fffffff)
      bad(key, "a number of 0 and above");
    return static_cast<uint32_t>(v->get<uint64_t>());
  }
  char32_t character(const char* key) const {
    const std::string s = text(key);
    int bytes = 0;
    const char32_t c = s.empty() ? 0 : decode_char(s.data(), &bytes);
    if (s.empty() || static_cast<size_t>(bytes) != s.size()) bad(key, "one character");
    return c;
  }
  std::vector<Node> list(const char* key) const {
    const Json* v = get(key);
    if (!v || !v->is_array()) bad(key, "a list");
    std::vector<Node> nodes;
    for (size_t i = 0; i < v->size(); ++i)
      nodes.push_back({(*v)[i], detail::join(where, ".", key, "[", i, "]")});
    return nodes;
  }
  Node child(const char* key) const {
    const Json* v = get(key);
    if (!v) bad(key, "an object");
    return {*v, where + "." + key};
  }
  // {"String": s} or {"Regex": s}
  std::string pattern(const char* key, bool* is_regex) const {
    const Json* v = get(key);
    if (v && v->is_object() && v->size() == 1 && v->begin()->is_string()) {
      *is_regex = v->begin().key() == "Regex";
      if (*is_regex || v->begin().key() == "String") return v->begin()->get<std::string>();
    }
    bad(key, "{\"String\": ...} or {\"Regex\": ...}");
  }
  template <class Value>
  Value choice(const char* key, const std::map<std::string, Value>& values) const {
    const auto it = values.find(text(key));
    if (it == values.end()) bad(key, "one of the names that Hugging Face tokenizers has");
    return it->second;
  }
};

void check_depth(const Node& node) {  // readers call themselves: a hostile file must not use up the stack
  if (std::count(node.where.begin(), node.where.end(), '[') > 16)
    fail(ErrorKind::kUnsupported, node.where.c_str(), "wanted pieces up to 16 deep, found deeper ones");
}

// Makes the piece that node.type names from a table of makers.
template <class Result>
Result make_piece(const Node& node, const std::map<std::string, Result (*)(const Node&)>& makers) {
  const std::string type = node.text("type");
  const auto it = makers.find(type);
  if (it == makers.end()) {
    std::string known;
    for (const auto& [name, maker] : makers) known += (known.empty() ? "" : ", ") + name;
    fail(ErrorKind::kUnsupported, node.where.c_str(), "the piece ", type, " is unknown here; known are ",
         known);
  }
  check_depth(node);
  return it->second(node);
}

template <class Result>
std::vector<Result> make_pieces(const Node& node, const char* key, Result (*make)(const Node&)) {
  std::vector<Result> parts;
  for (const Node& part : node.list(key)) parts.push_back(make(part));
  return parts;
}

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

std::pair<std::string, std::string> read_merge(const Json& merge, const std::string& where) {
  if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string())
    return {merge[0].get<std::string>(), merge[1].get<std::string>()};
  if (merge.is_string()) {
    const auto& text = merge.get_ref<const std::string&>();
    const size_t space = text.find(' ');
    if (space != std::string::npos && text.find(' ', space + 1) == std::string::npos)
      return {text.substr(0, space), text.substr(space + 1)};
  }
  fail(ErrorKind::kCorruptData, where.c_str(), "merges: wanted \"left right\" or [left, right], found ",
       merge.dump(-1, ' ', false, Json::error_handler_t::replace).substr(0, 60));
}

BpeSpec read_bpe(const Node& node) {
  BpeSpec spec;
  const Node vocab = node.child("vocab");
  check_data(vocab.json.is_object() && !vocab.json.empty(), vocab.where.c_str(),
             "wanted pieces and their ids");
  for (const auto& [piece, id] : vocab.json.items()) {
    if (!id.is_number_integer() || id.get<int64_t>() < 0 || id.get<int64_t>() > 0x7fffffff)
      vocab.bad(piece.c_str(), "an id of 0 and above");
    spec.vocab.emplace_back(piece, id.get<int32_t>());
  }
  const Json* merges = node.get("merges");
  if (!merges || !merges->is_array()) node.bad("merges", "a list");
  for (const Json& merge : *merges)
    if (!merge.is_string() || !merge.get_ref<const std::string&>().starts_with("#version"))
      spec.merges.push_back(read_merge(merge, node.where));
  const Json* dropout = node.get("dropout");
  if (dropout && !(dropout->is_number() && dropout->get<double>() == 0))
    fail(ErrorKind::kUnsupported, node.where.c_str(),
         "dropout: wanted null or 0 (ids would be random), found ", dropout->dump());
  spec.unk_token = node.text_or("unk_token", "");
  spec.continuing_prefix = node.text_or("continuing_subword_prefix", "");
  spec.word_suffix = node.text_or("end_of_word_suffix", "");
  spec.fuse_unk = node.flag("fuse_unk", false);
  spec.byte_fallback = node.flag("byte_fallback", false);
  spec.ignore_merges = node.flag("ignore_merges", false);
  return spec;
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

// Hugging Face gives an added token the id of the vocabulary's piece of that name, else the next free one,
// whatever the file says.
void assign_added_ids(std::vector<AddedToken>& tokens, const BpeSpec& spec, Tokenizer::State& s,
                      const std::string& where) {
  for (const auto& [piece, id] : spec.vocab) s.ids.emplace(piece, id);
  const auto n_vocab = static_cast<int32_t>(spec.vocab.size());
  int32_t largest = -1;
  for (AddedToken& t : tokens) {
    const auto known = s.ids.find(t.content);
    const int32_t id = known != s.ids.end() ? known->second : std::max(largest + 1, n_vocab);
    if (id != t.id)
      log_warn("tokenizer", where, ": the added token \"", t.content, "\" says id ", t.id, " but has id ",
               id);
    t.id = id;
    largest = std::max(largest, id);
    s.ids[t.content] = id;
    const auto same =
        std::find_if(s.added.begin(), s.added.end(), [&](const AddedToken& a) { return a.id == id; });
    if (same != s.added.end()) *same = t;  // the later one counts
    else s.added.push_back(t);
  }
}

// [id] pieces, bytes and special marks.
void index_pieces(const BpeSpec& spec, Tokenizer::State& s, const std::string& where) {
  int32_t largest = -1;
  for (const auto& [piece, id] : spec.vocab) largest = std::max(largest, id);
  for (const AddedToken& t : s.added) largest = std::max(largest, t.id);
  check_data(largest < (1 << 21), where.c_str(), "wanted ids below 2097152, found ", largest);
  s.pieces.resize(static_cast<size_t>(largest) + 1);
  s.special.resize(s.pieces.size());
  for (const auto& [piece, id] : spec.vocab) s.pieces[id] = piece;
  std::string buffer;
  for (const AddedToken& t : s.added) {
    std::string seen = t.content;
    if (t.normalized && s.normalizer) seen = std::string(s.normalizer->apply(t.content, buffer));
    s.added_normalized.push_back(seen);
    s.pieces[t.id] = seen;
    s.special[t.id] = t.special;
  }
  for (size_t i = 0; i < s.added.size(); ++i) {
    if (s.added[i].normalized) s.normalized_matcher.add(s.added_normalized[i], &s.added[i]);
    else s.raw_matcher.add(s.added[i].content, &s.added[i]);
  }
  if (!s.decoder || !s.decoder->is_byte_level()) return;
  for (const std::string& piece : s.pieces)
    s.piece_bytes.push_back(piece_to_bytes(piece, buffer) ? buffer : piece);
}

// True if no added token contains, or by its strip and word rules looks across, a letter and white space
// behind.
bool added_tokens_allow_cuts(const Tokenizer::State& s) {
  const auto cut_before = [](uint32_t c) {
    return c == ' ' || c == '\n' || c == '\r' || c == '\t' || c == 0x3001 || c == 0x3002 || c == 0xff0c;
  };
  for (size_t i = 0; i < s.added.size(); ++i) {
    const AddedToken& t = s.added[i];
    for (const std::string& content : {t.content, s.added_normalized[i]}) {
      bool letter = false;
      int bytes;
      for (size_t k = 0; k < content.size(); k += bytes) {
        const uint32_t c = decode_char(&content[k], &bytes);
        if (cut_before(c) && (letter || (k == 0 && t.single_word))) return false;
        letter = (char_class(c) & kLetter) != 0;
      }
      if (letter && t.rstrip) return false;
    }
  }
  return true;
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

std::shared_ptr<Tokenizer::State> read_root(std::string text, const std::string& where) {
  const Json json = Json::parse(text);
  const Node root{json, where};
  auto s = std::make_shared<Tokenizer::State>();
  const std::string version = root.text_or("version", "1.0");
  if (version != "1.0") fail(ErrorKind::kUnsupported, where.c_str(), "version: wanted 1.0, found ", version);
  if (root.get("normalizer")) s->normalizer = read_normalizer(root.child("normalizer"));
  if (root.get("pre_tokenizer")) s->pre_tokenizer = read_pre_tokenizer(root.child("pre_tokenizer"));
  if (root.get("decoder")) s->decoder = read_decoder(root.child("decoder"));
  // "truncation" and "padding" say how batches were once padded; like `transformers`, we leave them alone
  const Node model = root.child("model");
  const std::string type = model.text_or("type", "BPE");
  if (type != "BPE")
    fail(ErrorKind::kUnsupported, model.where.c_str(), "the model ", type, " is unknown here; known is BPE");
  BpeSpec spec = read_bpe(model);
  spec.byte_level = s->pre_tokenizer && s->pre_tokenizer->byte_level();
  std::vector<AddedToken> added = read_added_tokens(root);
  assign_added_ids(added, spec, *s, where);
  index_pieces(spec, *s, where);
  spec.control = s->special;
  const size_t n_ids = s->pieces.size();
  s->model = make_bpe(std::move(spec));
  if (root.get("post_processor")) read_post_processor(root.child("post_processor"), s->prefix, s->suffix);
  for (const auto* ids : {&s->prefix, &s->suffix})
    for (const int32_t id : *ids)
      check_data(static_cast<size_t>(id) < n_ids, where.c_str(), "post_processor: wanted ids below ", n_ids,
                 ", found ", id);
  s->may_cut = (!s->normalizer || s->normalizer->is_local()) && s->pre_tokenizer &&
               s->pre_tokenizer->scan() && added_tokens_allow_cuts(*s);
  s->description = describe(root, n_ids);
  s->tokenizer_json = std::move(text);
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
