// data/: files to documents. Oracles: texts written by hand, the programs gzip, zstd and python3 where they
// are, plain loops.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>

#include "base/error.h"
#include "base/file.h"
#include "base/random.h"
#include "base/threads.h"
#include "data/compressed.h"
#include "data/document.h"
#include "data/extract.h"
#include "data/html_text.h"
#include "data/ingest.h"
#include "data/machine.h"
#include "data/man_text.h"
#include "data/utf8.h"

namespace lyceum {
namespace {

namespace fs = std::filesystem;

class Data : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = (fs::temp_directory_path() / ("lyceum_data_" + std::to_string(::getpid()))).string();
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }
  std::string path(const std::string& name) const { return folder_ + "/" + name; }
  void put(const std::string& name, const std::string& contents) const {
    fs::create_directories(fs::path(path(name)).parent_path());
    std::ofstream(path(name), std::ios::binary) << contents;
  }
  // Standard output of a command, or "absent" when its program is not on this machine.
  static std::string output_of(const std::string& program, const std::string& arguments) {
    if (std::system(("command -v " + program + " >/dev/null 2>&1").c_str()) != 0) return "absent";
    FILE* pipe = ::popen((program + " " + arguments).c_str(), "r");
    std::string out;
    char buffer[4096];
    for (size_t n; (n = std::fread(buffer, 1, sizeof buffer, pipe)) > 0;) out.append(buffer, n);
    ::pclose(pipe);
    return out;
  }
  std::string folder_;
};

std::string message_of(const std::function<void()>& work) {
  try {
    work();
  } catch (const Error& e) {
    return e.what();
  }
  return "no error";
}

std::string noise(uint64_t seed, size_t n) {
  std::string s;
  for (size_t i = 0; i < n; ++i) s += "abcdefgh \n"[RandomKey(seed).below(i, 10)];
  return s;
}

TEST_F(Data, ReadsWhatGzipAndZstdWroteAlsoInSeveralMembers) {
  const std::string text = noise(1, 300000);
  put("a.txt", text);
  const std::string tools = "sh -c \"command -v gzip && command -v zstd\" >/dev/null";
  if (std::system(tools.c_str()) != 0) GTEST_SKIP() << "needs the programs gzip and zstd";
  ASSERT_EQ(std::system(("cd " + folder_ +
                         " && gzip -k a.txt && zstd -q a.txt && cat a.txt.gz a.txt.gz > b.gz && "
                         "cat a.txt.zst a.txt.zst > b.zst")
                            .c_str()),
            0);
  EXPECT_EQ(read_decompressed(path("a.txt.gz"), 1 << 20), text);
  EXPECT_EQ(read_decompressed(path("a.txt.zst"), 1 << 20), text);
  EXPECT_EQ(read_decompressed(path("b.gz"), 1 << 20), text + text);
  EXPECT_EQ(read_decompressed(path("b.zst"), 1 << 20), text + text);
  put("ours.zst", zstd_compress(text));
  EXPECT_EQ(output_of("zstd", "-dc " + path("ours.zst")), text);
}

TEST_F(Data, TruncatedAndDamagedCompressionIsNamed) {
  const std::string frame = zstd_compress(noise(2, 50000));
  for (const size_t n : {size_t{1}, size_t{7}, frame.size() / 2, frame.size() - 1}) {
    put("cut.zst", frame.substr(0, n));
    const std::string message = message_of([&] { read_decompressed(path("cut.zst"), 1 << 20); });
    EXPECT_NE(message.find("cut.zst"), std::string::npos) << n << message;
  }
  std::string damaged = frame;
  damaged[frame.size() / 2] ^= 1;
  put("cut.zst", damaged);
  EXPECT_NE(message_of([&] { read_decompressed(path("cut.zst"), 1 << 20); }), "no error");
  put("no.gz", "this is not gzip");
  EXPECT_NE(message_of([&] { read_decompressed(path("no.gz"), 1 << 20); }).find("not a sound gzip"),
            std::string::npos);
}

TEST_F(Data, ABombIsRefusedBeforeItFillsMemory) {
  put("bomb.zst", zstd_compress(std::string(50 << 20, ' ')));
  EXPECT_NE(message_of([&] { read_decompressed(path("bomb.zst"), 1 << 20); }).find("more than"),
            std::string::npos);
}

