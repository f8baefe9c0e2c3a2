// XXH3 64-bit checksums: of tensors and files in checkpoints, and of documents in deduplication.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace lyceum {

// XXH3-64 with seed 0 (Collet, xxhash.com): equals `xxhsum -H3`.
uint64_t checksum_of(const void* data, size_t bytes);

// The same of a stream of pieces.
class Checksum {
 public:
  Checksum();
  ~Checksum();
  Checksum(Checksum&&) noexcept;
  Checksum& operator=(Checksum&&) noexcept;
  void update(const void* data, size_t bytes);
  uint64_t value() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Sixteen lower-case hexadecimal digits, as xxhsum prints them, and back (false if `text` is anything else).
std::string checksum_text(uint64_t value);
bool parse_checksum(std::string_view text, uint64_t& value);

}  // namespace lyceum
