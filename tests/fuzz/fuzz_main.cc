// Joins a target (fuzz.h) and libFuzzer. With LYCEUM_FUZZ_SEEDS=DIR the seeds are written there at the start.
#include <cstdlib>

#include "base/file.h"
#include "base/log.h"
#include "fuzz/fuzz.h"

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  lyceum::set_log_level(lyceum::LogLevel::kOff);
  if (const char* folder = std::getenv("LYCEUM_FUZZ_SEEDS"))
    for (const lyceum::BadFile& f : lyceum::target_seeds())
      lyceum::write_file(std::string(folder) + "/seed_" + f.name, f.bytes);
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    lyceum::run_target({data, size});
  } catch (const lyceum::Error& e) {
    if (std::string_view(e.what()).find('\n') != std::string_view::npos) std::abort();  // one line, always
    if (e.kind() == lyceum::ErrorKind::kInternal) std::abort();
  }
  return 0;
}