TEST_F(Data, LinesComeOutAsWritten) {
  put("l.txt", "one\r\n\nthree\nlast without end");
  LineReader lines(path("l.txt"));
  std::vector<std::string> got;
  for (std::string_view line; lines.next(line);) got.emplace_back(line);
  EXPECT_EQ(got, (std::vector<std::string>{"one", "", "three", "last without end"}));
  put("long.txt", noise(3, 1000000));
  std::string joined;
  LineReader more(path("long.txt"));
  for (std::string_view line; more.next(line);) joined += std::string(line) + "\n";
  std::string expected = noise(3, 1000000);
  if (expected.back() != '\n') expected += '\n';
  EXPECT_EQ(joined, expected);
}

TEST_F(Data, Utf8IsJudgedAsTheStandardSays) {
  EXPECT_EQ(first_invalid_utf8("plain ascii that is longer than eight"), 37u);
  const std::string good = "a\xc3\xa9\xe4\xb8\xad\xf0\x9f\x98\x80z";
  EXPECT_EQ(first_invalid_utf8(good), good.size());
  // overlong, lone continuation, surrogate, above U+10FFFF, truncated: RFC 3629 section 3
  for (const char* bad :
       {"\xc0\x80", "\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe4\xb8", "\xf8\x88\x80\x80\x80"})
    EXPECT_EQ(first_invalid_utf8(std::string("xy") + bad), 2u) << bad;
  size_t at = 1;
  EXPECT_EQ(next_code_point(good, at), U'\u00e9');
  EXPECT_EQ(next_code_point(good, at), U'\u4e2d');
  EXPECT_EQ(next_code_point(good, at), U'\U0001f600');
  EXPECT_EQ(count_code_points(good), 5u);
  EXPECT_EQ(without_invalid_utf8("a\x80z\xed\xa0\x80q\xe4\xb8"), "azq");
}

TEST_F(Data, CleaningRemovesTerminalTracesAndKeepsText) {
  EXPECT_EQ(clean_text("\xef\xbb\xbfone  \r\n\x1b[32mgreen\x1b[m\n\n\n\n\nb\bbo\bol\bld\bd\n\n"),
            "one\ngreen\n\n\nbold\n");
  EXPECT_EQ(clean_text(" \n\t\n"), "");
  EXPECT_EQ(clean_text("\n\n  indented\n\tx = 1"), "  indented\n\tx = 1\n");
}

TEST_F(Data, HtmlReadsAsText) {
  EXPECT_EQ(
      html_to_text("<html><head><title>T</title></head><body><nav>menu</nav><h1>A &amp; B"
                   "<a class=\"headerlink\" href=\"#a\">&#182;</a></h1>\n<p>One\n  two &#x4e2d;&eacute;</p>"
                   "<pre>\n  x  <b>=</b> 1\n  y\n</pre><ul><li>first</li><li><p>second</p></li></ul>"
                   "<script>if (a<b) {}</script><table><tr><td>1</td><td>2</td></tr></table></body></html>"),
      "A & B\n\nOne two \u4e2d\u00e9\n\n  x  = 1\n  y\n\n- first\n- second\n\n1\t2\n");
  EXPECT_EQ(html_to_text("a < b &unknown; <p>unclosed <b>tags"), "a < b &unknown;\n\nunclosed tags\n");
  EXPECT_EQ(html_to_text("<script>never closed"), "");
}

TEST_F(Data, ManualPagesReadAsText) {
  EXPECT_EQ(
      man_to_text(
          ".\\\" comment\n.TH LS 1\n.de XX\nhidden\n..\n.SH NAME\nls \\- list \\fBdirectory\\fR contents\n"
          ".SH OPTIONS\n.TP\n.BR \\-a \", \" \\-\\-all\ndo not\nignore\n.PP\nNext\\(em\\[u4E2D]\n.nf\n  x  = "
          "\\e0\n.fi\n"
          ".if t .B typeset only\n.ie n yes\n.el no\n"),
      "NAME\nls - list directory contents\n\nOPTIONS\n-a, --all\n    do not ignore\n\nNext--\u4e2d\n  x  = "
      "\\0\nyes\n");
  EXPECT_EQ(man_to_text(
                ".Dd May 1\n.Dt X 1\n.Sh NAME\n.Nm prog\n.Nd does it\n.Sh SYNOPSIS\n.Nm\n.Op Fl a Ar file\n"),
            "NAME\nprog - does it\n\nSYNOPSIS\nprog [-a file]\n");
  EXPECT_EQ(man_to_text(".so man1/other.1\n"), "");
}

