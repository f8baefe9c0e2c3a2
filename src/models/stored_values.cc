#include "models/stored_values.h"

#include <array>
#include <bit>
#include <cmath>
#include <cstring>

#include "kernels/rowwise.h"

namespace lyceum {
namespace {

constexpr int64_t kBlock = 128;  // of FP8
constexpr int64_t kGroup = 32;   // of MXFP4
constexpr float kFp4[16] = {0.0f,  0.5f,  1.0f,  1.5f,  2.0f,  3.0f,  4.0f,  6.0f,
                            -0.0f, -0.5f, -1.0f, -1.5f, -2.0f, -3.0f, -4.0f, -6.0f};

// e4m3 without infinities: bias 7, 0x7f and 0xff are not a number.
const std::array<float, 256>& fp8_values() {
  static const std::array<float, 256> table = [] {
    std::array<float, 256> t;
    for (int i = 0; i < 256; ++i) {
      const int exponent = i >> 3 & 15, mantissa = i & 7;
      const float v = exponent == 0 ? std::ldexp(static_cast<float>(mantissa), -9)
                                    : std::ldexp(static_cast<float>(8 + mantissa), exponent - 10);
      t[static_cast<size_t>(i)] = (i & 127) == 127 ? NAN : i & 128 ? -v : v;
    }
    return t;
  }();
  return table;
}

template <class T>
T load(const StoredTensor& t, int64_t at) {
  T v;
  std::memcpy(&v, t.data + static_cast<size_t>(at) * sizeof(T), sizeof(T));
  return v;
}

void read_fp8(const StoredTensor& t, const StoredTensor& scales, int64_t begin, int64_t n, float* out) {
  const std::array<float, 256>& table = fp8_values();
  const int64_t width = t.shape.back(), blocks = scales.shape.back();
  const auto scale_of = [&](int64_t block) {
    return scales.dtype == FileDType::kF32 ? load<float>(scales, block)
                                           : to_float(bf16{load<uint16_t>(scales, block)});
  };
  for (int64_t i = 0; i < n;) {
    const int64_t row = (begin + i) / width, column = (begin + i) % width;
    const int64_t end = std::min({n, i + width - column, i + kBlock - column % kBlock});
    const float scale = scale_of(row / kBlock * blocks + column / kBlock);
    for (; i < end; ++i) out[i] = table[t.data[begin + i]] * scale;
  }
}

void read_mxfp4(const StoredTensor& t, const StoredTensor& scales, int64_t begin, int64_t n, float* out) {
  for (int64_t i = 0; i < n;) {
    const int64_t at = begin + i, group = at / kGroup, end = std::min(n, i + kGroup - at % kGroup);
    const float scale = std::ldexp(1.0f, scales.data[group] - 127);
    for (; i < end; ++i) {
      const uint8_t two = t.data[(begin + i) / 2];
      out[i] = kFp4[(begin + i) % 2 ? two >> 4 : two & 15] * scale;
    }
  }
}

[[noreturn]] void wrong_shape(const std::string& where, const std::string& name,
                              const std::vector<int64_t>& wanted, const std::vector<int64_t>& found) {
  fail(ErrorKind::kCorruptData, where.c_str(), "tensor ", quote(name), ": the configuration wants shape ",
       shape_text(wanted), ", the file has ", shape_text(found));
}

void check_shape(const std::string& where, const StoredTensor& t, const std::vector<int64_t>& wanted) {
  if (t.shape != wanted) wrong_shape(where, t.name, wanted, t.shape);
}

const StoredTensor& companion(const TensorFiles& files, const StoredTensor& t, const std::string& name,
                              const std::vector<int64_t>& shape) {
  const StoredTensor* found = files.find(name);
  if (!found)
    fail(ErrorKind::kCorruptData, files.path().c_str(), "tensor ", quote(t.name), " is ",
         file_dtype_name(t.dtype), " and wants the tensor ", name, " of shape ", shape_text(shape),
         ", which is missing");
  check_shape(files.path(), *found, shape);
  return *found;
}

void check_type(const std::string& where, const StoredTensor& t, std::initializer_list<FileDType> known) {
  std::string list;
  for (FileDType k : known) {
    if (t.dtype == k) return;
    list += (list.empty() ? "" : ", ") + std::string(file_dtype_name(k));
  }
  fail(ErrorKind::kUnsupported, where.c_str(), "tensor ", quote(t.name), " is ", file_dtype_name(t.dtype),
       "; known: ", list);
}

}  // namespace

void StoredValues::read(int64_t begin, int64_t n, float* out) const {
  const StoredTensor& t = *tensor;
  switch (t.dtype) {
    case FileDType::kF8E4M3:
      return read_fp8(t, *scales, begin, n, out);
    case FileDType::kU8:
      return read_mxfp4(t, *scales, begin, n, out);
    case FileDType::kI64:
      for (int64_t i = 0; i < n; ++i) out[i] = static_cast<float>(load<int64_t>(t, begin + i));
      return;
    case FileDType::kI32:
      for (int64_t i = 0; i < n; ++i) out[i] = static_cast<float>(load<int32_t>(t, begin + i));
      return;
    case FileDType::kF32:
      std::memcpy(out, t.data + 4 * begin, static_cast<size_t>(n) * 4);
      return;
    default:
      return kernels::convert(n, t.data + 2 * begin, t.dtype == FileDType::kBF16 ? DType::kBF16 : DType::kF16,
                              out, DType::kF32);
  }
}

void StoredValues::read(int64_t begin, int64_t n, bf16* out) const {
  std::memcpy(out, tensor->data + 2 * begin, static_cast<size_t>(n) * 2);
}

StoredValues find_values(const TensorFiles& files, const FileTensor& wanted) {
  const std::string& where = files.path();
  StoredValues out;
  out.tensor = files.find(wanted.name);
  const StoredTensor* blocks = out.tensor ? nullptr : files.find(wanted.name + "_blocks");
  if (blocks && wanted.shape.size() == 3) {
    const int64_t experts = wanted.shape[0], k = wanted.shape[1], n = wanted.shape[2];
    if (k % kGroup != 0) wrong_shape(where, blocks->name, wanted.shape, blocks->shape);
    check_shape(where, *blocks, {experts, n, k / kGroup, kGroup / 2});
    check_type(where, *blocks, {FileDType::kU8});
    out.tensor = blocks, out.transposed = true;
    out.scales = &companion(files, *blocks, wanted.name + "_scales", {experts, n, k / kGroup});
    check_type(where, *out.scales, {FileDType::kU8});
    return out;
  }
  if (!out.tensor)
    fail(ErrorKind::kCorruptData, where.c_str(), "the tensor ", wanted.name, " of shape ",
         shape_text(wanted.shape), " is missing");
  const StoredTensor& t = *out.tensor;
  check_shape(where, t, wanted.shape);
  if (wanted.spans[0].parameter->type() == DType::kI32) {
    check_type(where, t, {FileDType::kI64, FileDType::kI32});
  } else if (t.dtype == FileDType::kF8E4M3 && t.shape.size() == 2) {
    const auto blocks_of = [](int64_t extent) { return (extent + kBlock - 1) / kBlock; };
    out.scales =
        &companion(files, t, wanted.name + "_scale_inv", {blocks_of(t.shape[0]), blocks_of(t.shape[1])});
    check_type(where, *out.scales, {FileDType::kF32, FileDType::kBF16});
  } else {
    check_type(where, t, {FileDType::kF32, FileDType::kBF16, FileDType::kF16});
  }
  return out;
}

FileSpan transposed_span(const FileSpan& s, int64_t rows, int64_t columns) {
  const auto turned = [&](int64_t step) { return step % columns * rows + step / columns; };
  FileSpan out = s;
  const int64_t matrix = rows * columns;
  out.offset = s.offset / matrix * matrix + turned(s.offset % matrix);
  out.row_step = turned(s.row_step), out.column_step = turned(s.column_step);
  return out;
}

}  // namespace lyceum
