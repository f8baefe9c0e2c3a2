// data/: filters, duplicates, held-out documents. Oracles: brute force over all pairs, plain loops, texts by
// hand.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <map>
#include <mutex>
#include <set>

#include "base/error.h"
#include "base/file.h"
#include "base/random.h"
#include "base/threads.h"
#include "data/attributes.h"
#include "data/compressed.h"
#include "data/dedup.h"
#include "data/filter.h"
#include "data/language.h"
#include "data/minhash.h"
#include "data/pii.h"
#include "data/split.h"
#include "data/utf8.h"
#include "data/words.h"

namespace lyceum {
namespace {

namespace fs = std::filesystem;

class Select : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = (fs::temp_directory_path() / ("lyceum_select_" + std::to_string(::getpid()))).string();
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }
  void put(const std::string& name, const std::vector<Document>& documents) const {
    write_documents(folder_ + "/documents/" + name, documents);
  }
  // id -> reason for which it is dropped
  std::map<std::string, std::string> reasons(const std::vector<std::string>& taggers) const {
    std::map<std::string, std::string> out;
    std::mutex mutex;
    for_each_file(folder_, taggers, "read", [&](size_t, const std::string&, auto& documents, auto& rows) {
      const std::lock_guard<std::mutex> lock(mutex);
      for (size_t i = 0; i < documents.size(); ++i) out[documents[i].id] = drop_reason(rows[i]);
    });
    return out;
  }
  std::string folder_;
};

Document doc(const std::string& id, const std::string& text, const std::string& domain = "d",
             const std::string& kind = "text") {
  return {id, text, "machine", domain, kind, ""};
}

// `n` words drawn from 5000.
std::vector<std::string> random_words(uint64_t seed, size_t n) {
  std::vector<std::string> words;
  for (size_t i = 0; i < n; ++i) words.push_back("w" + std::to_string(RandomKey(seed).below(i, 5000)));
  return words;
}
std::string join(const std::vector<std::string>& words) {
  std::string s;
  for (const std::string& w : words) s += w + " ";
  return s + "\n";
}
// The words with a share of them replaced.
std::vector<std::string> edited(std::vector<std::string> words, uint64_t seed, double share) {
  for (size_t i = 0; i < words.size(); ++i)
    if (RandomKey(seed).uniform(i) < share)
      words[i] = "new" + std::to_string(RandomKey(seed + 1).below(i, 5000));
  return words;
}

// Five-word windows as texts, no hashing; only for words separated by single blanks.
const std::set<std::string>& windows_of(const std::string& text) {
  static std::map<std::string, std::set<std::string>> known;
  const auto [it, fresh] = known.try_emplace(text);
  if (!fresh) return it->second;
  std::vector<std::string> words(1);
  for (const char c : text)
    if (c == ' ' || c == '\n') words.emplace_back();
    else words.back() += c;
  words.erase(std::remove(words.begin(), words.end(), ""), words.end());
  for (size_t i = 0; i + 5 <= words.size(); ++i)
    it->second.insert(words[i] + " " + words[i + 1] + " " + words[i + 2] + " " + words[i + 3] + " " +
                      words[i + 4]);
  return it->second;
}

double jaccard_by_sets(const std::string& a, const std::string& b) {
  const auto &x = windows_of(a), &y = windows_of(b);
  size_t common = 0;
  for (auto i = x.begin(), j = y.begin(); i != x.end() && j != y.end();) {
    if (*i == *j) ++common, ++i, ++j;
    else if (*i < *j) ++i;
    else ++j;
  }
  return static_cast<double>(common) / static_cast<double>(x.size() + y.size() - common);
}

TEST_F(Select, ShinglesGiveTheSimilarityOfWordWindows) {
  for (uint64_t seed = 0; seed < 40; ++seed) {
    const auto words = random_words(seed, 200);
    const std::string a = join(words), b = join(edited(words, seed + 100, 0.002 * static_cast<double>(seed)));
    EXPECT_DOUBLE_EQ(jaccard(shingles_of(a, 5), shingles_of(b, 5)), jaccard_by_sets(a, b));
  }
  EXPECT_EQ(shingles_of("One, two; THREE", 5), shingles_of("one two three", 5));
  EXPECT_EQ(word_hashes("\u4e2d\u6587ab c").size(), 4u);
  EXPECT_EQ(jaccard({}, {}), 1.0);
}

