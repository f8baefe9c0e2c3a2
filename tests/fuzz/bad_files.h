// Files that must be refused, made by hand, one for each way to be wrong. The unit tests hold every one
// against the message it deserves; the fuzzers start from them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace lyceum {

struct BadFile {
  std::string name;     // a word, also the file name of the seed
  std::string bytes;    // the whole file
  std::string message;  // part of the error; empty for a good file
};

inline std::string little_endian(uint64_t value, size_t bytes) {
  std::string text;
  for (size_t i = 0; i < bytes; ++i) text += static_cast<char>(value >> (8 * i) & 255);
  return text;
}

inline std::string safetensors_bytes(const std::string& json, size_t data_bytes) {
  return little_endian(json.size(), 8) + json + std::string(data_bytes, 'x');
}

inline std::vector<BadFile> safetensors_corpus() {
  const auto st = safetensors_bytes;
  const std::string a = R"("a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]})";
  return {
      {"good", st("{" + a + "}", 8), ""},
      {"good_empty", st("{}", 0), ""},
      {"good_padded", st("{" + a + "}      ", 8), ""},
      {"good_scalar_and_nothing",
       st(R"({"__metadata__":{"format":"pt"},"s":{"dtype":"F64","shape":[],"data_offsets":[0,8]},)"
          R"("z":{"dtype":"BF16","shape":[3,0,7],"data_offsets":[8,8]}})",
          8),
       ""},
      {"good_four_bits", st(R"({"q":{"dtype":"F4","shape":[2,3],"data_offsets":[0,3]}})", 3), ""},
      {"short", "1234567", "8 bytes of length, found a file of 7"},
      {"nothing", "", "8 bytes of length, found a file of 0"},
      {"header_above_limit", little_endian(100'000'001, 8) + "{}",
       "at most 100000000 bytes, found 100000001"},
      {"header_wraps", little_endian(UINT64_MAX, 8) + "{}", "at most 100000000 bytes"},
      {"header_truncated", little_endian(64, 8) + "{}", "the header has 64 bytes, but only 2 follow"},
      {"header_empty", little_endian(0, 8), "wants to begin with '{'"},
      {"header_is_list", st("[]", 0), "wants to begin with '{'"},
      {"header_blank_first", st(" {}", 0), "wants to begin with '{'"},
      {"header_byte_order_mark", st("\xef\xbb\xbf{}", 0), "wants to begin with '{'"},
      {"header_zero_byte", st(std::string("{}\0{", 4), 0), "zero byte"},
      {"header_not_json", st("{\"a\":", 0), "not JSON"},
      {"header_two_values", st("{}{}", 0), "not JSON"},
      {"header_not_utf8", st("{\"a\xff\":1}", 0), "not JSON"},
      {"header_surrogate_utf8", st("{\"a\xed\xa0\x80\":1}", 0), "not JSON"},
      {"name_twice", st("{" + a + "," + a + "}", 8), "names \"a\" twice"},
      {"name_twice_escaped",
       st("{" + a + R"(,"\u0061":{"dtype":"F32","shape":[0],"data_offsets":[8,8]}})", 8),
       "names \"a\" twice"},
      {"key_twice", st(R"({"a":{"dtype":"F32","dtype":"F64","shape":[1],"data_offsets":[0,8]}})", 8),
       "tensor \"a\" gives dtype twice"},
      {"key_unknown", st(R"({"a":{"dtype":"U8","shape":[1],"strides":[1],"data_offsets":[0,1]}})", 1),
       "tensor \"a\" has the key \"strides\""},
      {"key_missing", st(R"({"a":{"dtype":"U8","data_offsets":[0,1]}})", 1), "tensor \"a\" lacks shape"},
      {"metadata_number", st(R"({"__metadata__":{"step":3}})", 0),
       "__metadata__ wants texts, found a number"},
      {"metadata_nested", st(R"({"__metadata__":{"a":{"b":"c"}}})", 0),
       "__metadata__ wants texts, found an object"},
      {"metadata_text", st(R"({"__metadata__":"pt"})", 0), "__metadata__ wants an object of texts"},
      {"metadata_twice", st(R"({"__metadata__":{"a":"1","a":"2"}})", 0), "__metadata__ names \"a\" twice"},
      {"tensor_is_number", st(R"({"a":1})", 0), "tensor \"a\" wants an object"},
      {"dtype_unknown", st(R"({"a":{"dtype":"Q4_K","shape":[1],"data_offsets":[0,1]}})", 1),
       "tensor \"a\" has the dtype \"Q4_K\""},
      {"dtype_number", st(R"({"a":{"dtype":7,"shape":[1],"data_offsets":[0,1]}})", 1), "the name of a type"},
      {"shape_negative", st(R"({"a":{"dtype":"U8","shape":[-1],"data_offsets":[0,1]}})", 1),
       "a negative number"},
      {"shape_fraction", st(R"({"a":{"dtype":"U8","shape":[1.0],"data_offsets":[0,1]}})", 1), "a fraction"},
      {"shape_text", st(R"({"a":{"dtype":"U8","shape":["1"],"data_offsets":[0,1]}})", 1), "found a text"},
      {"shape_nested", st(R"({"a":{"dtype":"U8","shape":[[1]],"data_offsets":[0,1]}})", 1), "found an array"},
      {"shape_above_2_63",
       st(R"({"a":{"dtype":"U8","shape":[9223372036854775808],"data_offsets":[0,1]}})", 1),
       "a dimension above 2^63"},
      {"shape_overflow",
       st(R"({"a":{"dtype":"U8","shape":[4294967296,4294967296,4294967296],"data_offsets":[0,0]}})", 0),
       "larger than any file"},
      {"shape_overflow_by_type",
       st(R"({"a":{"dtype":"F64","shape":[2305843009213693952],"data_offsets":[0,0]}})", 0),
       "larger than any file"},
      {"shape_wrong", st(R"({"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}})", 8),
       "tensor \"a\" of type F32 and shape [3] wants 12 bytes, found 8"},
      {"half_bytes", st(R"({"a":{"dtype":"F4","shape":[3],"data_offsets":[0,2]}})", 2),
       "does not fill whole bytes"},
      {"offsets_one", st(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0]}})", 1),
       "two data_offsets, found 1"},
      {"offsets_three", st(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1,2]}})", 1),
       "found a number"},
      {"offsets_swapped", st(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[1,0]}})", 1),
       "before its begin"},
      {"offsets_beyond", st(R"({"a":{"dtype":"U8","shape":[9],"data_offsets":[0,9]}})", 8),
       "ends at byte 9 of the data, but the file holds only 8"},
      {"offsets_huge", st(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,18446744073709551615]}})", 1),
       "but the file holds only 1"},
      {"overlap",
       st(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":[2,6]}})",
          6),
       "tensor \"b\" at bytes 2 to 6 overlaps \"a\", which ends at 4"},
      {"same_bytes_twice", st("{" + a + R"(,"b":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 8),
       "overlaps \"a\""},
      {"hole",
       st(R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[1],"data_offsets":[3,4]}})",
          4),
       "a hole of 1 bytes before tensor \"b\""},
      {"hole_first", st(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})", 2), "a hole of 1 bytes"},
      {"rest", st("{" + a + "}", 12), "4 bytes after the last tensor"},
      {"control_in_name", st(R"({"a\nb\u001b[31m":{"dtype":"?","shape":[],"data_offsets":[0,0]}})", 0),
       R"(tensor "a\x0ab\x1b[31m" has the dtype "?")"},
  };
}

