// Unigram, WordPiece, WordLevel and SentencePiece models against what `tokenizers` and `sentencepiece` made
// of the same files and texts (tests/text/goldens_kinds.json, written by tools/make_text_goldens.py); hostile
// files; Yuan's tokens.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/random.h"
#include "base/threads.h"
#include "fuzz/bad_text_files.h"
#include "text/tokenizer.h"
#include "text/unicode.h"

namespace lyceum {
namespace {

using Json = nlohmann::json;

const std::string kFolder = std::string(LYCEUM_SOURCE_DIR) + "/tests/text/";
const std::string kData = std::string(LYCEUM_SOURCE_DIR) + "/../shared/data/";

std::string stream(const Tokenizer& tokenizer, const std::vector<int32_t>& ids) {
  StreamDecoder decoder(tokenizer, false);
  std::string text;
  for (const int32_t id : ids) {
    const std::string part = decoder.push(id);
    EXPECT_EQ(valid_utf8_prefix(part), part.size()) << "never part of a character";
    text += part;
  }
  return text + decoder.finish();
}

TEST(TokenizerKinds, GiveTheIdsAndTextsOfTheirLibraries) {
  const Json goldens = Json::parse(read_file(kFolder + "goldens_kinds.json"));
  ASSERT_GE(goldens["tokenizers"].size(), 9u);
  for (const auto& [name, cases] : goldens["tokenizers"].items()) {
    const Tokenizer tokenizer = Tokenizer::load(kFolder + name);
    EXPECT_GT(cases.size(), 15u) << name;
    for (const Json& golden : cases) {
      const auto text = golden["text"].get<std::string>();
      const auto ids = golden["ids"].get<std::vector<int32_t>>();
      SCOPED_TRACE(name + ": " + text.substr(0, 60));
      EXPECT_EQ(tokenizer.encode(text, {.add_special = false}), ids);
      if (golden["decoded"].is_null()) continue;
      const auto decoded = golden["decoded"].get<std::string>();
      EXPECT_EQ(tokenizer.decode(ids, false), decoded);
      if (decoded.find("\xef\xbf\xbd") == std::string::npos) {
        EXPECT_EQ(stream(tokenizer, ids), decoded);
      }
    }
  }
}

// The oracle is one thread.
TEST(TokenizerKinds, DoNotDependOnTheNumberOfThreads) {
  const std::string corpus = read_file(kFolder + "corpus.txt");
  std::string text;
  for (int i = 0; i < 24; ++i) text += corpus;
  const int before = thread_count();
  for (const char* name :
       {"sp_unigram.model", "sp_bpe_bytes.model", "unigram_t5.json", "wordpiece_uncased.json"}) {
    const Tokenizer tokenizer = Tokenizer::load(kFolder + name);
    set_thread_count(1);
    const std::vector<int32_t> one = tokenizer.encode(text);
    set_thread_count(3);
    EXPECT_EQ(tokenizer.encode(text), one) << name;
  }
  set_thread_count(before);
}

TEST(TokenizerKinds, EncodeMegabytesWithoutASpaceInReasonableTime) {
  std::string text(4 << 20, 'x');  // a quadratic one would not end
  for (size_t i = 0; i < text.size(); ++i) text[i] = static_cast<char>('a' + RandomKey(1).below(i, 26));
  for (const char* name :
       {"sp_unigram_bytes.model", "sp_bpe_bytes.model", "unigram_t5.json", "wordpiece_raw.json"}) {
    const Tokenizer tokenizer = Tokenizer::load(kFolder + name);
    const std::vector<int32_t> ids = tokenizer.encode(text, {.add_special = false});
    if (std::string(name).find("bytes") != std::string::npos) {
      EXPECT_EQ(tokenizer.decode(ids), text) << name;
    } else {
      EXPECT_FALSE(ids.empty());
    }
  }
}

TEST(TokenizerKinds, DecodeWhatTheyEncodedFromAnyBytes) {
  const Tokenizer tokenizer = Tokenizer::load(kFolder + "sp_bpe_bytes.model");
  for (uint64_t round = 0; round < 300; ++round) {
    std::string bytes, buffer;
    for (uint64_t i = 0; i < round; ++i) bytes.push_back(static_cast<char>(RandomKey(round).below(i, 256)));
    const std::vector<int32_t> ids = tokenizer.encode(bytes);
    std::string wanted(to_valid_utf8(bytes, buffer));
    for (size_t i = 0; (i = wanted.find("\xe2\x96\x81", i)) != std::string::npos; ++i)
      wanted.replace(i, 3, " ");
    EXPECT_EQ(tokenizer.decode(ids), wanted);
    EXPECT_EQ(stream(tokenizer, ids), wanted);
  }
}

// Two ways that are equal as numbers: the first stays, unless rounding tells them apart. The library gives
// these ids; the scores are those of a trained model.
TEST(TokenizerKinds, RoundTheSumsOfUnigramAsTheirLibrariesDo) {
  const auto piece = sentencepiece_piece;
  const std::string pieces = piece("<unk>", 0, 2) + piece("b", -10.442662239074707f, 1) +
                             piece("1", -6.468988418579102f, 1) + piece("11", -8.3314208984375f, 1) +
                             piece("\xe2\x96\x81", 0, 1) + piece("P", -1e8f, 1);
  const Tokenizer floats = Tokenizer::from_sentencepiece(sentencepiece_model(pieces, 1), "f");
  EXPECT_EQ(floats.encode("111"), (std::vector<int32_t>{4, 2, 3}));
  EXPECT_EQ(floats.encode("b111"), (std::vector<int32_t>{4, 1, 3, 2}));
  EXPECT_EQ(floats.encode("P111"), (std::vector<int32_t>{4, 5, 2, 3})) << "the large sum was taken off";
  const Tokenizer doubles = Tokenizer::from_json(
      R"({"model": {"type": "Unigram", "unk_id": 0, "vocab": [["<unk>", 0], ["a", -1], ["b", -1], ["ab", -3],)"
      R"( ["P", -1e8]]}})",
      "f");
  EXPECT_EQ(doubles.encode("Pab"), (std::vector<int32_t>{4, 1, 2})) << "as float, -1e8 - 3 is -1e8";
  // the nearest double of the first number ends in 6 (hexadecimal), serde_json reads it as the second: in 7
  const Tokenizer close = Tokenizer::from_json(
      R"({"model": {"type": "Unigram", "unk_id": 0, "vocab": [["<unk>", 0], ["x", -3.4784049843910934],)"
      R"( ["y", 0], ["xy", -3.478404984391094]]}})",
      "f");
  EXPECT_EQ(close.encode("xy"), std::vector<int32_t>{3}) << "as Hugging Face tokenizers 0.23";
}

TEST(TokenizerKinds, RefuseBadSentencePieceModelsWithOneLine) {
  for (const BadFile& f : sentencepiece_corpus()) {
    SCOPED_TRACE(f.name);
    std::string found;
    try {
      const std::string path = testing::TempDir() + "lyceum_bad.model";
      write_file(path, f.bytes);
      Tokenizer::load(path).encode("abab ba");
    } catch (const Error& e) {
      found = e.what();
    }
    if (f.message.empty()) {
      EXPECT_EQ(found, "");
      continue;
    }
    EXPECT_NE(found.find(f.message), std::string::npos) << "wanted " << f.message << " in: " << found;
    EXPECT_EQ(found.find('\n'), std::string::npos) << found;
  }
}

TEST(TokenizerKinds, RefuseBadModelsOfTokenizerJsonByName) {
  const auto error = [](const std::string& model) {
    try {
      Tokenizer::from_json("{\"model\": " + model + "}", "f").encode("a \xe4\xb8\xad");
    } catch (const Error& e) {
      return std::string(e.what());
    }
    return std::string("no error");
  };
  const std::pair<std::string, std::string> cases[] = {
      {R"({"type": "Unigram", "vocab": []})", "vocab"},
      {R"({"type": "Unigram", "vocab": [["a"]]})", "wanted [piece, score]"},
      {R"({"type": "Unigram", "vocab": [["a", "b"]]})", "wanted [piece, score]"},
      {R"({"type": "Unigram", "unk_id": 7, "vocab": [["a", -1]]})", "unk_id"},
      {R"({"type": "Unigram", "vocab": [["a", -1]]})", "no unknown token"},
      {R"({"type": "WordPiece", "vocab": {"a": 0}})", "unk_token"},
      {R"({"type": "WordLevel", "vocab": {"a": 0}, "unk_token": "x"})", "unk_token"},
      {R"({"type": "Morse", "vocab": {"a": 0}})", "Morse"},
  };
  for (const auto& [model, wanted] : cases)
    EXPECT_NE(error(model).find(wanted), std::string::npos) << model << ": " << error(model);
  const std::string good = R"({"type": "WordLevel", "vocab": {"a": 0}, "unk_token": "a"}, "normalizer": )";
  EXPECT_NE(error(good + R"({"type": "Precompiled", "precompiled_charsmap": "a?"})").find("base64"),
            std::string::npos);
  EXPECT_NE(error(good + R"({"type": "Precompiled", "precompiled_charsmap": "AAAA"})").find("8 bytes"),
            std::string::npos);
}

TEST(TokenizerKinds, NeverMakeControlTokensOfTextUnlessAllowed) {
  for (const char* name :
       {"sp_unigram.model", "sp_bpe.model", "unigram_t5.json", "wordpiece_uncased.json", "words.json"}) {
    const Tokenizer tokenizer = Tokenizer::load(kFolder + name);
    std::string text;
    for (const AddedToken& t : tokenizer.added_tokens())
      if (t.content.find("unk") == std::string::npos && t.content.find("UNK") == std::string::npos)
        text += t.content + " ";
    int32_t unknown = tokenizer.id_of("<unk>");
    if (unknown < 0) unknown = tokenizer.id_of("[UNK]");
    for (const int32_t id : tokenizer.encode(text, {.add_special = false}))
      EXPECT_TRUE(id == unknown || !tokenizer.is_special(id)) << name << ": " << tokenizer.piece(id);
    bool any = false;
    for (const int32_t id : tokenizer.encode(text, {.add_special = false, .allow_special = true}))
      any = any || (id != unknown && tokenizer.is_special(id));
    EXPECT_TRUE(any) << name;
  }
}

std::vector<std::string> all_tokenizers() {
  std::vector<std::string> paths;
  for (const auto& entry : std::filesystem::directory_iterator(kFolder)) {
    const std::string name = entry.path().filename();
    if ((name.ends_with(".json") && !name.starts_with("goldens")) || name.ends_with(".model"))
      paths.push_back(entry.path());
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

// Whatever the model makes of the text: pieces of a vocabulary may be spelled as control tokens are, and a
// normaliser may make such a spelling from other characters.
TEST(TokenizerKinds, NeverMakeControlTokensOfWhatAUserSays) {
  size_t tried = 0;
  for (const std::string& path : all_tokenizers()) {
    const Tokenizer tokenizer = Tokenizer::load(path);
    std::string text = "a ";
    for (const AddedToken& t : tokenizer.added_tokens()) {
      if (!t.is_control() || t.content.find("unk") != std::string::npos ||
          t.content.find("UNK") != std::string::npos)
        continue;
      std::string wide;  // full-width forms, which NFKC folds
      for (const char c : t.content) append_char(wide, c > ' ' ? 0xfee0 + static_cast<uint32_t>(c) : c);
      text += t.content + t.content + " " + t.content + " x" + wide + " ";
      ++tried;
    }
    const std::vector<MarkedText> parts = {{"<", true}, {text, false}, {">", true}};
    for (const int32_t id : tokenizer.encode_marked(parts))
      for (const AddedToken& t : tokenizer.added_tokens())
        EXPECT_FALSE(t.id == id && t.is_control() && text.find(t.content) != std::string::npos)
            << path << ": " << t.content;
  }
  EXPECT_GT(tried, 40u);
}

// Words of half a megabyte, for every tokenizer; a quadratic one takes hours.
TEST(TokenizerKinds, TakeNoQuadraticTime) {
  const auto repeated = [](std::initializer_list<uint32_t> characters) {
    std::string text;
    while (text.size() < (512u << 10))
      for (const uint32_t c : characters) append_char(text, c);
    return text;
  };
  std::string any;
  for (size_t i = 0; i < (512u << 10); ++i) any.push_back(static_cast<char>(RandomKey(2).below(i, 256)));
  const std::string texts[] = {repeated({'a'}),
                               repeated({'A', 'B'}),
                               repeated({'7'}),
                               repeated({' '}),
                               repeated({'\n', ' '}),
                               repeated({'=', '<'}),
                               repeated({0x301, 0x316}),
                               repeated({0x4e2d, 0x3002}),
                               repeated({0x1f468, 0x200d}),
                               repeated({0x2581, 'e'}),
                               any};
  for (const std::string& path : all_tokenizers()) {
    const Tokenizer tokenizer = Tokenizer::load(path);
    for (const std::string& text : texts) {
      const std::vector<int32_t> ids = tokenizer.encode(text);
      tokenizer.decode(ids);
    }
  }
}

// The pattern of gpt-oss goes back over all of a word in capitals; the word must not be refused for that.
TEST(TokenizerKinds, SplitWordsOfAnyLengthByRegularExpression) {
  const std::string pattern = "[\\\\p{Lu}]*[\\\\p{Ll}]+|[\\\\p{Lu}]+[\\\\p{Ll}]*";
  const Tokenizer tokenizer = Tokenizer::from_json(
      R"({"model": {"type": "BPE", "vocab": {"A": 0}, "merges": []}, "pre_tokenizer": {"type": "Split",)"
      R"( "pattern": {"Regex": ")" +
          pattern + R"("}, "behavior": "Isolated", "invert": false}})",
      "f");
  EXPECT_EQ(tokenizer.encode(std::string(12'000'000, 'A')), std::vector<int32_t>(12'000'000, 0));
}