TEST_F(Select, MinHashRowsAgreeAsOftenAsTheSimilaritySays) {
  double error = 0;
  for (uint64_t seed = 0; seed < 30; ++seed) {
    const auto words = random_words(seed, 400);
    const auto a = shingles_of(join(words), 5), b = shingles_of(join(edited(words, seed, 0.05)), 5);
    const MinHash x = minhash_of(a), y = minhash_of(b);
    int same = 0;
    for (size_t i = 0; i < kMinHashes; ++i) same += x[i] == y[i];
    error += static_cast<double>(same) / kMinHashes - jaccard(a, b);
  }
  EXPECT_NEAR(error / 30, 0, 0.03);  // 3600 draws: standard deviation below 0.01
}

TEST_F(Select, DuplicatesAreThoseThatBruteForceFinds) {
  std::vector<Document> documents;
  for (uint64_t i = 0; i < 60; ++i) {
    const auto words = random_words(i, 150 + 5 * i);
    documents.push_back(doc("a" + std::to_string(i), join(words)));
    documents.push_back(
        doc("b" + std::to_string(i), join(edited(words, i, 0.0015 * static_cast<double>(i)))));
    if (i % 10 == 0) documents.push_back(doc("c" + std::to_string(i), "  " + join(words) + "\n\n"));
  }
  put("d/0.jsonl.zst", {documents.begin(), documents.begin() + 70});
  put("d/1.jsonl.zst", {documents.begin() + 70, documents.end()});
  // The rule as it is written, over all pairs: the first document that is kept and alike decides.
  std::map<std::string, std::string> expected;
  std::vector<const Document*> kept;
  size_t near = 0;
  for (const Document& d : documents) {
    std::string reason;
    for (const Document* k : kept) {
      const double s = jaccard_by_sets(d.text, k->text);
      if (s >= 0.8)
        reason = s == 1 && join({d.text}).size() >= k->text.size() && d.id[0] == 'c' ? "dedup__exact"
                                                                                     : "dedup__near";
    }
    if (d.id[0] == 'b' && d.text == kept.back()->text) reason = "dedup__exact";
    if (reason.empty()) kept.push_back(&d);
    near += reason == "dedup__near";
    expected[d.id] = reason;
  }
  EXPECT_GT(near, 10u);
  EXPECT_GT(kept.size(), 70u);
  DedupOptions options;
  options.folder = folder_;
  for (const int threads : {1, 3}) {
    set_thread_count(threads);
    const DedupReport report = dedup(options);
    EXPECT_EQ(reasons({"dedup"}), expected);
    EXPECT_EQ(report.near(), near);
    ASSERT_FALSE(report.near_examples.empty());
    EXPECT_GE(report.near_examples[0].similarity, 0.8);
  }
  set_thread_count(2);
  options.near = false;
  EXPECT_EQ(dedup(options).near(), 0u);
  options.threshold = 1.5;
  EXPECT_THROW(dedup(options), Error);
}

TEST_F(Select, EachFilterDropsWhatItIsFor) {
  const FilterOptions o;
  const auto reason = [&](const Document& d) { return drop_reason(judge(d, o)); };
  const std::string prose =
      "The quick brown fox is in the house of the king, and that is all that there is to say of it.\n";
  EXPECT_EQ(reason(doc("1", prose)), "");
  EXPECT_EQ(reason(doc("2", "short")), "filter__too_short");
  std::string repeated;
  for (int i = 0; i < 32; ++i) repeated += "again and\n";
  EXPECT_EQ(reason(doc("3", prose + repeated)), "filter__repeated_ngram");
  EXPECT_EQ(reason(doc("4", prose + repeated.substr(0, 31 * 10))), "");
  std::string table, sparse;
  for (int i = 0; i < 30; ++i) {
    table += "0x00, " + std::to_string(i) + " ";
    sparse += "x" + std::to_string(i) + (i % 3 ? " name " : " y ");
  }
  EXPECT_EQ(reason(doc("5", table + prose, "d", "code")), "filter__frequent_word");
  EXPECT_EQ(reason(doc("5", table + prose, "d", "text")), "");
  EXPECT_EQ(reason(doc("6", sparse, "d", "code")), "filter__frequent_word");  // 1/3 is one word
  EXPECT_EQ(reason(doc("7", prose + std::string(3000, 'A'))), "filter__unbroken_run");
  std::string chinese;
  for (int i = 0; i < 2000; ++i) append_code_point(chinese, static_cast<char32_t>(0x4e00 + i));
  EXPECT_EQ(reason(doc("8", chinese)), "");
  std::string numbers;
  for (int i = 0; i < 100; ++i) numbers += std::to_string(i * i) + " | ";
  EXPECT_EQ(reason(doc("9", numbers)), "filter__few_letters");
  std::string english;
  for (int i = 0; i < 3; ++i) english += "Line " + std::to_string(i) + ": " + prose;
  EXPECT_EQ(reason(doc("10", english, "french")), "filter__other_language");
  EXPECT_EQ(reason(doc("11", english, "english")), "");
  Document mine = doc("12", english, "french");
  mine.source = "folder";  // a user's folder may be called anything
  EXPECT_EQ(reason(mine), "");
}

