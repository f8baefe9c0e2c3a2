#include "cli/quickstart/xz.h"

#include <lzma.h>

#include <vector>

#include "base/error.h"

namespace lyceum {

int64_t xz_bytes(std::string_view text) {
  lzma_stream stream = LZMA_STREAM_INIT;
  if (lzma_easy_encoder(&stream, 9, LZMA_CHECK_CRC64) != LZMA_OK)
    fail(ErrorKind::kOutOfMemory, "xz", "its preset 9 wants about 700 MiB of memory");
  std::vector<uint8_t> out(1 << 16);
  stream.next_in = reinterpret_cast<const uint8_t*>(text.data());
  stream.avail_in = text.size();
  lzma_ret status = LZMA_OK;
  int64_t bytes = 0;
  while (status == LZMA_OK) {
    stream.next_out = out.data(), stream.avail_out = out.size();
    status = lzma_code(&stream, LZMA_FINISH);
    bytes += static_cast<int64_t>(out.size() - stream.avail_out);
  }
  lzma_end(&stream);
  ensure(status == LZMA_STREAM_END, "xz", "the encoder ended with status ", static_cast<int>(status));
  return bytes;
}

}  // namespace lyceum