// Oracle: two orders of marks of different classes are canonically equivalent (Unicode 15, D108 and D109).
TEST(TokenizerKinds, SortMarksOfAnyNumber) {
  const auto times = [](const std::string& text, size_t n) {
    std::string all;
    for (size_t i = 0; i < n; ++i) all += text;
    return all;
  };
  const std::string above = "\xcc\x81", below = "\xcc\x96";
  for (const char* name : {"added_tokens.json", "decorated.json"}) {
    const Tokenizer tokenizer = Tokenizer::load(kFolder + name);
    for (const size_t n : {3, 400000}) {
      const std::vector<int32_t> ids = tokenizer.encode("xa" + times(above + below, n));
      EXPECT_EQ(ids, tokenizer.encode("xa" + times(above, n) + times(below, n)));
      EXPECT_EQ(ids, tokenizer.encode("xa" + times(below, n) + times(above, n)));
    }
  }
}

TEST(TokenizerKinds, SaveASentencePieceModelThatLoadsAgain) {
  const std::string folder = testing::TempDir() + "lyceum_sp_save";
  std::filesystem::remove_all(folder);
  const Tokenizer tokenizer = Tokenizer::load(kFolder + "sp_unigram_bytes.model");
  tokenizer.save(folder);
  EXPECT_EQ(read_file(folder + "/tokenizer.model"), read_file(kFolder + "sp_unigram_bytes.model"));
  const Tokenizer again = Tokenizer::load(folder);
  EXPECT_EQ(again.encode("the expert <user> x"), tokenizer.encode("the expert <user> x"));
  EXPECT_EQ(again.eos_id(), tokenizer.eos_id());
  // what a configuration adds: T5's sentinels count from the end, ends of texts, more tokens
  write_file(
      folder + "/tokenizer_config.json",
      R"({"tokenizer_class": "T5Tokenizer", "extra_ids": 3, "additional_special_tokens": ["<more>"]})");
  const Tokenizer t5 = Tokenizer::load(folder);
  const int32_t n = tokenizer.vocab_size();
  EXPECT_EQ(t5.id_of("<extra_id_2>"), n);
  EXPECT_EQ(t5.id_of("<extra_id_0>"), n + 2);
  EXPECT_EQ(t5.id_of("<more>"), n + 3);
  EXPECT_EQ(t5.encode("x").back(), t5.eos_id());
  EXPECT_EQ(t5.encode("<extra_id_1>", {.add_special = false, .allow_special = true}),
            std::vector<int32_t>{n + 1});
  write_file(folder + "/tokenizer_config.json", R"({"tokenizer_class": "XLMRobertaTokenizer"})");
  EXPECT_THROW(Tokenizer::load(folder), Error);
  std::filesystem::remove_all(folder);
}