inline std::vector<BadFile> shard_index_corpus() {
  return {
      {"good", R"({"metadata":{"total_size":8},"weight_map":{"a":"m-1.safetensors"}})", ""},
      {"good_unknown_keys", R"({"weight_map":{},"x":[{"weight_map":1,"weight_map":[]}],"y":null})", ""},
      {"nothing", "", "not JSON"},
      {"list", "[]", "wants an object with a weight_map"},
      {"number", "7", "wants an object with a weight_map"},
      {"no_map", R"({"metadata":{}})", "has no weight_map"},
      {"map_is_list", R"({"weight_map":["a"]})", "weight_map wants to be an object"},
      {"map_is_text", R"({"weight_map":"a"})", "weight_map wants to be an object"},
      {"map_of_numbers", R"({"weight_map":{"a":1}})", "tensor \"a\" wants the name of a file"},
      {"map_of_maps", R"({"weight_map":{"a":{"b":"c"}}})", "tensor \"a\" wants the name of a file"},
      {"map_twice", R"({"weight_map":{},"weight_map":{}})", "two weight_maps"},
      {"name_twice", R"({"weight_map":{"a":"x","a":"y"}})", "names \"a\" twice"},
      {"path_up", R"({"weight_map":{"a":"../x.safetensors"}})", "a file name without folders"},
      {"path_absolute", R"({"weight_map":{"a":"/etc/passwd"}})", "a file name without folders"},
      {"path_dots", R"({"weight_map":{"a":".."}})", "a file name without folders"},
      {"zero_byte", std::string("{\"weight_map\":{}}\0", 18), "zero byte"},
      {"deep", std::string(100000, '[') + std::string(100000, ']'), "wants an object with a weight_map"},
  };
}

