#include "formats/safetensors_header.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <nlohmann/json.hpp>
#include <unordered_set>

#include "base/error.h"

namespace lyceum {
namespace {

using Json = nlohmann::json;

constexpr uint64_t kMaxHeaderBytes = 100'000'000;

struct TypeRow {
  const char* name;
  int bits;
};
constexpr std::array<TypeRow, 22> kTypes = {{
    {"BOOL", 8},    {"F4", 4},      {"F6_E2M3", 6}, {"F6_E3M2", 6},     {"U8", 8},          {"I8", 8},
    {"F8_E5M2", 8}, {"F8_E4M3", 8}, {"F8_E8M0", 8}, {"F8_E4M3FNUZ", 8}, {"F8_E5M2FNUZ", 8}, {"I16", 16},
    {"U16", 16},    {"F16", 16},    {"BF16", 16},   {"I32", 32},        {"U32", 32},        {"F32", 32},
    {"C64", 64},    {"F64", 64},    {"I64", 64},    {"U64", 64},
}};

struct Offsets {
  uint64_t begin = 0, end = 0;
};

// Walks the JSON event by event, so that a hostile header costs no more memory than a good one. Anything out
// of place throws at once.
class HeaderEvents : public nlohmann::json_sax<Json> {
 public:
  HeaderEvents(const std::string& path, SafetensorsHeader& header, std::vector<Offsets>& offsets)
      : path_(path), header_(header), offsets_(offsets) {}

  bool null() override {
    if (state_ != State::kMetadataValue) unexpected("null");  // the reference reader takes null for none
    state_ = State::kTop;
    return true;
  }
  bool boolean(bool) override { unexpected("a boolean"); }
  bool number_integer(int64_t) override { unexpected("a negative number"); }
  bool number_float(double, const std::string&) override { unexpected("a fraction or too large a number"); }
  bool binary(Json::binary_t&) override { unexpected("binary"); }
  bool number_unsigned(uint64_t value) override {
    if (state_ == State::kShape) {
      if (value > INT64_MAX) unexpected("a dimension above 2^63");
      header_.tensors.back().shape.push_back(static_cast<int64_t>(value));
    } else if (state_ == State::kOffsets && n_offsets_ < 2) {
      (n_offsets_++ == 0 ? offsets_.back().begin : offsets_.back().end) = value;
    } else {
      unexpected("a number");
    }
    return true;
  }
  bool string(std::string& text) override {
    if (state_ == State::kMetadata) {
      header_.metadata[key_] = text;
    } else if (state_ == State::kTensor && key_ == "dtype") {
      if (!parse_file_dtype(text, header_.tensors.back().dtype))
        fail(ErrorKind::kUnsupported, path_.c_str(), place(), " has the dtype ", quote(text),
             ", which this program does not know");
    } else {
      unexpected("a text");
    }
    return true;
  }
  bool start_object(size_t) override {
    if (state_ == State::kStart) state_ = State::kTop;
    else if (state_ == State::kMetadataValue) state_ = State::kMetadata;
    else if (state_ == State::kTensorValue) state_ = State::kTensor;
    else unexpected("an object");
    return true;
  }
  bool key(std::string& text) override {
    if (state_ == State::kTop) {
      check_data(names_.insert(text).second, path_.c_str(), "the header names ", quote(text), " twice");
      state_ = text == "__metadata__" ? State::kMetadataValue : State::kTensorValue;
      seen_ = 0;
      if (state_ == State::kTensorValue) {
        header_.tensors.emplace_back().name = text;
        offsets_.emplace_back();
      }
    } else if (state_ == State::kMetadata) {
      check_data(!header_.metadata.contains(text), path_.c_str(), "__metadata__ names ", quote(text),
                 " twice");
      key_ = text;
    } else {
      static constexpr const char* kKeys[] = {"dtype", "shape", "data_offsets"};
      const auto found = std::find(std::begin(kKeys), std::end(kKeys), text);
      if (found == std::end(kKeys))
        fail(ErrorKind::kUnsupported, path_.c_str(), place(), " has the key ", quote(text),
             "; known are dtype, shape, data_offsets");
      const int bit = 1 << (found - std::begin(kKeys));
      check_data((seen_ & bit) == 0, path_.c_str(), place(), " gives ", text, " twice");
      seen_ |= bit;
      key_ = text;
    }
    return true;
  }
  bool end_object() override {
    if (state_ == State::kTensor)
      check_data(seen_ == 7, path_.c_str(), place(), " lacks ",
                 !(seen_ & 1)   ? "dtype"
                 : !(seen_ & 2) ? "shape"
                                : "data_offsets");
    state_ = state_ == State::kTop ? State::kStart : State::kTop;
    return true;
  }
  bool start_array(size_t) override {
    if (state_ != State::kTensor || key_ == "dtype") unexpected("an array");
    state_ = key_ == "shape" ? State::kShape : State::kOffsets;
    n_offsets_ = 0;
    return true;
  }
  bool end_array() override {
    check_data(state_ == State::kShape || n_offsets_ == 2, path_.c_str(), place(),
               " wants two data_offsets, found ", n_offsets_);
    state_ = State::kTensor;
    return true;
  }
  bool parse_error(size_t position, const std::string&, const nlohmann::detail::exception& e) override {
    const std::string_view text = e.what();
    const size_t at = text.find("syntax error");
    fail(ErrorKind::kCorruptData, path_.c_str(), "the header is not JSON at its byte ", position, ": ",
         quote(at == text.npos ? text : text.substr(at)));
  }

