// Tokenizer files and chat templates that must be refused, made by hand; see bad_files.h.
#pragma once

#include <cstring>

#include "bad_files.h"

namespace lyceum {

// A field of a protobuf message: number, then bytes with their length.
inline std::string proto_bytes(int field, const std::string& bytes) {
  std::string out(1, static_cast<char>(field << 3 | 2));
  for (size_t n = bytes.size();; n >>= 7) {
    out += static_cast<char>((n & 127) | (n > 127 ? 128 : 0));
    if (n <= 127) break;
  }
  return out + bytes;
}
inline std::string proto_number(int field, unsigned value) {
  std::string out =
      field < 16 ? std::string(1, static_cast<char>(field << 3))
                 : std::string{static_cast<char>((field << 3 & 127) | 128), static_cast<char>(field >> 4)};
  for (; value > 127; value >>= 7) out += static_cast<char>(value | 128);
  return out + static_cast<char>(value);
}
inline std::string sentencepiece_piece(const std::string& text, float score, unsigned type) {
  std::string bits(4, '\0');
  std::memcpy(bits.data(), &score, 4);
  return proto_bytes(
      1, proto_bytes(1, text) + std::string(1, static_cast<char>(2 << 3 | 5)) + bits + proto_number(3, type));
}

// Pieces, then trainer and normalizer.
inline std::string sentencepiece_model(const std::string& pieces, unsigned model_type,
                                       const std::string& charsmap = "") {
  return pieces + proto_bytes(2, proto_number(3, model_type)) +
         proto_bytes(3, proto_bytes(1, "test") + (charsmap.empty() ? "" : proto_bytes(2, charsmap)));
}

inline std::vector<BadFile> sentencepiece_corpus() {
  const auto piece = sentencepiece_piece;
  const auto model = [](const std::string& pieces, unsigned type, const std::string& charsmap = "") {
    return sentencepiece_model(pieces, type, charsmap);
  };
  const std::string marker = "\xe2\x96\x81", unk = piece("<unk>", 0, 2);
  const std::string usual = unk + piece("<s>", 0, 3) + piece("</s>", 0, 3) + piece(marker, -3, 1) +
                            piece("a", -2, 1) + piece("b", -4, 1) + piece("ab", -1, 1) +
                            piece(marker + "a", -1.5f, 1);
  return {
      {"good_unigram", model(usual, 1), ""},
      {"good_bpe", model(usual + piece("<user>", 0, 4), 2), ""},
      {"nothing", "", "without pieces"},
      {"json", "{}", "object"},
      {"text", "this is no protobuf message", "protobuf"},
      {"truncated", model(usual, 1).substr(0, 40), "protobuf"},
      {"length_huge", std::string("\x0a\xff\xff\xff\xff\x0f", 6), "protobuf"},
      {"length_beyond", std::string("\x0a\x7f", 2) + "abc", "protobuf"},
      {"no_unknown", model(piece("a", 0, 1), 1), "one unknown piece, found 0"},
      {"two_unknown", model(unk + piece("<unk2>", 0, 2), 1), "one unknown piece, found 2"},
      {"twice", model(unk + piece("a", 0, 1) + piece("a", -1, 1), 1), "is there twice"},
      {"piece_empty", model(unk + piece("", 0, 1), 1), "wanted text in UTF-8"},
      {"piece_not_utf8", model(unk + piece("\xff\xfe", 0, 1), 1), "wanted text in UTF-8"},
      {"type_unknown", model(unk + piece("a", 0, 9), 1), "a type from 1 to 6, found 9"},
      {"type_unused_bpe", model(unk + piece("a", 0, 5), 2), "unused pieces"},
      {"byte_wrong", model(unk + piece("<0x-1>", 0, 6), 1), "a byte as <0xNN>"},
      {"byte_long", model(unk + piece("<0x100>", 0, 6), 1), "a byte as <0xNN>"},
      {"score_not_a_number", model(unk + piece("a", __builtin_nanf(""), 1), 1), "a finite score"},
      {"kind_words", model(usual, 3), "words"},
      {"kind_unknown", model(usual, 77), "model_type"},
      {"charsmap_short", model(usual, 1, "abc"), "8 bytes and more"},
      {"charsmap_size", model(usual, 1, little_endian(1 << 30, 4) + "abcdefgh"), "wanted a trie"},
      {"charsmap_odd", model(usual, 1, little_endian(7, 4) + "abcdefgh"), "a multiple of 4"},
      {"charsmap_not_utf8", model(usual, 1, little_endian(4, 4) + "abcd\xff"), "in UTF-8"},
      {"denormalizer", model(usual, 1) + proto_bytes(5, proto_bytes(2, "abcdefgh")), "denormalizer"},
  };
}

inline std::vector<BadFile> chat_template_corpus() {
  std::string deep, chain = "{{ a", wide = "{{ ";
  for (int i = 0; i < 1000; ++i) deep += "(";
  deep += "a" + std::string(1000, ')') + " }}";
  for (int i = 0; i < 5000; ++i) chain += "+a";
  for (int i = 0; i < 5000; ++i) wide += "not ";
  std::string nested;
  for (int i = 0; i < 300; ++i) nested += "{% if a %}";
  return {
      {"good", "{% for m in messages %}{{ m.role ~ ': ' ~ m['content']|trim }}\n{% endfor %}", ""},
      {"good_macro",
       "{% macro f(x, y=1) %}{{ x }}{{ y }}{% endmacro %}{{ f(2) }}{{ messages|tojson(indent=2) }}", ""},
      {"open_print", "a\n{{ b", "t:2:1: wanted }}"},
      {"open_block", "{% if a", "t:1:1: wanted %}"},
      {"open_comment", "{# a", "t:1:1: wanted #}"},
      {"open_string", "{{ 'a }}", "t:1:4: this string has no end"},
      {"open_if", "{% if a %}b", "wanted {% endif %}"},
      {"open_raw", "{% raw %}b", "wanted {% endraw %}"},
      {"stray_end", "{% endfor %}", "the tag \"endfor\" is not supported"},
      {"unknown_tag", "\n {% include 'x' %}", "t:2:5: the tag \"include\""},
      {"import_tag", "{% import 'x' as y %}", "the tag \"import\""},
      {"no_expression", "{{ }}", "wanted an expression, found }}"},
      {"two_expressions", "{{ a b }}", "wanted }}, found \"b\""},
      {"bracket", "{{ (a] }}", "found ]"},
      {"sign", "{{ a ? b }}", "found the character \"?\""},
      {"assign_number", "{% set 1 = 2 %}", "a name to assign to"},
      {"break_outside", "{% break %}", "outside of a loop"},
      {"number_huge", "{{ 99999999999999999999 }}", "below 2^63"},
      {"escape", "{{ '\\u12' }}", "hexadecimal"},
      {"deep_brackets", "{{ " + deep, "200 deep"},
      {"deep_chain", chain + " }}", "200 deep"},
      {"deep_not", wide + "a }}", "200 deep"},
      {"deep_blocks", nested, "100 deep"},
      {"parameters", "{% macro m(a=1, b) %}{% endmacro %}", "without default"},
      {"named_first", "{{ f(a=1, 2) }}", "behind named arguments"},
      // these fail while they run
      {"loop_for_ever", "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "too deep"},
      {"loop_long", "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
       "more than"},
      {"memory", "{% set x = 'a' * 999999999999 %}", "bytes of text"},
      {"memory_doubling",
       "{% set ns = namespace(x='aaaaaaaa') %}{% for i in range(99) %}{% set ns.x = ns.x ~ ns.x %}{% endfor "
       "%}",
       "bytes of text"},
      {"memory_lists",
       "{% set ns = namespace(x=[1]) %}{% for i in range(99) %}{% set ns.x = ns.x + ns.x %}{% endfor %}",
       "more than"},
      {"memory_replace", "{{ ('a' * 100000)|replace('a', 'b' * 100000) }}", "bytes of text"},
      {"memory_of_itself",
       "{% set ns = namespace(x='a') %}{% for i in range(60) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}"
       "{{ ns.x }}",
       "more than"},
      {"memory_of_itself_in_json",
       "{% set ns = namespace(x=1) %}{% for i in range(60) %}{% set ns.x = {'a': ns.x, 'b': ns.x} %}"
       "{% endfor %}{{ ns.x|tojson }}",
       "more than"},
      {"compare_for_ever",
       "{% set ns = namespace(x=1, y=1) %}{% for i in range(60) %}{% set ns.x = [ns.x, ns.x] %}"
       "{% set ns.y = [ns.y, ns.y] %}{% endfor %}{{ ns.x == ns.y }}",
       "more than"},
      {"good_deep_value",
       "{% set ns = namespace(x=[]) %}{% for i in range(99999) %}{% set ns.x = [ns.x] %}{% endfor %}", ""},
      {"good_deep_functions",
       "{% set ns = namespace(x='') %}{% for i in range(99999) %}{% set ns.x = joiner(ns.x) %}{% endfor %}",
       ""},
      {"good_search", "{% set a = 'a' * 9999999 %}{{ (a ~ 'b') in (a ~ a) }}{{ (a ~ a).rfind('b' ~ a) }}",
       ""},
      {"memory_named_format", "{{ ('%(a)s' * 100000) % {'a': 'x' * 100000} }}", "bytes of text"},
      {"memory_characters", "{{ ('a' * 40000000)|reverse|length }}", "bytes of text"},
      {"memory_padding", "{{ 'a'.center(999999999999) }}", "bytes of text"},
      {"memory_format", "{{ '%999999999d' % 1 }}", "short"},
      {"range", "{{ range(999999999) }}", "at most 100000"},
      {"holds_itself", "{% set ns = namespace() %}{% set ns.a = ns %}{{ ns }}", "100 deep"},
      {"overflow", "{{ 9223372036854775807 + 1 }}", "64 bits"},
      {"zero", "{{ 1 // 0 }}", "division by zero"},
      {"undefined", "\n\n  {{ nobody.home }}", "t:3:12: \"nobody\" is undefined"},
      {"refuses", "{{ raise_exception('roles must alternate') }}",
       "the template refuses: roles must alternate"},
      {"changes", "{{ messages.append(1) }}", "would change a list"},
      {"no_filter", "{{ 1|shell }}", "no filter named \"shell\""},
      {"private", "{{ ''.__class__.__mro__ }}", "no attribute \"__class__\""},
  };
}

}  // namespace lyceum
