// The header of a safetensors file: as it comes, and once more with a length that fits, so that the search
// gets past the first eight bytes.
#include <cstdlib>

#include "formats/safetensors_header.h"
#include "fuzz/fuzz.h"

namespace lyceum {

namespace {
void parse(std::span<const uint8_t> file) {
  const SafetensorsHeader header = parse_safetensors(file, "f");
  const uint8_t* position = header.tensors.empty() ? file.data() + file.size() : header.tensors[0].data;
  for (const StoredTensor& t : header.tensors) {  // covered without overlap, within the file
    if (t.data != position) std::abort();
    position += t.bytes;
  }
  if (position != file.data() + file.size()) std::abort();
}
}  // namespace

void run_target(std::span<const uint8_t> bytes) {
  const std::string_view text = as_text(bytes);
  if (bytes.size() > 8) {
    const size_t n = text.rfind('}') == text.npos ? 0 : text.rfind('}') + 1;
    const std::string fitted = n < 8 ? "" : little_endian(n - 8, 8) + std::string(text.substr(8));
    try {
      parse({reinterpret_cast<const uint8_t*>(fitted.data()), fitted.size()});
    } catch (const Error&) {
    }
  }
  parse(bytes);
}

std::vector<BadFile> target_seeds() { return safetensors_corpus(); }

}  // namespace lyceum