 private:
  enum class State { kStart, kTop, kMetadataValue, kMetadata, kTensorValue, kTensor, kShape, kOffsets };

  std::string place() const {
    if (state_ == State::kMetadataValue || state_ == State::kMetadata) return "__metadata__";
    if (header_.tensors.empty() || state_ == State::kStart || state_ == State::kTop) return "the header";
    return "tensor " + quote(header_.tensors.back().name).str();
  }
  [[noreturn]] void unexpected(const char* found) const {
    const char* wanted = state_ == State::kMetadata        ? "texts"
                         : state_ == State::kMetadataValue ? "an object of texts"
                         : state_ == State::kTensorValue   ? "an object with dtype, shape, data_offsets"
                         : state_ == State::kShape         ? "whole numbers in its shape"
                         : state_ == State::kOffsets       ? "two whole numbers in its data_offsets"
                         : state_ == State::kTensor && key_ == "dtype" ? "the name of a type as its dtype"
                         : state_ == State::kTensor ? "arrays as its shape and data_offsets"
                                                    : "an object";
    fail(ErrorKind::kCorruptData, path_.c_str(), place(), " wants ", wanted, ", found ", found);
  }

  const std::string& path_;
  SafetensorsHeader& header_;
  std::vector<Offsets>& offsets_;
  State state_ = State::kStart;
  std::unordered_set<std::string> names_;
  std::string key_;
  int seen_ = 0, n_offsets_ = 0;  // bits: dtype, shape, data_offsets
};

// Invariants 2 and 3 of the header file; sets data and bytes, sorts by place.
void place_tensors(std::span<const uint8_t> data, const std::vector<Offsets>& offsets,
                   SafetensorsHeader& header, const std::string& path) {
  const char* where = path.c_str();
  std::vector<size_t> order(offsets.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    const Offsets &x = offsets[a], &y = offsets[b];
    return x.begin != y.begin ? x.begin < y.begin : x.end != y.end ? x.end < y.end : a < b;
  });
  std::vector<StoredTensor> placed;
  placed.reserve(order.size());
  uint64_t position = 0;
  for (const size_t i : order) {
    StoredTensor& t = header.tensors[i];
    const auto [begin, end] = offsets[i];
    check_data(begin <= end, where, "tensor ", quote(t.name), " ends at ", end, ", before its begin at ",
               begin);
    check_data(end <= data.size(), where, "tensor ", quote(t.name), " ends at byte ", end,
               " of the data, but the file holds only ", data.size(), "; it is truncated or damaged");
    check_data(begin >= position, where, "tensor ", quote(t.name), " at bytes ", begin, " to ", end,
               " overlaps ", quote(placed.empty() ? "" : placed.back().name), ", which ends at ", position);
    check_data(begin == position, where, "a hole of ", begin - position, " bytes before tensor ",
               quote(t.name), " at byte ", begin, "; tensors must cover the data without gaps");
    t.bytes = tensor_bytes(where, t.name, t.dtype, t.shape);
    if (t.bytes != end - begin)
      fail(ErrorKind::kCorruptData, where, "tensor ", quote(t.name), " of type ", file_dtype_name(t.dtype),
           " and shape ", shape_text(t.shape), " wants ", t.bytes, " bytes, found ", end - begin);
    t.data = data.data() + begin;
    position = end;
    placed.push_back(std::move(t));
  }
  check_data(position == data.size(), where, data.size() - position,
             " bytes after the last tensor belong to none", "; wanted a file of ", position,
             " bytes of data, found ", data.size());
  header.tensors = std::move(placed);
}

}  // namespace