// An index of Megatron's form. Lengths as i32, offsets and documents as i64.
inline std::string token_index_bytes(int type, const std::vector<int64_t>& lengths,
                                     const std::vector<int64_t>& offsets,
                                     const std::vector<int64_t>& documents) {
  std::string text = std::string("MMIDIDX\0\0", 9) + little_endian(1, 8) +
                     little_endian(static_cast<uint64_t>(type), 1) + little_endian(lengths.size(), 8) +
                     little_endian(documents.size(), 8);
  for (const int64_t n : lengths) text += little_endian(static_cast<uint64_t>(n), 4);
  for (const int64_t n : offsets) text += little_endian(static_cast<uint64_t>(n), 8);
  for (const int64_t n : documents) text += little_endian(static_cast<uint64_t>(n), 8);
  return text;
}

constexpr size_t kCorpusBinBytes = 12;  // of the .bin that every index of the corpus is held against

inline std::vector<BadFile> token_index_corpus() {
  const auto idx = token_index_bytes;
  const std::string good = idx(8, {2, 0, 4}, {0, 4, 4}, {0, 1, 3});
  const auto patched = [&](size_t at, const std::string& bytes) {
    return good.substr(0, at) + bytes + good.substr(at + bytes.size());
  };
  return {
      {"good", good, ""},
      {"good_i32", idx(4, {3}, {0}, {0, 1}), ""},
      {"good_no_documents_cut", idx(8, {6}, {0}, {0, 0, 1}), ""},
      {"nothing", "", "does not begin with MMIDIDX"},
      {"magic", patched(0, "TNTIDX"), "does not begin with MMIDIDX"},
      {"version", patched(9, little_endian(2, 8)), "wants version 1, found 2"},
      {"type_float", patched(17, little_endian(7, 1)), "integer type, found floats (type 7)"},
      {"type_zero", patched(17, little_endian(0, 1)), "unknown type of ids 0"},
      {"type_unknown", patched(17, little_endian(9, 1)), "unknown type of ids 9"},
      {"type_too_wide", patched(17, little_endian(4, 1)), "sequence 1 wants to begin at byte 8"},
      {"sequences_huge", patched(18, little_endian(UINT64_MAX / 12 + 2, 8)), "more than its 94 bytes hold"},
      {"documents_huge", patched(26, little_endian(uint64_t{1} << 61, 8)), "more than its 94 bytes hold"},
      {"truncated", good.substr(0, good.size() - 3), "truncated or damaged"},
      {"longer", good + "x", "wants 94 bytes for 3 sequences and 3 document entries, found 95"},
      {"multimodal", good + "xyz", "multimodal"},
      {"length_negative", idx(8, {2, -1, 4}, {0, 4, 4}, {0, 1, 3}), "sequence 1 has the length -1"},
      {"length_beyond", idx(8, {2, 0, 5}, {0, 4, 4}, {0, 1, 3}),
       "ends at byte 14, but the .bin beside it has only 12"},
      {"lengths_short", idx(8, {2, 0, 3}, {0, 4, 4}, {0, 1, 3}),
       "add up to 10 bytes of ids, but the .bin has 12"},
      {"offset_negative", idx(8, {2, 0, 4}, {0, -4, 4}, {0, 1, 3}), "sequence 1 wants to begin at byte 4"},
      {"offset_beyond", idx(8, {2, 0, 4}, {0, 4, 1 << 20}, {0, 1, 3}), "sequence 2 wants to begin at byte 4"},
      {"documents_empty", idx(8, {6}, {0}, {}), "empty document index"},
      {"documents_first", idx(8, {2, 0, 4}, {0, 4, 4}, {1, 1, 3}), "begin with 0, found 1"},
      {"documents_descend", idx(8, {2, 0, 4}, {0, 4, 4}, {0, 2, 1, 3}), "document 2 begins at sequence 1"},
      {"documents_beyond", idx(8, {2, 0, 4}, {0, 4, 4}, {0, 4, 3}), "document 1 begins at sequence 4"},
      {"documents_negative", idx(8, {2, 0, 4}, {0, 4, 4}, {0, -1, 3}), "document 1 begins at sequence -1"},
      {"documents_end", idx(8, {2, 0, 4}, {0, 4, 4}, {0, 1, 2}), "ends at sequence 2; wanted 3"},
  };
}

}  // namespace lyceum
