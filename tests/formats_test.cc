// formats/: safetensors. Oracles: hand-made files with the message each deserves, published XXH3 values,
// bytes written by hand; tools/check_safetensors.py holds both directions against the Python library.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>

#include "base/error.h"
#include "failing_files.h"
#include "formats/checksum.h"
#include "formats/safetensors.h"
#include "formats/tensor_files.h"
#include "fuzz/bad_files.h"

namespace lyceum {
namespace {

std::span<const uint8_t> bytes_of(const std::string& text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

TEST(Checksum, EqualsThePublishedValues) {
  EXPECT_EQ(checksum_text(checksum_of("", 0)), "2d06800538d394c2");  // xxhsum -H3 /dev/null
  Checksum pieces;
  const std::string text(100000, 'q');
  for (size_t i = 0; i < text.size(); i += 777)
    pieces.update(&text[i], std::min<size_t>(777, text.size() - i));
  EXPECT_EQ(pieces.value(), checksum_of(text.data(), text.size()));
  uint64_t back = 0;
  EXPECT_TRUE(parse_checksum("2d06800538d394c2", back));
  EXPECT_EQ(back, 0x2d06800538d394c2u);
  EXPECT_FALSE(parse_checksum("2D06800538D394C2", back));
  EXPECT_FALSE(parse_checksum("-d06800538d394c2", back));
}

TEST(Safetensors, EveryBadFileGetsOneLineThatNamesWhatIsWrong) {
  for (const BadFile& f : safetensors_corpus()) {
    const std::string message = message_of([&] { parse_safetensors(bytes_of(f.bytes), "m.safetensors"); });
    if (f.message.empty()) {
      EXPECT_EQ(message, "") << f.name;
      continue;
    }
    EXPECT_NE(message.find(f.message), std::string::npos) << f.name << ": " << message;
    EXPECT_TRUE(message.starts_with("m.safetensors: ")) << f.name << ": " << message;
    EXPECT_EQ(message.find('\n'), std::string::npos) << f.name << ": " << message;
  }
}

TEST(Safetensors, EveryPrefixOfAGoodFileIsRefused) {
  const std::string good = safetensors_corpus()[3].bytes;
  for (size_t n = 0; n < good.size(); ++n)
    EXPECT_THROW(parse_safetensors(bytes_of(good.substr(0, n)), "m"), Error) << n;
}

TEST(Safetensors, DtypesHaveTheNamesAndWidthsOfTheFormat) {
  FileDType t;
  EXPECT_FALSE(parse_file_dtype("bf16", t));
  for (int i = 0; i <= static_cast<int>(FileDType::kU64); ++i) {
    ASSERT_TRUE(parse_file_dtype(file_dtype_name(static_cast<FileDType>(i)), t));
    EXPECT_EQ(static_cast<int>(t), i);
  }
  ASSERT_TRUE(parse_file_dtype("F8_E8M0", t));
  EXPECT_EQ(file_dtype_bits(t), 8);
}

TEST(Safetensors, WritesWhatItReadsAndAlignsEveryTensor) {
  TestFolder folder;
  const double scalar = 2.5;
  const uint8_t flags[3] = {1, 0, 1};
  const float matrix[6] = {0, 1, 2, 3, 4, 5};
  const std::string path = folder / "x.safetensors";
  const WrittenFile written =
      write_safetensors(path, {tensor_in_memory("flags", FileDType::kBool, {3}, flags),
                               tensor_in_memory("matrix\"\n", FileDType::kF32, {2, 3}, matrix),
                               tensor_in_memory("none", FileDType::kI64, {0, 4}, nullptr),
                               tensor_in_memory("scalar", FileDType::kF64, {}, &scalar)});
  EXPECT_EQ(list_directory(folder.path),
            std::vector<std::string>{"x.safetensors"});  // no temporary file is left

  const SafetensorsFile file(path);
  EXPECT_EQ(file.metadata(), (std::map<std::string, std::string>{{"format", "pt"}}));
  ASSERT_EQ(file.tensors().size(), 4u);
  EXPECT_EQ(std::memcmp(file.at("flags").data, flags, 3), 0);
  EXPECT_EQ(std::memcmp(file.at("matrix\"\n").data, matrix, 24), 0);
  EXPECT_EQ(file.at("matrix\"\n").shape, (std::vector<int64_t>{2, 3}));
  EXPECT_EQ(file.at("none").bytes, 0u);
  EXPECT_TRUE(file.at("scalar").shape.empty());
  for (const StoredTensor& t : file.tensors())
    EXPECT_EQ(reinterpret_cast<uintptr_t>(t.data) % static_cast<uintptr_t>(file_dtype_bits(t.dtype) / 8), 0u)
        << t.name;
  const MappedFile raw(path);
  EXPECT_EQ(written.bytes, raw.size());
  EXPECT_EQ(written.checksum, checksum_of(raw.data(), raw.size()));
  for (const WrittenTensor& t : written.tensors)
    EXPECT_EQ(t.checksum, checksum_of(file.at(t.name).data, file.at(t.name).bytes)) << t.name;
}

TEST(Safetensors, AMissingTensorIsAnsweredWithTheNearestName) {
  TestFolder folder;
  const float x = 1;
  write_safetensors(folder / "m.safetensors",
                    {tensor_in_memory("model.layers.0.mlp.gate.weight", FileDType::kF32, {1}, &x)});
  const SafetensorsFile file(folder / "m.safetensors");
  EXPECT_EQ(file.find("gate"), nullptr);
  EXPECT_EQ(message_of([&] { file.at("model.layers.0.mlp.gates.weight"); }),
            folder / "m.safetensors" +
                ": no tensor \"model.layers.0.mlp.gates.weight\" among 1; the nearest name is "
                "\"model.layers.0.mlp.gate.weight\"");
}

TEST(Safetensors, AStreamThatDoesNotKeepItsWordLeavesTheOldFile) {
  TestFolder folder;
  const std::string path = folder / "m.safetensors";
  const float x = 1;
  write_safetensors(path, {tensor_in_memory("a", FileDType::kF32, {1}, &x)});
  const std::string before = read_file(path);
  for (const size_t n : {0, 4, 12, 1000000}) {
    const std::string bytes(n, 'x');
    const TensorSource liar{"a", FileDType::kF32, {2}, [&](const ByteSink& sink) { sink(bytes.data(), n); }};
    EXPECT_NE(message_of([&] { write_safetensors(path, {liar}); }).find("tensor \"a\""), std::string::npos);
    EXPECT_EQ(read_file(path), before);
  }
  EXPECT_THROW(write_safetensors(path, {tensor_in_memory("a", FileDType::kF32, {1}, &x),
                                        tensor_in_memory("a", FileDType::kF32, {1}, &x)}),
               Error);
  EXPECT_THROW(write_safetensors(path, {tensor_in_memory("\xff", FileDType::kF32, {1}, &x)}), Error);
  EXPECT_EQ(list_directory(folder.path), std::vector<std::string>{"m.safetensors"});
}

// Five tensors "t0".."t4" of 4, 8, ... 20 bytes.
std::vector<TensorSource> five_tensors() {
  static const std::vector<uint8_t> bytes = [] {
    std::vector<uint8_t> v(64);
    for (size_t i = 0; i < v.size(); ++i) v[i] = static_cast<uint8_t>(i * 7);
    return v;
  }();
  std::vector<TensorSource> tensors;
  for (int64_t i = 0; i < 5; ++i)
    tensors.push_back(tensor_in_memory("t" + std::to_string(i), FileDType::kF32, {i + 1}, bytes.data() + i));
  return tensors;
}

TEST(TensorFiles, ShardsHoldTheSameTensorsAsOneFile) {
  TestFolder folder;
  const auto one = write_tensor_files(folder / "one", five_tensors());
  EXPECT_EQ(one.size(), 1u);
  const auto many = write_tensor_files(folder / "many", five_tensors(), 24);
  std::vector<std::string> names;
  for (const WrittenFile& f : many) names.push_back(f.name);
  EXPECT_EQ(names,
            (std::vector<std::string>{"model-00001-of-00003.safetensors", "model-00002-of-00003.safetensors",
                                      "model-00003-of-00003.safetensors", "model.safetensors.index.json"}));
  const TensorFiles a(folder / "one"), b(folder / "many"), c(folder / "many/model.safetensors.index.json"),
      d(folder / "one/model.safetensors");
  EXPECT_EQ(a.names(), (std::vector<std::string>{"t0", "t1", "t2", "t3", "t4"}));
  EXPECT_EQ(a.total_bytes(), 60u);
  for (const TensorFiles* files : {&b, &c, &d}) {
    EXPECT_EQ(files->names(), a.names());
    for (const std::string& name : a.names()) {
      ASSERT_EQ(files->at(name).shape, a.at(name).shape);
      EXPECT_EQ(std::memcmp(files->at(name).data, a.at(name).data, a.at(name).bytes), 0);
    }
  }
  EXPECT_NE(read_file(folder / "many/model.safetensors.index.json").find("\"total_size\": 60"),
            std::string::npos);
  EXPECT_NE(
      message_of([&] { write_tensor_files(folder / "many", five_tensors()); }).find("already holds weights"),
      std::string::npos);
}

TEST(TensorFiles, EveryBadIndexGetsOneLine) {
  for (const BadFile& f : shard_index_corpus()) {
    const std::string message = message_of([&] { parse_shard_index(f.bytes, "i.json"); });
    if (f.message.empty()) EXPECT_EQ(message, "") << f.name;
    else EXPECT_NE(message.find(f.message), std::string::npos) << f.name << ": " << message;
  }
}

TEST(TensorFiles, NamesAMissingShardAMisplacedTensorAndWhatIsThereInstead) {
  TestFolder folder;
  write_tensor_files(folder / "m", five_tensors(), 24);
  const std::string index = folder / "m/model.safetensors.index.json";
  const std::string good = read_file(index);
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string text = good;
    text.replace(text.find(from), from.size(), to);
    write_file(index, text);
    return message_of([&] { TensorFiles files(folder / "m"); });
  };
  EXPECT_EQ(with("\"t0\": \"model-00001", "\"t0\": \"model-00002"),
            index +
                ": puts tensor \"t0\" into \"model-00002-of-00003.safetensors\", but it lies in "
                "model-00001-of-00003.safetensors");
  EXPECT_EQ(with("\"t0\"", "\"u0\""),
            index + ": puts tensor \"u0\" into \"model-00001-of-00003.safetensors\", but no shard has it");
  EXPECT_EQ(
      with("\"t0\": \"model-00001", "\"t0\": \"model-00009"),
      index +
          ": lists the shard \"model-00009-of-00003.safetensors\", which is not in the folder; fetch it, or "
          "the whole model again");
  EXPECT_EQ(with("weight_map", "weight_map"), "");
  EXPECT_EQ(message_of([&] { TensorFiles files(folder / "none"); }).find(folder / "none"), 6u);
  write_file(folder / "pickle/pytorch_model.bin", "x");
  EXPECT_NE(message_of([&] { TensorFiles files(folder / "pickle"); }).find("pytorch_model.bin, a pickle"),
            std::string::npos);
}

TEST(TensorFiles, ReadsWhatTransformersWrote) {
  const std::string goldens = std::string(LYCEUM_SOURCE_DIR) + "/../shared/goldens";
  if (!directory_exists(goldens)) GTEST_SKIP() << "no ../shared/goldens here";
  size_t folders = 0;
  for (const std::string& name : list_directory(goldens)) {
    if (!directory_exists(goldens + "/" + name)) continue;
    for (const std::string& file : list_directory(goldens + "/" + name))
      if (file.ends_with(".safetensors")) {
        EXPECT_EQ(message_of([&] { SafetensorsFile f(goldens + "/" + name + "/" + file); }), "");
      }
    if (!file_exists(goldens + "/" + name + "/config.json")) continue;
    EXPECT_EQ(message_of([&] { EXPECT_GT(TensorFiles(goldens + "/" + name).names().size(), 3u); }), "")
        << name;
    ++folders;
  }
  EXPECT_GT(folders, 0u);
}

}  // namespace
}  // namespace lyceum