const char* file_dtype_name(FileDType dtype) { return kTypes[static_cast<size_t>(dtype)].name; }
int file_dtype_bits(FileDType dtype) { return kTypes[static_cast<size_t>(dtype)].bits; }

bool parse_file_dtype(std::string_view name, FileDType& dtype) {
  for (size_t i = 0; i < kTypes.size(); ++i)
    if (name == kTypes[i].name) {
      dtype = static_cast<FileDType>(i);
      return true;
    }
  return false;
}

std::string shape_text(const std::vector<int64_t>& shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size() && i < 16; ++i) text += (i ? ", " : "") + std::to_string(shape[i]);
  return text + (shape.size() > 16 ? ", ...]" : "]");
}

uint64_t tensor_bytes(const char* where, std::string_view name, FileDType dtype,
                      const std::vector<int64_t>& shape) {
  uint64_t bits = static_cast<uint64_t>(file_dtype_bits(dtype));
  bool empty = false, overflow = false;
  for (const int64_t n : shape) {
    if (n < 0) fail(ErrorKind::kCorruptData, where, "tensor ", quote(name), " has shape ", shape_text(shape));
    empty = empty || n == 0;
    overflow = __builtin_mul_overflow(bits, static_cast<uint64_t>(n), &bits) || overflow;
  }
  if (empty) return 0;
  if (overflow || bits > uint64_t{INT64_MAX})
    fail(ErrorKind::kCorruptData, where, "tensor ", quote(name), " of shape ", shape_text(shape),
         " is larger than any file");
  if (bits % 8 != 0)
    fail(ErrorKind::kCorruptData, where, "tensor ", quote(name), " of type ", file_dtype_name(dtype),
         " and shape ", shape_text(shape), " does not fill whole bytes");
  return bits / 8;
}

SafetensorsHeader parse_safetensors(std::span<const uint8_t> file, const std::string& path) {
  const char* where = path.c_str();
  check_data(file.size() >= 8, where, "a safetensors file begins with 8 bytes of length, found a file of ",
             file.size(), " bytes");
  uint64_t n = 0;
  for (size_t i = 8; i-- > 0;) n = n << 8 | file[i];
  check_data(n <= kMaxHeaderBytes, where, "wants a header of at most ", kMaxHeaderBytes, " bytes, found ", n,
             "; this is not a safetensors file, or it is damaged");
  check_data(n <= file.size() - 8, where, "the header has ", n, " bytes, but only ", file.size() - 8,
             " follow; the file is truncated");
  const char* text = reinterpret_cast<const char*>(file.data()) + 8;
  check_data(n > 0 && text[0] == '{', where,
             "the header wants to begin with '{'; this is not a safetensors file");
  // The JSON library takes a zero byte for the end of its input.
  check_data(std::memchr(text, 0, n) == nullptr, where, "the header holds a zero byte; it is not JSON");

  SafetensorsHeader header;
  std::vector<Offsets> offsets;
  HeaderEvents events(path, header, offsets);
  Json::sax_parse(text, text + n, &events);  // also refuses what is not UTF-8
  place_tensors(file.subspan(8 + n), offsets, header, path);
  return header;
}

}  // namespace lyceum