// Ids of Yuan's model as its loader gives them; tools/check_tokenizers.py compares all of its texts.
TEST(TokenizerKinds, SplitYuansControlTokensOffBeforeItsModel) {
  const std::string folder = kData + "tokenizers/yuan";
  if (!file_exists(folder + "/tokenizer.model")) GTEST_SKIP() << "no ../shared/data beside the project";
  const Tokenizer tokenizer = Tokenizer::load(folder);
  EXPECT_EQ(tokenizer.vocab_size(), 134958);
  EXPECT_EQ(tokenizer.eos_id(), 77185);
  EXPECT_EQ(tokenizer.pad_id(), 77188);
  EXPECT_EQ(tokenizer.bos_id(), -1);
  EXPECT_EQ(tokenizer.id_of("<mask>"), 134953);
  EXPECT_EQ(tokenizer.id_of("<FIM_MIDDLE>"), 134957);
  const std::vector<int32_t> ids =
      tokenizer.encode("\xe4\xb8\x93\xe5\xae\xb6<sep>a<eod>", {.allow_special = true});
  EXPECT_EQ(ids.back(), 77185);
  EXPECT_EQ(std::count(ids.begin(), ids.end(), 77187), 1);
  for (const int32_t id : tokenizer.encode("<sep><eod><mask>")) EXPECT_FALSE(tokenizer.is_special(id));
}

}  // namespace
}  // namespace lyceum