TEST_F(Data, MarkupReadersSurviveAnyBytes) {
  for (uint64_t seed = 0; seed < 400; ++seed) {
    std::string s;
    for (size_t i = 0; i < 300; ++i)
      s +=
          RandomKey(seed).below(i, 3)
              ? std::string(1, "\\.\n\"'[({})]<>/=&;#*fnIPTHS BRieldxds"[RandomKey(seed).below(1000 + i, 35)])
              : std::string("\xe4\xb8\xad");
    for (const std::string& out :
         {man_to_text(s), man_to_text(".TH\n" + s), html_to_text(s), html_to_text("<body " + s)})
      EXPECT_EQ(first_invalid_utf8(out), out.size()) << seed;
  }
}

TEST_F(Data, DocumentsSurviveTheRoundTripAndPythonReadsThem) {
  std::vector<Document> documents(3);
  for (size_t i = 0; i < 3; ++i)
    documents[i] = {"id\"" + std::to_string(i),
                    "text \\ \"\n\u4e2d\x01 " + noise(i, 50),
                    "s",
                    "d",
                    i ? "code" : "text",
                    "now"};
  write_documents(path("documents/d/0.jsonl.zst"), documents);
  const auto back = read_own_documents(path("documents/d/0.jsonl.zst"));
  ASSERT_EQ(back.size(), 3u);
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(back[i].text, documents[i].text);
    EXPECT_EQ(back[i].id, documents[i].id);
    EXPECT_EQ(back[i].kind, documents[i].kind);
    EXPECT_EQ(back[i].domain, "d");
  }
  const std::string python =
      output_of("python3", "-c \"import json,subprocess; rows=subprocess.run(['zstd','-dc','" +
                               path("documents/d/0.jsonl.zst") +
                               "'],capture_output=True).stdout.decode().splitlines(); "
                               "print(','.join(json.loads(r)['id'] + str(len(json.loads(r)['text'])) for r "
                               "in rows))\" 2>/dev/null");
  if (python != "absent" && python != "") {
    EXPECT_EQ(python, "id\"0" + std::to_string(count_code_points(documents[0].text)) + ",id\"1" +
                          std::to_string(count_code_points(documents[1].text)) + ",id\"2" +
                          std::to_string(count_code_points(documents[2].text)) + "\n");
  }
}

TEST_F(Data, BadRowsAreCountedByReason) {
  put("rows.jsonl",
      "{\"text\": \"good\"}\nnot json\n[1]\n{\"id\": 7, \"text\": \"second\", \"metadata\": {\"domain\": "
      "\"../x\"}}\n"
      "{\"id\": \"no text\"}\n{\"text\": \"\xff\"}\n\n" +
          std::string(100000, '[') + "\n{\"text\": \"\\ud800\"}\n");
  Reasons bad;
  const auto documents = read_documents(path("rows.jsonl"), bad);
  ASSERT_EQ(documents.size(), 2u);
  EXPECT_EQ(documents[0].id, "rows.jsonl#1");
  EXPECT_EQ(documents[1].id, "7");
  EXPECT_EQ(bad, (Reasons{{"row is not JSON", 3},
                          {"row is not a JSON object", 1},
                          {"row has no \"text\"", 1},
                          {"row is not valid UTF-8", 1}}));
  EXPECT_NE(message_of([&] { read_own_documents(path("rows.jsonl")); }).find("rows.jsonl: line 2"),
            std::string::npos);
}

TEST_F(Data, SharesFillTheBudgetEvenly) {
  EXPECT_EQ(shares_of(30, {100, 5, 100}), (std::vector<size_t>{12, 5, 12}));
  EXPECT_EQ(shares_of(300, {100, 5, 100}), (std::vector<size_t>{100, 5, 100}));
  EXPECT_EQ(shares_of(0, {100, 5}), (std::vector<size_t>{0, 0}));
}

