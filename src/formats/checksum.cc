#include "formats/checksum.h"

#include <xxhash.h>

#include <charconv>

namespace lyceum {

struct Checksum::State {
  XXH3_state_t* xxh = XXH3_createState();
  State() { XXH3_64bits_reset(xxh); }
  ~State() { XXH3_freeState(xxh); }
};

uint64_t checksum_of(const void* data, size_t bytes) { return XXH3_64bits(data, bytes); }

Checksum::Checksum() : state_(std::make_unique<State>()) {}
Checksum::~Checksum() = default;
Checksum::Checksum(Checksum&&) noexcept = default;
Checksum& Checksum::operator=(Checksum&&) noexcept = default;

void Checksum::update(const void* data, size_t bytes) {
  if (bytes > 0) XXH3_64bits_update(state_->xxh, data, bytes);
}
uint64_t Checksum::value() const { return XXH3_64bits_digest(state_->xxh); }

std::string checksum_text(uint64_t value) {
  static const char* kDigits = "0123456789abcdef";
  std::string text(16, '0');
  for (size_t i = 16; i-- > 0; value >>= 4) text[i] = kDigits[value & 15];
  return text;
}

bool parse_checksum(std::string_view text, uint64_t& value) {
  if (text.size() != 16) return false;
  const auto [end, error] = std::from_chars(text.data(), text.data() + 16, value, 16);
  return error == std::errc() && end == text.data() + 16 && checksum_text(value) == text;
}

}  // namespace lyceum
