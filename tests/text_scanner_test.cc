// The hand-written scanners against the regular expressions that they stand for, run by PCRE2.
#include <gtest/gtest.h>

#include "base/random.h"
#include "text/regex.h"
#include "text/scanner.h"
#include "text/unicode.h"

namespace lyceum {
namespace {

// Characters that PCRE2's Unicode and ours agree about, many of those that the patterns name.
std::string random_text(RandomKey key, size_t length) {
  static const char32_t kNamed[] = {' ',    ' ',    ' ',  '\n',   '\r',   '\t',  '\'',  's',     't',
                                    'r',    'e',    'v',  'm',    'l',    'd',   'S',   'L',     'E',
                                    '1',    '2',    '.',  '(',    '"',    0x17f, 0xe9,  0x301,   0x4e2d,
                                    0x3002, 0x3000, 0xa0, 0x85,   0x2028, 0x661, 0xb2,  0x2160,  0x1f600,
                                    0x200d, 0x0,    0x1b, 0xfffd, 0x5d0,  0x915, 0x94d, 0x10ffff};
  std::string text;
  for (size_t i = 0; i < length; ++i) {
    const uint64_t n = key.below(2 * i, 100);
    if (n < 70) append_char(text, kNamed[key.below(2 * i + 1, std::size(kNamed))]);
    else if (n < 90) append_char(text, static_cast<uint32_t>(key.below(2 * i + 1, 128)));
    else append_char(text, static_cast<uint32_t>(0xa0 + key.below(2 * i + 1, 0x500)));
  }
  return text;
}

class Scanners : public testing::TestWithParam<const SplitPattern*> {};

TEST_P(Scanners, SplitRandomTextWhereTheirRegularExpressionDoes) {
  const SplitPattern& pattern = *GetParam();
  const Regex regex(pattern.regex, "test");
  for (uint64_t round = 0; round < 4000; ++round) {
    const std::string text = random_text(RandomKey(round), 1 + round % 60);
    for (size_t at = 0; at < text.size();) {
      size_t begin = 0, end = 0;
      ASSERT_TRUE(regex.find(text, at, &begin, &end));
      ASSERT_EQ(begin, at) << pattern.name << " leaves nothing out, round " << round;
      const char* ours = pattern.scan(text.data() + at, text.data() + text.size());
      ASSERT_EQ(static_cast<size_t>(ours - text.data()), end)
          << pattern.name << ", round " << round << ", at " << at;
      at = end;
    }
  }
}

TEST_P(Scanners, AreFoundByNameAndByRegularExpression) {
  EXPECT_EQ(find_split_pattern(GetParam()->name), GetParam());
  EXPECT_EQ(find_split_pattern(GetParam()->regex), GetParam());
}

INSTANTIATE_TEST_SUITE_P(Text, Scanners, testing::Values(&kGpt2Pattern, &kLlama3Pattern, &kQwen2Pattern),
                         [](const auto& info) { return std::string(info.param->name); });

// Oracle: Unicode 15, table 3-8 (maximal subparts) and RFC 3629.
TEST(Utf8, ReplacesEachMaximalInvalidPartByOneSign) {
  const std::pair<std::string, std::string> cases[] = {
      {"plain", "plain"},
      {"\x61\xf1\x80\x80\xe1\x80\xc2\x62\x80\x63\x80\xbf\x64", "a???b?c??d"},
      {"\xc0\xaf\xe0\x80\xbf\xf0\x81\x82\x41", "????????A"},
      {"\xed\xa0\x80", "???"},
      {"\xf4\x91\x92\x93\xff\x41\x80\xbf\x42", "?????A??B"},
      {"\xe4\xb8", "?"},
      {"x\xf0\x9f\x98", "x?"},
  };
  for (auto [input, wanted] : cases) {
    std::string buffer, expected;
    for (const char c : wanted) c == '?' ? expected += "\xef\xbf\xbd" : expected += c;
    EXPECT_EQ(to_valid_utf8(input, buffer), expected);
  }
}

}  // namespace
}  // namespace lyceum
