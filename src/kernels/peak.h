// What this machine can do at most, measured in a fraction of a second: the ceiling that shares of peak refer
// to.
#pragma once

#include "kernels/isa.h"

namespace lyceum::kernels {

struct Peak {
  double flops_one = 0;  // FLOP/s of the level's product instruction, one thread; for AMX fed from L1
  double flops_all = 0;  // all compute threads together
  // Bytes/s of memory, all threads; 0 when they were not asked for. An update reads and writes, both counted.
  double read_bandwidth = 0, update_bandwidth = 0;
};

// Of the level in force, products of bf16 operands (or f32 ones). Takes about 0.05 s, 0.4 s with the
// bandwidths.
Peak measure_peak(bool with_bandwidth, bool f32_operands = false);

// One short sample (about 0.1 ms) of all threads together, FLOP/s: a probe of the phase that a shared machine
// is in. 0 at the reference level.
double probe_peak(bool f32_operands = false);

// 256 MiB, which no cache holds, and one walk of all threads over them: bytes/s of reading, or of updating in
// place (read and written, both counted). 0 where there is no such memory.
class MemoryProbe {
 public:
  MemoryProbe();
  ~MemoryProbe();
  MemoryProbe(const MemoryProbe&) = delete;
  MemoryProbe& operator=(const MemoryProbe&) = delete;
  double sample(bool update) const;

 private:
  void* memory_;
};

}  // namespace lyceum::kernels