TEST_F(Data, PiecesOfALargeTextJoinToIt) {
  std::string text;
  for (int i = 0; i < 3000; ++i) text += "line " + std::to_string(i) + (i % 10 ? " \u4e2d\n" : "\n\n");
  const auto pieces = cut_text(text, 1000, 500);
  std::string joined;
  for (const std::string& piece : pieces) {
    EXPECT_LE(piece.size(), 750u);
    EXPECT_EQ(piece.back(), '\n');
    joined += piece;
  }
  EXPECT_EQ(joined, text);
  for (const std::string& piece : cut_text(std::string(5000, 'x') + noise(1, 10), 1000, 500))
    EXPECT_LE(piece.size(), 750u);
  std::string wide;
  for (int i = 0; i < 2000; ++i) wide += "\u4e2d";
  for (const std::string& piece : cut_text(wide, 1000, 500))
    EXPECT_EQ(first_invalid_utf8(piece), piece.size());
  EXPECT_EQ(cut_text("short", 1000, 500), std::vector<std::string>{"short"});
}

TEST_F(Data, AUsersFoldersBecomeDomainsAndEveryRefusalIsCounted) {
  put("t/poems/a.txt", "roses are red\n");
  put("t/poems/deep/b.md", "violets\n");
  put("t/code/c.py", "print(1)\n");
  put("t/code/.git/config", "hidden\n");
  put("t/loose.html", "<p>loose</p>");
  put("t/code/d.bin", std::string("\0\1\2", 3));
  put("t/code/latin.txt", "caf\xe9 latin\n");
  put("t/code/empty.txt", "");
  put("t/rows/r.jsonl.zst",
      zstd_compress("{\"id\":\"a\",\"text\":\"row one\"}\nbroken\n{\"id\":\"a\",\"text\":\"row two\"}\n"));
  put("t/rows/cut.zst", zstd_compress("something").substr(0, 10));
  IngestOptions options;
  options.texts = {path("t")};
  options.out = path("out");
  const IngestReport report = ingest(options);
  std::map<std::string, std::string> texts;
  for (const std::string& name : document_files(path("out/documents")))
    for (const Document& d : read_own_documents(path("out/documents/" + name)))
      texts[d.domain + ":" + d.id + ":" + d.kind] = d.text;
  EXPECT_EQ(texts, (std::map<std::string, std::string>{{"poems:poems/a.txt:text", "roses are red\n"},
                                                       {"poems:poems/deep/b.md:text", "violets\n"},
                                                       {"code:code/c.py:code", "print(1)\n"},
                                                       {"t:loose.html:text", "loose\n"},
                                                       {"rows:a:text", "row one\n"},
                                                       {"rows:a#again1:text", "row two\n"}}));
  std::map<std::string, Reasons> refused;
  for (const IngestedDomain& d : report.domains)
    if (!d.refused.empty()) refused[d.name] = d.refused;
  EXPECT_EQ(refused,
            (std::map<std::string, Reasons>{{"code", {{"binary", 1}, {"not valid UTF-8", 1}, {"empty", 1}}},
                                            {"rows", {{"row is not JSON", 1}, {"damaged compression", 1}}}}));
}

TEST_F(Data, MissingEmptyAndUselessFoldersGetOneLine) {
  IngestOptions options;
  options.out = path("out");
  EXPECT_EQ(message_of([&] { ingest(options); }),
            "ingest: no source given; use --machine, --text FOLDER or both");
  options.texts = {path("nowhere")};
  EXPECT_NE(message_of([&] { ingest(options); }).find("no folder " + path("nowhere")), std::string::npos);
  fs::create_directories(path("empty"));
  options.texts = {path("empty")};
  EXPECT_NE(message_of([&] { ingest(options); }).find("holds no files"), std::string::npos);
  put("bad/x.bin", std::string(100, '\0'));
  options.texts = {path("bad")};
  EXPECT_NE(message_of([&] { ingest(options); }).find("no usable text was found (1 binary)"),
            std::string::npos);
}

std::string all_documents(const std::string& folder) {
  std::string all;
  for (const std::string& name : document_files(folder))
    all += name + "\n" + read_decompressed(folder + "/" + name, size_t{1} << 30);
  return all;
}

