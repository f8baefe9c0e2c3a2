// The model of a tokenizer.json: BPE, Unigram, WordPiece, WordLevel, each refused by name if it is another.
#include "text/model_json.h"

#include "text/bpe.h"
#include "text/json_node.h"
#include "text/tokenizer_build.h"
#include "text/unigram.h"
#include "text/word_piece.h"

namespace lyceum {
namespace {

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

Vocab read_vocab(const Node& node) {
  Vocab out;
  const Node vocab = node.child("vocab");
  check_data(vocab.json.is_object() && !vocab.json.empty(), vocab.where.c_str(),
             "wanted pieces and their ids");
  for (const auto& [piece, id] : vocab.json.items()) {
    if (!id.is_number_integer() || id.get<int64_t>() < 0 || id.get<int64_t>() > 0x7fffffff)
      vocab.bad(piece.c_str(), "an id of 0 and above");
    out.emplace_back(piece, id.get<int32_t>());
  }
  return out;
}

BpeSpec read_bpe(const Node& node) {
  BpeSpec spec;
  spec.vocab = read_vocab(node);
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

WordPieceSpec read_word_piece(const Node& node, bool whole_words) {
  WordPieceSpec spec;
  spec.vocab = read_vocab(node);
  spec.unk_token = node.text_or("unk_token", whole_words ? "<unk>" : "[UNK]");
  spec.whole_words = whole_words;
  if (whole_words) return spec;
  spec.continuing_prefix = node.text_or("continuing_subword_prefix", "##");
  if (node.get("max_input_chars_per_word")) spec.longest_word = node.count("max_input_chars_per_word");
  return spec;
}

UnigramSpec read_unigram(const Node& node) {
  UnigramSpec spec;
  const std::vector<Node> vocab = node.list("vocab");
  check_data(!vocab.empty(), node.where.c_str(), "vocab: wanted pieces and their scores, found none");
  for (const Node& entry : vocab) {
    const Json& j = entry.json;
    if (!j.is_array() || j.size() != 2 || !j[0].is_string() || !j[1].is_number())
      fail(ErrorKind::kCorruptData, entry.where.c_str(), "wanted [piece, score], found ",
           j.dump(-1, ' ', false, Json::error_handler_t::replace).substr(0, 60));
    spec.pieces.push_back({j[0].get<std::string>(), j[1].get<double>()});
  }
  if (node.get("unk_id")) {
    spec.unk = static_cast<int32_t>(node.count("unk_id"));
    check_data(static_cast<size_t>(spec.unk) < spec.pieces.size(), node.where.c_str(),
               "unk_id: wanted an id below ", spec.pieces.size(), ", found ", spec.unk);
  }
  spec.byte_fallback = node.flag("byte_fallback", false);
  return spec;
}

}  // namespace

ModelDraft read_model(const Node& node, bool byte_level) {
  const std::string type = node.text_or("type", "BPE");
  ModelDraft draft;
  if (type == "BPE") {
    const auto spec = std::make_shared<BpeSpec>(read_bpe(node));
    spec->byte_level = byte_level;
    draft.vocab = spec->vocab;
    draft.make = [spec](const std::vector<bool>& control) {
      BpeSpec own = *spec;
      own.control = control;
      return make_bpe(std::move(own));
    };
  } else if (type == "WordPiece" || type == "WordLevel") {
    const auto spec = std::make_shared<WordPieceSpec>(read_word_piece(node, type == "WordLevel"));
    draft.vocab = spec->vocab;
    draft.make = [spec](const std::vector<bool>& control) {
      WordPieceSpec own = *spec;
      own.control = control;
      return make_word_piece(std::move(own));
    };
  } else if (type == "Unigram") {
    const auto spec = std::make_shared<UnigramSpec>(read_unigram(node));
    for (const UnigramPiece& p : spec->pieces)
      draft.vocab.emplace_back(p.text, static_cast<int32_t>(draft.vocab.size()));
    draft.make = [spec](const std::vector<bool>& control) {
      UnigramSpec own = *spec;
      for (size_t id = 0; id < own.pieces.size(); ++id) own.pieces[id].in_text = !control[id];
      return make_unigram(std::move(own));
    };
  } else {
    fail(ErrorKind::kUnsupported, node.where.c_str(), "the model ", quote(type),
         " is unknown here; known are BPE, Unigram, WordLevel, WordPiece");
  }
  if (byte_level && type != "BPE")
    fail(ErrorKind::kUnsupported, node.where.c_str(), "the pre-tokenizer ByteLevel before a model of type ",
         type, " is not supported, only before BPE");
  return draft;
}

}  // namespace lyceum
