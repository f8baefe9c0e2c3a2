// Tokenizers against what Hugging Face `tokenizers` made of the same files and texts (tests/text/, written by
// tools/make_text_goldens.py), and against themselves: threads, cuts, streams, hostile files.
#include "text/tokenizer.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/random.h"
#include "base/threads.h"
#include "text/bpe_trainer.h"
#include "text/unicode.h"

namespace lyceum {
namespace {

using Json = nlohmann::json;

const std::string kFolder = std::string(LYCEUM_SOURCE_DIR) + "/tests/text/";
const std::string kData = std::string(LYCEUM_SOURCE_DIR) + "/../shared/data/";

Tokenizer load(const std::string& name) { return Tokenizer::load(kFolder + name + ".json"); }

std::string stream(const Tokenizer& tokenizer, const std::vector<int32_t>& ids, bool skip_special) {
  StreamDecoder decoder(tokenizer, skip_special);
  std::string text;
  for (const int32_t id : ids) {
    const std::string part = decoder.push(id);
    EXPECT_EQ(valid_utf8_prefix(part), part.size()) << "never part of a character";
    text += part;
  }
  return text + decoder.finish();
}

TEST(Tokenizers, GiveTheIdsAndTextsThatHuggingFaceGives) {
  const Json goldens = Json::parse(read_file(kFolder + "goldens.json"));
  ASSERT_GE(goldens["tokenizers"].size(), 15u);
  for (const auto& [name, cases] : goldens["tokenizers"].items()) {
    const Tokenizer tokenizer = load(name);
    for (const Json& golden : cases) {
      const auto text = golden["text"].get<std::string>();
      const auto allowed = golden["allowed"].get<std::vector<int32_t>>();
      SCOPED_TRACE(name + ": " + text.substr(0, 60));
      EXPECT_EQ(tokenizer.encode(text, {.add_special = true, .allow_special = true}), allowed);
      EXPECT_EQ(tokenizer.encode(text, {.add_special = false, .allow_special = false}),
                golden["plain"].get<std::vector<int32_t>>());
      const auto decoded = golden["decoded"].get<std::string>();
      EXPECT_EQ(tokenizer.decode(allowed, false), decoded);
      EXPECT_EQ(tokenizer.decode(allowed, true), golden["skipped"].get<std::string>());
      if (decoded.find("\xef\xbf\xbd") == std::string::npos) {
        EXPECT_EQ(stream(tokenizer, allowed, false), decoded);
      }
    }
  }
}

// The oracle is the file that Hugging Face's BpeTrainer and Tokenizer.save() wrote from the same corpus.
TEST(BpeTraining, LearnsTheMergesOfHuggingFaceByteForByteAtAnyThreadCount) {
  const std::string corpus = read_file(kFolder + "corpus.txt");
  const std::string folder = testing::TempDir() + "lyceum_text_test";
  const int before = thread_count();
  for (const char* pattern : {"gpt2", "llama3"}) {
    for (const int threads : {1, 2, 3}) {
      set_thread_count(threads);
      BpeTrainerOptions options;
      options.vocab_size = 600;
      options.pattern = pattern;
      BpeTrainer trainer(options);
      const std::string_view text = corpus;
      trainer.add(std::vector<std::string_view>{text});
      trainer.train().save(folder);
      EXPECT_EQ(read_file(folder + "/tokenizer.json"), read_file(kFolder + pattern + ".json"))
          << pattern << ", " << threads << " threads";
    }
  }
  set_thread_count(before);
  std::filesystem::remove_all(folder);
}

TEST(BpeTraining, DoesNotDependOnHowTextsAreGrouped) {
  const std::string corpus = read_file(kFolder + "corpus.txt");
  std::string large;
  for (int i = 0; i < 40; ++i) large += corpus;  // more than one task
  BpeTrainerOptions options;
  options.vocab_size = 500;
  BpeTrainer whole(options), parts(options);
  whole.add(std::vector<std::string_view>{large});
  for (int i = 0; i < 40; ++i) parts.add(std::vector<std::string_view>{corpus});
  const Tokenizer a = whole.train(), b = parts.train();
  ASSERT_EQ(a.vocab_size(), b.vocab_size());
  for (int32_t id = 0; id < a.vocab_size(); ++id) ASSERT_EQ(a.piece(id), b.piece(id));
}

TEST(BpeTraining, RefusesWhatCannotBe) {
  BpeTrainerOptions options;
  options.vocab_size = 200;
  EXPECT_THROW(BpeTrainer{options}, Error);
  options.vocab_size = 1000;
  options.pattern = "gpt5";
  EXPECT_THROW(BpeTrainer{options}, Error);
  options.pattern = "qwen2";
  options.special_tokens = {"<a>", "<a>"};
  EXPECT_THROW(BpeTrainer{options}, Error);
  options.special_tokens = {};
  EXPECT_THROW(BpeTrainer(options).train(), Error) << "no text";
}

std::string mixed_text(size_t bytes) {
  static const char* kWords[] = {
      " the",  " router", " caf\xc3\xa9", "\n", "\n\n", "  ", " \xe4\xb8\x93\xe5\xae\xb6", "\xef\xbc\x8c",
      " 1234", "()",      "e\xcc\x81",    "\t", "'s",   "x",  "\xf0\x9f\x91\x8d",          "\r\n"};
  std::string text;
  for (uint64_t i = 0; text.size() < bytes; ++i) text += kWords[RandomKey(5).below(i, std::size(kWords))];
  return text;
}

// A long text is cut into tasks; a text of pieces below that size is the oracle, cut where nothing looks
// across.
TEST(Tokenizers, EncodeLongTextsTheSameAsTheirParts) {
  for (const char* name :
       {"gpt2", "llama3", "added_tokens", "byte_fallback", "metaspace_first", "bert_words"}) {
    const Tokenizer tokenizer = load(name);
    const bool whole_line = std::string(name) == "byte_fallback" || std::string(name) == "metaspace_first" ||
                            std::string(name) == "bert_words";
    std::string text;
    std::vector<int32_t> wanted;
    const int before = thread_count();
    for (int i = 0; i < 8; ++i) {
      const std::string part = "word" + mixed_text(48 << 10) + "end";
      text += part;
      if (!whole_line) {
        text += " ";  // belongs to the word behind it
        const auto ids = tokenizer.encode(i == 0 ? part : " " + part, {.add_special = false});
        wanted.insert(wanted.end(), ids.begin(), ids.end());
      }
    }
    if (!whole_line) text.pop_back();
    std::vector<std::vector<int32_t>> results;
    for (const int threads : {1, 2, 5}) {
      set_thread_count(threads);
      results.push_back(tokenizer.encode(text, {.add_special = false}));
      const std::vector<std::string_view> batch = {text, "short", "", text};
      const auto ids = tokenizer.encode_batch(batch, {.add_special = false});
      EXPECT_EQ(ids[0], results[0]);
      EXPECT_EQ(ids[3], results[0]);
      EXPECT_EQ(ids[1], tokenizer.encode("short", {.add_special = false}));
      EXPECT_TRUE(ids[2].empty());
    }
    set_thread_count(before);
    EXPECT_EQ(results[0], results[1]) << name;
    EXPECT_EQ(results[0], results[2]) << name;
    if (!whole_line) {
      EXPECT_EQ(results[0], wanted) << name;
    }
  }
}

// The oracle is the definition: rank by rank over the whole word.
TEST(Tokenizers, MergeLongWordsAsShortOnes) {
  const Json json = Json::parse(read_file(kFolder + "gpt2.json"));
  std::map<std::pair<std::string, std::string>, size_t> ranks;
  for (const Json& merge : json["model"]["merges"])
    ranks.emplace(std::pair{merge[0], merge[1]}, ranks.size());
  const Tokenizer tokenizer = load("gpt2");
  for (uint64_t round = 0; round < 60; ++round) {
    std::string word;
    for (uint64_t i = 0; i < 2 + round * 4; ++i) word.push_back("etaoinhrx"[RandomKey(round).below(i, 9)]);
    std::vector<std::string> symbols;
    for (const char c : word) symbols.emplace_back(1, c);
    while (true) {
      size_t best = ranks.size(), at = 0;
      for (size_t i = 0; i + 1 < symbols.size(); ++i) {
        const auto it = ranks.find({symbols[i], symbols[i + 1]});
        if (it != ranks.end() && it->second < best) best = it->second, at = i;
      }
      if (best == ranks.size()) break;
      symbols[at] += symbols[at + 1];
      symbols.erase(symbols.begin() + static_cast<std::ptrdiff_t>(at) + 1);
    }
    std::vector<int32_t> wanted;
    for (const std::string& s : symbols) wanted.push_back(tokenizer.id_of(s));
    EXPECT_EQ(tokenizer.encode(word), wanted);
  }
}

TEST(Tokenizers, EncodeMegabytesWithoutASpaceInReasonableTime) {
  std::string text(2 << 20, 'x');
  for (size_t i = 0; i < text.size(); ++i) text[i] = static_cast<char>('a' + RandomKey(1).below(i, 26));
  for (const char* name : {"gpt2", "byte_fallback"}) {  // a quadratic one would not end
    const Tokenizer tokenizer = load(name);
    EXPECT_EQ(tokenizer.decode(tokenizer.encode(text, {.add_special = false})), text);
  }
}

TEST(Tokenizers, DecodeWhatTheyEncodedFromAnyBytes) {
  const Tokenizer tokenizer = load("llama3");
  for (uint64_t round = 0; round < 300; ++round) {
    std::string bytes, buffer;
    for (uint64_t i = 0; i < round; ++i) bytes.push_back(static_cast<char>(RandomKey(round).below(i, 256)));
    const auto ids = tokenizer.encode(bytes);
    const std::string wanted(to_valid_utf8(bytes, buffer));
    EXPECT_EQ(tokenizer.decode(ids), wanted);
    EXPECT_EQ(stream(tokenizer, ids, true), wanted);
  }
}

TEST(Tokenizers, NeverMakeControlTokensOfTextUnlessAllowed) {
  for (const char* name : {"gpt2", "llama3", "added_tokens", "byte_fallback", "ignore_merges"}) {
    const Tokenizer tokenizer = load(name);
    std::string text = "a ";
    for (const AddedToken& t : tokenizer.added_tokens()) text += t.content + " " + t.content;
    const std::vector<int32_t> ids = tokenizer.encode(text, {.add_special = false});
    for (const int32_t id : ids)
      EXPECT_FALSE(tokenizer.is_special(id)) << name << ": " << tokenizer.piece(id);
    const std::vector<int32_t> open = tokenizer.encode(text, {.add_special = false, .allow_special = true});
    EXPECT_TRUE(std::any_of(open.begin(), open.end(), [&](int32_t id) { return tokenizer.is_special(id); }))
        << name;
  }
}

TEST(Tokenizers, SaveAFolderThatLoadsAgain) {
  const std::string folder = testing::TempDir() + "lyceum_text_save";
  const Tokenizer tokenizer = load("llama3");
  EXPECT_EQ(tokenizer.eos_id(), 0);
  EXPECT_EQ(tokenizer.pad_id(), 1);
  EXPECT_EQ(tokenizer.bos_id(), -1);
  EXPECT_EQ(tokenizer.vocab_size(), 600);
  tokenizer.save(folder);
  const Json config = Json::parse(read_file(folder + "/tokenizer_config.json"));
  EXPECT_EQ(config["eos_token"], "<|endoftext|>");
  EXPECT_EQ(config["tokenizer_class"], "PreTrainedTokenizerFast");
  EXPECT_EQ(Json::parse(read_file(folder + "/special_tokens_map.json"))["pad_token"], "<|padding|>");
  const Tokenizer again = Tokenizer::load(folder);
  EXPECT_EQ(again.eos_id(), 0);
  EXPECT_EQ(again.encode("the expert's 123\n"), tokenizer.encode("the expert's 123\n"));
  // what others wrote beside it is kept as it is
  std::ofstream(folder + "/tokenizer_config.json") << R"({"eos_token": {"content": "<|padding|>"}, "x": 1})";
  const Tokenizer changed = Tokenizer::load(folder);
  EXPECT_EQ(changed.eos_id(), 1);
  changed.save(folder);
  EXPECT_EQ(read_file(folder + "/tokenizer_config.json"),
            R"({"eos_token": {"content": "<|padding|>"}, "x": 1})");
  std::filesystem::remove_all(folder);
}

std::string error_of(const std::string& json) {
  try {
    Tokenizer::from_json(json, "bad.json");
  } catch (const Error& e) {
    return e.what();
  }
  return "no error";
}

Json nested(const char* key, int depth) {
  Json json = {{"type", "ByteLevel"}};
  for (int i = 0; i < depth; ++i) json = {{"type", "Sequence"}, {key, Json::array({std::move(json)})}};
  return json;
}

TEST(Tokenizers, RefuseBadFilesWithOneLineThatNamesThePlace) {
  const Json good = Json::parse(read_file(kFolder + "gpt2.json"));
  const auto with = [&](const char* pointer, const Json& value) {
    Json bad = good;
    bad[Json::json_pointer(pointer)] = value;
    return error_of(bad.dump());
  };
  const std::pair<std::string, std::string> cases[] = {
      {error_of(""), "bad.json"},
      {error_of("[1, 2]"), "object"},
      {error_of("{\"model\": {}}"), "vocab"},
      {error_of(std::string(100000, '[')), "bad.json"},
      {error_of(good.dump().substr(0, 5000)), "bad.json"},
      {with("/model/type", "Unigramm"), "Unigramm"},
      {with("/model/vocab/a", -3), "id"},
      {with("/model/vocab/a", "x"), "id"},
      {with("/model/vocab/a", 1 << 30), "2097152"},
      {with("/model/vocab", Json::object()), "vocab"},
      {with("/model/merges/0", Json::array({"qqq", "zzz"})), "qqq"},
      {with("/model/merges/0", 7), "merges"},
      {with("/model/dropout", 0.1), "dropout"},
      {with("/model/unk_token", "<nowhere>"), "<nowhere>"},
      {with("/pre_tokenizer/type", "Sorcery"), "Sorcery"},
      {with("/normalizer", {{"type", "NFX"}}), "NFX"},
      {with("/decoder", {{"type", "CTCX"}}), "CTCX"},
      {with("/post_processor", {{"type", "Magic"}}), "Magic"},
      {with("/pre_tokenizer",
            {{"type", "Split"}, {"pattern", {{"Regex", "(a"}}}, {"behavior", "Isolated"}, {"invert", false}}),
       "(a"},
      {with("/added_tokens/0/content", 5), "content"},
      {with("/added_tokens/0/id", -5), "id"},
      {with("/version", "2.0"), "2.0"},
      {with("/version", "2\n0"), "2?0"},
      {with("/post_processor", {{"type", "BertProcessing"}, {"cls", {"a", 7}}, {"sep", {"b", 600}}}), "600"},
      {with("/decoder", nested("decoders", 40)), "16 deep"},
      {with("/post_processor", nested("processors", 4000)), "16 deep"},
  };
  for (const auto& [found, wanted] : cases) {
    EXPECT_NE(found.find(wanted), std::string::npos) << "wanted " << wanted << " in: " << found;
    EXPECT_EQ(found.find('\n'), std::string::npos) << found;
    EXPECT_LT(found.size(), 500u) << found;
  }
  EXPECT_THROW(Tokenizer::load("/nowhere/tokenizer.json"), Error);
}

// Whole files of others; the ids are held against Hugging Face by tools/check_tokenizers.py.
TEST(Tokenizers, RoundTripTheDataOfOthers) {
  const std::string file = kData + "tokenizers/gpt-neox-olmo.json";
  if (!file_exists(file)) GTEST_SKIP() << "no ../shared/data beside the project";
  const Tokenizer tokenizer = Tokenizer::load(file);
  EXPECT_EQ(tokenizer.vocab_size(), 50280);
  EXPECT_EQ(tokenizer.eos_id(), 50279);
  for (const char* name : {"text/tinyshakespeare.txt", "eval/gsm8k_test.jsonl"}) {
    const std::string text = read_file(kData + name);
    EXPECT_EQ(tokenizer.decode(tokenizer.encode(text)), text) << name;
  }
}

}  // namespace
}  // namespace lyceum