TEST_F(Data, AMachineIsSortedIntoDomainsWithinItsBudget) {
  put("root/usr/include/a.h", "int a;\n");
  put("root/usr/include/c++/12/vector", "template <class T> class vector;\n");
  put("root/usr/include/readme", "not a header\n");
  put("root/usr/lib/python3/dist-packages/m.py", "import os\n");
  put("root/usr/share/perl5/M.pm", "package M;\n");
  put("root/usr/bin/script", "#!/bin/sh\necho hi\n");
  put("root/usr/bin/program", std::string("\x7f"
                                          "ELF\0\1",
                                          6));
  put("root/usr/share/doc/p/README", "Read me.\n");
  put("root/usr/share/doc/p/copyright", "Copyright\n");
  put("root/usr/share/man/man1/x.1", ".TH X 1\n.SH NAME\nx \\- it\n");
  put("root/usr/share/man/fr/man1/x.1", ".TH X 1\n.SH NOM\nx \\- cela\n");
  put("pk/f/usr/share/games/fortunes/wise", "One.\n%\nTwo.\n%\n");
  put("pk/f/usr/share/games/fortunes/wise.dat", "index");
  put("pk/z/usr/share/games/fortunes/tang300", "\u5170\u53f6\n");
  put("pk/z/usr/include/a.h", "int second_root;\n");
  IngestOptions options;
  options.machine = true;
  options.roots = {path("root")};
  options.packages = path("pk");
  options.out = path("out");
  const IngestReport report = ingest(options);
  std::map<std::string, std::set<std::string>> ids;
  for (const std::string& name : document_files(path("out/documents")))
    for (const Document& d : read_own_documents(path("out/documents/" + name))) ids[d.domain].insert(d.id);
  EXPECT_EQ(ids, (std::map<std::string, std::set<std::string>>{
                     {"c", {"usr/include/a.h", "usr/include/c++/12/vector"}},
                     {"python", {"usr/lib/python3/dist-packages/m.py"}},
                     {"perl", {"usr/share/perl5/M.pm"}},
                     {"shell", {"usr/bin/script"}},
                     {"documentation", {"usr/share/doc/p/README"}},
                     {"manual", {"usr/share/man/man1/x.1"}},
                     {"french", {"usr/share/man/fr/man1/x.1"}},
                     {"english", {"usr/share/games/fortunes/wise#1", "usr/share/games/fortunes/wise#2"}},
                     {"chinese", {"usr/share/games/fortunes/tang300#1"}}}));
  EXPECT_EQ(report.domains[0].name, "c");
  EXPECT_EQ(report.notes.size(), 3u);  // german, spanish, italian
  EXPECT_EQ(read_file(path("out/domains.json")),
            "[\"c\",\"python\",\"perl\",\"shell\",\"documentation\",\"manual\",\"english\",\"chinese\","
            "\"french\"]\n");
}

TEST_F(Data, TheBudgetHoldsAndTheDrawIsTheSameAtAnyThreadCount) {
  for (int i = 0; i < 300; ++i) {
    put("t/big/" + std::to_string(i) + ".txt", noise(static_cast<uint64_t>(i), 1000));
    if (i < 20) put("t/small/" + std::to_string(i) + ".txt", noise(static_cast<uint64_t>(1000 + i), 100));
  }
  IngestOptions options;
  options.texts = {path("t")};
  options.budget = 50000;
  options.added = "then";
  std::vector<std::string> results;
  for (const int threads : {1, 2, 5}) {
    set_thread_count(threads);
    options.out = path("out" + std::to_string(threads));
    const IngestReport report = ingest(options);
    EXPECT_LE(report.bytes(), 51000u);
    EXPECT_GE(report.bytes(), 47000u);
    EXPECT_EQ(report.domains[1].documents, 20u);  // the small domain is whole
    results.push_back(all_documents(options.out + "/documents"));
  }
  set_thread_count(2);
  EXPECT_EQ(results[0], results[1]);
  EXPECT_EQ(results[0], results[2]);
  options.seed = 2;
  options.out = path("other");
  ingest(options);
  EXPECT_NE(all_documents(path("other/documents")), results[0]);
}

}  // namespace
}  // namespace lyceum
