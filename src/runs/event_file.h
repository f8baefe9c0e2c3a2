// TensorBoard event files: the curves of a run in the program that many already have open.
//
// A file is a sequence of TFRecords: length (u64), masked CRC32C of the length, a serialised Event, masked
// CRC32C of it; all little-endian. masked(c) = rotate_right(c, 15) + 0xa282ead8. The first event names the
// version "brain.Event:2". Source: tensorflow/core/lib/io/record_writer.cc; the event's fields: event.proto.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "runs/append_file.h"

namespace lyceum {

struct StepMetrics;

// CRC-32C (Castagnoli polynomial, reflected, RFC 3720 B.4) of `bytes`.
uint32_t crc32c(const void* data, size_t bytes);
// `payload` framed as one TFRecord.
std::string tf_record(const std::string& payload);

class EventWriter {
 public:
  // Makes FOLDER/events.out.tfevents.TIME.HOST.PID. Steps after `resume_step` in older files of the folder
  // are hidden from the reader.
  EventWriter(const std::string& folder, int64_t resume_step);

  void scalars(int64_t step, const std::vector<std::pair<std::string, double>>& values);
  // How often each value of `counts` [n] occurred: tokens by expert, drawn as a histogram over expert ids.
  void histogram(int64_t step, const std::string& tag, std::span<const double> counts);
  // Markdown shown under the tab "Text".
  void text(int64_t step, const std::string& tag, const std::string& markdown);
  // The curves of one row of metrics: train/loss, speed/tokens_per_second, experts/load_max_over_mean/3, ...
  void step(const StepMetrics& row);
  void sync() { file_.sync(); }
  const std::string& path() const { return file_.path(); }

 private:
  AppendFile file_;
};

}  // namespace lyceum