TEST_F(Select, LanguagesAreTold) {
  const auto language = [](const char* text) { return guess_language(text).language; };
  EXPECT_EQ(
      language("It is not that they have been there, but that you should know all of it when this was done."),
      "en");
  EXPECT_EQ(language("Le fichier est dans le répertoire et les options sont dans une liste pour cette "
                     "commande avec des valeurs."),
            "fr");
  EXPECT_EQ(language("Die Datei wird nicht gelesen, wenn sie nicht für den Benutzer ist und das auch nicht "
                     "werden kann."),
            "de");
  EXPECT_EQ(language("El fichero se lee cuando los datos están en una lista, pero no para las opciones del "
                     "archivo que son más."),
            "es");
  EXPECT_EQ(language("Il file viene letto se gli argomenti sono nella lista delle opzioni che non è vuota, "
                     "anche per questo."),
            "it");
  EXPECT_EQ(language("\u8fd9\u662f\u4e2d\u6587\u6587\u672c\u3002"), "zh");
  EXPECT_EQ(language("\u3053\u308c\u306f\u65e5\u672c\u8a9e\u306e\u6587\u3067\u3059"), "ja");
  EXPECT_EQ(language("\u042d\u0442\u043e \u0442\u0435\u043a\u0441\u0442 \u043d\u0430 "
                     "\u0440\u0443\u0441\u0441\u043a\u043e\u043c \u044f\u0437\u044b\u043a\u0435"),
            "ru");
  EXPECT_EQ(language("int x = 3; return x;"), "und");
  EXPECT_EQ(language("https://a.com/os https://b.com/no a.com a.com a.com a.com a.com x@y.com em.no em/no"),
            "und");
}

TEST_F(Select, PersonalDataIsFoundByItsFormAndMasked) {
  const auto found = [](const std::string& text) {
    std::string out;
    for (const PiiSpan& s : find_pii(text))
      out += std::string(pii_name(s.kind)) + "=" + text.substr(s.begin, s.end - s.begin) + ";";
    return out;
  };
  EXPECT_EQ(found("write to <jane.doe@example.org>, or (555) 123-4567."),
            "email_address=jane.doe@example.org;phone_number=(555) 123-4567;");
  EXPECT_EQ(found("a@b, @decorator, user@host, x@y.c"), "");
  EXPECT_EQ(found("at 8.8.4.4 and 192.168.1.1, 127.0.0.1, 1.2.3, 1.2.3.4.5, 999.1.1.1"),
            "ip_address=8.8.4.4;");
  EXPECT_EQ(found("call 555-123-4567 or +49 30 1234567, not 2024-01-02 nor 1234567890"),
            "phone_number=555-123-4567;phone_number=+49 30 1234567;");
  const Document d = doc(
      "x", "\u4e2d\u6587 jane@example.org and bob@example.org \u00e9 8.8.8.8 end of the text, all of it.\n");
  const Attributes a = judge(d, {});
  EXPECT_EQ(a.spans.at("pii__email_address"), (std::vector<Span>{{3, 19, 1}, {24, 39, 1}}));
  EXPECT_EQ(mask_text(d.text, a),
            "\u4e2d\u6587 |||EMAIL_ADDRESS||| and |||EMAIL_ADDRESS||| \u00e9 |||IP_ADDRESS||| end of the "
            "text, all of it.\n");
  EXPECT_EQ(mask_text(d.text, {}), d.text);
}

TEST_F(Select, AttributesMirrorTheirDocumentsOrAreRefused) {
  put("d/0.jsonl.zst",
      {doc("a", "tiny\n"), doc("b", "A text that is long enough to be kept by the filter, it is.\n")});
  FilterOptions options;
  options.folder = folder_;
  const FilterReport report = filter(options);
  EXPECT_EQ(report.domains.size(), 1u);
  EXPECT_EQ(report.domains[0].dropped, (Reasons{{"too_short", 1}}));
  EXPECT_EQ(report.examples, std::vector<std::string>{"too_short: a"});
  EXPECT_EQ(reasons({"filter"}), (std::map<std::string, std::string>{{"a", "filter__too_short"}, {"b", ""}}));
  put("d/0.jsonl.zst", {doc("b", "other rows\n")});
  try {
    reasons({"filter"});
    FAIL();
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("0.jsonl.zst: line 1: not the document of this row"),
              std::string::npos)
        << e.what();
  }
}

TEST_F(Select, HeldOutDocumentsAreWholeWithinTheirBytesAndNothingLikeThemIsTrainedOn) {
  std::vector<Document> documents;
  std::map<std::string, std::string> text_of;
  for (uint64_t i = 0; i < 400; ++i) {
    const auto words = random_words(i % 300, 60 + i % 40);  // the last hundred are like the first
    documents.push_back(doc("x" + std::to_string(i), join(i < 300 ? words : edited(words, i, 0.04)),
                            i % 4 ? "big" : "other"));
    text_of[documents.back().id] = documents.back().text;
  }
  documents.push_back(doc("s1", "one small text that stands alone in its domain\n", "small"));
  documents.push_back(
      doc("s2", "another text, a little longer than the first one, so it stays for training, as it should\n",
          "small"));
  documents.push_back(doc("only", "the one text of a domain\n", "single"));
  put("d/0.jsonl.zst", documents);
  SplitOptions options;
  options.folder = folder_;
  options.heldout_bytes = 6000;
  options.most_of_domain = 0.2;
  const SplitReport report = split(options);
  const auto why = reasons({"split"});
  std::map<std::string, size_t> bytes;
  for (const Document& d : documents)
    if (why.at(d.id) == "split__heldout") bytes[d.domain] += d.text.size();
  for (const char* domain : {"big", "other"}) {
    EXPECT_LE(bytes[domain], 6000u);
    EXPECT_GE(bytes[domain], 5000u);
  }
  EXPECT_EQ(why.at("s1"), "split__heldout");
  EXPECT_EQ(why.at("only"), "");
  size_t near = 0;
  for (const Document& d : documents) {
    double most = 0;
    for (const Document& h : documents)
      if (why.at(h.id) == "split__heldout" && h.id != d.id && d.domain != "small" && d.domain != "single" &&
          h.domain != "small")
        most = std::max(most, jaccard_by_sets(d.text, h.text));
    if (why.at(d.id) == "split__heldout") continue;
    EXPECT_EQ(why.at(d.id), most >= 0.5 ? "split__near_heldout" : "") << d.id << " " << most;
    near += most >= 0.5;
  }
  EXPECT_GT(near, 3u);
  // The documents and the plain text beside them are the same bytes.
  for (const SplitDomain& d : report.domains) {
    std::string text;
    if (d.heldout_documents == 0) continue;
    for (const Document& h : read_own_documents(folder_ + "/heldout/" + d.name + ".jsonl")) {
      EXPECT_EQ(h.text, text_of.count(h.id) ? text_of[h.id] : h.text);
      text += h.text;
    }
    EXPECT_EQ(read_file(folder_ + "/heldout_text/" + d.name + ".txt"), text);
    EXPECT_EQ(text.size(), d.heldout_bytes);
  }
  EXPECT_FALSE(file_exists(folder_ + "/heldout_text/single.txt"));
  const auto before = why;
  set_thread_count(1);
  split(options);
  set_thread_count(2);
  EXPECT_EQ(reasons({"split"}), before);
  options.seed = 9;
  split(options);
  EXPECT_NE(reasons({"split"}), before);
}

}  // namespace
}  // namespace lyceum
